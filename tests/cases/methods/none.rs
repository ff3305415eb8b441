//! No login: an agent or a proxy on the way adds its own token.

use serde_json::{Value, json};
use vault_testkit::bao_proxy::BaoProxy;
use vault_testkit::raw::{READ, Raw, Reply};
use vault_testkit::server::{Kind, Listener, on};

use crate::support::dry_run::{assert_known_fields, assert_says};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

/// Against a scripted server that does what a proxy with a token of its own does: it wants none.
fn scenario(raw: &Raw) -> Scenario<'static> {
    Scenario::against(raw).env("VAULT_AUTH_METHOD", "none")
}

fn last() -> String {
    "INFO  vault-exec: 1 variable from kv/shop/app version 7 of {any}Z; status {any}, login {any}, read {any}; \
     token not revoked (there is none)"
        .to_owned()
}

/// No request has a token.
fn expect_no_token(raw: &Raw) {
    raw.expect_requests(["GET sys/seal-status", "GET kv/data/shop/app"]);
    for request in raw.whole_requests() {
        assert!(!request.head.to_ascii_lowercase().contains("x-vault-token"), "{request:?}");
    }
}

#[test]
fn nothing_is_sent_looked_up_or_revoked() {
    let raw = Raw::start([]);
    scenario(&raw).run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([last()]));
    expect_no_token(&raw);
}

#[test]
fn a_token_beside_it_is_ignored_with_a_warning_and_not_handed_on() {
    let raw = Raw::start([]);
    let scenario =
        scenario(&raw).env("VAULT_TOKEN", "hvs.another-token-0123456789").hides("hvs.another-token-0123456789");
    let warning = "WARN  vault-exec: VAULT_TOKEN has no effect: VAULT_AUTH_METHOD is none, and no token is sent";
    let expected = Expect::started().env([("A", "a-raw-secret")]).stderr([warning.to_owned(), last()]);
    scenario.run().expect(expected);
    expect_no_token(&raw);
}

#[test]
fn an_agent_without_a_token_is_suspected_where_the_read_is_denied() {
    let denied = Reply::json(403, &json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]}));
    let raw = Raw::start([(READ, vec![denied])]);
    let scenario = scenario(&raw);
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 77, "{}", outcome.describe());
    assert!(outcome.stderr.contains("agent"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("VAULT_ROLE") && !outcome.stderr.contains("VAULT_TOKEN"), "{}", outcome.stderr);
    expect_no_token(&raw);
}

#[test]
fn a_dry_run_says_that_no_token_is_sent() {
    let raw = Raw::start([]);
    let scenario = scenario(&raw).options(["--check"]);
    let outcome = scenario.run().expect(Expect::done().any_stdout());
    assert_says(&outcome.stdout, "none is sent: an agent or a proxy has to add a token");
    assert_says(&outcome.stdout, "method none; no token is sent, an agent or a proxy has to add one");
    expect_no_token(&raw);
    let raw = Raw::start([]);
    let outcome = self::scenario(&raw).options(["--check", "--report", "json"]);
    let outcome = outcome.run();
    let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
    assert_known_fields(&report);
    let steps = report["steps"].as_array().expect("a list");
    let login = steps.iter().find(|step| step["step"] == "login").expect("a login");
    assert_eq!(login["method"], "none");
    expect_no_token(&raw);
}

#[test]
fn the_servers_own_proxy_adds_a_token_and_keeps_it() {
    on(Kind::OpenBao, "none_behind_a_proxy", |server| {
        let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"}));
        let token = server.create_token("", &json!({"policies": [scenario.name], "ttl": "10m"}));
        let Some(proxy) = BaoProxy::start(&server.addr(Listener::Plain), &token) else { return };
        let scenario = scenario.at(&proxy.url()).hides(&token).env("VAULT_AUTH_METHOD", "none");
        let asked = server.asked(&scenario.name).len();
        // The token is there before and after.
        let outcome = scenario.run().expect(Expect::started().env([("A", "a-secret")]));
        let requests = outcome.requests().split_off(asked);
        assert_eq!(requests, [scenario.expand("read kv/data/{path}")]);
    });
}
