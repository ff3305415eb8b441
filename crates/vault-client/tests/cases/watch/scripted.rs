//! What no real server can be made to do.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_client::kv::Location;
use vault_client::watch::Outcome;
use vault_client::{ErrorKind, Event, Every, HealthStatus, Limits, Observer, Step, VaultClient, Watched};
use vault_testkit::raw::{LOOK_UP, READ, Raw, Reply};

use super::{PATIENCE, Told, failure, quick, seldom, state};

/// Version `number` of the secret, written so many seconds after some moment.
pub(super) fn version(number: u64, second: u64, data: &Value) -> Reply {
    let created = format!("2026-01-02T{:02}:{:02}:{:02}.5Z", second / 3600, second / 60 % 60, second % 60);
    let metadata = json!({"created_time": created, "deletion_time": "", "destroyed": false, "version": number});
    Reply::json(200, &json!({"data": {"data": data, "metadata": metadata}}))
}

/// The same, with a value that tells which one it is.
fn k(number: u64, second: u64) -> Reply {
    version(number, second, &json!({"K": format!("{number} of {second}")}))
}

fn error(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({"errors": [text]}))
}

/// A client of it, with a token that was handed in.
pub(super) fn client(raw: &Raw) -> (VaultClient, Told) {
    let told = Told::default();
    let builder = VaultClient::builder().address(&raw.addr()).token("hvs.given").limits(quick()).ignore_environment();
    (builder.observer(told.clone()).build().unwrap(), told)
}

/// How often the secret was asked for.
pub(super) fn reads(raw: &Raw) -> usize {
    raw.requests().iter().filter(|it| it.contains(READ)).count()
}

/// The secret of a server that gives these answers, watched.
fn watched(replies: Vec<Reply>) -> (Raw, Watched, Told) {
    let raw = Raw::start([(READ, replies)]);
    let (client, told) = client(&raw);
    let watched = client.kv("kv").watch("shop/app", seldom()).unwrap();
    (raw, watched, told)
}

fn text(watched: &Watched) -> String {
    watched.current().text("K").unwrap().to_owned()
}

#[test]
fn a_node_that_lags_behind_is_no_change_and_a_backup_that_was_restored_is_one() {
    let replies = vec![k(3, 30), k(4, 40), k(3, 30), k(4, 40), k(3, 30), k(2, 20), k(2, 20), k(3, 50)];
    let (_raw, watched, told) = watched(replies);
    let seen: Vec<_> = (0..7)
        .map(|_| {
            watched.refresh().unwrap();
            text(&watched)
        })
        .collect();
    let four = "4 of 40";
    assert_eq!(seen, [four, four, four, four, four, "2 of 20", "3 of 50"]);
    let changed = |from, to| (Outcome::Changed, Some(from), Some(to));
    assert_eq!(told.take(), [changed(3, 4), changed(4, 2), changed(2, 3)]);
    assert_eq!(state(&watched), (HealthStatus::Ok, Some(true), Some(3), 7, 0));
}

#[test]
fn each_fault_is_one_try_without_a_pause_and_is_told_once() {
    let later = |status, body: &str| {
        Reply::with(status, "Content-Type: application/json\r\nRetry-After: 30\r\n", body.as_bytes())
    };
    let upgrading =
        "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period";
    let cases: Vec<(Vec<Reply>, ErrorKind)> = vec![
        (vec![later(429, r#"{"errors":["request path \"kv\": rate limit quota exceeded"]}"#)], ErrorKind::RateLimited),
        (vec![later(429, r#"{"errors":[]}"#)], ErrorKind::NotReady),
        (vec![later(503, r#"{"errors":["Vault is sealed"]}"#)], ErrorKind::NotReady),
        (vec![error(400, upgrading)], ErrorKind::NotReady),
        (vec![error(412, "required index state not present")], ErrorKind::NotReady),
        (vec![error(500, "internal error")], ErrorKind::NotReady),
        (vec![Reply::with(502, "Content-Type: text/html\r\n", b"<html>")], ErrorKind::NotReady),
        (vec![Reply::Reset(Vec::new())], ErrorKind::Unreachable),
        (
            vec![Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"data\":".to_vec())],
            ErrorKind::Unreachable,
        ),
    ];
    for (mut replies, kind) in cases {
        replies.insert(0, k(1, 10));
        let (raw, watched, told) = watched(replies);
        let begun = Instant::now();
        for _ in 0..3 {
            assert_eq!(failure(&watched).0, kind);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{kind:?}: {:?}", begun.elapsed());
        assert_eq!((reads(&raw), state(&watched).4, text(&watched).as_str()), (4, 3, "1 of 10"), "{kind:?}");
        raw.script(READ, vec![k(1, 10)]);
        watched.refresh().unwrap();
        assert_eq!(
            told.take(),
            [(Outcome::Failing, Some(1), None), (Outcome::Recovered, Some(1), Some(1))],
            "{kind:?}"
        );
    }
}

#[test]
fn a_server_that_says_nothing_or_little_costs_one_limit_and_not_the_value() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    for reply in [Reply::Hang(Vec::new()), Reply::Drip(answer, vec![b'x'; 5000])] {
        let raw = Raw::start([(READ, vec![k(1, 10), reply])]);
        let limits = Limits { request: Duration::from_millis(200), ..quick() };
        let client = VaultClient::builder().address(&raw.addr()).token("hvs.given").limits(limits);
        let client = client.ignore_environment().build().unwrap();
        let watched = client.kv("kv").watch("shop/app", seldom()).unwrap();
        let begun = Instant::now();
        assert_eq!(failure(&watched).0, ErrorKind::Unreachable);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!((reads(&raw), text(&watched).as_str()), (2, "1 of 10"));
    }
}

/// Whether this machine has an open connection to `port`, as its client.
fn is_connected(port: u16) -> bool {
    let [remote, established] = [format!("0100007F:{port:04X}"), "01".to_owned()];
    let all = std::fs::read_to_string("/proc/net/tcp").unwrap();
    all.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .any(|it| it[2] == remote && it[3] == established)
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_is_no_failure() {
    let close = |number| match k(number, number) {
        Reply::Bytes(bytes) => Reply::Last(bytes),
        other => other,
    };
    let (raw, watched, told) = watched((1..=4).map(close).collect());
    for _ in 0..3 {
        vault_testkit::eventually("the close has arrived", || !is_connected(raw.port()));
        watched.refresh().unwrap();
    }
    assert_eq!((reads(&raw), told.take().len(), text(&watched).as_str()), (4, 3, "4 of 4"));
}

#[test]
fn a_denied_read_asks_once_whether_the_token_lives_and_no_more() {
    let raw = Raw::start([(READ, vec![k(1, 10), error(403, "permission denied")])]);
    let alive =
        json!({"data": {"ttl": 0, "expire_time": null, "renewable": false, "policies": ["p"], "type": "service"}});
    raw.script(LOOK_UP, vec![Reply::json(200, &alive)]);
    let jwt = vault_testkit::scratch(&vault_testkit::unique()).join("jwt");
    std::fs::write(&jwt, vault_testkit::jwt::Jwt::default().encode()).unwrap();
    let login = vault_client::Kubernetes { mount: "kubernetes".into(), role: "r".into(), jwt, revoke: true };
    let client = VaultClient::builder().address(&raw.addr()).login(login).limits(quick()).ignore_environment();
    let watched = client.build().unwrap().kv("kv").watch("shop/app", seldom()).unwrap();
    for _ in 0..5 {
        assert_eq!(failure(&watched).0, ErrorKind::Denied);
    }
    let count = |what: &str| raw.requests().iter().filter(|it| it.contains(what)).count();
    assert_eq!([count(READ), count(LOOK_UP), count("login")], [6, 5, 1]);
}

#[test]
fn a_version_that_is_judged_by_its_taker_is_watched_too() {
    let twice = br#"{"data":{"data":{"A":"x","A":"a-hidden-value"},"metadata":{"created_time":"2026-01-02T03:04:05Z","version":2}}}"#;
    let twice = Reply::with(200, "Content-Type: application/json\r\n", twice);
    let raw = Raw::start([(READ, vec![k(1, 10), twice, k(3, 30)])]);
    let (client, told) = client(&raw);
    let location = Location { mount: "kv".into(), path: "shop/app".into(), version: None };
    let watched = client.watch_version(&location, seldom()).unwrap();
    let held = |number| {
        let current = watched.current();
        let data = current.data.as_ref().unwrap();
        (current.number, data.string("K").unwrap().to_string()) == (number, format!("{number} of {number}0"))
    };
    assert!(held(1));
    assert_eq!(failure(&watched), (ErrorKind::Shape, None, None));
    let said = watched.failing().unwrap().to_string();
    assert!(said.contains('A') && !said.contains("a-hidden-value"), "{said}");
    assert!(held(1));
    watched.refresh().unwrap();
    assert!(held(3));
    assert_eq!(told.take(), [(Outcome::Failing, Some(1), None), (Outcome::Changed, Some(1), Some(3))]);
}

/// Panics at each change.
struct Panics;

impl Observer for Panics {
    fn note(&self, event: &Event<'_>) {
        if matches!(event, Event::Watched { .. }) {
            panic!("an observer's own fault");
        }
    }
}

#[test]
fn an_observer_that_panics_ends_no_watch() {
    let raw = Raw::start([(READ, (1..=4).map(|number| k(number, number)).collect())]);
    let builder = VaultClient::builder().address(&raw.addr()).token("hvs.given").limits(quick()).ignore_environment();
    let client = builder.observer(Panics).build().unwrap();
    let watched = client.kv("kv").watch("shop/app", Every::seconds(1)).unwrap();
    let mut changes = watched.changes();
    for number in 2..=4 {
        assert_eq!(changes.next_within(PATIENCE).unwrap().metadata.version, number);
    }
    client.close();
    assert!(changes.next().is_none());
}

#[test]
fn a_change_that_nobody_has_taken_yet_is_not_lost_by_the_end_of_the_client() {
    let raw = Raw::start([(READ, vec![k(1, 10), k(2, 20)])]);
    let (client, _) = client(&raw);
    let watched = client.kv("kv").watch("shop/app", seldom()).unwrap();
    let mut changes = watched.changes();
    watched.refresh().unwrap();
    client.close();
    assert_eq!(changes.next().map(|it| it.metadata.version), Some(2));
    assert!(changes.next().is_none() && watched.changes().next().is_none());
}

/// Closes the client as soon as it has read.
#[derive(Clone, Default)]
struct Closes(Arc<OnceLock<VaultClient>>);

impl Observer for Closes {
    fn note(&self, event: &Event<'_>) {
        if let (Event::Done { step: Step::Read { .. }, .. }, Some(client)) = (event, self.0.get()) {
            client.close();
        }
    }
}

#[test]
fn a_client_that_is_closed_during_the_first_read_watches_nothing() {
    let raw = Raw::start([(READ, vec![k(1, 10)])]);
    let closes = Closes::default();
    let builder = VaultClient::builder().address(&raw.addr()).token("hvs.given").limits(quick()).ignore_environment();
    let client = builder.observer(closes.clone()).build().unwrap();
    closes.0.set(client.clone()).unwrap();
    assert_eq!(client.kv("kv").watch("shop/app", Every::seconds(1)).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn the_end_of_the_client_ends_a_refresh_under_way() {
    let raw = Raw::start([(READ, vec![k(1, 10), Reply::Hang(Vec::new())])]);
    let builder = VaultClient::builder().address(&raw.addr()).token("hvs.given").ignore_environment();
    let client = builder.build().unwrap();
    let watched = client.kv("kv").watch("shop/app", Every::seconds(1)).unwrap();
    vault_testkit::eventually("it is under way", || reads(&raw) == 2);
    let begun = Instant::now();
    client.close();
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert!(watched.changes().next().is_none());
    assert_eq!(state(&watched).4, 0);
}
