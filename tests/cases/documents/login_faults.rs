//! The faults of docs/troubleshooting.md that a login beside that of a pod can have, each made in earnest at a scripted
//! server, in the words of the real one.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};
use vault_testkit::certs::certs;
use vault_testkit::raw::{Raw, Reply};
use vault_testkit::tls_front;

use super::faults::{Told, at, run, told};
use crate::support::scenario::Scenario;

const APPROLE: &str = "auth/approle/login";
const JWT: &str = "auth/jwt/login";
const CERT: &str = "auth/cert/login";

/// Of a CI job; it never expires.
const CI_JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJzaG9wIiwic3ViIjoicHJvamVjdDpzaG9wIn0.c2lnbmF0dXJl";

fn refused(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({"errors": [text]}))
}

fn approle(raw: &Raw) -> Scenario<'static> {
    let scenario = at(raw).unset("VAULT_ROLE").env("VAULT_APPROLE_ROLE_ID", "a-role-id-0123456789");
    scenario.env("VAULT_APPROLE_SECRET_ID", "a-secret-id-0123456789").hides("a-role-id").hides("a-secret-id")
}

fn jwt(raw: &Raw) -> Scenario<'static> {
    at(raw).env("VAULT_JWT", CI_JWT).hides(CI_JWT)
}

fn with_certificate(raw: &Raw) -> Scenario<'static> {
    let client = &certs().client;
    let scenario = at(raw).at(&tls_front::before(raw.port())).env("VAULT_AUTH_METHOD", "cert");
    let scenario = scenario.env("VAULT_CACERT", &certs().ca.certificate_file);
    scenario.env("VAULT_CLIENT_CERT", &client.certificate_file).env("VAULT_CLIENT_KEY", &client.key_file)
}

fn wrapped(raw: &Raw) -> Scenario<'static> {
    approle(raw).env("VAULT_UNWRAP", "true")
}

/// What a server says of a login, and who asks.
fn refusals() -> Vec<Told> {
    let unverified = "error validating token: error verifying token signature: ";
    let no_keys = format!("{unverified}fetching keys oidc: get keys failed: 503 Service Unavailable ");
    let audience =
        "error validating token: invalid audience (aud) claim: audience claim does not match any expected audience";
    let of_approle = [
        (400, "invalid role or secret ID"),
        (400, "missing secret_id"),
        (403, "permission denied"),
        (400, "missing role"),
    ];
    let of_jwt = [
        (400, audience.to_owned()),
        (400, format!("{unverified}failed to verify id token signature")),
        (400, no_keys),
        (400, "role \"shop\" could not be found".to_owned()),
    ];
    let of_cert =
        [(400, "invalid certificate or no client certificate supplied"), (400, "no client certificate found")];
    let approles = of_approle
        .iter()
        .flat_map(|(status, text)| run(&approle(&Raw::start([(APPROLE, vec![refused(*status, text)])]))));
    let jwts = of_jwt.iter().flat_map(|(status, text)| run(&jwt(&Raw::start([(JWT, vec![refused(*status, text)])]))));
    let certificates = of_cert.iter().flat_map(|(status, text)| {
        let raw = Raw::start([(CERT, vec![refused(*status, text)])]);
        run(&with_certificate(&raw))
    });
    approles.chain(jwts).chain(certificates).collect()
}

/// What a run says of a login by `method` that the server refuses in these words.
pub(super) fn refused_login(method: &str, words: &str) -> Vec<Told> {
    let status = if words == "permission denied" { 403 } else { 400 };
    let answer = || vec![refused(status, words)];
    match method {
        "approle" => run(&approle(&Raw::start([(APPROLE, answer())]))),
        "jwt" => run(&jwt(&Raw::start([(JWT, answer())]))),
        "cert" => run(&with_certificate(&Raw::start([(CERT, answer())]))),
        _ => panic!("{method} quotes no words of the server's"),
    }
}

/// What becomes of a wrapping token.
fn wrappings() -> Vec<Told> {
    let made_by = |path: &str| {
        Reply::json(
            200,
            &json!({"data": {"creation_path": path, "creation_time": "2026-01-02T03:04:05Z", "creation_ttl": 300}}),
        )
    };
    let spent = || refused(400, "wrapping token is not valid or does not exist");
    let good = made_by("auth/approle/role/shop/secret-id");
    [(spent(), spent()), (made_by("sys/wrapping/wrap"), spent()), (good, Reply::Last(Vec::new()))]
        .into_iter()
        .flat_map(|(look_up, unwrap)| {
            let script = [("sys/wrapping/lookup", vec![look_up]), ("sys/wrapping/unwrap", vec![unwrap])];
            run(&wrapped(&Raw::start(script)))
        })
        .collect()
}

/// A file without a secret id, and one with JSON.
fn files() -> Vec<Told> {
    let raw = Raw::start([]);
    let absent = approle(&raw).unset("VAULT_APPROLE_SECRET_ID");
    fs::create_dir(absent.file("secrets")).expect("a directory");
    let absent = absent.env("VAULT_APPROLE_SECRET_ID_FILE", "{folder}/secrets/secret-id");
    let missing = run(&absent);
    fs::write(absent.file("secrets/secret-id"), r#"{"wrap_info":{"token":"hvs.wrapped"}}"#).expect("a file is written");
    [missing, run(&absent)].concat()
}

/// Settings without which a login is none.
fn settings() -> Vec<Told> {
    let raw = Raw::start([]);
    let by = |method: &str| at(&raw).env("VAULT_AUTH_METHOD", method);
    let https = by("cert").at(&raw.addr().replace("http:", "https:"));
    let unwrap = at(&raw).env("VAULT_UNWRAP", "true");
    [run(&by("approle")), run(&by("jwt")), run(&by("cert")), run(&https), run(&unwrap)].concat()
}

const AUTH_URL: &str = "auth/oidc/oidc/auth_url";
const CALLBACK: &str = "auth/oidc/oidc/callback";
const POLL: &str = "auth/oidc/oidc/poll";

fn person(raw: &Raw, listen: &str) -> Scenario<'static> {
    at(raw).unset("VAULT_K8S_TOKEN_PATH").person(listen)
}

/// What the log says of a run, with the port of the official client in the place of this one.
fn with_port(told: Vec<Told>, port: u16) -> Vec<Told> {
    let port = format!("localhost:{port}");
    told.into_iter().map(|(code, line)| (code, line.replace(&port, "localhost:8250"))).collect()
}

/// The server gives a URL, and the browser comes back with this query beside the state.
fn came_back(query: &str, callback: Reply) -> Vec<Told> {
    let begun = json!({"data": {"auth_url": "https://login.example/auth?state=st_0123456789"}});
    let raw = Raw::start([(AUTH_URL, vec![Reply::json(200, &begun)]), (CALLBACK, vec![callback])]);
    let scenario = person(&raw, "localhost:0");
    let started = scenario.start();
    started.url();
    let port = port_of(&raw);
    let mut browser = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let request = format!("GET /oidc/callback?state=st_0123456789&{query} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    browser.write_all(request.as_bytes()).expect("it is sent");
    let told = told(&started.finish());
    // What the person is told before is no line of the log.
    told.into_iter().filter(|(_, line)| line.starts_with("ERROR")).collect()
}

/// The port that the program has asked to come back to.
fn port_of(raw: &Raw) -> u16 {
    let body: Value = serde_json::from_str(&raw.whole_requests()[1].body).expect("JSON");
    let uri = body["redirect_uri"].as_str().expect("a text");
    uri.rsplit(':').next().and_then(|rest| rest.split('/').next()?.parse().ok()).expect("a port")
}

/// A person's login that comes to nothing.
fn persons() -> Vec<Told> {
    let answered = |reply: Reply| {
        let raw = Raw::start([(AUTH_URL, vec![reply])]);
        let told = run(&person(&raw, "localhost:0"));
        with_port(told, port_of(&raw))
    };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port();
    let raw = Raw::start([]);
    let no_claim = "OpenBao login failed. error validating claims: claim \"groups\" does not match any associated bound claim values";
    let device = json!({"data": {"auth_url": "https://login.example/device", "state": "st_1", "poll_interval": "1"}});
    let denied = Raw::start([
        (AUTH_URL, vec![Reply::json(200, &device)]),
        (POLL, vec![refused(400, "authorization failed: access_denied")]),
    ]);
    let denied = run(&person(&denied, "none")).into_iter().filter(|(_, line)| line.starts_with("ERROR"));
    [
        with_port(run(&person(&raw, &format!("localhost:{port}"))), port),
        // This one names the address itself, and means no server's.
        run(&person(&raw, "0.0.0.0:8250"))
            .into_iter()
            .map(|(code, line)| (code, line.replace("vault.vault.svc:PORT", "127.0.0.1:PORT")))
            .collect(),
        answered(Reply::json(200, &json!({"data": {"auth_url": ""}}))),
        answered(refused(400, "role \"shop\" could not be found")),
        answered(refused(400, "could not load configuration")),
        answered(refused(403, "permission denied")),
        answered(refused(500, "error authorizing device: 500 Internal Server Error: ")),
        came_back("error=access_denied&error_description=the+user+has+cancelled", refused(400, "access_denied")),
        came_back("code=code-0123456789", refused(400, no_claim)),
        denied.collect(),
    ]
    .concat()
}

/// All of them.
pub(super) fn all() -> Vec<Told> {
    [refusals(), wrappings(), files(), settings(), persons()].concat()
}
