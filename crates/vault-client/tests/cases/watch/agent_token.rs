//! The token of an agent: without Vault, from Vault, with Vault away at the start, and rotated.

use std::net::TcpListener;
use std::sync::Arc;

use serde_json::{Value, json};
use vault_client::watch::Source;
use vault_client::{AgentToken, ErrorKind, HealthStatus, Secret, VaultClient};
use vault_testkit::raw::{LOOK_UP, Raw, Reply};
use vault_testkit::server::Listener;
use vault_testkit::unique;

use super::scripted::version;
use super::{PATIENCE, Told, quick, seldom};
use crate::support::{run_again, with_corner};

/// Where a scripted server has the token.
const TOKEN: &str = "panel/data/d1/token";

fn token(number: u64, value: &Value) -> Reply {
    version(number, number, &json!({ "token": value }))
}

fn sealed() -> Reply {
    Reply::json(503, &json!({"errors": ["Vault is sealed"]}))
}

/// That of deployment `d1` at `address`, which begins with `fallback`.
fn begun(address: &str, fallback: Option<&str>) -> (Result<AgentToken, vault_client::VaultError>, Told) {
    let told = Told::default();
    let builder = VaultClient::builder().address(address).token("hvs.given").limits(quick()).observer(told.clone());
    let kv = builder.ignore_environment().build().unwrap().kv("panel");
    (AgentToken::watch(&kv, "d1", seldom(), fallback.map(|it| Arc::new(Secret::new(it)))), told)
}

/// The token in hand, where it comes from, and how it is doing: status, how the last refresh ended, version, failures.
fn state(token: &AgentToken) -> (String, Source, HealthStatus, Option<bool>, Option<u64>, u64) {
    let health = token.health();
    let current = token.current().expose().to_owned();
    (current, token.source(), health.status, health.last_refresh_ok, health.version, health.failures)
}

#[test]
fn a_token_that_one_agent_stores_is_what_the_others_have_next() {
    with_corner("a_token_that_one_agent_stores_is_what_the_others_have_next", |corner| {
        let told = Told::default();
        let client = corner.builder().limits(quick()).observer(told.clone()).build().unwrap();
        let kv = client.kv(&corner.name);
        corner.server.write_secret("", &corner.name, "d1/token", &json!({"token": "first", "owner": "shop"}));
        let [agent, panel] = [(); 2].map(|()| AgentToken::watch(&kv, "d1", seldom(), None).unwrap());
        let mut changes = agent.changes();
        assert_eq!(state(&agent), ("first".into(), Source::Vault, HealthStatus::Ok, None, Some(1), 0));
        assert!(agent.accepted(PATIENCE).1.is_none());
        assert_eq!(panel.store(&Secret::new("second")).unwrap().version, 2);
        assert_eq!((agent.current().expose(), agent.fetch().unwrap().expose()), ("first", "second"));
        agent.refresh().unwrap();
        let (now, before) = agent.accepted(PATIENCE);
        assert_eq!((now.expose(), before.unwrap().expose()), ("second", "first"));
        assert_eq!(changes.next().unwrap().expose(), "second");
        agent.delete().unwrap();
        assert_eq!(agent.fetch().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(agent.refresh().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(state(&agent), ("second".into(), Source::Vault, HealthStatus::Failing, Some(false), Some(2), 1));
        panel.store(&Secret::new("third")).unwrap();
        agent.refresh().unwrap();
        client.close();
        assert!(changes.next().is_some_and(|it| it.expose() == "third") && changes.next().is_none());
        let (mount, place) = (&corner.name, format!("vault at {}", corner.server.addr(Listener::Plain)));
        let mut lines = told.lines();
        let cause = lines[1]["cause"].take();
        let cause = cause.as_str().unwrap();
        assert!(cause.starts_with(&format!("{place}: {mount}/d1/token version 2 was deleted")), "{cause}");
        let line = |outcome: &str, from: u64, to: u64| json!({"outcome": outcome, "mount": mount, "path": "d1/token", "deployment": "d1", "from": from, "to": to});
        let mut failing = line("failing", 2, 2);
        failing["cause"] = Value::Null;
        assert_eq!(lines, [line("changed", 1, 2), failing, line("changed", 2, 3)]);
    });
}

#[test]
fn with_vault_away_at_the_start_it_begins_with_the_token_that_was_given_and_goes_over_later() {
    // Refused connections, at an address of its own; and a seal.
    let listener = TcpListener::bind(("127.77.3.2", 0)).unwrap();
    let place = listener.local_addr().unwrap();
    drop(listener);
    let sealed = Raw::start([(TOKEN, vec![sealed()])]);
    for (address, kind) in [(format!("http://{place}"), ErrorKind::Unreachable), (sealed.addr(), ErrorKind::NotReady)] {
        let (agent, told) = begun(&address, Some("given"));
        let agent = agent.unwrap();
        let mut changes = agent.changes();
        assert_eq!(state(&agent), ("given".into(), Source::Static, HealthStatus::Failing, Some(false), None, 0));
        assert_eq!(agent.refresh().unwrap_err().kind(), kind);
        assert_eq!(agent.health().seconds_since_success, None);
        let back = match kind {
            ErrorKind::Unreachable => Raw::on(TcpListener::bind(place).unwrap(), []),
            _ => sealed.clone(),
        };
        back.script(TOKEN, vec![token(4, &json!("from-vault"))]);
        agent.refresh().unwrap();
        assert_eq!(state(&agent), ("from-vault".into(), Source::Vault, HealthStatus::Ok, Some(true), Some(4), 1));
        assert_eq!(agent.accepted(PATIENCE).1.unwrap().expose(), "given");
        assert_eq!(changes.next().unwrap().expose(), "from-vault");
        let lines = told.lines();
        assert!(lines.iter().all(|it| it["deployment"] == "d1" && it["from"].is_null()), "{lines:?}");
        let said: Vec<_> = lines.iter().map(|it| (it["outcome"].as_str().unwrap(), it["to"].as_u64())).collect();
        assert_eq!(said, [("failing", None), ("changed", Some(4))]);
    }
}

#[test]
fn what_is_no_outage_is_loud_at_the_start_whatever_was_given() {
    let refusal = |status| Reply::json(status, &json!({"errors": ["no"]}));
    let cases = [
        (refusal(403), Some("given"), ErrorKind::Denied),
        (Reply::json(404, &json!({"errors": []})), Some("given"), ErrorKind::NotFound),
        (token(1, &json!(7)), Some("given"), ErrorKind::Shape),
        (version(1, 1, &json!({"other": "x"})), Some("given"), ErrorKind::Shape),
        // Without one there is nothing to begin with.
        (sealed(), None, ErrorKind::NotReady),
    ];
    for (reply, fallback, kind) in cases {
        let raw = Raw::start([(TOKEN, vec![reply]), (LOOK_UP, vec![refusal(404)])]);
        let (agent, told) = begun(&raw.addr(), fallback);
        assert_eq!(agent.unwrap_err().kind(), kind);
        assert_eq!(told.take(), []);
    }
}

#[test]
fn a_version_without_a_usable_token_leaves_the_one_in_hand() {
    let unusable = [version(2, 2, &json!({"other": "a-hidden-value"})), token(3, &json!(7)), token(4, &json!(""))];
    let unusable = unusable.into_iter().chain([token(5, &json!({"a": "a-hidden-value"})), token(6, &Value::Null)]);
    let replies = std::iter::once(token(1, &json!("first"))).chain(unusable).chain([token(7, &json!("second"))]);
    let raw = Raw::start([(TOKEN, replies.collect())]);
    let (agent, told) = begun(&raw.addr(), None);
    let agent = agent.unwrap();
    for _ in 0..5 {
        let error = agent.refresh().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(error.to_string().contains("token") && !error.to_string().contains("hidden"), "{error}");
        assert_eq!(agent.current().expose(), "first");
    }
    agent.refresh().unwrap();
    assert_eq!(state(&agent), ("second".into(), Source::Vault, HealthStatus::Ok, Some(true), Some(7), 5));
    assert_eq!(told.take().len(), 2);
}

#[test]
fn the_cause_says_what_is_wrong_with_the_token() {
    let blank = "the text under \"token\" is empty or white space alone";
    let cases = [
        (token(1, &json!("")), blank),
        (token(1, &json!(" \t\n\u{3000}")), blank),
        (token(1, &json!(7)), "a value has another type than the program expects"),
        (version(1, 1, &json!({"other": "x"})), "the key \"token\" is missing"),
    ];
    for (reply, cause) in cases {
        let raw = Raw::start([(TOKEN, vec![reply])]);
        let said = begun(&raw.addr(), Some("given")).0.unwrap_err().to_string();
        assert_eq!(said, format!("vault at {}: the read of panel/d1/token: {cause}", raw.addr()));
    }
}

const CASE: &str = "AGENT_TOKEN_CASE";

/// Run again by itself, with an environment of its own.
#[test]
fn the_environment_says_which_token_it_is() {
    const NAME: &str = "the_environment_says_which_token_it_is";
    let of = |deployment: &str, mount: &str| {
        let agent = AgentToken::from_env().unwrap();
        assert_eq!((agent.deployment(), agent.source()), (deployment, Source::Vault), "{mount}");
        agent.current().expose().to_owned()
    };
    match std::env::var(CASE).as_deref() {
        Err(_) => with_corner(NAME, |corner| {
            let (address, login) = (corner.server.addr(Listener::Plain), corner.login());
            corner.server.write_secret("", &corner.name, "default/token", &json!({"token": "of-default"}));
            corner.server.write_secret("", &corner.name, "d1/token", &json!({"token": "of-d1"}));
            let test = format!("cases::watch::agent_token::{NAME}");
            let vault = [
                ("VAULT_ADDRESS", address.as_str()),
                ("VAULT_ROLE", &login.role),
                ("VAULT_K8S_TOKEN_PATH", login.jwt.to_str().unwrap()),
                ("VAULT_AGENT_PATH_PREFIX", &corner.name),
                ("AGENT_TOKEN", "given"),
            ];
            let with = |more: &[(&'static str, &'static str)]| [&vault[..], more].concat();
            run_again(&test, &with(&[(CASE, "default")]));
            run_again(&test, &with(&[(CASE, "d1"), ("DEPLOYMENT_HASH", "d1")]));
            run_again(&test, &[(CASE, "static"), ("AGENT_TOKEN", "given")]);
            let faulty = [(CASE, "faulty"), ("VAULT_ADDR", "ftp://x"), ("VAULT_TIMEOUT", "soon")];
            run_again(&test, &[&faulty[..], &[("DEPLOYMENT_HASH", "a/b")]].concat());
            run_again(&test, &[(CASE, "nothing")]);
            let away = format!("http://127.77.3.9:{}", 9);
            let settings = [(CASE, "away"), ("VAULT_ADDR", &*away), ("VAULT_TOKEN", "hvs.x"), ("AGENT_TOKEN", "given")];
            run_again(&test, &[&settings[..], &[("VAULT_AGENT_PATH_PREFIX", "panel")]].concat());
        }),
        Ok("default") => assert_eq!(of("default", &unique()), "of-default"),
        Ok("d1") => assert_eq!(of("d1", &unique()), "of-d1"),
        Ok("static") => {
            let agent = AgentToken::from_env().unwrap();
            assert_eq!(state(&agent), ("given".into(), Source::Static, HealthStatus::Ok, None, None, 0));
        }
        Ok("away") => {
            let agent = AgentToken::from_env().unwrap();
            assert_eq!(state(&agent), ("given".into(), Source::Static, HealthStatus::Failing, Some(false), None, 0));
        }
        Ok("faulty") => {
            let said = AgentToken::from_env().unwrap_err().to_string();
            for name in ["VAULT_ADDR", "VAULT_TIMEOUT", "DEPLOYMENT_HASH", "VAULT_AGENT_PATH_PREFIX"] {
                assert_eq!(said.lines().filter(|line| line.starts_with(name)).count(), 1, "{name}: {said}");
            }
        }
        Ok(_) => {
            let error = AgentToken::from_env().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings);
            assert!(error.to_string().contains("AGENT_TOKEN"), "{error}");
        }
    }
}
