//! What `/health` says, with Vault and without, and how the agent ends.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::server::Listener;

use super::{Agent, Answer, Ask, of, rotate, token, with_static};
use crate::support::{Corner, with_corner};

/// What it says, with nothing in the place of the seconds and counts that pass.
fn said(agent: &Agent) -> Answer {
    let mut answer = agent.health();
    for name in ["token_age_seconds", "seconds_since_success", "refreshes", "failures"] {
        let held = answer.body[name].take();
        assert!(held.is_u64() || held.is_null() && name == "seconds_since_success", "{name}: {held}");
    }
    answer
}

fn health(status: &str, last: Option<bool>, version: Option<u64>, source: &str, deployment: &str) -> Value {
    json!({
        "status": status, "token_age_seconds": null, "last_refresh_ok": last, "seconds_since_success": null,
        "version": version, "refreshes": null, "failures": null, "source": source, "deployment": deployment,
    })
}

/// Lets the role read the token, or not.
fn allow(corner: &Corner, is_allowed: bool) {
    let capability = if is_allowed { "read" } else { "deny" };
    let rules = format!("path \"{}/*\" {{ capabilities = [\"{capability}\"] }}", corner.name);
    corner.server.write_policy("", &corner.name, &rules);
}

#[test]
fn health_is_200_while_reads_fail_503_when_the_token_is_stale_and_200_again() {
    with_corner("health_is_200_while_reads_fail_503_when_the_token_is_stale_and_200_again", |corner| {
        rotate(corner, &token(1));
        let mut command = of(corner);
        command.env("AGENT_REFRESH", "2");
        let agent = Agent::start(command);
        let is = |status: u16, word, last| {
            let expected = Answer::new(status, health(word, last, Some(1), "vault", "deployment-1"));
            eventually(word, || said(&agent) == expected);
        };
        is(200, "ok", Some(true));
        allow(corner, false);
        is(200, "failing", Some(false));
        is(503, "stale", Some(false));
        // The token in hand goes on.
        assert_eq!(agent.send(&Ask::status(&token(1))).status, 200);
        let refresh = agent.send(&Ask::new("panel", &token(1), "POST", "/refresh", ""));
        assert_eq!((refresh.status, &refresh.body["last_refresh_ok"]), (502, &json!(false)));
        allow(corner, true);
        is(200, "ok", Some(true));
        let outcomes: Vec<_> = agent.lines_of("token").iter().map(|line| line["outcome"].clone()).collect();
        assert_eq!(outcomes, ["failing", "recovered"]);

        assert_eq!(corner.live_tokens(), 1);
        let ended = agent.end(Signal::SIGTERM);
        let last = ended.lines.last().expect("a line");
        assert_eq!((ended.code, &last["event"], &last["revoked"]), (Some(0), &json!("ended"), &json!(true)));
        assert_eq!(corner.live_tokens(), 0);
    });
}

#[test]
fn a_static_token_is_well_and_one_in_place_of_vaults_is_failing_and_both_are_accepted() {
    with_corner("a_static_token_is_well_and_one_in_place_of_vaults_is_failing_and_both_are_accepted", |corner| {
        let alone = Agent::start(with_static(&token(1)));
        assert_eq!(said(&alone), Answer::new(200, health("ok", None, None, "static", "default")));
        assert_eq!(alone.send(&Ask::status(&token(1))).status, 200);
        alone.end(Signal::SIGTERM);

        let mut command = of(corner);
        // Nobody listens there.
        command.env("VAULT_ADDRESS", "http://127.0.0.1:1").env("AGENT_TOKEN", token(1));
        let away = Agent::start(command);
        assert_eq!(said(&away), Answer::new(200, health("failing", Some(false), None, "static", "deployment-1")));
        assert_eq!(away.send(&Ask::status(&token(1))).status, 200);
        away.end(Signal::SIGTERM);
    });
}

#[test]
fn an_agent_whose_token_cannot_be_read_at_the_start_says_why_and_leaves_no_vault_token() {
    with_corner("an_agent_whose_token_cannot_be_read_at_the_start_says_why_and_leaves_no_vault_token", |corner| {
        let ended = Agent::start(of(corner)).ended();
        let addr = corner.server.addr(Listener::Plain);
        let said = format!("status_agent: vault at {addr}: nothing at {}/deployment-1/token\n", corner.name);
        assert_eq!((ended.code, ended.lines, ended.stderr), (Some(1), vec![], said));
        corner.server.write_secret("", &corner.name, "deployment-1/token", &json!({"key": "x"}));
        let ended = Agent::start(of(corner)).ended();
        assert_eq!((ended.code, ended.lines.len()), (Some(1), 0));
        assert_eq!((corner.count("auth/kubernetes/login"), corner.live_tokens()), (2, 0));
    });
}
