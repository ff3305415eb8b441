//! Whole starts on the real server.

use std::fs;

use serde_json::json;
use vault_testkit::certs::certs;
use vault_testkit::jwt::Signer;
use vault_testkit::on_both;
use vault_testkit::server::{Keys, Kind, Listener, Lockout, Server, on};
use vault_testkit::tap::Tap;

use super::MODES;
use crate::support::dry_run::timeless;
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

on_both! {
    a_server_that_is_known_or_not_starts_it_all_the_same,
}

/// Two pairs in the audit log, and no revoke: the token that they name is never stored.
const LOGIN_AND_READ: [&str; 2] = ["update {login}", "read kv/data/{path}"];

fn done(version: u64) -> [String; 1] {
    [format!(
        "INFO  vault-exec: 1 variable from kv/{{path}} version {version} of {{any}}Z; status {{any}}, read {{any}}; \
         token not made (VAULT_INLINE_AUTH)"
    )]
}

fn started(version: u64) -> Expect {
    Expect::started().env([("A", "a-secret")]).stderr(done(version))
}

fn secret<'a>(server: &'a Server, how: &str) -> Scenario<'a> {
    Scenario::new(server).secret(&json!({"A": "a-secret"})).env("VAULT_INLINE_AUTH", how)
}

/// The first lines of what was sent, behind a tap.
fn sent(tap: &Tap) -> Vec<String> {
    let all = tap.requests();
    assert_eq!(all.len(), 1, "one connection: {all:#?}");
    all[0].iter().map(|request| request[0].split('?').next().unwrap_or_default().to_owned()).collect()
}

/// Starts it behind a tap: two requests, of which one brings the login at `login` along.
fn starts_with_two_requests(scenario: Scenario, how: &str, login: &str, version: u64) {
    let tap = Tap::before(&scenario.expand("{addr}"));
    let scenario = scenario.at(&format!("http://{}", tap.authority()));
    let requests = LOGIN_AND_READ.map(|request| request.replace("{login}", login));
    let outcome = scenario.run().expect(started(version));
    outcome.expect_requests([&requests[0], &requests[1]]);
    let status = if how == "auto" { "GET /v1/sys/health" } else { "GET /v1/sys/seal-status" };
    assert_eq!(sent(&tap), [status.to_owned(), scenario.expand("GET /v1/kv/data/{path}")]);
}

#[test]
fn a_pod_starts_with_two_requests_and_without_a_token() {
    on(Kind::OpenBao, "inline_kubernetes", |server| {
        for (how, _) in MODES {
            starts_with_two_requests(secret(server, how).kubernetes(), how, "auth/kubernetes/login", 1);
        }
    });
}

#[test]
fn a_role_of_batch_tokens_serves_as_well() {
    on(Kind::OpenBao, "inline_batch", |server| {
        for (how, _) in MODES {
            let scenario = secret(server, how).kubernetes().role(&json!({"token_type": "batch"}));
            starts_with_two_requests(scenario, how, "auth/kubernetes/login", 1);
        }
    });
}

#[test]
fn a_pinned_version_is_read() {
    on(Kind::OpenBao, "inline_version", |server| {
        for (how, _) in MODES {
            let scenario = secret(server, how).secret(&json!({"A": "newer-secret"})).kubernetes();
            starts_with_two_requests(scenario.env("VAULT_SECRET_VERSION", "1"), how, "auth/kubernetes/login", 1);
        }
    });
}

#[test]
fn a_jwt_of_any_length_comes_along() {
    on(Kind::OpenBao, "inline_jwt", |server| {
        let signer = Signer::default();
        for (how, _) in MODES {
            let scenario = secret(server, how);
            let name = scenario.name.clone();
            server.enable_jwt("", &name, Keys::Static(&signer.public_key()));
            server.write_jwt_role("", &name, &name, &name, &json!({}));
            // As long as a file may be.
            for padding in [0, 45_000] {
                let scenario = secret(server, how);
                server.write_policy(
                    "",
                    &name,
                    &format!("path \"kv/data/{}/*\" {{ capabilities = [\"read\"] }}", scenario.name),
                );
                let jwt = signer.sign(&json!({"pad": "x".repeat(padding), "for": scenario.name}));
                assert!(jwt.len() <= 64 << 10 && (padding == 0 || jwt.len() > 60_000), "{}", jwt.len());
                fs::write(scenario.file("jwt"), &jwt).expect("a file is written");
                let scenario = scenario
                    .env("VAULT_AUTH_METHOD", "jwt")
                    .env("VAULT_AUTH_MOUNT", &name)
                    .env("VAULT_ROLE", &name)
                    .env("VAULT_JWT_FILE", "{folder}/jwt")
                    .hides(&jwt);
                let tap = Tap::before(&scenario.expand("{addr}"));
                let scenario = scenario.at(&format!("http://{}", tap.authority()));
                scenario.run().expect(started(1));
                assert_eq!(sent(&tap).len(), 2);
                assert_eq!(server.live_tokens("", &name), 0);
            }
        }
    });
}

/// A mount, role and secret id of AppRole for `scenario`.
fn approle<'a>(server: &Server, scenario: Scenario<'a>, role: &serde_json::Value) -> Scenario<'a> {
    let name = scenario.name.clone();
    server.enable_auth("", &name, "approle");
    server.set_lockout("", &name, Lockout::After(2));
    let role_id = server.write_approle("", &name, &name, &name, role);
    let secret_id = server.create_secret_id("", &name, &name, &json!({"num_uses": 1}));
    let scenario = scenario.env("VAULT_AUTH_METHOD", "approle").env("VAULT_AUTH_MOUNT", &name);
    let scenario = scenario.env("VAULT_APPROLE_ROLE_ID", role_id).hides(&secret_id);
    scenario.env("VAULT_APPROLE_SECRET_ID", secret_id)
}

#[test]
fn a_secret_id_comes_along_where_that_is_insisted_on() {
    on(Kind::OpenBao, "inline_approle", |server| {
        let scenario = approle(server, secret(server, "true"), &json!({}));
        let login = format!("auth/{}/login", scenario.name);
        starts_with_two_requests(scenario, "true", &login, 1);

        let scenario = approle(server, secret(server, "auto"), &json!({}));
        let login = format!("update auth/{}/login", scenario.name);
        let line = "INFO  vault-exec: 1 variable from {any}, login {any}; token revoked";
        let outcome = scenario.run().expect(Expect::started().env([("A", "a-secret")]).stderr([line]));
        outcome.expect_requests([&login, "read kv/data/{path}", "update auth/token/revoke-self"]);
    });
}

#[test]
fn a_certificate_comes_along_over_tls() {
    on(Kind::OpenBao, "inline_cert", |server| {
        for (how, _) in MODES {
            for listener in [Listener::Tls, Listener::MutualTls] {
                let scenario = secret(server, how).tls(listener);
                let name = scenario.name.clone();
                server.enable_auth("", &name, "cert");
                server.write_cert_role("", &name, &name, &name, &certs().ca.certificate, &json!({}));
                let scenario = scenario
                    .env("VAULT_AUTH_METHOD", "cert")
                    .env("VAULT_AUTH_MOUNT", &name)
                    .env("VAULT_ROLE", &name)
                    .env("VAULT_CLIENT_CERT", &certs().client.certificate_file)
                    .env("VAULT_CLIENT_KEY", &certs().client.key_file);
                let login = format!("update auth/{name}/login");
                let outcome = scenario.run().expect(started(1)).expect_requests([&login, "read kv/data/{path}"]);
                assert_eq!(outcome.connections(), 1);
                // Without a role there is no parameter, and the path alone says what to do.
                scenario.unset("VAULT_ROLE").run().expect(started(1));
            }
        }
    });
}

#[test]
fn a_pod_of_another_namespace_than_its_secret_starts() {
    on(Kind::OpenBao, "inline_namespaces", |server| {
        for (how, _) in MODES {
            for root in ["root", "/"] {
                // The login in the root namespace, the secret below it.
                let scenario = Scenario::in_namespace(server).secret(&json!({"A": "a-secret"}));
                let scenario = scenario.env("VAULT_INLINE_AUTH", how).kubernetes().env("VAULT_AUTH_NAMESPACE", root);
                let (name, namespace) = (scenario.name.clone(), scenario.given_env()["VAULT_NAMESPACE"].clone());
                let namespace = namespace.to_str().expect("a text");
                let rules = format!("path \"{namespace}/kv/data/{name}/*\" {{ capabilities = [\"read\"] }}");
                server.write_policy("", &name, &rules);
                server.write_kubernetes_role("", "kubernetes", &name, &name, &json!({}));
                // That of the namespace itself gives nothing.
                let scenario = scenario.role(&json!({"token_policies": "none"}));
                scenario.run().expect(started(1));
                assert_eq!(server.live_tokens("", &name), 0);
            }
        }
    });
}

#[test]
fn a_login_below_reads_what_lies_below_it_and_nothing_above() {
    on(Kind::OpenBao, "inline_namespaces_below", |server| {
        for (how, _) in MODES {
            // Its own policy, mount and role are in the namespace.
            let scenario = Scenario::in_namespace(server).kubernetes();
            let (name, namespace) = (scenario.name.clone(), scenario.given_env()["VAULT_NAMESPACE"].clone());
            let namespace = namespace.to_str().expect("a text");
            let below = format!("{namespace}/below");
            server.must_in(namespace, "POST", "sys/namespaces/below", &json!({}));
            server.prepare(&below);
            server.write_secret(&below, "kv", &scenario.path(), &json!({"A": "a-secret"}));
            let rules = format!("path \"below/kv/data/{name}/*\" {{ capabilities = [\"read\"] }}");
            server.write_policy(namespace, &name, &rules);
            let scenario = scenario.env("VAULT_INLINE_AUTH", how).env("VAULT_AUTH_NAMESPACE", namespace);
            let scenario = scenario.env("VAULT_NAMESPACE", &below);
            scenario.run().expect(started(1));

            server.write_secret("", "kv", &scenario.path(), &json!({"A": "a-secret"}));
            let line = "vault at {addr}: the read of kv/{path} was answered with 403: 1 error occurred: * permission denied; {any}";
            scenario.env("VAULT_NAMESPACE", "root").run().expect_failure(77, line);
        }
    });
}

/// Code and last line of `scenario` with and without the login along.
fn same(make: impl Fn(&str) -> (i32, Vec<String>)) {
    let wanted = make("false");
    for (how, _) in MODES {
        assert_eq!(make(how), wanted, "{how}");
    }
    assert_ne!(wanted.0, 0, "{wanted:?}");
}

fn ended(scenario: &Scenario) -> (i32, Vec<String>) {
    let outcome = scenario.run();
    // Which of the two it is that the server does not know the namespace of, it says in its own words.
    let named = |line: &&str| {
        let line = timeless(line).replace(&scenario.name, "NAME");
        line.replace("500: inline auth namespace was not found", "404: namespace not found")
    };
    (outcome.code(), outcome.log().iter().map(named).collect())
}

#[test]
fn what_the_real_server_refuses_is_told_as_without_inline_authentication() {
    on(Kind::OpenBao, "inline_refused", |server| {
        let pod = |how: &str| secret(server, how).kubernetes().env("VAULT_RETRY_DELAY", "0");
        // Its account; its role; its JWT; its mount; its address.
        same(|how| ended(&pod(how).role(&json!({"bound_service_account_names": "other"}))));
        same(|how| ended(&pod(how).env("VAULT_ROLE", "none")));
        let forged = vault_testkit::jwt::Jwt { forged: true, ..vault_testkit::jwt::Jwt::default() };
        same(|how| ended(&pod(how).jwt(&forged)));
        same(|how| ended(&pod(how).env("VAULT_K8S_AUTH_MOUNT_POINT", "nowhere")));
        same(|how| ended(&pod(how).env("VAULT_K8S_AUTH_MOUNT_POINT", "token")));
        same(|how| ended(&pod(how).env("VAULT_AUTH_NAMESPACE", "nowhere")));
        same(|how| ended(&pod(how).env("VAULT_NAMESPACE", "nowhere").env("VAULT_AUTH_NAMESPACE", "root")));
        // What is read.
        same(|how| ended(&pod(how).env("VAULT_PATH", "{name}/none")));
        same(|how| ended(&pod(how).env("VAULT_PATH", "elsewhere")));
        same(|how| ended(&pod(how).env("VAULT_MOUNT_POINT", "nowhere")));
        same(|how| ended(&pod(how).env("VAULT_SECRET_VERSION", "9")));
    });
}

#[test]
fn a_refused_secret_id_is_sent_once_and_locks_nobody_out() {
    on(Kind::OpenBao, "inline_approle_refused", |server| {
        // Two wrong ones would lock the role.
        let scenario = approle(server, secret(server, "true"), &json!({}));
        let right = scenario.given_env()["VAULT_APPROLE_SECRET_ID"].clone();
        let scenario = scenario.env("VAULT_APPROLE_SECRET_ID", "a-wrong-secret-id").hides("a-wrong-secret-id");
        let line = "vault at {addr}: the login at auth/{name} was answered with 400: invalid role or secret ID; {any}";
        scenario.run().expect_failure(77, line);
        scenario.env("VAULT_APPROLE_SECRET_ID", right).run().expect(started(1));
    });
}

#[test]
fn a_role_that_counts_uses_gets_an_ordinary_login() {
    on(Kind::OpenBao, "inline_num_uses", |server| {
        for (how, _) in MODES {
            let scenario = secret(server, how).kubernetes().role(&json!({"token_num_uses": 2}));
            let warning = "WARN  vault-exec: VAULT_INLINE_AUTH has no effect: the server answered with 500, as it does \
                           where a role has token_num_uses; an ordinary login is made";
            let line = "INFO  vault-exec: 1 variable from {any}; token revoked";
            let lines = Some(warning).filter(|_| how == "true").into_iter().chain([line]);
            scenario.run().expect(Expect::started().env([("A", "a-secret")]).stderr(lines));
        }
    });
}

/// The embedded one says that it is OpenBao 2.7.2, and takes no notice of a login in headers.
fn a_server_that_is_known_or_not_starts_it_all_the_same(server: &Server) {
    let scenario = secret(server, "auto").kubernetes();
    let outcome = scenario.run().expect(Expect::started().env([("A", "a-secret")]));
    let made = server.kind() == Kind::OpenBao;
    assert_eq!(outcome.log()[0].contains("token not made"), made, "{}", outcome.describe());
}
