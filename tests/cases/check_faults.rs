//! `--check` for each fault that can end a real run: the same exit code, and a report that says why.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value, json};
use vault_testkit::jwt::Jwt;
use vault_testkit::on_both;
use vault_testkit::raw::{LOGIN, READ, Raw, Reply};
use vault_testkit::server::{Kind, Listener, Server, on, skip};

use crate::support::dry_run::assert_check;
use crate::support::scenario::Scenario;

on_both! {
    a_role_that_is_none_is_named,
    a_service_account_that_the_role_does_not_allow_is_named_with_the_jwts_claims,
    a_missing_jwt_is_found_before_the_login,
    a_token_that_is_none_is_denied,
    a_path_without_a_rule_is_explained_with_the_rule,
    a_path_without_a_secret_is_told_from_a_missing_mount,
    a_mount_that_is_missing_cannot_be_told_from_one_without_a_rule,
    a_mount_that_is_missing_under_a_policy_that_allows_it_is_told,
    a_mount_of_version_1_is_told,
    a_doubled_data_is_told_whether_the_policy_allows_it_or_not,
    a_deleted_and_a_destroyed_version_are_told_apart,
    a_version_that_never_was_is_named,
    a_certificate_of_an_unknown_ca_is_refused,
    a_namespace_that_is_missing_is_refused,
    missing_keys_denied_names_and_bad_names_are_told_one_by_one,
    missing_keys_alone_are_absent,
}

/// A secret, a login and no patience.
fn scenario(server: &Server) -> Scenario<'_> {
    let secret = json!({"DB_HOST": "db.example", "DB_PASSWORD": "s3cret-value"});
    Scenario::new(server).secret(&secret).kubernetes().env("VAULT_MAX_RETRIES", "0")
}

/// Lets the scenario's tokens read `paths` instead of what a scenario's can.
fn allow(server: &Server, scenario: &Scenario, paths: &[&str]) {
    let rule = |path: &&str| format!("path \"{}\" {{ capabilities = [\"read\"] }}", scenario.expand(path));
    let rules: Vec<_> = paths.iter().map(rule).collect();
    server.write_policy("", &scenario.name, &rules.join("\n"));
}

fn a_role_that_is_none_is_named(server: &Server) {
    assert_check(scenario(server).env("VAULT_ROLE", "nobody-{name}"), 78, "role_unknown");
}

fn a_service_account_that_the_role_does_not_allow_is_named_with_the_jwts_claims(server: &Server) {
    let jwt = Jwt { service_account: "stranger".to_owned(), ..Jwt::default() };
    assert_check(scenario(server).jwt(&jwt), 77, "service_account_refused");
}

fn a_missing_jwt_is_found_before_the_login(server: &Server) {
    let scenario = scenario(server).env("VAULT_AUTH_METHOD", "kubernetes");
    assert_check(scenario.env("VAULT_K8S_TOKEN_PATH", "{folder}/none"), 66, "jwt_missing");
}

fn a_token_that_is_none_is_denied(server: &Server) {
    assert_check(scenario(server).env("VAULT_TOKEN", "hvs.not-a-token"), 77, "token_refused");
}

fn a_path_without_a_rule_is_explained_with_the_rule(server: &Server) {
    assert_check(scenario(server).env("VAULT_PATH", "other/{name}"), 77, "path_denied");
}

fn a_path_without_a_secret_is_told_from_a_missing_mount(server: &Server) {
    assert_check(scenario(server).env("VAULT_PATH", "{name}/nothing"), 66, "path_missing");
}

fn a_mount_that_is_missing_cannot_be_told_from_one_without_a_rule(server: &Server) {
    for mount in ["nowhere", "kv1"] {
        assert_check(scenario(server).env("VAULT_MOUNT_POINT", mount), 77, &format!("mount_denied_{mount}"));
    }
}

fn a_mount_that_is_missing_under_a_policy_that_allows_it_is_told(server: &Server) {
    let scenario = scenario(server).env("VAULT_MOUNT_POINT", "nowhere");
    allow(server, &scenario, &["nowhere/*"]);
    assert_check(scenario, 66, "mount_missing");
}

fn a_mount_of_version_1_is_told(server: &Server) {
    let scenario = scenario(server).env("VAULT_MOUNT_POINT", "kv1");
    allow(server, &scenario, &["kv1/*"]);
    assert_check(scenario, 66, "mount_version_1");
}

fn a_doubled_data_is_told_whether_the_policy_allows_it_or_not(server: &Server) {
    let doubled = || scenario(server).env("VAULT_PATH", "data/{path}");
    assert_check(doubled(), 77, "data_doubled_denied");
    let allowed = doubled();
    allow(server, &allowed, &["kv/data/data/{path}"]);
    assert_check(allowed, 66, "data_doubled");
}

fn a_deleted_and_a_destroyed_version_are_told_apart(server: &Server) {
    for how in ["delete", "destroy"] {
        let scenario = scenario(server);
        let change = |method: &str, path: String, body: Value| server.must(method, &path, &body);
        change("POST", format!("kv/{how}/{}", scenario.path()), json!({"versions": [1]}));
        assert_check(scenario, 66, &format!("version_{how}"));
    }
}

fn a_version_that_never_was_is_named(server: &Server) {
    assert_check(scenario(server).env("VAULT_SECRET_VERSION", "7"), 66, "version_missing");
}

fn a_certificate_of_an_unknown_ca_is_refused(server: &Server) {
    assert_check(scenario(server).tls(Listener::Stranger), 78, "ca_unknown");
}

fn a_namespace_that_is_missing_is_refused(server: &Server) {
    assert_check(scenario(server).env("VAULT_NAMESPACE", "nowhere"), 78, "namespace_missing");
}

fn missing_keys_denied_names_and_bad_names_are_told_one_by_one(server: &Server) {
    let secret = json!({"GOOD": "s3cret-value", "LD_PRELOAD": "/evil.so", "PATH": "/evil-bin", "é": "s3cret-name"});
    let scenario = scenario(server).secret(&secret).options(["--require", "GOOD,ABSENT,GONE"]);
    assert_check(scenario, 65, "names_and_keys");
}

fn missing_keys_alone_are_absent(server: &Server) {
    let scenario = scenario(server).env("VAULT_KEYS", "DB_HOST:HOST,NONE").options(["--require", "DB_HOST"]);
    assert_check(scenario, 66, "keys_missing");
}

#[test]
fn a_policy_that_demands_wrapping_is_told_from_one_that_lacks_the_rule() {
    on(Kind::OpenBao, "a_policy_that_demands_wrapping", |server| {
        let scenario = scenario(server);
        let rule = "capabilities = [\"read\"] min_wrapping_ttl = \"1m\"";
        let policy = format!("path \"kv/data/{}\" {{ {rule} }}", scenario.path());
        server.write_policy("", &scenario.name, &policy);
        assert_check(scenario, 77, "wrapping_demanded");
    });
}

#[test]
fn what_the_server_does_not_tell_of_a_mount_is_said_to_be_so() {
    let mounts = "sys/internal/ui/mounts/kv/shop/app";
    let denied = || Reply::json(403, &json!({"errors": ["permission denied"]}));
    let raw = Raw::start([(READ, vec![denied()]), (mounts, vec![Reply::json(500, &json!({"errors": ["broken"]}))])]);
    assert_check(Scenario::against(&raw), 77, "preflight_failed");
}

/// Both states of a server that is not ready, on a server of one's own.
fn a_server_that_is_not_ready(kind: Kind) {
    let Some(server) = Server::fresh(kind) else {
        return skip("a_server_that_is_not_ready");
    };
    let offline = || {
        let scenario = Scenario::offline().env("VAULT_ADDR", server.addr(Listener::Plain)).env("VAULT_PATH", "app");
        scenario.env("VAULT_ROLE", "app").jwt(&Jwt::default()).env("VAULT_MAX_RETRIES", "0")
    };
    assert_check(offline(), 75, "uninitialised");
    server.initialise();
    assert_check(offline(), 75, "sealed");
}

#[test]
fn an_embedded_server_that_is_not_ready_is_asked_nothing_more() {
    a_server_that_is_not_ready(Kind::Embedded);
}

#[test]
fn an_openbao_that_is_not_ready_is_asked_nothing_more() {
    a_server_that_is_not_ready(Kind::OpenBao);
}

#[test]
fn a_server_that_is_not_there_does_not_keep_the_credential_from_being_looked_at() {
    // Bound and never listening: nobody else gets the port, nobody is reached there.
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    let addr = format!("http://127.0.0.1:{port}");
    let scenario = Scenario::offline().env("VAULT_ADDR", addr).env("VAULT_PATH", "app").env("VAULT_ROLE", "app");
    let scenario = scenario.env("VAULT_MAX_RETRIES", "0").env("VAULT_K8S_TOKEN_PATH", "{folder}/none");
    assert_check(scenario.env("VAULT_AUTH_METHOD", "kubernetes"), 69, "unreachable");
}

#[test]
fn a_bad_ca_file_and_a_missing_jwt_are_told_together() {
    let scenario = Scenario::offline().jwt_text("").env("VAULT_ADDR", "https://127.0.0.1:1").env("VAULT_PATH", "app");
    let scenario = scenario.env("VAULT_ROLE", "app").env("VAULT_CACERT", "{folder}/jwt");
    let scenario = scenario.env("VAULT_AUTH_METHOD", "kubernetes").env("VAULT_K8S_TOKEN_PATH", "{folder}/none");
    assert_check(scenario, 78, "ca_and_jwt");
}

#[test]
fn every_setting_at_fault_is_told_and_no_password_with_it() {
    let scenario = Scenario::offline().env("VAULT_ADDR", "https://me:s3cret-value@vault.example");
    let scenario = scenario.env("VAULT_TIMEOUT", "soon").env("VAULT_ON_CONFLICT", "maybe");
    let scenario =
        scenario.env("VAULT_PROXY_ADDR", "socks5://me:s3cret-value@proxy").env("VAULT_ENV_FILE_MODE", "0999");
    assert_check(scenario.hidden("s3cret-value"), 78, "settings");
}

#[test]
fn a_denial_without_a_reason_names_the_review_here_too() {
    let denied = Reply::json(403, &json!({"errors": ["permission denied"]}));
    let raw = Raw::start([(LOGIN, vec![denied])]);
    let outcome_of = Scenario::against(&raw).options(["--check"]);
    let outcome = outcome_of.run();
    assert_eq!(outcome.code(), 77, "{}", outcome.describe());
    for named in ["auth/kubernetes", "role shop", "TokenReview", "system:auth-delegator", "3 tries"] {
        assert!(outcome.stdout.contains(named), "{named}: {}", outcome.describe());
    }
}
