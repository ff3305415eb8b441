//! The login with a role id and a secret id.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::server::{Kind, Lockout, Server, on};

use super::{REQUESTS, done, started};
use crate::support::dry_run::{assert_known_fields, assert_says};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, on_openbao;
    a_wrong_secret_id_is_refused_once: "AppRole: a secret id that is wrong, used up or expired, a role that is gone; tried once", Login, 77, AtOnce;
    a_missing_secret_id_is_told: "AppRole: no secret id, and the role needs one", Login, 77, AtOnce;
    an_address_that_the_role_does_not_allow_is_told: "AppRole: an address that the role or the secret id does not allow", Login, 77, AtOnce;
    a_lock_is_suspected_where_the_server_says_nothing: "AppRole: a role that is locked, a mount that is not there; tried once", Login, 77, AtOnce;
    a_mount_of_another_method_is_told: "AppRole: a mount of another method", Login, 78, AtOnce;
    a_secret_id_file_without_one_is_named: "secret id file: missing, empty, garbage, JSON", Credential, 66, AtOnce;
}

const CHECK: &str = "check that the secret id is the role's own, not expired, not used up and not wrapped (VAULT_UNWRAP), and \
                     that VAULT_APPROLE_ROLE_ID is the id of a role at auth/{name}, not its name";
const LOCKED: &str = "Vault gives no reason: check that auth/{mount} (VAULT_AUTH_MOUNT) is enabled, and that the role is not \
                      locked: after some wrong secret ids the server refuses all its clients for 15 minutes, so no further \
                      try is made";
const ELSEWHERE: &str = "this address is in none of the networks that the role allows (bound CIDRs)";

fn scenario(server: &Server) -> Scenario<'_> {
    Scenario::new(server).secret(&json!({"A": "a-secret"})).approle(&json!({}))
}

/// Runs with patience that a refusal must not use, and expects one login.
fn refused_once(scenario: Scenario, code: i32, message: &str) {
    let scenario = scenario.env("VAULT_MAX_RETRIES", "5").env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "10s");
    let message = format!("vault at {{addr}}: the login at auth/{{name}} was answered with {message}");
    scenario.run().expect_failure(code, &message).expect_requests(["update auth/{name}/login"]);
}

#[test]
fn a_start_with_ids_in_variables_or_a_file_takes_each_of_them_out() {
    on(Kind::OpenBao, "approle_start", |server| {
        scenario(server).run().expect(started()).expect_requests(REQUESTS);
        let in_file = scenario(server).in_file("VAULT_APPROLE_SECRET_ID", "VAULT_APPROLE_SECRET_ID_FILE");
        in_file.run().expect(started()).expect_requests(REQUESTS);
        // The role's name is no half of a credential where a pod logs in, and is one here.
        let aliased = scenario(server);
        let [role_id, secret_id] = ["VAULT_APPROLE_ROLE_ID", "VAULT_APPROLE_SECRET_ID"].map(|it| {
            let value = aliased.given_env()[it].clone();
            value.into_string().expect("a text")
        });
        let aliased = aliased.unset("VAULT_APPROLE_ROLE_ID").unset("VAULT_APPROLE_SECRET_ID");
        let aliased =
            aliased.env("VAULT_ROLE_ID", &role_id).env("VAULT_SECRET_ID", secret_id).env("BAO_ROLE_ID", role_id);
        let unknown = "WARN  vault-exec: BAO_ROLE_ID is no setting and has no effect".to_owned();
        let [last] = done("revoked");
        let expected = || {
            let lines = [unknown.clone(), last.clone()];
            Expect::started().env([("A", "a-secret")]).stderr(lines).without("VAULT_ROLE_ID").without("BAO_ROLE_ID")
        };
        aliased.run().expect(expected()).expect_requests(REQUESTS);
        aliased.env("VAULT_AUTH_METHOD", "approle").run().expect(expected());
    });
}

#[test]
fn a_role_that_needs_no_secret_id_logs_in_without_one() {
    on(Kind::OpenBao, "approle_without_secret_id", |server| {
        let role = json!({"bind_secret_id": false, "token_bound_cidrs": "127.0.0.0/8"});
        let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"})).approle(&role);
        scenario.run().expect(started()).expect_requests(REQUESTS);
    });
}

#[test]
fn the_login_and_the_secret_are_in_namespaces_of_their_own() {
    on(Kind::OpenBao, "approle_namespaces", |server| {
        let scenario = Scenario::in_namespace(server).secret(&json!({"A": "a-secret"}));
        let namespace = scenario.given_env()["VAULT_NAMESPACE"].clone().into_string().expect("a text");
        // A token of the root namespace reads below it.
        let rules = format!("path \"{namespace}/kv/data/{}/*\" {{ capabilities = [\"read\"] }}", scenario.name);
        server.write_policy("", &scenario.name, &rules);
        let scenario = scenario.approle_in("", &json!({})).env("VAULT_AUTH_NAMESPACE", "root");
        let outcome = scenario.run().expect(started()).expect_requests(REQUESTS);
        let asked: Vec<_> = outcome.asked.iter().map(|asked| asked.namespace.as_str()).collect();
        assert_eq!(asked, ["", namespace.as_str(), ""]);
        assert_eq!(server.live_tokens("", &scenario.name), 0);
        // A token of a namespace reads nothing above it.
        let scenario = Scenario::in_namespace(server).approle(&json!({}));
        let below = scenario.given_env()["VAULT_NAMESPACE"].clone().into_string().expect("a text");
        let scenario = scenario.env("VAULT_AUTH_NAMESPACE", &below).env("VAULT_NAMESPACE", "/");
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 77, "{}", outcome.describe());
        assert!(outcome.stderr.contains("the read of kv/"), "{}", outcome.stderr);
        let scenario = scenario.env("VAULT_AUTH_NAMESPACE", "nowhere");
        scenario.run().expect_failure(
            78,
            "vault at {addr}: the login at auth/{name} was answered with 404: namespace not found; \
             check VAULT_AUTH_NAMESPACE and VAULT_AUTH_MOUNT, and the path in VAULT_ADDR; VAULT_AUTH_NAMESPACE is nowhere",
        );
    });
}

fn a_wrong_secret_id_is_refused_once(server: &Server) {
    let refused = |scenario: Scenario| refused_once(scenario, 77, &format!("400: invalid role or secret ID; {CHECK}"));
    let with = |secret_id: &str| scenario(server).hides(secret_id).env("VAULT_APPROLE_SECRET_ID", secret_id);
    refused(with("0f9a1fc5-5b3e-41f3-8f3c-0c7e6f1f8a11"));
    // Of another role.
    let other = scenario(server).secret_id(&json!({}));
    refused(with(&other));
    let of_name = scenario(server).env("VAULT_APPROLE_ROLE_ID", "r");
    refused(of_name);
    let used_up = scenario(server);
    let secret_id = used_up.secret_id(&json!({"num_uses": 1}));
    let used_up = used_up.hides(&secret_id).env("VAULT_APPROLE_SECRET_ID", secret_id);
    used_up.run().expect(started());
    let outcome = used_up.env("VAULT_WAIT", "10s");
    let outcome = outcome.run();
    assert_eq!(outcome.requests().iter().filter(|it| it.ends_with("/login")).count(), 2, "{}", outcome.describe());
    assert_eq!(outcome.code(), 77);
    let gone = scenario(server);
    server.must("DELETE", &format!("auth/{}/role/r", gone.name), &Value::Null);
    refused(gone);
}

fn a_missing_secret_id_is_told(server: &Server) {
    let message = "400: missing secret_id; set VAULT_APPROLE_SECRET_ID or VAULT_APPROLE_SECRET_ID_FILE";
    refused_once(scenario(server).unset("VAULT_APPROLE_SECRET_ID"), 77, message);
}

fn an_address_that_the_role_does_not_allow_is_told(server: &Server) {
    let role = json!({"secret_id_bound_cidrs": "10.99.0.0/16"});
    let of_role = Scenario::new(server).approle(&role);
    let by = "source address \"127.0.0.1\" unauthorized";
    refused_once(of_role, 77, &format!("400: {by} by CIDR restrictions on the role: {{any}}; {ELSEWHERE}"));
    let of_secret_id = scenario(server);
    let secret_id = of_secret_id.secret_id(&json!({"cidr_list": ["10.99.0.0/16"]}));
    let of_secret_id = of_secret_id.hides(&secret_id).env("VAULT_APPROLE_SECRET_ID", secret_id);
    refused_once(of_secret_id, 77, &format!("400: {by} through CIDR restrictions on the secret ID; {ELSEWHERE}"));
}

fn a_lock_is_suspected_where_the_server_says_nothing(server: &Server) {
    let locked = Scenario::new(server);
    let name = locked.name.clone();
    server.enable_auth("", &name, "approle");
    server.set_lockout("", &name, Lockout::After(1));
    let role_id = server.write_approle("", &name, "r", &name, &json!({}));
    let secret_id = server.create_secret_id("", &name, "r", &json!({}));
    vault_testkit::eventually("it is locked", || {
        server.login("", &name, &json!({"role_id": role_id, "secret_id": "wrong"})).status == 403
    });
    let locked =
        locked.hides(&secret_id).env("VAULT_APPROLE_ROLE_ID", role_id).env("VAULT_APPROLE_SECRET_ID", secret_id);
    let locked = locked.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_MAX_RETRIES", "5").env("VAULT_RETRY_DELAY", "0");
    let locked = locked.env("VAULT_WAIT", "10s");
    let message = |mount: &str| {
        let cause = format!("vault at {{addr}}: the login at auth/{mount} was answered with 403: permission denied");
        format!("{cause}; {}", LOCKED.replace("{mount}", mount))
    };
    let logins = || server.asked(&locked.name).iter().filter(|it| it.path.ends_with("/login")).count();
    let before = logins();
    locked.run().expect_failure(77, &message("{name}"));
    assert_eq!(logins(), before + 1);
    scenario(server).env("VAULT_AUTH_MOUNT", "no-{name}").run().expect_failure(77, &message("no-{name}"));
}

fn a_mount_of_another_method_is_told(server: &Server) {
    for (kind, said) in [
        ("kubernetes", "400: missing role"),
        ("jwt", "400: could not load configuration"),
        ("cert", "400: no client certificate found"),
    ] {
        let other = Scenario::new(server);
        server.enable_auth("", &other.name, kind);
        let other = other.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_APPROLE_ROLE_ID", "a-role-id");
        let other = other.env("VAULT_APPROLE_SECRET_ID", "a-secret-id").hides("a-role-id").hides("a-secret-id");
        let remedy = "auth/{name} is not of type approle; set VAULT_AUTH_MOUNT to a mount that is";
        refused_once(other, 78, &format!("{said}; {remedy}"));
    }
}

fn a_secret_id_file_without_one_is_named(server: &Server) {
    let write = "write a secret id into it, or correct VAULT_APPROLE_SECRET_ID_FILE";
    for (content, cause) in [
        (None, format!("not found; {write}")),
        (Some("\n"), format!("empty; {write}")),
        (Some("garbage\ngarbage"), format!("holds more than one line, or bytes that no token has; {write}")),
        (
            Some(r#"{"wrap_info":{"token":"garbage-0"}}"#),
            "holds a wrapped token in JSON; set VAULT_UNWRAP=true, or unwrap it first".to_owned(),
        ),
    ] {
        let scenario = scenario(server).unset("VAULT_APPROLE_SECRET_ID").hides("garbage");
        let scenario = scenario.env("VAULT_APPROLE_SECRET_ID_FILE", "{folder}/secret-id");
        if let Some(content) = content {
            fs::write(scenario.file("secret-id"), content).expect("a file is written");
        }
        scenario.run().expect_failure(66, &format!("secret id file {{folder}}/secret-id: {cause}")).expect_requests([]);
    }
}

#[test]
fn a_secret_id_in_the_place_of_its_files_path_is_shown_nowhere() {
    on(Kind::OpenBao, "approle_misplaced", |server| {
        for check in [&[][..], &["--check"], &["--check", "--report", "json"]] {
            let scenario = scenario(server);
            let secret_id = scenario.given_env()["VAULT_APPROLE_SECRET_ID"].clone();
            let scenario = scenario.unset("VAULT_APPROLE_SECRET_ID").env("VAULT_APPROLE_SECRET_ID_FILE", secret_id);
            let scenario = scenario.env("VAULT_LOG_LEVEL", "debug").options(check);
            let outcome = scenario.run();
            assert_eq!(outcome.code(), 66, "{}", outcome.describe());
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert_says(&said, "it looks like a credential itself: VAULT_APPROLE_SECRET_ID takes that");
        }
    });
}

#[test]
fn a_secret_id_that_comes_late_is_waited_for() {
    on(Kind::OpenBao, "approle_late", |server| {
        let scenario = scenario(server).env("VAULT_WAIT", "20s");
        let secret_id = scenario.given_env()["VAULT_APPROLE_SECRET_ID"].clone();
        let scenario = scenario.unset("VAULT_APPROLE_SECRET_ID").env("VAULT_APPROLE_SECRET_ID_FILE", "{folder}/late");
        let started = scenario.start();
        started.await_log("not found");
        super::put(&scenario, "late", secret_id.to_str().expect("a text"));
        let waiting =
            "WARN  vault-exec: credential: secret id file {folder}/late: not found; waiting up to 20s (VAULT_WAIT)";
        let [last] = done("revoked");
        let outcome = started.finish();
        outcome
            .expect(Expect::started().env([("A", "a-secret")]).stderr([waiting.to_owned(), last]))
            .expect_requests(REQUESTS);
    });
}

#[test]
fn a_dry_run_says_what_the_login_has_cost() {
    on(Kind::OpenBao, "approle_check", |server| {
        let scenario = scenario(server).env("VAULT_ROLE_ID", "another-name").hides("another-name").options(["--check"]);
        let outcome = scenario.run().expect(Expect::done().any_stdout()).expect_requests(REQUESTS);
        assert_says(&outcome.stdout, "a secret id is handed in");
        assert_says(&outcome.stdout, "method approle");
        assert_says(&outcome.stdout, "as any login, this one spent a use of the secret id");
        let scenario = scenario.options(["--report", "json"]);
        let outcome = scenario.run();
        let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
        assert_known_fields(&report);
        assert_eq!((&report["exit_code"], &report["cause"]), (&json!(0), &Value::Null));
        let mut steps = report["steps"].as_array().expect("a list").iter();
        let login = steps.find(|step| step["step"] == "login").expect("a login");
        assert_eq!((&login["method"], &login["outcome"]), (&json!("approle"), &json!("ok")));
        let shown = |name: &str| {
            let mut settings = report["settings"].as_array().expect("a list").iter();
            settings.find(|row| row["name"] == name).map(|row| row["value"].clone())
        };
        for name in ["VAULT_APPROLE_ROLE_ID", "VAULT_APPROLE_SECRET_ID", "VAULT_ROLE"] {
            assert_eq!(shown(name), Some(json!("set")), "{name}");
        }
    });
}
