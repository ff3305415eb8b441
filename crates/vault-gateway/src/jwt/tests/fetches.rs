//! What a fetch of keys takes, what it refuses, and what it shows.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_testkit::certs::certs;
use vault_testkit::raw::{Raw, Reply};
use vault_testkit::tls_front;

use super::forge::{self, jwk};
use super::issuers::{KEYS, asked, issuer, keys};
use crate::config::{Issuer, KeySource};
use crate::jwt::fetch::Source;

const DISCOVERY: &str = "idp/.well-known/openid-configuration";

/// The issuer at `server`, with discovery.
fn discovered(server: &Raw) -> Issuer {
    Issuer { jwks: KeySource::Discovery, ..issuer(server) }
}

/// The fault of a fetch, as its `Debug` has it; empty where there is none.
fn fault(issuer: &Issuer) -> String {
    Source::of(issuer).fetch().err().map(|fault| format!("{fault:?}")).unwrap_or_default()
}

#[test]
fn keys_are_found_by_discovery() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let issuer = discovered(&server);
    let other = Issuer { url: format!("{}/", issuer.url), ..issuer.clone() };
    let document = |changes: &Value| {
        let document = json!({"issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url), "x": 1});
        vec![Reply::json(200, &forge::changed(document, changes))]
    };
    for (issuer, changes, expected) in [
        (&issuer, json!({}), ""),
        (&other, json!({"issuer": other.url}), ""),
        (&other, json!({}), "OtherIssuer"),
        (&issuer, json!({"issuer": "https://evil.example"}), "OtherIssuer"),
        (&issuer, json!({"issuer": other.url}), "OtherIssuer"),
        (&issuer, json!({"issuer": null}), "NotThat(Discovery)"),
        (&issuer, json!({"issuer": [issuer.url]}), "NotThat(Discovery)"),
        (&issuer, json!({"jwks_uri": null}), "NotThat(Discovery)"),
        (&issuer, json!({"jwks_uri": "http://idp.example/keys"}), "Unsafe(Keys)"),
        (&issuer, json!({"jwks_uri": "file:///etc/passwd"}), "Unsafe(Keys)"),
        (&issuer, json!({"jwks_uri": "ftp://127.0.0.1/keys"}), "Unsafe(Keys)"),
        (&issuer, json!({"jwks_uri": "/keys"}), "Unsafe(Keys)"),
        (&issuer, json!({"jwks_uri": ""}), "Unsafe(Keys)"),
    ] {
        server.script(DISCOVERY, document(&changes));
        assert_eq!(fault(issuer), expected, "{changes}");
    }
    let twice = format!(r#"{{"issuer":"https://evil.example","issuer":"{}","jwks_uri":"x"}}"#, issuer.url);
    server.script(DISCOVERY, vec![Reply::with(200, "", twice.as_bytes())]);
    assert_eq!(fault(&issuer), "NotThat(Discovery)");
}

#[test]
fn an_answer_that_is_no_key_set_is_none() {
    let server = Raw::start([]);
    let issuer = issuer(&server);
    let elsewhere = format!("Location: {}/other\r\n", issuer.url);
    let padded = |bytes: usize| {
        let set = json!({"keys": []}).to_string();
        Reply::with(200, "", format!("{set}{}", " ".repeat(bytes - set.len())).as_bytes())
    };
    server.script("idp/other", vec![keys(&["a"])]);
    for (reply, expected) in [
        (keys(&["a"]), ""),
        (keys(&[]), ""),
        (Reply::with(302, &elsewhere, b""), "Status(Keys, 302)"),
        (Reply::with(307, &elsewhere, b""), "Status(Keys, 307)"),
        (Reply::with(404, "", b""), "Status(Keys, 404)"),
        (Reply::with(201, "", br#"{"keys":[]}"#), "Status(Keys, 201)"),
        (padded(64 << 10), ""),
        (padded((64 << 10) + 1), "TooLarge(Keys)"),
        (
            Reply::Endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), b"1\r\n \r\n".to_vec()),
            "TooLarge(Keys)",
        ),
        (Reply::with(200, "", b"<html>"), "NotThat(Keys)"),
        (Reply::with(200, "", br#"{"keys":[],"keys":[]}"#), "NotThat(Keys)"),
        (Reply::with(200, "", b""), "NotThat(Keys)"),
        (Reply::Last(b"nothing\r\n\r\n".to_vec()), "NoAnswer(Keys, Protocol)"),
    ] {
        server.script(KEYS, vec![reply]);
        assert_eq!(fault(&issuer), expected);
    }
    assert!(!server.requests().iter().any(|line| line.contains("other")), "no redirect is followed");
    server.script(KEYS, vec![Reply::Reset(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{".to_vec())]);
    assert!(fault(&issuer).starts_with("NoAnswer(Keys, "), "{}", fault(&issuer));
}

#[test]
fn keys_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let issuer = forge::issuer_of_file("https://idp.example", path.clone());
    assert_eq!(fault(&issuer), "File(\"jwks\", NotFound)");
    for (content, expected) in [
        (json!({"keys": [jwk("a", "ES256")]}).to_string(), ""),
        ("x".into(), "NotThat(Keys)"),
        (" ".repeat((64 << 10) + 1), "TooLarge(Keys)"),
    ] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(fault(&issuer), expected);
    }
}

#[test]
fn the_bearer_token_is_read_for_each_fetch_and_shown_for_both_documents() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let issuer = Issuer { token_file: Some(file.clone()), ..discovered(&server) };
    let document = json!({"issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url)});
    server.script(DISCOVERY, vec![Reply::json(200, &document)]);
    assert_eq!(fault(&issuer), "File(\"token_file\", NotFound)");
    std::fs::write(&file, "\n").unwrap();
    assert_eq!(fault(&issuer), "NoToken");
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        assert_eq!(fault(&issuer), "");
    }
    let shown = |head: &str| {
        let mut lines = head.lines().filter(|line| line.to_lowercase().starts_with("authorization:"));
        lines.next().and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let shown: Vec<_> = server.whole_requests().iter().map(|request| shown(&request.head)).collect();
    assert_eq!(shown, ["Bearer first", "Bearer first", "Bearer second", "Bearer second"]);
}

#[test]
fn the_bearer_token_is_shown_where_the_configuration_says_and_nowhere_else() {
    let [own, other] = [(); 2].map(|()| Raw::start([(KEYS, vec![keys(&["a"])])]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "TOPSECRET").unwrap();
    let elsewhere = issuer(&other).jwks;
    let KeySource::Url(jwks_uri) = &elsewhere else { unreachable!() };
    let discovered = Issuer { token_file: Some(file), ..discovered(&own) };
    let named = Issuer { jwks: elsewhere.clone(), ..discovered.clone() };
    own.script(DISCOVERY, vec![Reply::json(200, &json!({"issuer": discovered.url, "jwks_uri": jwks_uri}))]);
    let shown = |server: &Raw| server.whole_requests().iter().any(|it| it.head.contains("TOPSECRET"));
    assert_eq!((fault(&discovered), shown(&own), shown(&other)), (String::new(), true, false));
    other.script(KEYS, vec![Reply::json(401, &json!({}))]);
    assert_eq!((fault(&discovered), shown(&other)), ("Kept(Keys, 401)".to_owned(), false));
    assert_eq!((fault(&named), shown(&other)), ("Status(Keys, 401)".to_owned(), true));
}

#[test]
fn a_discovery_document_that_came_over_https_does_not_lead_to_http_on_this_machine() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let url = format!("{}/v1/idp", tls_front::before(server.port()));
    let plain = issuer(&server).jwks;
    let KeySource::Url(jwks_uri) = &plain else { unreachable!() };
    server.script(DISCOVERY, vec![Reply::json(200, &json!({"issuer": url, "jwks_uri": jwks_uri}))]);
    let ca = Some(certs().ca.certificate_file.clone());
    let discovered = Issuer { ca, ..forge::issuer(&url) };
    assert_eq!((fault(&discovered).as_str(), asked(&server)), ("Unsafe(Keys)", 0));
    // Where the configuration names it, it is wanted.
    assert_eq!(fault(&Issuer { jwks: plain, ..discovered }), "");
}

#[test]
fn only_the_given_authority_is_trusted() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let url = format!("{}/v1/idp", tls_front::before(server.port()));
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (ca, expected) in [
        (Some(certs().ca.certificate_file.clone()), ""),
        (Some(certs().stranger_ca.certificate_file.clone()), "NoAnswer(Keys, Tls)"),
        (None, "NoAnswer(Keys, Tls)"),
        (Some(empty), "NoCertificate"),
        (Some(folder.path().join("none.pem")), "File(\"ca\", NotFound)"),
    ] {
        let issuer = Issuer { jwks: KeySource::Url(format!("{url}/keys")), ca, ..forge::issuer(&url) };
        assert_eq!(fault(&issuer), expected);
    }
}

#[test]
fn a_server_that_does_not_answer_ends_the_fetch_in_time() {
    let server = Raw::start([(KEYS, vec![Reply::Hang(vec![])])]);
    let begin = Instant::now();
    assert_eq!(fault(&issuer(&server)), "NoAnswer(Keys, Timeout)");
    let taken = begin.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(9)).contains(&taken), "{taken:?}");
}
