//! Name resolution: once for a run, bounded like everything else, and ended by a signal like everything else.

use std::time::Duration;

use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use vault_testkit::dns::Says;
use vault_testkit::raw::Raw;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::isolated::with_dns;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_signal_ends_a_look_up_that_hangs: "a signal in a look-up that hangs", Connect, 129 | 130 | 131 | 143, AtOnce;
    a_name_that_does_not_exist_is_told: "a name that does not resolve", Connect, 69, Pauses;
    a_name_server_that_is_silent_is_given_the_time_limit: "a name server that is silent", Connect, 69, Tries;
}

fn named(raw: &Raw) -> Scenario<'static> {
    Scenario::against(raw).at(&format!("http://vault.test.:{}", raw.port())).env("VAULT_LOG_LEVEL", "error")
}

#[test]
fn a_name_is_looked_up_once_for_all_requests() {
    let raw = Raw::start([]);
    let test = "a_name_is_looked_up_once_for_all_requests";
    let Some((dns, scenario)) = with_dns(test, 1, named(&raw)) else { return };
    let asked = dns.answer(Says::Localhost);
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 0, "{}", outcome.describe());
    let mut asked = asked.lock().expect("no panic").clone();
    asked.sort();
    assert_eq!(asked, ["vault.test A", "vault.test AAAA"]);
    assert_eq!(raw.connections(), 1);
    raw.expect_whole_run();
}

fn a_name_that_does_not_exist_is_told() {
    let raw = Raw::start([]);
    let test = "a_name_that_does_not_exist_is_told";
    let scenario = named(&raw).env("VAULT_MAX_RETRIES", "0");
    let Some((dns, scenario)) = with_dns(test, 2, scenario) else { return };
    dns.answer(Says::NoSuchName);
    scenario.run().expect_failure(
        69,
        "vault at {addr}: vault.test. does not resolve (Name or service not known); \
         check VAULT_ADDR, and the DNS of this host or pod",
    );
}

fn a_name_server_that_is_silent_is_given_the_time_limit() {
    let raw = Raw::start([]);
    let test = "a_name_server_that_is_silent_is_given_the_time_limit";
    let scenario = named(&raw).env("VAULT_MAX_RETRIES", "0").env("VAULT_TIMEOUT", "300ms");
    let Some((_dns, scenario)) = with_dns(test, 3, scenario) else { return };
    let outcome = scenario.run().expect_failure(
        69,
        "vault at {addr}: no complete answer within 300ms (VAULT_TIMEOUT); \
         check VAULT_ADDR, and that the service is up and reachable from here",
    );
    assert!(outcome.elapsed < Duration::from_secs(2), "{:?}", outcome.elapsed);
}

fn a_signal_ends_a_look_up_that_hangs() {
    let test = "a_signal_ends_a_look_up_that_hangs";
    for (number, signal) in (4..).zip([SIGTERM, SIGINT, SIGHUP, SIGQUIT]) {
        let raw = Raw::start([]);
        let Some((dns, scenario)) = with_dns(test, number, named(&raw)) else { return };
        let mut started = scenario.start();
        dns.await_question();
        started.signal(signal);
        let line = format!("ERROR vault-exec: {signal}: ended by it during start-up");
        let outcome = started.finish().expect(Expect::done().code(128 + signal as i32).stderr([line]));
        assert!(outcome.after_signal < Duration::from_secs(1), "{:?}", outcome.after_signal);
    }
}
