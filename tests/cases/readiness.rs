//! A server that is not ready: uninitialised, sealed, and what `VAULT_WAIT` makes of it.

use std::net::TcpListener;

use serde_json::json;
use vault_testkit::raw::{LOGIN, LOOK_UP, READ, REVOKE, Raw, Reply, STATUS};
use vault_testkit::server::{Listener, Server};
use vault_testkit::tap::Tap;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS_ON_BOTH, on_both;
    a_server_is_followed_from_its_first_start_to_a_restart: "sealed, uninitialised", Status, 75, Wait;
}

faults! { FAULTS, scripted;
    a_node_that_sends_logins_on_until_it_leads_is_waited_for: "under `--wait`: a node that sends logins on because it does not lead yet", Read, 0, Wait;
    a_login_that_the_server_has_lost_is_made_once_more: "under `--wait`: a server that does not know the token which it gave out a moment ago", Read, 0 | 77, AtOnce;
    what_waiting_cannot_mend_ends_a_wait_at_once: "under `--wait`: what waiting cannot mend", Status, 76 | 78, AtOnce;
    only_the_status_step_believes_that_a_server_is_sealed: "503 with \"sealed\" after the status check, which passes", Read, 0, Pauses;
}

const UNINITIALISED: &str = "not initialised";
const SEALED: &str = "sealed (0 of 1 keys given)";

/// One server of its own for all of it, because a real one takes a second to start.
fn a_server_is_followed_from_its_first_start_to_a_restart(shared: &Server) {
    let server = Server::fresh(shared.kind()).expect("the shared one is there");
    uninitialised(&server);
    server.initialise();
    sealed(&server);
    server.unseal();
    server.prepare("");
    let scenario = Scenario::new(&server).secret(&json!({"A": "a-secret"})).kubernetes();
    server.seal();
    waited_for_in_vain(&scenario.expand("{addr}"));
    unsealed_while_polled(&server, scenario);
}

fn asking(addr: &str) -> Scenario<'static> {
    Scenario::offline().at(addr).env("VAULT_PATH", "shop/app").env("VAULT_TOKEN", "hvs.not-looked-at")
}

fn uninitialised(server: &Server) {
    asking(&server.addr(Listener::Plain)).run().expect_failure(
        75,
        &format!("vault at {{addr}}: {UNINITIALISED}; run `operator init` on it, or let --wait wait for it"),
    );
}

fn sealed(server: &Server) {
    asking(&server.addr(Listener::Plain))
        .run()
        .expect_failure(75, &format!("vault at {{addr}}: {SEALED}; unseal it, or let --wait wait for it"));
}

fn waited_for_in_vain(addr: &str) {
    let tap = Tap::before(addr);
    let scenario = asking(&format!("http://{}", tap.authority())).options(["--wait=600ms"]);
    let outcome = scenario.run().expect(Expect::done().code(75).stderr([
        format!("WARN  vault-exec: status: {SEALED}; waiting up to 600ms (VAULT_WAIT)"),
        format!(
            "ERROR vault-exec: vault at {{addr}}: {SEALED}; unseal it, or let --wait wait for it \
             (waited {{any}}ms, VAULT_WAIT is 600ms)"
        ),
    ]));
    assert!((600..2000).contains(&outcome.elapsed.as_millis()), "{:?}", outcome.elapsed);
    let polls = tap.requests();
    // Pauses of 125 to 250 and 250 to 500 ms, then one poll at the very end.
    assert!(matches!(&polls[..], [one] if (3..=4).contains(&one.len())), "{polls:#?}");
}

fn unsealed_while_polled(server: &Server, scenario: Scenario) {
    let tap = Tap::before(&scenario.expand("{addr}"));
    let scenario = scenario.at(&format!("http://{}", tap.authority())).env("VAULT_WAIT", "15s");
    let started = scenario.start();
    started.await_log("waiting up to");
    server.unseal();
    started
        .finish()
        .expect(Expect::started().env([("A", "a-secret")]).stderr([
            format!("WARN  vault-exec: status: {SEALED}; waiting up to 15s (VAULT_WAIT)"),
            "INFO  vault-exec: 1 variable from kv/{path} version 1 of {any}; token revoked".to_owned(),
        ]))
        .expect_requests(["update auth/kubernetes/login", "read kv/data/{path}", "update auth/token/revoke-self"]);
}

#[test]
fn each_change_of_state_is_one_warning() {
    let status = |initialized, sealed| Reply::json(200, &json!({"initialized": initialized, "sealed": sealed, "t": 3}));
    let no_leader = Reply::json(500, &json!({"errors": ["no active node"]}));
    let raw = Raw::start([
        (STATUS, vec![status(false, true), status(false, true), status(true, true), status(true, false)]),
        (LOGIN, vec![no_leader.clone(), no_leader, Reply::login(&json!({}))]),
    ]);
    Scenario::against(&raw)
        .env("VAULT_WAIT", "20s")
        .run()
        .expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: status: not initialised; waiting up to 20s (VAULT_WAIT)",
        "WARN  vault-exec: status: sealed (0 of 3 keys given); waiting up to 20s (VAULT_WAIT)",
        "WARN  vault-exec: login: the login at auth/kubernetes with role shop was answered with 500: no active node; \
             waiting up to 20s (VAULT_WAIT)",
        "INFO  vault-exec: 1 variable {any}; token revoked",
    ]));
    assert_eq!(raw.connections(), 1);
}

#[test]
fn a_server_that_does_not_listen_yet_is_waited_for() {
    // An address of its own: no other test can take the port meanwhile.
    let address =
        ("127.77.0.1", TcpListener::bind("127.77.0.1:0").expect("a port").local_addr().expect("bound").port());
    let scenario = Scenario::against(&Raw::start([])).at(&format!("http://{}:{}", address.0, address.1));
    let scenario = scenario.env("VAULT_WAIT", "15s");
    let started = scenario.start();
    started.await_log("connection refused");
    let raw = Raw::on(TcpListener::bind(address).expect("the same port"), []);
    started.finish().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: status: connection refused; waiting up to 15s (VAULT_WAIT)",
        "INFO  vault-exec: 1 variable {any}; token revoked",
    ]));
    raw.expect_whole_run();
}

fn a_node_that_sends_logins_on_until_it_leads_is_waited_for() {
    let onward = "Location: http://127.0.0.1:1/v1/auth/kubernetes/login\r\n";
    let raw = Raw::start([(LOGIN, vec![Reply::with(307, onward, b""), Reply::login(&json!({}))])]);
    Scenario::against(&raw).options(["--wait=20s"]).run().expect(
        Expect::started().env([("A", "a-raw-secret")]).stderr([
            "WARN  vault-exec: login: the login at auth/kubernetes with role shop was redirected to 127.0.0.1:1 (307); \
             waiting up to 20s (VAULT_WAIT)",
            "INFO  vault-exec: 1 variable {any}; token revoked",
        ]),
    );
    raw.expect_requests([
        "GET sys/seal-status",
        "POST auth/kubernetes/login",
        "POST auth/kubernetes/login",
        "GET kv/data/shop/app",
        "POST auth/token/revoke-self",
    ]);
}

/// As one has that was started anew just then.
fn a_login_that_the_server_has_lost_is_made_once_more() {
    let unknown = || Reply::json(403, &json!({"errors": ["permission denied"]}));
    let good = || Reply::secret(r#"{"A":"a-raw-secret"}"#);
    let lost = |reads| {
        let revoke = vec![unknown(), Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())];
        Raw::start([(READ, reads), (LOOK_UP, vec![unknown()]), (REVOKE, revoke)])
    };
    let stays =
        "WARN  vault-exec: revoke: the revoke of the login's token was answered with 403: permission denied{any}";

    let raw = lost(vec![unknown(), good()]);
    Scenario::against(&raw).options(["--wait=20s"]).run().expect(
        Expect::started()
            .env([("A", "a-raw-secret")])
            .stderr([stays, "INFO  vault-exec: 1 variable {any}; token revoked"]),
    );
    raw.expect_requests([
        "GET sys/seal-status",
        "POST auth/kubernetes/login",
        "GET kv/data/shop/app",
        "GET auth/token/lookup-self",
        "POST auth/kubernetes/login",
        "POST auth/token/revoke-self",
        "GET kv/data/shop/app",
        "POST auth/token/revoke-self",
    ]);

    // Not a second time, and not where nothing is waited for.
    for (options, logins) in [(&["--wait=20s"][..], 2), (&[], 1)] {
        let raw = lost(vec![unknown()]);
        let outcome_of = Scenario::against(&raw).options(options.iter().copied());
        let outcome = outcome_of.run();
        let asked = raw.requests().iter().filter(|request| request.ends_with("/login")).count();
        assert_eq!((outcome.code(), asked), (77, logins), "{}", outcome.describe());
    }
}

fn what_waiting_cannot_mend_ends_a_wait_at_once() {
    for reply in [
        Reply::json(404, &json!({"errors": []})),
        Reply::with(302, "Location: http://elsewhere.example/login\r\n", b""),
        Reply::with(200, "Content-Type: text/html\r\n", b"<html>"),
    ] {
        let raw = Raw::start([(STATUS, vec![reply])]);
        let outcome_of = Scenario::against(&raw).env("VAULT_WAIT", "20s");
        let outcome = outcome_of.run();
        assert!(matches!(outcome.code(), 76 | 78), "{}", outcome.describe());
        assert!(outcome.elapsed.as_secs() < 5, "{:?}", outcome.elapsed);
        raw.expect_requests(["GET sys/seal-status"]);
    }
}

fn only_the_status_step_believes_that_a_server_is_sealed() {
    let sealed = || Reply::json(503, &json!({"errors": ["Vault is sealed"]}));
    let raw = Raw::start([(LOGIN, vec![sealed(), Reply::login(&json!({}))])]);
    Scenario::against(&raw).run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: login: the login at auth/kubernetes with role shop was answered with 503: Vault is sealed; \
         try 1 of 4, the next in 0ms",
        "INFO  vault-exec: 1 variable {any}; token revoked",
    ]));
}
