//! A server, a network or a clock that is not as it should be: the file stays, each state is told once, and the watch goes on.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use vault_testkit::raw::{READ, Raw, Reply};
use vault_testkit::server::{Kind, Server, on};
use vault_testkit::{eventually, on_both};

use super::{OPTIONS, await_content, content, end, watched, write};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

on_both! {
    a_token_that_is_revoked_is_replaced_by_one_login_without_a_word,
    a_policy_that_is_taken_away_and_given_back_is_told_once_each_and_costs_no_login,
    a_lease_of_two_seconds_is_replaced_in_time,
}

fn logins(server: &Server, scenario: &Scenario) -> usize {
    server.asked(&scenario.name).iter().filter(|it| it.path == "auth/kubernetes/login").count()
}

fn a_token_that_is_revoked_is_replaced_by_one_login_without_a_word(server: &Server) {
    let scenario = watched(server, &json!({"A": "first"}));
    let started = scenario.start();
    started.await_log("app.env created");
    revoke_tokens(server, &scenario);
    write(server, &scenario, &json!({"A": "second"}));
    await_content(&scenario, "export A='second'\n");
    assert_eq!(logins(server, &scenario), 2);
    let outcome = end(started).expect(Expect::done().any_stderr());
    assert!(outcome.log().iter().all(|line| line.starts_with("INFO ")), "{}", outcome.describe());
}

/// Revokes every token with the scenario's policy.
fn revoke_tokens(server: &Server, scenario: &Scenario) {
    let (_, listed) = server.admin("GET", "auth/token/accessors?list=true", &json!(null));
    for accessor in listed["data"]["keys"].as_array().into_iter().flatten() {
        let body = json!({"accessor": accessor});
        let (_, found) = server.admin("POST", "auth/token/lookup-accessor", &body);
        if found["data"]["policies"].as_array().is_some_and(|policies| policies.contains(&json!(scenario.name))) {
            server.must("POST", "auth/token/revoke-accessor", &body);
        }
    }
}

fn a_policy_that_is_taken_away_and_given_back_is_told_once_each_and_costs_no_login(server: &Server) {
    let scenario = watched(server, &json!({"A": "first"}));
    let started = scenario.start();
    started.await_log("app.env created");
    server.write_policy("", &scenario.name, "path \"kv/data/elsewhere\" { capabilities = [\"read\"] }");
    started.await_log("what was read before is kept");
    let before = server.asked(&scenario.name).len();
    eventually("it was denied again", || server.asked(&scenario.name).len() >= before + 4);
    let rules = format!("path \"kv/data/{}/*\" {{ capabilities = [\"read\"] }}", scenario.name);
    server.write_policy("", &scenario.name, &rules);
    started.await_log("read again");
    assert_eq!(logins(server, &scenario), 1);
    let outcome = end(started).expect(Expect::done().any_stderr());
    let warnings = outcome.log().into_iter().filter(|line| line.starts_with("WARN")).count();
    assert_eq!(warnings, 1, "{}", outcome.describe());
}

fn a_lease_of_two_seconds_is_replaced_in_time(server: &Server) {
    let scenario = watched(server, &json!({"A": "first"})).role(&json!({"token_ttl": "2s", "token_max_ttl": "4s"}));
    let started = scenario.start();
    started.await_log("app.env created");
    eventually("it has logged in four times", || logins(server, &scenario) >= 4);
    write(server, &scenario, &json!({"A": "second"}));
    await_content(&scenario, "export A='second'\n");
    let outcome = end(started);
    assert!(outcome.log().iter().all(|line| line.starts_with("INFO ")), "{}", outcome.describe());
}

#[test]
fn a_seal_and_a_restart_are_survived_and_each_state_is_told_once() {
    on(Kind::OpenBao, "a_seal_and_a_restart_are_survived_and_each_state_is_told_once", |_| {
        let server = Server::durable().expect("the shared one is there").ready();
        let scenario = watched(&server, &json!({"A": "first"})).unobserved();
        let started = scenario.start();
        started.await_log("app.env created");
        server.seal();
        started.await_log("what was read before is kept");
        server.unseal();
        started.await_log("read again");
        server.stop();
        started.await_log("connection refused");
        server.resume();
        server.unseal();
        // The node leads again a moment after it reads.
        let body = json!({"data": {"A": "second"}});
        let path = format!("kv/data/{}", scenario.path());
        eventually("a write goes well again", || server.admin("POST", &path, &body).0 == 200);
        await_content(&scenario, "export A='second'\n");
        assert_eq!(server.live_tokens("", &scenario.name), 1);
        let outcome = end(started).expect(Expect::done().any_stderr());
        let count = |text: &str| outcome.log().into_iter().filter(|line| line.contains(text)).count();
        assert_eq!(count("connection refused"), 1, "{}", outcome.describe());
        assert_eq!(server.live_tokens("", &scenario.name), 0);
    });
}

#[test]
fn a_network_that_cuts_hangs_or_drips_is_one_try_a_refresh_and_keeps_the_file() {
    let good = || Reply::secret(r#"{"A":"a-raw-secret"}"#);
    let drip = Reply::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n".to_vec(), vec![b' '; 900]);
    for bad in [Reply::Reset(Vec::new()), Reply::Last(Vec::new()), Reply::Hang(Vec::new()), drip] {
        let raw = Raw::start([(READ, vec![good(), bad.clone(), bad, good()])]);
        let scenario = Scenario::against(&raw).no_command().options(OPTIONS).env("VAULT_TIMEOUT", "300ms");
        let started = scenario.start();
        started.await_log("read again");
        assert_eq!(content(&scenario), "export A='a-raw-secret'\n");
        let outcome = end(started).expect(Expect::done().any_stderr());
        let warnings = outcome.log().into_iter().filter(|line| line.starts_with("WARN")).count();
        assert_eq!(warnings, 1, "{}", outcome.describe());
        let reads = raw.requests().iter().filter(|it| it.contains(READ)).count();
        assert!((4..=5).contains(&reads), "one try a refresh: {reads}");
    }
}

#[test]
fn a_process_that_was_stopped_refreshes_soon_after_it_goes_on() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).no_command().options(OPTIONS);
    let mut started = scenario.start();
    started.await_log("app.env created");
    started.signal(Signal::SIGSTOP);
    // Longer than two intervals, in which nothing can be asked.
    let before = raw.requests().len();
    let stopped = Instant::now();
    eventually("time goes by", || stopped.elapsed() > Duration::from_millis(2500));
    assert!(raw.requests().len() <= before + 1);
    let before = raw.requests().len();
    started.signal(Signal::SIGCONT);
    let begun = Instant::now();
    raw.await_requests(before + 1);
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    end(started).expect(Expect::done().any_stderr());
}
