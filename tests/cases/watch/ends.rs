//! The end of a watch: within a second wherever it is, with the token revoked and the file in place.

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use vault_testkit::eventually;
use vault_testkit::raw::{LOGIN, READ, REVOKE, Raw, Reply, STATUS};

use super::{OPTIONS, content};
use crate::support::outcome::Outcome;
use crate::support::scenario::Scenario;
use crate::support::started::Started;

fn scenario(raw: &Raw) -> Scenario<'static> {
    Scenario::against(raw).no_command().options(OPTIONS)
}

fn ended(mut started: Started<'_>, signal: Signal) -> Outcome<'_> {
    started.signal(signal);
    let outcome = started.finish();
    assert!(outcome.after_signal.as_millis() < 1100, "{:?}\n{}", outcome.after_signal, outcome.describe());
    outcome
}

fn revokes(raw: &Raw) -> usize {
    raw.requests().iter().filter(|it| it.contains(REVOKE)).count()
}

#[test]
fn each_of_the_four_signals_ends_a_watch_with_0() {
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        let raw = Raw::start([]);
        let scenario = scenario(&raw);
        let started = scenario.start();
        started.await_log("app.env created");
        let outcome = ended(started, signal);
        assert_eq!((outcome.code(), revokes(&raw)), (0, 1), "{}", outcome.describe());
        let last = format!("INFO  vault-exec: {signal}: ended by it; {{folder}}/app.env stays; token revoked");
        assert_eq!(outcome.log().last().copied(), Some(scenario.expand(&last).as_str()));
        assert_eq!(content(&scenario), "export A='a-raw-secret'\n");
    }
}

#[test]
fn before_the_first_write_it_is_a_start_that_was_cut_short() {
    for (step, revoked) in [(STATUS, 0), (LOGIN, 0), (READ, 1)] {
        let raw = Raw::start([(step, vec![Reply::Hang(Vec::new())])]);
        let scenario = scenario(&raw);
        let started = scenario.start();
        eventually("the step is under way", || raw.requests().iter().any(|it| it.contains(step)));
        let outcome = ended(started, SIGTERM);
        assert_eq!((outcome.code(), revokes(&raw)), (143, revoked), "{step}: {}", outcome.describe());
        assert!(!scenario.file("app.env").exists(), "{step}");
    }
}

#[test]
fn a_refresh_that_hangs_does_not_delay_the_end() {
    let raw = Raw::start([(READ, vec![Reply::secret(r#"{"A":"a-raw-secret"}"#), Reply::Hang(Vec::new())])]);
    let scenario = scenario(&raw);
    let started = scenario.start();
    let reads = || raw.requests().iter().filter(|it| it.contains(READ)).count();
    eventually("a refresh is under way", || reads() == 2);
    let outcome = ended(started, SIGTERM);
    assert_eq!((outcome.code(), revokes(&raw)), (0, 1), "{}", outcome.describe());
}

#[test]
fn a_revoke_that_hangs_is_given_up_within_a_second() {
    let raw = Raw::start([(REVOKE, vec![Reply::Hang(Vec::new())])]);
    let scenario = scenario(&raw);
    let started = scenario.start();
    started.await_log("app.env created");
    let outcome = ended(started, SIGTERM);
    let log = outcome.log().join("\n");
    assert_eq!(outcome.code(), 0, "{}", outcome.describe());
    assert!(log.contains("WARN  vault-exec: revoke: SIGTERM left no time for a complete answer"), "{log}");
    assert!(log.ends_with("app.env stays; token not revoked (the revoke failed)"), "{log}");
}

#[test]
fn a_kill_at_any_moment_leaves_an_old_file_or_a_new_one() {
    let value = |number: usize| format!("v{number}").repeat(40_000);
    let secret = |number| Reply::secret(&format!(r#"{{"A":"{}"}}"#, value(number)));
    let raw = Raw::start([(READ, (0..1000).map(secret).collect())]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.env");
    for round in 0..8_u64 {
        let scenario = Scenario::against(&raw).no_command().env("VAULT_LOG_LEVEL", "warn");
        let scenario = scenario.options(["--env-file", &file.display().to_string(), "--watch", "1s"]);
        let mut started = scenario.start();
        let reads = raw.requests().iter().filter(|it| it.contains(READ)).count();
        // Another part of the write is cut each time.
        eventually("it reads", || raw.requests().iter().filter(|it| it.contains(READ)).count() > reads);
        std::thread::sleep(std::time::Duration::from_micros(300 * round));
        started.signal(Signal::SIGKILL);
        drop(started.finish());
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let whole = text.strip_prefix("export A='").and_then(|rest| rest.strip_suffix("'\n"));
        let is_one = |text: &str| (0..1000).any(|number| text.len() == value(number).len() && text == value(number));
        assert!(text.is_empty() || whole.is_some_and(is_one), "a torn file of {} bytes", text.len());
    }
}
