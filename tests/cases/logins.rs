//! Ways to come by a token, and what becomes of it.

use std::fs;

use serde_json::json;
use vault_testkit::on_both;
use vault_testkit::server::Server;
use vault_testkit::tap::Tap;

use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

on_both! {
    a_pod_logs_in_reads_revokes_and_starts,
    four_requests_go_over_one_connection_and_say_who_asks,
    a_token_in_a_variable_is_used_as_it_is,
    the_official_clients_own_variable_comes_first,
    a_token_in_a_file_is_trimmed_and_used,
    the_token_of_an_official_login_is_found_at_home,
    everything_but_the_status_is_asked_in_the_namespace,
    mounts_can_be_anywhere,
    a_batch_token_is_not_revoked_because_none_can_be,
    a_token_with_two_uses_is_read_with_and_revoked,
    a_token_with_one_use_is_spent_by_the_read,
    a_token_handed_in_spends_one_use_only,
    a_token_stays_alive_where_that_is_asked_for,
    an_alias_names_role_and_jwt_file,
}

const WITH_LOGIN: [&str; 3] = ["update auth/kubernetes/login", "read kv/data/{path}", "update auth/token/revoke-self"];

fn done(token: &str) -> [String; 1] {
    [format!(
        "INFO  vault-exec: 1 variable from kv/{{path}} version 1 of {{any}}Z; \
         status {{any}}, login {{any}}, read {{any}}{}; token {token}",
        if token == "revoked" { ", revoke {any}" } else { "" }
    )]
}

fn secret(server: &Server) -> Scenario<'_> {
    Scenario::new(server).secret(&json!({"A": "a-secret"}))
}

fn started() -> Expect {
    Expect::started().env([("A", "a-secret")])
}

fn a_pod_logs_in_reads_revokes_and_starts(server: &Server) {
    let scenario = secret(server).kubernetes().args(["serve", "--port=80"]);
    let outcome = scenario.run().expect(started().stderr(done("revoked"))).expect_requests(WITH_LOGIN);
    assert_eq!(outcome.connections(), 1);
    let with_token: Vec<_> = outcome.asked.iter().map(|asked| asked.with_token).collect();
    assert_eq!(with_token, [false, true, true]);
    let mut agents = outcome.asked.iter().filter_map(|asked| asked.user_agent.as_deref());
    assert!(agents.all(|agent| agent == concat!("vault-exec/", env!("CARGO_PKG_VERSION"))), "{:?}", outcome.asked);
}

fn four_requests_go_over_one_connection_and_say_who_asks(server: &Server) {
    let scenario = secret(server).kubernetes();
    let tap = Tap::before(&scenario.expand("{addr}"));
    let scenario = scenario.at(&format!("http://{}", tap.authority()));
    scenario.run().expect(started());
    let said = tap.requests();
    let [requests] = &said[..] else { panic!("one connection: {said:#?}") };
    let lines: Vec<_> = requests.iter().map(|request| request[0].clone()).collect();
    let wanted = [
        "GET /v1/sys/seal-status",
        "POST /v1/auth/kubernetes/login",
        "GET /v1/kv/data/{path}",
        "POST /v1/auth/token/revoke-self",
    ];
    assert_eq!(lines, wanted.map(|line| scenario.expand(line)));
    for request in requests {
        for header in [
            format!("host: {}", tap.authority()),
            format!("user-agent: vault-exec/{}", env!("CARGO_PKG_VERSION")),
            "x-vault-request: true".to_owned(),
        ] {
            assert_eq!(request.iter().filter(|line| **line == header).count(), 1, "{header}: {request:#?}");
        }
    }
    let token = |request: &Vec<String>| request.iter().any(|line| line.starts_with("x-vault-token:"));
    assert_eq!(requests.iter().map(token).collect::<Vec<_>>(), [false, false, true, true]);
}

fn a_token_in_a_variable_is_used_as_it_is(server: &Server) {
    let scenario = secret(server).token(&json!({}));
    let outcome = scenario.run().expect(started().stderr(done("not revoked (it was handed in)")));
    outcome.expect_requests(["read kv/data/{path}"]);
}

fn the_official_clients_own_variable_comes_first(server: &Server) {
    let scenario = secret(server).token(&json!({}));
    let token = scenario.given_env()["VAULT_TOKEN"].clone();
    scenario.env("BAO_TOKEN", token).env("VAULT_TOKEN", "another-token").run().expect(started());
}

fn a_token_in_a_file_is_trimmed_and_used(server: &Server) {
    let scenario = secret(server);
    let token = server.create_token("", &json!({"policies": [scenario.name], "ttl": "10m"}));
    fs::write(scenario.file("token"), format!("{token}\r\n\n")).expect("a file is written");
    let scenario = scenario.hides(&token).env("VAULT_TOKEN_FILE", "{folder}/token");
    let outcome = scenario.run().expect(started().stderr(done("not revoked (it was handed in)")));
    outcome.expect_requests(["read kv/data/{path}"]);
}

fn the_token_of_an_official_login_is_found_at_home(server: &Server) {
    let scenario = secret(server);
    let token = server.create_token("", &json!({"policies": [scenario.name], "ttl": "10m"}));
    fs::write(scenario.file(".vault-token"), &token).expect("a file is written");
    scenario.hides(&token).env("HOME", "{folder}").run().expect(started()).expect_requests(["read kv/data/{path}"]);
}

fn everything_but_the_status_is_asked_in_the_namespace(server: &Server) {
    let scenario = Scenario::in_namespace(server).secret(&json!({"A": "a-secret"})).kubernetes();
    let namespace = scenario.expand(scenario.given_env()["VAULT_NAMESPACE"].to_str().expect("a text"));
    let tap = Tap::before(&scenario.expand("{addr}"));
    let scenario = scenario.at(&format!("http://{}", tap.authority()));
    let outcome = scenario.run().expect(started().stderr(done("revoked"))).expect_requests(WITH_LOGIN);
    let header = format!("x-vault-namespace: {namespace}");
    let sent: Vec<_> = tap.requests()[0].iter().map(|request| request.contains(&header)).collect();
    assert_eq!(sent, [false, true, true, true]);
    assert!(outcome.asked.iter().all(|asked| asked.namespace == namespace), "{:?}", outcome.asked);
}

fn mounts_can_be_anywhere(server: &Server) {
    let scenario = Scenario::new(server).kubernetes();
    let name = scenario.name.clone();
    let at = |text: &str| text.replace("NAME", &name);
    server.mount_kv("", &at("team/NAME"), 2);
    let policy = at("path \"team/NAME/data/*\" { capabilities = [\"read\"] }");
    server.write_policy("", &at("NAME"), &policy);
    server.enable_kubernetes("", &at("clusters/NAME"));
    let role = json!({
        "bound_service_account_names": "app", "bound_service_account_namespaces": "*", "token_policies": name,
    });
    server.must("POST", &at("auth/clusters/NAME/role/r"), &role);
    server.must("POST", &at("team/NAME/data/a%20b/%C3%BC+"), &json!({"data": {"A": "a-secret"}}));
    let scenario = scenario
        .env("VAULT_MOUNT_POINT", "/team/{name}/")
        .env("VAULT_PATH", "/a b/ü+/")
        .env("VAULT_K8S_AUTH_MOUNT_POINT", "clusters/{name}")
        .env("VAULT_ROLE", "r");
    let line = "INFO  vault-exec: 1 variable from team/{name}/a b/ü+ version 1 of {any}; token revoked";
    scenario.run().expect(started().stderr([line]));
}

fn a_batch_token_is_not_revoked_because_none_can_be(server: &Server) {
    let scenario = secret(server).kubernetes().role(&json!({"token_type": "batch"}));
    let scenario = scenario.env("VAULT_LOG_LEVEL", "debug");
    let [last] = done("not revoked (a batch token cannot be)");
    let lines = [
        "DEBUG vault-exec: status: done in {any}",
        "DEBUG vault-exec: login: done in {any}",
        "DEBUG vault-exec: read: done in {any}",
        "DEBUG vault-exec: revoke: the token is not revoked, a batch token cannot be",
        "DEBUG vault-exec: A",
        &last,
    ];
    let outcome = scenario.run().expect(started().stderr(lines));
    outcome.expect_requests(["update auth/kubernetes/login", "read kv/data/{path}"]);
}

fn a_token_with_two_uses_is_read_with_and_revoked(server: &Server) {
    let scenario = secret(server).kubernetes().role(&json!({"token_num_uses": 2}));
    scenario.run().expect(started().stderr(done("revoked"))).expect_requests(WITH_LOGIN);
}

fn a_token_with_one_use_is_spent_by_the_read(server: &Server) {
    let scenario = secret(server).kubernetes().role(&json!({"token_num_uses": 1}));
    let outcome = scenario.run().expect(started().stderr(done("not revoked (the read is its only use)")));
    outcome.expect_requests(["update auth/kubernetes/login", "read kv/data/{path}"]);
}

fn a_token_handed_in_spends_one_use_only(server: &Server) {
    let scenario = secret(server).token(&json!({"num_uses": 2}));
    scenario.run().expect(started()).expect_requests(["read kv/data/{path}"]);
}

fn a_token_stays_alive_where_that_is_asked_for(server: &Server) {
    let scenario = secret(server).kubernetes().env("VAULT_REVOKE", "false");
    let outcome = scenario.run().expect(started().token_left().stderr(done("not revoked (VAULT_REVOKE is false)")));
    outcome.expect_requests(["update auth/kubernetes/login", "read kv/data/{path}"]);
}

fn an_alias_names_role_and_jwt_file(server: &Server) {
    let scenario = secret(server).kubernetes().unset("VAULT_ROLE").unset("VAULT_K8S_TOKEN_PATH");
    let scenario = scenario.env("VAULT_ROLE_ID", "{name}").env("K8S_JWT_TOKEN_PATH", "{folder}/jwt");
    scenario.run().expect(started()).expect_requests(WITH_LOGIN);
}
