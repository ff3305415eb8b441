//! Secrets that a server repeats wherever it can, at every level of the log; and that what looks for them finds them.

use serde_json::{Value, json};
use vault_testkit::jwt::Jwt;
use vault_testkit::raw::{LOGIN, LOOK_UP, READ, REVOKE, Raw, Reply, STATUS, TOKEN, whole};

use crate::support::expect::Expect;
use crate::support::leaks::{Written, base64, found, spelt};
use crate::support::scenario::Scenario;

#[test]
fn whoever_looks_for_secrets_finds_each_way_to_write_them() {
    let secret = "pa/ss w?rd\"\u{e9}>>~";
    let hex = spelt(secret.bytes(), |byte| format!("{byte:02X}"));
    let long = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (secret, text, written) in [
        (secret, format!("before {secret} after"), Written::Plainly),
        (secret, "pa/ss\n  w?rd\"\u{e9}>\\n>~".to_owned(), Written::OverLines),
        (secret, hex, Written::Hex),
        (secret, spelt(secret.bytes(), |byte| format!("\\x{byte:02x}")), Written::Hex),
        (secret, spelt(secret.bytes(), |byte| format!("%{byte:02x}")), Written::UrlEncoded),
        (secret, "pa%2Fss%20w%3Frd%22%C3%A9%3E%3E~".to_owned(), Written::UrlEncoded),
        (secret, json!(secret).to_string(), Written::Escaped),
        (secret, format!("{secret:?}"), Written::Escaped),
        (secret, spelt(secret.encode_utf16(), |unit| format!("\\u{unit:04X}")), Written::Escaped),
        (long, long[3..30].to_owned(), Written::InPieces),
    ] {
        assert_eq!(found(secret, &text), Some(written), "{text}");
    }
    // Three alignments in two alphabets, the same where no sixth bit differs.
    let spellings = base64(secret);
    assert!(spellings.len() > 3, "{spellings:?}");
    for spelling in spellings {
        assert_eq!(found(secret, &format!("x{spelling}x")), Some(Written::Base64), "{spelling}");
    }
    for text in ["", "pa/ss", "password", "w?rd", "***"] {
        assert_eq!(found(secret, text), None, "{text}");
    }
}

/// Answers in which `secret` stands wherever a server can put it.
fn echoes(secret: &str) -> Vec<Reply> {
    let errors = |status: u16| Reply::json(status, &json!({"errors": [format!("no {secret}"), secret]}));
    let header = |status: u16, name: &str| Reply::with(status, &format!("{name}: {secret}\r\n"), b"<html>");
    let body = |body: &Value| Reply::json(200, body);
    let deleted = json!({"data": {"data": null, "metadata": {"deletion_time": secret, "version": 2}}});
    let twice = format!("{{\"{secret}\":1,\"{secret}\":2}}");
    let mut replies: Vec<_> = [400, 401, 403, 404, 405, 412, 418, 429, 500, 503].map(errors).to_vec();
    replies.extend([
        header(200, "Content-Type"),
        header(404, "Content-Type"),
        header(200, "Content-Encoding"),
        header(429, "Retry-After"),
        Reply::with(302, &format!("Location: https://{secret}.example/{secret}?{secret}#{secret}\r\n"), b""),
        Reply::with(302, &format!("Location: {secret}\r\n"), b""),
        Reply::Bytes(whole(200, &format!("X-{secret}: \x01\r\n"), b"{}")),
        Reply::Bytes(format!("HTTP/1.1 200 {secret}\r\nContent-Length: 2\r\n\r\n{{]").into_bytes()),
        Reply::Bytes(format!("{secret}\r\n\r\n").into_bytes()),
        Reply::Last(secret.as_bytes().to_vec()),
        Reply::with(200, "", secret.as_bytes()),
        Reply::with(200, "", format!("{{\"{secret}\":").as_bytes()),
        Reply::with(200, "", twice.as_bytes()),
        Reply::json(404, &deleted),
        body(&json!({"data": secret, "auth": secret, "sealed": secret, "initialized": secret})),
        body(&json!({secret: secret})),
    ]);
    replies
}

fn echoed(step: &'static str, reply: &Reply, settings: [&str; 3], jwt: &str) {
    echoed_after([(step, reply)], settings, jwt, |scenario| scenario);
}

fn echoed_after<const N: usize>(
    script: [(&'static str, &Reply); N],
    settings: [&str; 3],
    jwt: &str,
    change: impl FnOnce(Scenario<'static>) -> Scenario<'static>,
) {
    let raw = Raw::start(script.map(|(step, reply)| (step, vec![reply.clone()])));
    let [level, format, check] = settings;
    let scenario = Scenario::against(&raw)
        .jwt_text(jwt)
        .env("VAULT_MAX_RETRIES", "1")
        .env("VAULT_STARTUP_TIMEOUT", "1s")
        .env("VAULT_LOG_LEVEL", level)
        .env("VAULT_LOG_FORMAT", format)
        .env("VAULT_TERMINATION_LOG", "{folder}/termination-log")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .options(Some(check).filter(|it| !it.is_empty()));
    let scenario = change(scenario);
    // What is looked for is looked for in every outcome.
    let outcome = scenario.run();
    let known = [64..=78, 0..=0].iter().any(|codes| codes.contains(&outcome.code()));
    assert!(known, "{}", outcome.describe());
    assert!(outcome.stderr.chars().all(|it| it == '\n' || !it.is_control()), "{}", outcome.describe());
    assert!(outcome.stderr.lines().all(|line| line.len() < 2000), "{}", outcome.describe());
}

#[test]
fn what_a_server_repeats_is_never_shown_at_any_level() {
    let jwt = Jwt::default().encode();
    let payload = jwt.split('.').nth(1).expect("a JWT").to_owned();
    let mut levels = ["off", "error", "warn", "info", "debug", "trace"].iter().cycle();
    let mut ways = [["text", ""], ["json", ""], ["text", "--check"], ["json", "--check"]].iter().cycle();
    for (step, secrets) in [
        (LOGIN, vec![jwt.clone(), payload.clone()]),
        (READ, vec![jwt.clone(), payload.clone(), TOKEN.to_owned()]),
        (REVOKE, vec![TOKEN.to_owned()]),
    ] {
        for secret in secrets {
            for reply in echoes(&secret) {
                for _ in 0..2 {
                    let ([format, check], level) = (ways.next().expect("endless"), levels.next().expect("endless"));
                    echoed(step, &reply, [level, format, check], &jwt);
                }
            }
        }
    }
}

/// The settings of a login, the paths that it asks, and what is secret of it there.
type Way = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static [&'static str]);

const ROLE_ID: &str = "0c5e7a86-3d1f-4b8e-9a57-5f0f7f0f2d11";
const SECRET_ID: &str = "7d2b9c10-64a3-4f5e-8c1d-2f9a0b3c4d5e";
const CI_JWT: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjaSIsImF1ZCI6InZhdWx0IiwiZXhwIjo0MTAyNDQ0ODAwfQ.c2lnbmF0dXJlLW9mLXRoZS1jaS1qd3Q";
const WRAPPING: &str = "hvs.CAESIJwrapping-0123456789";

const LOGINS: [Way; 3] = [
    (
        &[("VAULT_APPROLE_ROLE_ID", ROLE_ID), ("VAULT_APPROLE_SECRET_ID", SECRET_ID)],
        &["auth/approle/login"],
        &[ROLE_ID, SECRET_ID],
    ),
    (&[("VAULT_JWT", CI_JWT)], &["auth/jwt/login"], &[CI_JWT]),
    (
        &[("VAULT_APPROLE_ROLE_ID", ROLE_ID), ("VAULT_APPROLE_SECRET_ID", WRAPPING), ("VAULT_UNWRAP", "true")],
        &["sys/wrapping/lookup", "sys/wrapping/unwrap", "auth/approle/login"],
        &[WRAPPING, SECRET_ID, ROLE_ID],
    ),
];

/// A wrapping token that is good, and what is in it.
fn unwrapping() -> [(&'static str, Reply); 2] {
    let found = json!({
        "creation_path": "auth/approle/role/r/secret-id", "creation_time": "2026-01-02T03:04:05Z", "creation_ttl": 60,
    });
    let [look_up, unwrap] =
        [found, json!({"secret_id": SECRET_ID})].map(|data| Reply::json(200, &json!({"data": data})));
    [("sys/wrapping/lookup", look_up), ("sys/wrapping/unwrap", unwrap)]
}

#[test]
fn what_a_server_repeats_of_any_login_is_never_shown() {
    let mut levels = ["debug", "info", "trace"].iter().cycle();
    let mut ways = [["text", ""], ["json", ""], ["text", "--check"], ["json", "--check"]].iter().cycle();
    for (settings, paths, secrets) in LOGINS {
        let change = |mut scenario: Scenario<'static>| {
            for (name, value) in settings {
                scenario = scenario.env(name, value);
            }
            secrets.iter().fold(scenario, |scenario, secret| scenario.hides(secret))
        };
        for (at, path) in paths.iter().enumerate() {
            // What is unwrapped later is known to nobody yet.
            let is_wrapped = paths.len() > 1 && at < 2;
            let known = secrets.iter().filter(|secret| !is_wrapped || **secret != SECRET_ID);
            for reply in known.flat_map(|secret| echoes(secret)) {
                let ([format, check], level) = (ways.next().expect("endless"), levels.next().expect("endless"));
                let [look_up, unwrap] = unwrapping();
                let script = [(look_up.0, &look_up.1), (unwrap.0, &unwrap.1)];
                let script = script.map(|(step, good)| (step, if step == *path { &reply } else { good }));
                let last = (*path, &reply);
                echoed_after([script[0], script[1], last], [level, format, check], CI_JWT, change);
            }
        }
    }
}

#[test]
fn a_credential_in_a_setting_of_another_kind_is_shown_nowhere() {
    let wrong: [(&str, &[(&str, &str)]); 6] = [
        (SECRET_ID, &[("VAULT_APPROLE_ROLE_ID", ROLE_ID), ("VAULT_APPROLE_SECRET_ID_FILE", SECRET_ID)]),
        (SECRET_ID, &[("VAULT_JWT", CI_JWT), ("VAULT_ROLE", SECRET_ID)]),
        (ROLE_ID, &[("VAULT_ROLE", ROLE_ID)]),
        (CI_JWT, &[("VAULT_JWT_FILE", CI_JWT)]),
        (WRAPPING, &[("VAULT_JWT", WRAPPING)]),
        (
            WRAPPING,
            &[("VAULT_APPROLE_ROLE_ID", ROLE_ID), ("VAULT_APPROLE_SECRET_ID_FILE", WRAPPING), ("VAULT_UNWRAP", "true")],
        ),
    ];
    let refused = Reply::json(400, &json!({"errors": ["something is wrong"]}));
    for (secret, settings) in wrong {
        for way in
            [["debug", "text", ""], ["debug", "json", ""], ["debug", "text", "--check"], ["debug", "json", "--check"]]
        {
            echoed_after([(LOGIN, &refused), ("auth/jwt/login", &refused)], way, CI_JWT, |mut scenario| {
                for (name, value) in settings {
                    scenario = scenario.env(name, value);
                }
                scenario.hides(secret)
            });
        }
    }
}

/// Values that a server may repeat, and how they stand in the secret.
fn values() -> [(&'static str, Value); 6] {
    [
        ("a-value-of-the-secret", json!({"A": "a-value-of-the-secret"})),
        (
            "-----BEGIN-----\n0123456789abcdefghij\n-----END-----\n",
            json!({"A": "-----BEGIN-----\n0123456789abcdefghij\n-----END-----\n"}),
        ),
        ("a \"quoted\"  value\\with \u{e9}", json!({"A": "a \"quoted\"  value\\with \u{e9}"})),
        ("4111111111111111", json!({"A": 4_111_111_111_111_111_i64})),
        ("deep-in-the-secret", json!({"A": {"b": [["deep-in-the-secret"]]}})),
        ("not-selected-value", json!({"A": "x", "OTHER": "not-selected-value"})),
    ]
}

#[test]
fn a_value_that_was_read_is_shown_by_no_later_answer() {
    let jwt = Jwt::default().encode();
    let mut ways = ["a run", "a dry run", "a dry run with a token"].iter().cycle();
    for (value, secret) in values() {
        let read = Reply::secret(&secret.to_string());
        let selected = |scenario: Scenario<'static>| scenario.env("VAULT_KEYS", "A").hides(value);
        for reply in echoes(value) {
            match *ways.next().expect("endless") {
                "a run" => echoed_after([(READ, &read), (REVOKE, &reply)], ["debug", "text", ""], &jwt, selected),
                "a dry run" => {
                    echoed_after([(READ, &read), (REVOKE, &reply)], ["debug", "json", "--check"], &jwt, selected);
                }
                _ => {
                    let handed_in = |scenario| selected(scenario).env("VAULT_TOKEN", TOKEN);
                    echoed_after([(READ, &read), (LOOK_UP, &reply)], ["debug", "text", "--check"], &jwt, handed_in);
                }
            }
        }
    }
}

/// Whatever the read comes to, its answer held the value.
#[test]
fn a_value_in_an_answer_that_is_refused_is_shown_by_no_later_one_either() {
    let jwt = Jwt::default().encode();
    let value = "a-value-of-the-secret";
    let metadata = json!({"version": 7, "created_time": "2026-01-02T03:04:05Z", "custom_metadata": {"by": value}});
    let bytes = |text: String| Reply::with(200, "Content-Type: application/json\r\n", text.as_bytes());
    let reads = [
        Reply::json(200, &json!({"data": {"A": value}, "lease_duration": 2_764_800})),
        Reply::json(200, &json!({"data": {"data": [value], "metadata": metadata}})),
        Reply::json(200, &json!({"data": {"data": {"A": "x"}, "metadata": metadata}})),
        Reply::json(404, &json!({"errors": [], "data": {"data": null, "metadata": metadata}})),
        Reply::json(200, &json!([value])),
        bytes(format!(r#"{{"data":{{"data":{{"A":"{value}","A":"{value}"}}}}}}"#)),
        bytes(format!(r#"{{"data":{{"data":{{"A":"{value}""#)),
        bytes(format!(r#"{{"data":{{"data":{{"A":"{value}","B":"\ud800"}}}}}}"#)),
    ];
    let revoke = Reply::json(403, &json!({"errors": [format!("no {value}")]}));
    for read in reads {
        for check in ["", "--check"] {
            let settings = ["debug", "text", check];
            echoed_after([(READ, &read), (REVOKE, &revoke)], settings, &jwt, |scenario| scenario.hides(value));
        }
    }
}

#[test]
fn what_moves_the_cursor_or_turns_the_line_is_escaped_wherever_it_comes_from() {
    let odd = "\u{1b}[31m\u{202e}\u{9b}\u{2028}\r\u{8}x";
    let jwt = Jwt::default().encode();
    for step in [STATUS, LOGIN, READ] {
        for reply in echoes(odd) {
            // A header line ends at these.
            echoed(step, &reply, ["debug", "text", ""], &jwt);
        }
    }
}

#[test]
fn the_version_of_a_secret_is_told_without_what_does_not_belong_there() {
    let metadata = format!(r#"{{"created_time":"2026 {TOKEN}\u001b[31m","destroyed":false,"version":7}}"#);
    let body = format!(r#"{{"data":{{"data":{{}},"metadata":{metadata}}}}}"#);
    let raw = Raw::start([(READ, vec![Reply::with(200, "", body.as_bytes())])]);
    let line = "INFO  vault-exec: 0 variables from kv/shop/app version 7; {any}; token revoked";
    Scenario::against(&raw).run().expect(Expect::started().stderr([line]));
}
