//! Where a login is not sent along, whatever `VAULT_INLINE_AUTH` says.

use serde_json::json;
use vault_testkit::dns::Says;
use vault_testkit::raw::{HEALTH, Raw, Reply, STATUS, TOKEN};
use vault_testkit::server::{Kind, on};
use vault_testkit::unix_front;

use super::{DONE, MODES, ORDINARY, along, asked, error, health, reading, started};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::isolated::with_dns;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_server_that_is_not_ready_is_told_as_ever: "inline with `auto`: sealed, uninitialised", Status, 75, AtOnce;
}

const SEALED: &str = "vault at {addr}: sealed (1 of 3 keys given); unseal it, or let --wait wait for it";

fn warning(why: &str) -> String {
    format!("WARN  vault-exec: VAULT_INLINE_AUTH has no effect: {why}; an ordinary login is made")
}

/// The lines of a start by an ordinary login, with the warning that `how` calls for.
fn lines(how: &str, why: &str, rest: &[&str]) -> Vec<String> {
    let warning = Some(warning(why)).filter(|_| how == "true");
    warning.into_iter().chain(rest.iter().map(|line| (*line).to_owned())).collect()
}

#[test]
fn a_dry_run_makes_an_ordinary_login() {
    for (how, _) in MODES {
        let raw = reading(vec![]);
        let scenario = along(&raw, how).options(["--check"]);
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 0, "{}", outcome.describe());
        assert_eq!(asked(&raw), "status login read revoke");
    }
}

#[test]
fn several_paths_are_read_in_one_session() {
    for (how, _) in MODES {
        let raw = reading(vec![]);
        raw.script("kv/data/shop/more", vec![Reply::secret(r#"{"B":"another-raw-secret"}"#)]);
        let scenario = along(&raw, how).env("VAULT_PATH", "shop/app,shop/more");
        let rest = ["INFO  vault-exec: 2 variables from {any}; token revoked"];
        let expected = started().env([("B", "another-raw-secret")]);
        scenario.run().expect(expected.stderr(lines(how, "several paths are read in one session", &rest)));
        assert_eq!(asked(&raw), "status login read read revoke");
    }
}

#[test]
fn a_token_is_used_as_it_is_and_none_stays_none() {
    let why = "this login cannot be sent along with the read";
    for (how, _) in MODES {
        let raw = reading(vec![]);
        let rest = ["INFO  vault-exec: 1 variable from {any}; token not revoked (it was handed in)"];
        along(&raw, how).env("VAULT_TOKEN", TOKEN).run().expect(started().stderr(lines(how, why, &rest)));
        assert_eq!(asked(&raw), "status read");

        let raw = reading(vec![]);
        let rest = ["INFO  vault-exec: 1 variable from {any}; token not revoked ({any})"];
        along(&raw, how).env("VAULT_AUTH_METHOD", "none").run().expect(started().stderr(lines(how, why, &rest)));
        assert_eq!(asked(&raw), "status read");
    }
}

#[test]
fn a_wrapped_secret_id_is_unwrapped_for_an_ordinary_login() {
    on(Kind::OpenBao, "inline_wrapped", |server| {
        for (how, _) in MODES {
            let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"}));
            let name = scenario.name.clone();
            server.enable_auth("", &name, "approle");
            let role_id = server.write_approle("", &name, &name, &name, &json!({}));
            let wrapped = server.wrapped_secret_id("", &name, &name, &json!({}), 60);
            let scenario = scenario
                .env("VAULT_INLINE_AUTH", how)
                .env("VAULT_AUTH_METHOD", "approle")
                .env("VAULT_AUTH_MOUNT", &name)
                .env("VAULT_APPROLE_ROLE_ID", role_id)
                .env("VAULT_APPROLE_SECRET_ID", &wrapped)
                .env("VAULT_UNWRAP", "true")
                .hides(&wrapped);
            let rest = ["INFO  vault-exec: 1 variable from {any}; token revoked"];
            let lines = lines(how, "this login cannot be sent along with the read", &rest);
            scenario.run().expect(Expect::started().env([("A", "a-secret")]).stderr(lines));
        }
    });
}

#[test]
fn what_no_header_holds_is_sent_in_a_body() {
    for (how, status) in MODES {
        let raw = reading(vec![]);
        raw.script("auth/jwt/login", vec![Reply::login(&json!({}))]);
        let jwt = format!("eyJh.{}.c2ln", "a".repeat(100_000));
        let scenario = along(&raw, how).env("VAULT_AUTH_METHOD", "jwt").env("VAULT_JWT", &jwt).hides(&jwt);
        let lines = lines(how, "the credential is too long for a header", &[ORDINARY]);
        scenario.run().expect(started().stderr(lines));
        assert_eq!(asked(&raw), format!("{status} login read revoke"));
    }
}

/// The name is one of this machine, which nobody can tell by it.
#[test]
fn what_is_proved_crosses_no_network_in_plain_text() {
    let plain = "WARN  vault-exec: {any}plain {any}";
    for (number, (how, _)) in MODES.into_iter().enumerate() {
        let raw = reading(vec![]);
        let scenario = along(&raw, how).at(&format!("http://vault.test.:{}", raw.port()));
        let test = "what_is_proved_crosses_no_network_in_plain_text";
        let Some((dns, scenario)) = with_dns(test, 40 + u8::try_from(number).expect("few"), scenario) else { return };
        dns.answer(Says::Localhost);
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 0, "{}", outcome.describe());
        let log = outcome.log();
        let warned = log.iter().filter(|line| **line == warning("the login would cross the network in plain text"));
        assert_eq!(warned.count(), usize::from(how == "true"), "{plain} {log:#?}");
        assert_eq!(asked(&raw), "status login read revoke");
    }
}

#[test]
fn a_unix_socket_is_no_network() {
    for (how, status) in MODES {
        let raw = reading(vec![]);
        let scenario = along(&raw, how).at("unix://{folder}/vault.sock");
        unix_front::before(&raw.addr(), &scenario.file("vault.sock"));
        scenario.run().expect(started().stderr([DONE]));
        assert_eq!(asked(&raw), format!("{status} inline"));
    }
}

#[test]
fn a_server_that_is_not_known_to_take_it_gets_an_ordinary_login() {
    let plain = |status: u16| Reply::with(status, "Content-Type: text/plain\r\n", b"no");
    let html = Reply::with(200, "Content-Type: text/html\r\n", b"<html>Sign in</html>");
    let known = "health login read revoke";
    let asked_again = "health status login read revoke";
    for (number, (reply, expected)) in [
        // HashiCorp's say so.
        (health(&json!({"enterprise": false, "version": "2.7.2"})), known),
        (health(&json!({"enterprise": true, "version": "1.21.0+ent"})), known),
        (health(&json!({"version": "2.3.9"})), known),
        (health(&json!({"version": "1.15.6"})), known),
        (health(&json!({"version": "unknown"})), known),
        // Kept back by the listener (redact_version), or not there.
        (health(&json!({"version": ""})), known),
        (health(&json!({"version": null})), known),
        (health(&json!({"initialized": null})), asked_again),
        (Reply::json(200, &json!([])), asked_again),
        (html, asked_again),
        (plain(403), asked_again),
        (plain(404), asked_again),
        (error(400, "operation unavailable in namespaces"), asked_again),
        (error(429, "rate limit quota exceeded"), asked_again),
        (error(500, "no"), asked_again),
        (error(503, "no"), asked_again),
        (Reply::with(302, "Location: https://login.example/\r\n", b""), asked_again),
        (Reply::Last(Vec::new()), asked_again),
    ]
    .into_iter()
    .enumerate()
    {
        let raw = reading(vec![]);
        raw.script(HEALTH, vec![reply]);
        along(&raw, "auto").run().expect(started().stderr([ORDINARY]));
        assert_eq!(asked(&raw), expected, "{number}");
    }
}

#[test]
fn a_server_from_2_4_on_is_known_whatever_its_version_looks_like() {
    for version in ["2.4.0", "2.4.0-beta20250701", "2.10.1", "3.0.0", "2.7.2+fips"] {
        let raw = reading(vec![]);
        raw.script(HEALTH, vec![health(&json!({"version": version, "standby": true}))]);
        along(&raw, "auto").run().expect(started().stderr([DONE]));
        assert_eq!(asked(&raw), "health inline");
    }
}

fn a_server_that_is_not_ready_is_told_as_ever() {
    let sealed = json!({"initialized": true, "sealed": true, "progress": 1, "t": 3, "version": "2.7.2"});
    let new = json!({"initialized": false, "sealed": true, "version": "2.7.2"});
    for (said, message) in [
        (sealed, SEALED),
        (new, "vault at {addr}: not initialised; run `operator init` on it, or let --wait wait for it"),
    ] {
        let raw = reading(vec![]);
        raw.script(HEALTH, vec![health(&said)]);
        raw.script(STATUS, vec![Reply::json(200, &said)]);
        along(&raw, "auto").run().expect_failure(75, message);
        assert_eq!(asked(&raw), "health status");
    }
}

#[test]
fn a_server_that_is_unsealed_meanwhile_takes_it_along() {
    let sealed = json!({"initialized": true, "sealed": true, "progress": 1, "t": 3, "version": "2.7.2"});
    let raw = reading(vec![]);
    raw.script(HEALTH, vec![health(&sealed), health(&json!({}))]);
    raw.script(STATUS, vec![Reply::json(200, &sealed)]);
    along(&raw, "auto").options(["--wait=20s"]).run().expect(
        started()
            .stderr(["WARN  vault-exec: status: sealed (1 of 3 keys given); waiting up to 20s (VAULT_WAIT)", DONE]),
    );
    assert_eq!(asked(&raw), "health status health inline");
}

#[test]
fn nothing_is_sent_along_where_it_is_not_asked_for() {
    for how in ["", "false", "0"] {
        let raw: Raw = reading(vec![]);
        along(&raw, how).run().expect(started().stderr([ORDINARY]));
        assert_eq!(asked(&raw), "status login read revoke");
    }
    let raw = reading(vec![]);
    let scenario = along(&raw, "always");
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 78, "{}", outcome.describe());
}
