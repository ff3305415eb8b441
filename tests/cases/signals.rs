//! Signals during a start-up: wherever it is, it ends soon with 128 and the signal's number, and leaves no token behind.

use std::time::Duration;

use nix::sys::signal::Signal::{self, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM};
use serde_json::json;
use vault_testkit::on_both;
use vault_testkit::raw::{Gate, LOGIN, READ, REVOKE, Raw, Reply, STATUS};
use vault_testkit::server::Server;
use vault_testkit::tap::Tap;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::isolated::{as_process_1, child_of};
use crate::support::launch::Inherit;
use crate::support::outcome::Outcome;
use crate::support::scenario::Scenario;
use crate::support::started::Started;

on_both! {
    with_a_token_in_hand_the_server_has_it_revoked,
}

faults! { FAULTS, scripted;
    in_the_tls_handshake: "a signal in the TLS handshake", Connect, 129 | 130 | 131 | 143, AtOnce;
    in_a_call: "a signal in a call", Status, 129 | 130 | 131 | 143, AtOnce;
    in_a_pause_between_tries: "a signal in a pause", Status, 129 | 130 | 131 | 143, AtOnce;
    in_a_login_that_hangs: "a signal in the login", Login, 129 | 130 | 131 | 143, AtOnce;
    right_before_the_logins_answer: "a signal right before the login's answer; the token is revoked", Login, 129 | 130 | 131 | 143, AtOnce;
    with_a_token_in_hand: "a signal with a token in hand; it is revoked", Read, 129 | 130 | 131 | 143, AtOnce;
    a_revoke_that_hangs_is_given_up_within_a_second: "a signal with a token in hand, and the revoke hangs", Read, 143, Revoke;
}

const ENDING: [Signal; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];

/// Far less than anything else that could end these runs, and enough for a machine that is busy.
const SOON: Duration = Duration::from_secs(1);

fn ended_by<'a>(outcome: Outcome<'a>, signal: Signal, before: &[&str]) -> Outcome<'a> {
    let last = format!("ERROR vault-exec: {signal}: ended by it during start-up");
    let lines = before.iter().map(|line| (*line).to_owned()).chain([last]);
    outcome.expect(Expect::done().code(128 + signal as i32).stderr(lines))
}

/// Starts it, sends the signal when `when` has returned, and returns the outcome, which comes soon.
fn signalled<'a>(scenario: &'a Scenario<'a>, signal: Signal, when: impl FnOnce(&Started)) -> Outcome<'a> {
    let mut started = scenario.start();
    when(&started);
    started.signal(signal);
    let outcome = started.finish();
    assert!(outcome.after_signal < SOON, "{:?}\n{}", outcome.after_signal, outcome.describe());
    outcome
}

fn hanging(step: &'static str) -> Raw {
    Raw::start([(step, vec![Reply::Hang(Vec::new())])])
}

fn in_a_call() {
    for signal in ENDING {
        let raw = hanging(STATUS);
        let scenario = Scenario::against(&raw);
        ended_by(signalled(&scenario, signal, |_| raw.await_requests(1)), signal, &[]);
        raw.expect_requests(["GET sys/seal-status"]);
    }
}

#[test]
fn in_an_answer_that_drips() {
    let drip = Reply::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n".to_vec(), vec![b' '; 900]);
    let raw = Raw::start([(STATUS, vec![drip])]);
    let scenario = Scenario::against(&raw);
    ended_by(signalled(&scenario, SIGTERM, |_| raw.await_requests(1)), SIGTERM, &[]);
}

fn in_a_pause_between_tries() {
    for signal in ENDING {
        let raw = Raw::start([(STATUS, vec![Reply::Last(Vec::new())])]);
        let scenario = Scenario::against(&raw).env("VAULT_RETRY_DELAY", "30s");
        let warning = "WARN  vault-exec: status: the connection was closed before the answer was complete; \
                       try 1 of 4, the next in {any}";
        let outcome = signalled(&scenario, signal, |started| started.await_log("try 1 of 4"));
        ended_by(outcome, signal, &[warning]);
        raw.expect_requests(["GET sys/seal-status"]);
    }
}

#[test]
fn in_a_wait_for_readiness() {
    let sealed = Reply::json(200, &json!({"initialized": true, "sealed": true, "t": 1}));
    let raw = Raw::start([(STATUS, vec![sealed])]);
    let scenario = Scenario::against(&raw).options(["--wait=60s"]);
    let outcome = signalled(&scenario, SIGTERM, |_| raw.await_requests(2));
    ended_by(
        outcome,
        SIGTERM,
        &["WARN  vault-exec: status: sealed (0 of 1 keys given); waiting up to 1m (VAULT_WAIT)"],
    );
}

fn in_the_tls_handshake() {
    for signal in ENDING {
        let raw = Raw::start([]);
        let scenario = Scenario::against(&raw).at(&raw.addr().replace("http:", "https:"));
        ended_by(signalled(&scenario, signal, |_| raw.await_bytes()), signal, &[]);
    }
}

fn in_a_login_that_hangs() {
    for signal in ENDING {
        let raw = hanging(LOGIN);
        let scenario = Scenario::against(&raw);
        ended_by(signalled(&scenario, signal, |_| raw.await_requests(2)), signal, &[]);
        raw.expect_requests(["GET sys/seal-status", "POST auth/kubernetes/login"]);
    }
}

fn right_before_the_logins_answer() {
    for signal in ENDING {
        let gate = Gate::default();
        let raw = Raw::start([(LOGIN, vec![Reply::login(&json!({})).held(&gate)])]);
        let scenario = Scenario::against(&raw);
        let started = scenario.start();
        raw.await_requests(2);
        gate.open_after(started.pid(), signal);
        ended_by(started.finish(), signal, &[]);
        raw.expect_requests(["GET sys/seal-status", "POST auth/kubernetes/login", "POST auth/token/revoke-self"]);
    }
}

fn with_a_token_in_hand() {
    for signal in ENDING {
        let raw = hanging(READ);
        let scenario = Scenario::against(&raw);
        ended_by(signalled(&scenario, signal, |_| raw.await_requests(3)), signal, &[]);
        raw.expect_whole_run();
    }
}

#[test]
fn a_second_signal_changes_nothing() {
    let gate = Gate::default();
    let revoked = Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    let raw = Raw::start([(READ, vec![Reply::Hang(Vec::new())]), (REVOKE, vec![revoked.held(&gate)])]);
    let scenario = Scenario::against(&raw);
    let mut started = scenario.start();
    raw.await_requests(3);
    started.signal(SIGTERM);
    raw.await_requests(4);
    gate.open_after(started.pid(), SIGINT);
    ended_by(started.finish(), SIGTERM, &[]);
    raw.expect_whole_run();
}

fn with_a_token_in_hand_the_server_has_it_revoked(server: &Server) {
    let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"})).kubernetes();
    let tap = Tap::withholding(&scenario.expand("{addr}"), "GET /v1/kv/data/");
    let scenario = scenario.at(&format!("http://{}", tap.authority()));
    let outcome = signalled(&scenario, SIGTERM, |_| tap.await_said("GET /v1/kv/data/", 1));
    ended_by(outcome, SIGTERM, &[]).expect_requests(["update auth/kubernetes/login", "update auth/token/revoke-self"]);
}

#[test]
fn while_the_token_is_revoked_after_all_went_well() {
    let gate = Gate::default();
    let revoked = Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    let raw = Raw::start([(REVOKE, vec![revoked.held(&gate)])]);
    let scenario = Scenario::against(&raw);
    let started = scenario.start();
    raw.await_requests(4);
    gate.open_after(started.pid(), SIGTERM);
    ended_by(started.finish(), SIGTERM, &["INFO  vault-exec: 1 variable {any}; token revoked"]);
    raw.expect_whole_run();
}

fn a_revoke_that_hangs_is_given_up_within_a_second() {
    let raw = Raw::start([(READ, vec![Reply::Hang(Vec::new())]), (REVOKE, vec![Reply::Hang(Vec::new())])]);
    let scenario = Scenario::against(&raw);
    let mut started = scenario.start();
    raw.await_requests(3);
    started.signal(SIGTERM);
    let outcome = started.finish();
    let warning = "WARN  vault-exec: revoke: SIGTERM left no time for a complete answer; the token stays valid for 1m";
    let outcome = ended_by(outcome, SIGTERM, &[warning]);
    assert!(outcome.after_signal < 2 * SOON, "{:?}", outcome.after_signal);
    raw.expect_whole_run();
}

#[test]
fn one_that_was_ignored_stays_so() {
    for signal in ENDING {
        let gate = Gate::default();
        let raw = Raw::start([(READ, vec![Reply::secret(r#"{"A":"a-raw-secret"}"#).held(&gate)])]);
        let scenario = Scenario::against(&raw).inherit([Inherit::Ignored(signal)]);
        let mut started = scenario.start();
        raw.await_requests(3);
        started.signal(signal);
        gate.open();
        started.finish().expect(Expect::started().env([("A", "a-raw-secret")]));
        raw.expect_whole_run();
    }
}

#[test]
fn one_that_was_blocked_waits_for_the_application() {
    let gate = Gate::default();
    let raw = Raw::start([(READ, vec![Reply::secret("{}").held(&gate)])]);
    let scenario = Scenario::against(&raw).inherit([Inherit::Blocked(SIGTERM)]);
    let mut started = scenario.start();
    raw.await_requests(3);
    started.signal(SIGTERM);
    gate.open();
    let child = started.finish().child.expect("the application");
    // Bit n-1 stands for signal n: TERM is 15.
    assert_eq!(
        (child.status["ShdPnd"].as_str(), child.status["SigBlk"].as_str()),
        ("0000000000004000", "0000000000004000")
    );
}

#[test]
fn being_stopped_and_continued_is_no_fault() {
    let gate = Gate::default();
    let raw = Raw::start([(READ, vec![Reply::secret(r#"{"A":"a-raw-secret"}"#).held(&gate)])]);
    let scenario = Scenario::against(&raw);
    let mut started = scenario.start();
    raw.await_requests(3);
    for signal in [SIGSTOP, SIGCONT, SIGSTOP, SIGCONT] {
        started.signal(signal);
    }
    gate.open();
    started.finish().expect(Expect::started().env([("A", "a-raw-secret")]));
}

#[test]
fn as_process_1_in_a_call_in_a_pause_and_with_a_token_in_hand() {
    let test = "as_process_1_in_a_call_in_a_pause_and_with_a_token_in_hand";
    for signal in ENDING {
        for (raw, awaited) in [
            (hanging(STATUS), 1),
            (hanging(LOGIN), 2),
            (hanging(READ), 3),
            (Raw::start([(STATUS, vec![Reply::Last(Vec::new())])]), 1),
        ] {
            let scenario = Scenario::against(&raw).env("VAULT_RETRY_DELAY", "30s").env("VAULT_LOG_LEVEL", "error");
            let Some(scenario) = as_process_1(test, scenario) else { return };
            let mut started = scenario.start();
            raw.await_requests(awaited);
            started.signal_to(child_of(started.pid()), signal);
            let outcome = ended_by(started.finish(), signal, &[]);
            assert!(outcome.after_signal < SOON, "{:?}", outcome.after_signal);
            let revokes = raw.requests().iter().filter(|request| request.contains("revoke")).count();
            assert_eq!(revokes, usize::from(awaited == 3), "{:?}", raw.requests());
        }
    }
}

#[test]
fn process_1_starts_the_application_as_process_1() {
    let raw = Raw::start([]);
    let scenario = as_process_1("process_1_starts_the_application_as_process_1", Scenario::against(&raw));
    let Some(scenario) = scenario else { return };
    let outcome = scenario.run();
    let child = outcome.child.as_ref().unwrap_or_else(|| panic!("{}", outcome.describe()));
    assert_eq!((outcome.code(), child.pid), (0, 1));
    raw.expect_whole_run();
}
