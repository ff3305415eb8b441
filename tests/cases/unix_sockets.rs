//! A unix socket as the server's address.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use nix::sys::signal::Signal::SIGTERM;
use nix::sys::socket::{Backlog, listen};
use serde_json::json;
use vault_testkit::certs::certs;
use vault_testkit::raw::{Raw, Reply, STATUS};
use vault_testkit::server::Server;
use vault_testkit::{on_both, unix_front};

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::launch::Inherit;
use crate::support::scenario::Scenario;

on_both! {
    a_start_goes_over_a_unix_socket,
    a_dry_run_goes_over_a_unix_socket,
}

faults! { FAULTS, scripted;
    a_unix_socket_that_is_not_there_is_named: "a unix socket that is not there", Connect, 69, Pauses;
    a_unix_socket_without_a_listener_refuses: "a unix socket that nobody listens on", Connect, 69, Pauses;
    a_unix_socket_may_be_forbidden: "a unix socket that this user may not write to", Connect, 69, Pauses;
    a_unix_socket_whose_queue_is_full_is_waited_for: "a unix socket whose queue is full", Connect, 69, Tries;
    a_silent_unix_socket_is_given_its_time_limit: "a unix socket that is silent", Connect, 69, Tries;
    a_signal_ends_a_wait_for_a_silent_unix_socket: "a signal while a unix socket is silent", Status, 143, AtOnce;
}

const SOCKET: &str =
    "check VAULT_ADDR, that the agent or server listens on this socket, and that its volume is mounted here";

/// Goes to a socket in the folder, which a test has yet to make.
fn at_socket(scenario: Scenario) -> (Scenario, PathBuf) {
    let scenario = scenario.at("unix://{folder}/vault.sock");
    // The address has to be known in full where messages are compared with it.
    let addr = scenario.expand("unix://{folder}/vault.sock");
    let path = scenario.file("vault.sock");
    (scenario.at(&addr), path)
}

/// Against a scripted server behind that socket, which is tried twice.
fn scripted(raw: &Raw) -> (Scenario<'static>, PathBuf) {
    at_socket(Scenario::against(raw).env("VAULT_MAX_RETRIES", "1"))
}

fn secret(server: &Server) -> Scenario<'_> {
    Scenario::new(server).secret(&json!({"A": "a-secret"})).kubernetes()
}

/// Fails to connect, twice, for this reason.
fn cannot_connect(scenario: &Scenario, cause: &str, remedy: &str) {
    scenario.run().expect(Expect::done().code(69).stderr([
        format!("WARN  vault-exec: status: {cause}; try 1 of 2, the next in 0ms"),
        format!("ERROR vault-exec: vault at {{addr}}: {cause}; {remedy} (2 tries in {{any}})"),
    ]));
}

fn a_start_goes_over_a_unix_socket(server: &Server) {
    let (scenario, path) = at_socket(secret(server).args(["serve"]));
    server.listen_at(&path);
    scenario
        .run()
        .expect(
            Expect::started()
                .env([("A", "a-secret")])
                .stderr(["INFO  vault-exec: 1 variable from kv/{path} version 1 of {any}Z; \
             status {any}, login {any}, read {any}, revoke {any}; token revoked"]),
        )
        .expect_requests(["update auth/kubernetes/login", "read kv/data/{path}", "update auth/token/revoke-self"]);
}

fn a_dry_run_goes_over_a_unix_socket(server: &Server) {
    let (scenario, path) = at_socket(secret(server));
    server.listen_at(&path);
    let scenario = scenario.options(["--check"]);
    let outcome = scenario.run().expect(Expect::done().any_stdout());
    let told =
        outcome.stdout.lines().any(|line| line.contains("VAULT_ADDR") && line.contains(&scenario.expand("{addr}")));
    assert!(told, "{}", outcome.describe());
}

#[test]
fn one_connection_serves_all_and_its_host_is_localhost() {
    let raw = Raw::start([]);
    let (scenario, path) = scripted(&raw);
    unix_front::before(&raw.addr(), &path);
    scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]));
    assert!(raw.whole_requests().iter().all(|it| it.head.contains("host: localhost\r\n")));
    assert_eq!(raw.connections(), 1);
    raw.expect_whole_run();
}

#[test]
fn a_path_is_percent_decoded() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw);
    unix_front::before(&raw.addr(), &scenario.file("a b?%\u{fc}.sock"));
    let addr = scenario.expand("UNIX://{folder}/a%20b%3f%25%C3%BC.sock");
    scenario.at(&addr).run().expect(Expect::started().env([("A", "a-raw-secret")]));
    raw.expect_whole_run();
}

#[test]
fn settings_of_trust_do_not_matter_to_a_unix_socket_and_are_judged_all_the_same() {
    let raw = Raw::start([]);
    let (scenario, path) = scripted(&raw);
    unix_front::before(&raw.addr(), &path);
    let trusting = scenario.env("VAULT_CACERT", &certs().ca.certificate_file);
    trusting.run().expect(Expect::started().env([("A", "a-raw-secret")]));
    trusting.env("VAULT_CACERT", "{folder}/jwt").run().expect(
        Expect::done().code(78).stderr([
            "ERROR vault-exec: VAULT_CACERT = \"{any}/jwt\": {any}; give PEM with at least one CA certificate",
        ]),
    );
    raw.expect_whole_run();
}

fn a_unix_socket_that_is_not_there_is_named() {
    let (scenario, path) = scripted(&Raw::start([]));
    cannot_connect(&scenario, "no such socket", SOCKET);
    // What should be a folder above it is a file.
    fs::write(&path, "").expect("a file is written");
    let below = scenario.expand("{addr}/below.sock");
    cannot_connect(&scenario.at(&below), "no such socket", SOCKET);
}

fn a_unix_socket_without_a_listener_refuses() {
    let (scenario, path) = scripted(&Raw::start([]));
    drop(UnixListener::bind(path).expect("a socket"));
    cannot_connect(&scenario, "connection refused", SOCKET);
}

fn a_unix_socket_may_be_forbidden() {
    let (scenario, path) = scripted(&Raw::start([]));
    let _listener = UnixListener::bind(&path).expect("a socket");
    fs::set_permissions(path, Permissions::from_mode(0o000)).expect("a mode is set");
    let remedy = "let this user write to the socket and pass through the folders above it";
    cannot_connect(&scenario.inherit([Inherit::Unprivileged]), "connecting is not permitted", remedy);
}

fn a_unix_socket_whose_queue_is_full_is_waited_for() {
    let (scenario, path) = scripted(&Raw::start([]));
    let listener = UnixListener::bind(&path).expect("a socket");
    listen(&listener, Backlog::new(0).expect("none")).expect("a listener");
    let _queued = UnixStream::connect(&path).expect("the queue has one place");
    let scenario = scenario.env("VAULT_TIMEOUT", "200ms");
    cannot_connect(&scenario, "no complete answer within 200ms (VAULT_TIMEOUT)", SOCKET);
}

fn a_silent_unix_socket_is_given_its_time_limit() {
    let (scenario, path) = scripted(&Raw::start([]));
    let _listener = UnixListener::bind(path).expect("a socket");
    let scenario = scenario.env("VAULT_TIMEOUT", "200ms");
    cannot_connect(&scenario, "no complete answer within 200ms (VAULT_TIMEOUT)", SOCKET);
}

fn a_signal_ends_a_wait_for_a_silent_unix_socket() {
    let raw = Raw::start([(STATUS, vec![Reply::Hang(Vec::new())])]);
    let (scenario, path) = scripted(&raw);
    unix_front::before(&raw.addr(), &path);
    let mut started = scenario.start();
    raw.await_requests(1);
    started.signal(SIGTERM);
    let outcome = started.finish();
    assert!(outcome.after_signal.as_secs() < 1, "{:?}", outcome.after_signal);
    outcome.expect(Expect::done().code(143).stderr(["ERROR vault-exec: SIGTERM: ended by it during start-up"]));
}

#[test]
fn a_unix_socket_that_is_not_there_yet_is_waited_for() {
    let raw = Raw::start([]);
    let (scenario, path) = scripted(&raw);
    let scenario = scenario.env("VAULT_WAIT", "15s");
    let started = scenario.start();
    started.await_log("no such socket");
    unix_front::before(&raw.addr(), &path);
    started.finish().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: status: no such socket; waiting up to 15s (VAULT_WAIT)",
        "INFO  vault-exec: 1 variable {any}; token revoked",
    ]));
    raw.expect_whole_run();
}

#[test]
fn an_address_that_names_no_unix_socket_is_refused_with_its_reason() {
    let long = format!("unix:///{}", "a".repeat(107));
    let absolute = "without an absolute path; write unix:/// and the path, three slashes in all";
    let nothing = "without a path; write unix:///run/vault.sock, for instance";
    let query = "with a query or fragment; leave it out, or write %3F for ? and %23 for # in the path";
    let length = "whose path is longer than the 107 bytes that the system takes; shorten it, by a link for instance";
    for (addr, reason) in [
        ("unix://relative.sock", absolute),
        ("unix:/run/vault.sock", absolute),
        ("unix:@abstract", absolute),
        ("unix://", nothing),
        ("unix:///", nothing),
        ("unix:///run/vault.sock?a=b", query),
        ("unix:///run/vault.sock#a", query),
        ("unix:///run/vault.sock/v1", "whose path ends with /v1; leave that out, it is added to every request"),
        ("unix:///run/a%00b", "with a NUL (%00) in its path, which no file's name has; leave it out"),
        ("unix:///run/a%2", "with a % that begins no byte; write %25 for the character"),
        (&long, length),
    ] {
        let scenario = Scenario::offline().env("VAULT_PATH", "app").env("VAULT_TOKEN", "hvs.not-looked-at");
        scenario.env("VAULT_ADDR", addr).run().expect_failure(78, &format!("VAULT_ADDR: a unix socket {reason}"));
    }
}

#[test]
fn what_no_unix_socket_has_is_refused_all_at_once() {
    let (scenario, _) = at_socket(Scenario::offline().env("VAULT_PATH", "app").env("VAULT_TOKEN", "hvs.not-looked-at"));
    let client = &certs().client;
    let scenario = scenario
        .env("VAULT_PROXY_ADDR", "http://me:pass-word@proxy.example:3128")
        .env("BAO_TLS_SERVER_NAME", "vault.example")
        .env("VAULT_CLIENT_CERT", &client.certificate_file)
        .env("VAULT_CLIENT_KEY", &client.key_file)
        .hides("pass-word");
    let instead = "on the unix socket in VAULT_ADDR; unset it, or give Vault's https:// URL there";
    scenario.run().expect(Expect::done().code(78).stderr([
        "ERROR vault-exec: VAULT_PROXY_ADDR: no proxy leads to the unix socket in VAULT_ADDR; unset it, or give Vault's \
         https:// URL there"
            .to_owned(),
        format!("ERROR vault-exec: BAO_TLS_SERVER_NAME: no TLS is spoken {instead}"),
        format!("ERROR vault-exec: VAULT_CLIENT_CERT: no TLS is spoken {instead}"),
        format!("ERROR vault-exec: VAULT_CLIENT_KEY: no TLS is spoken {instead}"),
    ]));
}
