//! The limits in time: the server's own wishes, the budget over everything, and the last second for a revoke.

use std::time::{Duration, SystemTime};

use serde_json::json;
use vault_testkit::raw::{LOGIN, READ, REVOKE, Raw, Reply, STATUS};

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::outcome::Outcome;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_pause_that_the_server_asks_for_is_kept: "429 with `Retry-After` in seconds", Read, 0, Budget;
    a_date_to_come_back_at_is_kept_too: "503 with `Retry-After` as a date", Read, 0, Budget;
    a_pause_that_the_budget_cannot_hold_is_not_begun: "a pause longer than what is left of the budget", Read, 75, AtOnce;
    the_budget_ends_a_call_before_its_own_limit_does: "the budget ends in a call", Each, 69, Budget;
    the_budget_ends_retries_that_are_left: "the budget ends between tries", Status, 69, Budget;
    a_revoke_that_hangs_delays_the_start_by_two_seconds_at_most: "a revoke that hangs", Revoke, 0, Revoke;
    a_revoke_that_hangs_after_the_budget_is_gone_has_one_second: "read and revoke hang", Read, 69, Budget;
}

const UNREACHABLE: &str = "check VAULT_ADDR, and that the service is up and reachable from here";

/// Took at least so many milliseconds, and not two seconds more.
fn took(outcome: &Outcome, millis: u64) {
    let least = Duration::from_millis(millis);
    assert!((least..least + Duration::from_secs(2)).contains(&outcome.elapsed), "{:?}", outcome.elapsed);
}

fn busy(status: u16, retry_after: &str) -> Reply {
    Reply::with(status, &format!("Retry-After: {retry_after}\r\n"), b"{\"errors\":[]}")
}

fn a_pause_that_the_server_asks_for_is_kept() {
    let well = || Reply::json(200, &json!({"initialized": true, "sealed": false}));
    let raw = Raw::start([(STATUS, vec![busy(429, "1"), well()])]);
    let outcome_of = Scenario::against(&raw);
    let outcome = outcome_of.run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: status: the status check was answered with 429; the next try in 1{any}s",
        "INFO  vault-exec: {any}; token revoked",
    ]));
    took(&outcome, 1000);
}

#[test]
fn the_largest_number_of_retries_is_one_like_any_other() {
    let well = || Reply::json(200, &json!({"initialized": true, "sealed": false}));
    let raw = Raw::start([(STATUS, vec![busy(503, "0"), well()])]);
    let scenario = Scenario::against(&raw).env("VAULT_MAX_RETRIES", u32::MAX.to_string());
    scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: status: the status check was answered with 503; try 1 of 4294967296, the next in 0ms",
        "INFO  vault-exec: {any}; token revoked",
    ]));
}

fn a_date_to_come_back_at_is_kept_too() {
    // Whole seconds: a date that is two seconds away is at least one away.
    let at = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    let raw = Raw::start([(LOGIN, vec![busy(503, &at), Reply::login(&json!({}))])]);
    let outcome_of = Scenario::against(&raw);
    let outcome = outcome_of.run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: login: the login at auth/kubernetes with role shop was answered with 503; \
         try 1 of 4, the next in {any}s",
        "INFO  vault-exec: {any}; token revoked",
    ]));
    took(&outcome, 500);
}

fn a_pause_that_the_budget_cannot_hold_is_not_begun() {
    for (retry_after, delay) in [("3600", "0"), ("Fri, 31 Dec 2100 23:59:59 GMT", "0"), ("", "1h")] {
        let raw = Raw::start([(READ, vec![busy(503, retry_after)])]);
        let outcome_of = Scenario::against(&raw).env("VAULT_RETRY_DELAY", delay);
        let outcome_of = outcome_of.env("VAULT_STARTUP_TIMEOUT", "20s");
        let outcome = outcome_of.run().expect_failure(
            75,
            "vault at {addr}: the read of kv/shop/app was answered with 503; \
             look at the server's log: it may be starting, sealed or without a leader \
             (1 try in {any}; a pause of {any} is beyond VAULT_STARTUP_TIMEOUT, 20s)",
        );
        took(&outcome, 0);
        raw.expect_whole_run();
    }
}

fn the_budget_ends_a_call_before_its_own_limit_does() {
    for (step, asked, during) in [
        (STATUS, 1, ""),
        (LOGIN, 2, "the login at auth/kubernetes with role shop: "),
        (READ, 4, "the read of kv/shop/app: "),
    ] {
        let raw = Raw::start([(step, vec![Reply::Hang(Vec::new())])]);
        let outcome_of = Scenario::against(&raw).env("VAULT_STARTUP_TIMEOUT", "400ms");
        let outcome = outcome_of.run().expect_failure(
            69,
            &format!(
                "vault at {{addr}}: {during}no complete answer in the {{any}}ms left of VAULT_STARTUP_TIMEOUT; \
                 {UNREACHABLE} (1 try in {{any}}; a pause of 0ms is beyond VAULT_STARTUP_TIMEOUT, 400ms)"
            ),
        );
        took(&outcome, 400);
        assert_eq!(raw.requests().len(), asked, "{step}");
    }
}

fn the_budget_ends_retries_that_are_left() {
    let raw = Raw::start([(STATUS, vec![Reply::Last(Vec::new())])]);
    let scenario = Scenario::against(&raw)
        .env("VAULT_MAX_RETRIES", "1000000")
        .env("VAULT_RETRY_DELAY", "40ms")
        .env("VAULT_STARTUP_TIMEOUT", "500ms")
        .env("VAULT_LOG_LEVEL", "error");
    // What is told is the last fault: on a busy machine the budget ends in a call and not before a pause.
    let outcome = scenario.run().expect_failure(
        69,
        &format!(
            "vault at {{addr}}: {{any}}; {UNREACHABLE} \
             ({{any}} tries in {{any}}ms; a pause of {{any}} is beyond VAULT_STARTUP_TIMEOUT, 500ms)"
        ),
    );
    assert!(outcome.elapsed < Duration::from_secs(2), "{:?}", outcome.elapsed);
    // Pauses of 20 to 40, 40 to 80, 80 to 160 and 160 to 320 ms fit.
    assert!((2..=5).contains(&raw.requests().len()), "{:?}", raw.requests());
}

fn a_revoke_that_hangs_delays_the_start_by_two_seconds_at_most() {
    let raw = Raw::start([(REVOKE, vec![Reply::Hang(Vec::new())])]);
    let outcome_of = Scenario::against(&raw);
    let outcome = outcome_of.run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: revoke: no complete answer within 2s; the token stays valid for 1m",
        "INFO  vault-exec: 1 variable {any}; token not revoked (the revoke failed)",
    ]));
    took(&outcome, 2000);
}

fn a_revoke_that_hangs_after_the_budget_is_gone_has_one_second() {
    let raw = Raw::start([(READ, vec![Reply::Hang(Vec::new())]), (REVOKE, vec![Reply::Hang(Vec::new())])]);
    let outcome_of = Scenario::against(&raw).env("VAULT_STARTUP_TIMEOUT", "300ms");
    let outcome = outcome_of.run().expect(Expect::done().code(69).stderr([
        "WARN  vault-exec: revoke: no complete answer within 1s; the token stays valid for 1m",
        "ERROR vault-exec: vault at {addr}: the read of kv/shop/app: no complete answer in {any}",
    ]));
    took(&outcome, 1300);
}

#[test]
fn what_takes_longer_than_the_budget_starts_nothing_late() {
    // Reading it takes more than the shortest budgets.
    let secret = json!({"A": vec![0; 99_000], "B": "x".repeat(1 << 20)}).to_string();
    for budget in [20, 50, 100, 200, 400] {
        let raw = Raw::start([(READ, vec![Reply::secret(&secret)])]);
        let scenario = Scenario::against(&raw)
            .no_command()
            .options(["--env-file", "{folder}/app.env", "--format", "json"])
            .env("VAULT_STARTUP_TIMEOUT", format!("{budget}ms"))
            .env("VAULT_LOG_LEVEL", "error");
        let outcome = scenario.run();
        let written = scenario.file("app.env").exists();
        assert!(matches!((outcome.code(), written), (0, true) | (69, false)), "{}", outcome.describe());
        // The revoke and the file come after the last look at the clock.
        let late = outcome.elapsed > Duration::from_millis(budget) + Duration::from_secs(3);
        assert!(!late, "{:?}\n{}", outcome.elapsed, outcome.describe());
    }
}

#[test]
fn pauses_begin_as_set_double_and_are_jittered_down_to_half_of_it() {
    let raw = Raw::start([(STATUS, vec![Reply::json(502, &json!({"errors": []}))])]);
    let scenario = Scenario::against(&raw).env("VAULT_RETRY_DELAY", "80ms").env("VAULT_LOG_LEVEL", "error");
    assert_eq!(scenario.run().code(), 75);
    let times: Vec<_> = raw.whole_requests().iter().map(|request| request.at).collect();
    let pauses: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(pauses.len(), 3, "{pauses:?}");
    for (pause, longest) in pauses.iter().zip([80, 160, 320]) {
        // A busy machine makes one longer, nothing makes one shorter.
        assert!((longest / 2..longest + 1000).contains(pause), "{pauses:?}");
    }
}
