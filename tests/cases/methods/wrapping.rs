//! Tokens, secret ids and JWTs that are handed in inside a wrapping token.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::raw::{Raw, Reply};
use vault_testkit::server::{Keys, Kind, Server, on};
use vault_testkit::tap::Tap;

use super::done;
use crate::support::dry_run::{assert_known_fields, assert_says};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, on_openbao;
    a_wrapping_token_that_is_used_expired_or_unknown_is_told: "a wrapping token that is used, expired or unknown", Unwrap, 77, AtOnce;
    a_wrapping_token_of_something_else_is_not_spent: "a wrapping token that holds something else, or was forged; it is not spent", Unwrap, 77, AtOnce;
    a_namespace_of_a_wrapped_login_that_is_not_there_is_told: "a wrapping token, asked in a namespace that is not there", Unwrap, 78, AtOnce;
    a_wrapping_token_file_without_one_is_named: "file with a wrapping token: missing, empty, JSON without one", Credential, 66, AtOnce;
}

faults! { FAULTS_SCRIPTED, scripted;
    an_unwrapping_that_is_cut_is_not_sent_again: "the answer with what was wrapped is cut after its first byte; not sent again", Unwrap, 69, AtOnce;
}

const USED: &str = "make a new one, and look into the audit log: somebody else may have used it; unset VAULT_UNWRAP if it was never wrapped";

/// An AppRole whose secret id is wrapped in `{folder}/wrapped` or, without a file, in the variable.
fn approle(server: &Server, in_file: bool) -> (Scenario<'_>, String) {
    let scenario =
        Scenario::new(server).secret(&json!({"A": "a-secret"})).approle(&json!({})).env("VAULT_UNWRAP", "true");
    let wrapped = server.wrapped_secret_id("", &scenario.name, "r", &json!({}), 300);
    let scenario = scenario.hides(&wrapped);
    if !in_file {
        return (scenario.env("VAULT_APPROLE_SECRET_ID", &wrapped), wrapped);
    }
    fs::write(scenario.file("wrapped"), format!("{wrapped}\n")).expect("a file is written");
    let scenario = scenario.unset("VAULT_APPROLE_SECRET_ID").env("VAULT_APPROLE_SECRET_ID_FILE", "{folder}/wrapped");
    (scenario, wrapped)
}

fn started() -> Expect {
    Expect::started().env([("A", "a-secret")])
}

/// Goes through a tap, which sees the requests that no log names.
fn tapped(scenario: Scenario) -> (Scenario, Tap) {
    let tap = Tap::before(&scenario.expand("{addr}"));
    let address = format!("http://{}", tap.authority());
    (scenario.at(&address), tap)
}

/// The first lines of all requests, without `/v1/`.
fn requests(tap: &Tap) -> Vec<String> {
    tap.requests().iter().flatten().map(|request| request[0].replace("/v1/", "")).collect()
}

/// Whether a wrapping token is still good; the look-up spends nothing.
fn is_unspent(server: &Server, token: &str) -> bool {
    server.anonymous("", "POST", "sys/wrapping/lookup", &json!({"token": token})).status == 200
}

const LOOK_UP: &str = "POST sys/wrapping/lookup";
const UNWRAP: &str = "POST sys/wrapping/unwrap";

#[test]
fn a_wrapped_secret_id_is_looked_up_unwrapped_once_and_used() {
    on(Kind::OpenBao, "wrapped_secret_id", |server| {
        for in_file in [false, true] {
            let (scenario, wrapped) = approle(server, in_file);
            let (scenario, tap) = tapped(scenario);
            scenario.run().expect(started().stderr(done("revoked")));
            let login = scenario.expand("POST auth/{name}/login");
            let read = scenario.expand("GET kv/data/{path}");
            let all = ["GET sys/seal-status", LOOK_UP, UNWRAP, &login, &read, "POST auth/token/revoke-self"];
            assert_eq!(requests(&tap), all);
            assert!(!is_unspent(server, &wrapped));
        }
        // As a client prints it, and an agent writes it.
        for document in [json!({"wrap_info": {"token": "TOKEN"}}), json!({"token": "TOKEN", "ttl": 300})] {
            let (scenario, wrapped) = approle(server, true);
            let document = document.to_string().replace("TOKEN", &wrapped);
            fs::write(scenario.file("wrapped"), document).expect("a file is written");
            scenario.run().expect(started().stderr(done("revoked")));
        }
    });
}

#[test]
fn a_wrapped_token_is_ours_and_revoked_at_the_end() {
    on(Kind::OpenBao, "wrapped_token", |server| {
        for (revoke, token) in [("true", "revoked"), ("false", "not revoked (VAULT_REVOKE is false)")] {
            for in_file in [false, true] {
                let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"})).env("VAULT_UNWRAP", "true");
                let wrapped = server.wrapped_token("", &json!({"policies": [scenario.name], "ttl": "10m"}), 300);
                let scenario = scenario.hides(&wrapped).env("VAULT_REVOKE", revoke).env("VAULT_TOKEN", &wrapped);
                let scenario = if in_file { scenario.in_file("VAULT_TOKEN", "VAULT_TOKEN_FILE") } else { scenario };
                let expected = started().stderr(done(token));
                scenario.run().expect(if revoke == "true" { expected.token_gone() } else { expected });
            }
        }
    });
}

#[test]
fn a_wrapped_jwt_of_the_servers_own_provider_logs_in() {
    on(Kind::OpenBao, "wrapped_jwt", |server| {
        let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"})).env("VAULT_UNWRAP", "true");
        let issuer = format!("{}-issuer", scenario.name);
        let wrapped = server.wrapped_identity_jwt("", &issuer, "vault", 300);
        server.enable_jwt("", &scenario.name, Keys::Jwks(&server.identity_jwks_url("")));
        server.write_jwt_role("", &scenario.name, "r", &scenario.name, &json!({}));
        let scenario = scenario.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r").given_jwt(&wrapped);
        scenario.run().expect(started().stderr(done("revoked")));
        assert!(!is_unspent(server, &wrapped));
    });
}

#[test]
fn a_wrapped_secret_id_of_a_namespace_is_unwrapped_in_that_of_the_login() {
    on(Kind::OpenBao, "wrapped_in_namespace", |server| {
        let scenario = Scenario::in_namespace(server).secret(&json!({"A": "a-secret"})).approle(&json!({}));
        let namespace = scenario.given_env()["VAULT_NAMESPACE"].clone().into_string().expect("a text");
        let wrapped = server.wrapped_secret_id(&namespace, &scenario.name, "r", &json!({}), 300);
        let scenario = scenario.hides(&wrapped).env("VAULT_APPROLE_SECRET_ID", &wrapped).env("VAULT_UNWRAP", "true");
        scenario.run().expect(started().stderr(done("revoked")));
    });
}

/// Refused before anything was spent or sent beside the look-up.
fn refused(scenario: Scenario, code: i32, message: &str) {
    let (scenario, tap) = tapped(scenario.env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "5s"));
    scenario.run().expect_failure(code, &format!("vault at {{addr}}: {message}"));
    assert_eq!(requests(&tap), ["GET sys/seal-status", LOOK_UP]);
}

fn a_wrapping_token_that_is_used_expired_or_unknown_is_told(server: &Server) {
    let message = format!("the wrapping token is used up, expired or unknown to the server; {USED}");
    let (used, token) = approle(server, false);
    used.run().expect(started());
    assert!(!is_unspent(server, &token));
    let (again, _) = approle(server, false);
    refused(again.hides(&token).env("VAULT_APPROLE_SECRET_ID", &token), 77, &message);
    let (expired, _) = approle(server, true);
    let token = server.wrapped_secret_id("", &expired.name, "r", &json!({}), 1);
    vault_testkit::eventually("it expires", || !is_unspent(server, &token));
    fs::write(expired.file("wrapped"), &token).expect("a file is written");
    refused(expired.hides(&token), 77, &message);
    for garbage in ["hvs.CAESIgarbage-0123456789", "garbage-garbage", "a-secret-id-that-is-not-wrapped"] {
        let (scenario, _) = approle(server, false);
        refused(scenario.hides(garbage).env("VAULT_APPROLE_SECRET_ID", garbage), 77, &message);
    }
}

fn a_wrapping_token_of_something_else_is_not_spent(server: &Server) {
    let forged = |data: Value| server.wrapped("", "sys/wrapping/wrap", &data, 300);
    let holds = |wanted: &str, path: &str, made: &str| {
        format!(
            "the wrapping token holds no {wanted}: it was made by {path}; \
             it was not unwrapped, and may be forged: give one of {made}, or unset VAULT_UNWRAP"
        )
    };
    let made_by = "auth/MOUNT/role/ROLE/secret-id";
    for (token, path) in [
        (forged(json!({"secret_id": "chosen-by-somebody-else"})), "sys/wrapping/wrap"),
        (server.wrapped_token("", &json!({"policies": ["default"]}), 300), "auth/token/create"),
    ] {
        let (scenario, _) = approle(server, false);
        let scenario = scenario.hides(&token).env("VAULT_APPROLE_SECRET_ID", &token);
        refused(scenario, 77, &holds("secret id", path, made_by));
        assert!(is_unspent(server, &token), "{path}");
    }
    let token = forged(json!({"token": "hvs.chosen-by-somebody-else"}));
    let scenario = Scenario::new(server).env("VAULT_UNWRAP", "true").hides(&token).env("VAULT_TOKEN", &token);
    refused(scenario, 77, &holds("token", "sys/wrapping/wrap", "auth/token/create or of a login"));
    assert!(is_unspent(server, &token));
    let token = forged(json!({"token": "a.b.c"}));
    let scenario = Scenario::new(server).env("VAULT_UNWRAP", "true").given_jwt(&token);
    refused(scenario, 77, &holds("JWT", "sys/wrapping/wrap", "identity/oidc/token/ROLE"));
    assert!(is_unspent(server, &token));
}

fn a_namespace_of_a_wrapped_login_that_is_not_there_is_told(server: &Server) {
    let (scenario, token) = approle(server, false);
    let scenario = scenario.env("VAULT_AUTH_NAMESPACE", "nowhere");
    refused(
        scenario,
        78,
        "the look-up of the wrapping token was answered with 404: namespace not found; \
         check the namespace nowhere (VAULT_AUTH_NAMESPACE)",
    );
    assert!(is_unspent(server, &token));
}

fn a_wrapping_token_file_without_one_is_named(server: &Server) {
    let write = "write a secret id into it, or correct VAULT_APPROLE_SECRET_ID_FILE";
    for (content, cause) in [
        (None, format!("not found; {write}")),
        (Some(""), format!("empty; {write}")),
        (Some(r#"{"auth":{"client_token":"garbage"}}"#), "holds the answer to a login in JSON; {any}".to_owned()),
    ] {
        let (scenario, token) = approle(server, true);
        match content {
            Some(content) => fs::write(scenario.file("wrapped"), content).expect("a file is written"),
            None => fs::remove_file(scenario.file("wrapped")).expect("a file is removed"),
        }
        let message = format!("secret id file {{folder}}/wrapped: {cause}");
        scenario.run().expect_failure(66, &message).expect_requests([]);
        assert!(is_unspent(server, &token));
    }
}

/// A scripted server with a wrapping token that holds a secret id, and these answers to the unwrapping.
fn scripted(unwrap: Vec<Reply>) -> (Raw, Scenario<'static>) {
    let data = json!({"creation_path": "auth/approle/role/r/secret-id", "creation_time": "2026-01-02T03:04:05Z", "creation_ttl": 300});
    let raw = Raw::start([
        ("sys/wrapping/lookup", vec![Reply::json(200, &json!({"data": data}))]),
        ("sys/wrapping/unwrap", unwrap),
    ]);
    let scenario = Scenario::against(&raw).env("VAULT_APPROLE_ROLE_ID", "a-role-id").hides("a-role-id");
    let scenario = scenario.env("VAULT_UNWRAP", "true").env("VAULT_APPROLE_SECRET_ID", "hvs.wrapping-0123456789");
    (raw, scenario.env("VAULT_WAIT", "5s"))
}

fn an_unwrapping_that_is_cut_is_not_sent_again() {
    let once = "the wrapping token may be spent, and is not sent again: make a new one";
    let unsure = "whether it was done is not known";
    for (reply, cause) in [
        (Reply::Last(b"H".to_vec()), "the connection was closed before the answer was complete"),
        (Reply::Last(Vec::new()), "the connection was closed before the answer was complete"),
        (Reply::Reset(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{".to_vec()), "{any}"),
    ] {
        let (raw, scenario) = scripted(vec![reply]);
        scenario.run().expect_failure(
            69,
            &format!("vault at {{addr}}: the unwrapping of the credential: {cause}; {unsure}; {once}"),
        );
        raw.expect_requests(["GET sys/seal-status", LOOK_UP, UNWRAP]);
    }
}

#[test]
fn whatever_answers_an_unwrapping_it_is_not_sent_again() {
    let errors = |status| Reply::json(status, &json!({"errors": ["something is wrong"]}));
    for (reply, code) in [
        (errors(500), 75),
        (errors(503), 75),
        (errors(403), 77),
        (Reply::json(200, &json!({"data": {}})), 76),
        (Reply::json(200, &json!({"auth": {"client_token": "hvs.another-0123456789"}})), 76),
        (Reply::with(502, "", b"<html>"), 75),
    ] {
        let (raw, scenario) = scripted(vec![reply]);
        let outcome = scenario.run();
        assert_eq!(outcome.code(), code, "{}", outcome.describe());
        raw.expect_requests(["GET sys/seal-status", LOOK_UP, UNWRAP]);
    }
}

#[test]
fn a_dry_run_looks_a_wrapping_token_up_and_leaves_it_to_the_run() {
    on(Kind::OpenBao, "wrapped_check", |server| {
        let (scenario, token) = approle(server, true);
        let (scenario, tap) = tapped(scenario.options(["--check"]));
        let outcome = scenario.run().expect(Expect::done().any_stdout());
        assert_eq!(requests(&tap), ["GET sys/seal-status", LOOK_UP]);
        let told = "wrapping token file {folder}/wrapped: secret id in it, made by auth/{name}/role/r/secret-id at ";
        assert_says(&outcome.stdout, &scenario.expand(told));
        assert_says(&outcome.stdout, "not unwrapped");
        assert_says(&outcome.stdout, "a wrapping token can be unwrapped once, which is left to the run");
        assert!(is_unspent(server, &token));
        let (again, _) = tapped(scenario.options(["--report", "json"]));
        let outcome = again.run();
        let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
        assert_known_fields(&report);
        assert_eq!((&report["exit_code"], &report["cause"]), (&json!(0), &Value::Null), "{report}");
        let credential = report["steps"].as_array().expect("a list").iter().find(|step| step["step"] == "credential");
        let expires = credential.expect("a credential")["expires_in_seconds"].as_i64().expect("a number");
        assert!((1..=300).contains(&expires), "{report}");
        assert!(is_unspent(server, &token));
        // A run afterwards still works.
        again.only([]).run().expect(started().stderr(done("revoked")));
        assert!(!is_unspent(server, &token));
    });
}

#[test]
fn a_wrapping_token_that_comes_late_is_waited_for() {
    on(Kind::OpenBao, "wrapped_late", |server| {
        let (scenario, wrapped) = approle(server, true);
        let scenario = scenario.env("VAULT_APPROLE_SECRET_ID_FILE", "{folder}/late").env("VAULT_WAIT", "20s");
        let started = scenario.start();
        started.await_log("not found");
        super::put(&scenario, "late", &wrapped);
        let waiting =
            "WARN  vault-exec: credential: secret id file {folder}/late: not found; waiting up to 20s (VAULT_WAIT)";
        let [last] = done("revoked");
        started.finish().expect(self::started().stderr([waiting.to_owned(), last]));
    });
}
