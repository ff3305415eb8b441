//! Answers of a server, from their bytes to what becomes of each step.

use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use super::{TOKEN, VALUE, hides, is_one_line};
use crate::error::Code;
use crate::observer::Log;
use crate::process::wait::Waiter;
use crate::remedy;
use crate::secrets::{self, Carrier, Rules, Source};
use vault_client::Address;
use vault_client::json::Object;
use vault_client::kv::Location;
use vault_client::{Endpoint, Kubernetes, Limits, Login, Options, Token, VaultError};

/// A service account's token; its claims may be shown, the whole may not.
const JWT: &str = include_str!("jwt.txt");

/// Far more than an answer of this size takes.
const BOUND: Duration = Duration::from_secs(10);

/// Whatever bytes a server sends, each step ends in time, with an exit code that is documented; every message and every
/// line of the log is one line and shows neither the token nor the JWT, nor a value from where secrets are.
pub fn answer(bytes: &[u8]) {
    watch_log();
    let begun = Instant::now();
    let client = client(bytes);
    let secrets: &[&str] = if is_only_a_value(bytes) { &[TOKEN, JWT, VALUE] } else { &[TOKEN, JWT] };
    let said = |text: &str| {
        is_one_line(text);
        hides(secrets, text);
    };
    let failed = |error: VaultError| {
        said(&error.to_string());
        said(&remedy::sentence(&error));
        let code = Code::of(error.kind()) as u8;
        assert!([66, 69, 75, 76, 77, 78].contains(&code), "{code}: {error}");
    };
    // Before the login, so that the client knows the token as well as the JWT from here on.
    let given = Token::given(TOKEN);
    let session = client.login(&given).unwrap_or_else(|error| panic!("{error}"));
    match client.login(&kubernetes()) {
        Ok(session) => said(&session.info.to_string()),
        Err(error) => failed(error),
    }
    let location = Location { mount: "kv".into(), path: "shop/prod".into(), version: None };
    match session.read(&location) {
        Ok(version) => {
            said(&version.to_string());
            let collected =
                |data| secrets::collect(&[Source::read("kv", &data)], &Rules::default(), Carrier::Environment);
            let problems = version.data.map(|data| collected(data).1);
            for sentence in secrets::sentences(&problems.unwrap_or_default()) {
                is_one_line(&sentence);
            }
        }
        Err(error) => failed(error),
    }
    session.look_up().map_or_else(failed, |info| said(&info.to_string()));
    for denied in [true, false] {
        said(&remedy::explained(&session.explain(&location, denied), &location, "", denied));
    }
    client.status().map_or_else(failed, |version| said(&version));
    assert!(begun.elapsed() < BOUND);
}

fn client(answer: &[u8]) -> Endpoint {
    // No pause fits into it that a server asks for.
    let budget = Duration::from_millis(100);
    let options = Options::new(Address::parse("http://vault.example:8200").expect("an address"));
    let limits = Limits { request: budget, retries: 0, whole: budget, ..Limits::default() };
    Endpoint::canned(&options, limits, Arc::new(Log(Arc::new(Waiter::new(None)))), answer)
}

fn kubernetes() -> impl Login {
    let jwt = concat!(env!("CARGO_MANIFEST_DIR"), "/src/properties/jwt.txt").into();
    Kubernetes { mount: "kubernetes".into(), role: "shop".into(), jwt, revoke: true }
}

/// Whether the planted value stands only in members of `data.data`, where the secret's values are.
fn is_only_a_value(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((_, body)) = text.split_once("\r\n\r\n") else { return false };
    let said = Object::parse(body.as_bytes());
    let data = said.as_ref().ok().and_then(|said| said.object(&["data", "data"]).ok());
    let members = data.iter().flat_map(Object::iter);
    let found = members.filter(|(_, member)| member.string().is_some_and(|text| text.contains(VALUE))).count();
    found > 0 && text.matches(VALUE).count() == found
}

/// Holds this program's own log to the same.
fn watch_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_max_level(log::LevelFilter::Debug);
        log::set_logger(&Watch).expect("the only one");
    });
}

struct Watch;

impl log::Log for Watch {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("vault_")
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            let line = record.args().to_string();
            is_one_line(&line);
            hides(&[TOKEN, JWT], &line);
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const READ: &str = r#"{"data":{"data":{"K":"planted-value-that-nobody-may-see"},"metadata":{"version":1,"created_time":"2026-01-01T00:00:00Z"}}}"#;

    /// Bodies of Vault, and what stands in their place.
    fn body() -> impl Strategy<Value = String> {
        let hostile = prop::sample::select(&[TOKEN, JWT, "\u{1b}[31m\nERROR", "\u{202e}", "x", "-1", ""][..]);
        let template = prop::sample::select(
            &[
                r#"{"errors":["T"]}"#,
                r#"{"initialized":true,"sealed":false,"version":"T"}"#,
                r#"{"initialized":true,"sealed":true,"t":3,"progress":1}"#,
                r#"{"auth":{"client_token":"T","policies":["T"],"lease_duration":60,"token_type":"service"}}"#,
                r#"{"data":{"ttl":60,"policies":["T"],"type":"T","options":{"version":"1"}}}"#,
                r#"{"data":{"data":{"K":"planted-value-that-nobody-may-see","T":1},"metadata":{"version":1,"created_time":"T"}}}"#,
                r#"{"data":{"data":null,"metadata":{"version":1,"deletion_time":"T","destroyed":false}}}"#,
                r#"{"data":{"T":1,"T":2}}"#,
                "<html>T</html>",
            ][..],
        );
        (template, hostile).prop_map(|(template, hostile)| {
            let quoted = serde_json::to_string(hostile).unwrap();
            template.replace('T', quoted.trim_matches('"'))
        })
    }

    fn header() -> impl Strategy<Value = String> {
        const NAMES: &[&str] =
            &["Content-Type", "Location", "Content-Encoding", "Retry-After", "Transfer-Encoding", "Content-Length"];
        const VALUES: &[&str] =
            &["application/json", "https://T/x", "https://u:T@h/", "T", "gzip", "chunked", "7", "3600", "\u{9b}", ""];
        (prop::sample::select(NAMES), prop::sample::select(VALUES), prop::sample::select(&[TOKEN, JWT][..]))
            .prop_map(|(name, value, secret)| format!("{name}: {}\r\n", value.replace('T', secret)))
    }

    proptest! {
        #[test]
        fn answers_hold_for_bytes_that_are_nearly_vaults(
            status in prop_oneof![prop::sample::select(&[200_u16, 204, 301, 307, 400, 403, 404, 429, 500, 503][..]), 0..1000_u16],
            headers in prop::collection::vec(header(), 0..3),
            body in body(),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let whole = format!("HTTP/1.1 {status} OK\r\n{}\r\n{body}", headers.concat()).into_bytes();
            answer(cut.map_or(&whole[..], |cut| &whole[..cut.index(whole.len())]));
        }

        #[test]
        fn a_damaged_answer_shows_no_value_of_the_secret(at in 0..READ.len(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut body = READ.as_bytes().to_vec();
            if cut { body.truncate(at) } else { body[at] = byte }
            let client = client(&[b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat());
            let session = client.login(&Token::given(TOKEN)).unwrap();
            let location = Location { mount: "kv".into(), path: "shop/prod".into(), version: None };
            if let Err(error) = session.read(&location) {
                hides(&[VALUE], &remedy::sentence(&error));
            }
        }
    }
}
