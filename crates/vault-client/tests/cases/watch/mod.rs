//! Secrets that stay current: what is a change, what is none, who is told, and what is left at the end.

mod agent_token;
mod leaks;
mod outages;
mod scripted;
mod secrets;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use vault_client::watch::{Audit, Kept, Outcome};
use vault_client::{Cas, ErrorKind, Event, Every, HealthStatus, Kv, Limits, MetadataOptions, Observer, Watched};
use vault_client::{Revoked, VaultClient};
use vault_testkit::raw::{READ, Raw};
use vault_testkit::server::{Kind, Listener, on};
use vault_testkit::tap::Tap;

use crate::support::{Corner, run_again, with_corner};

/// Long enough for every wait here.
const PATIENCE: Duration = Duration::from_secs(20);

/// So seldom that only what a test asks for is read.
fn seldom() -> Every {
    Every::seconds(3600)
}

/// Limits under which a fault is over soon.
fn quick() -> Limits {
    let [request, delay, whole] = [2000, 50, 4000].map(Duration::from_millis);
    Limits { request, delay, whole, ..Limits::default() }
}

/// What an observer is told of watched secrets.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Audit>>>);

impl Observer for Told {
    fn note(&self, event: &Event<'_>) {
        if let Event::Watched { audit, error } = event {
            assert_eq!(audit.cause, error.map(ToString::to_string));
            self.0.lock().unwrap().push((*audit).clone());
        }
    }
}

impl Told {
    /// What there is since the last call: what happened, and the versions from and to.
    fn take(&self) -> Vec<(Outcome, Option<u64>, Option<u64>)> {
        let all = std::mem::take(&mut *self.0.lock().unwrap());
        all.into_iter().map(|audit| (audit.outcome, audit.from, audit.to)).collect()
    }

    /// All of it as lines of an audit log, with the time and the age taken off.
    fn lines(&self) -> Vec<Value> {
        let line = |audit: &Audit| {
            let mut line = serde_json::to_value(audit).unwrap();
            let [time, age] = ["time", "age_seconds"].map(|name| line.as_object_mut().unwrap().remove(name).unwrap());
            assert!(humantime_like(&time) && age.is_u64(), "{time} {age}");
            line
        };
        self.0.lock().unwrap().iter().map(line).collect()
    }
}

/// Whether it is `2026-01-02T03:04:05.678Z`, or another time.
fn humantime_like(time: &Value) -> bool {
    time.as_str().is_some_and(|it| it.len() == 24 && it.ends_with('Z') && it.as_bytes()[10] == b'T')
}

/// How it is doing, without what depends on the clock: status, how the last refresh ended, version, refreshes, failures.
fn state<T: Kept>(watched: &Watched<T>) -> (HealthStatus, Option<bool>, Option<u64>, u64, u64) {
    let health = watched.health();
    (health.status, health.last_refresh_ok, health.version, health.refreshes, health.failures)
}

/// What a failed refresh comes to: its kind, status and version.
fn failure<T: Kept>(watched: &Watched<T>) -> (ErrorKind, Option<u16>, Option<u64>) {
    let error = watched.refresh().expect_err("an error");
    assert_eq!(watched.failing().map(|it| it.to_string()), Some(error.to_string()));
    (error.kind(), error.status(), error.version())
}

/// A KV mount with version 1 of `a`, K being `one`; the secret is watched by a client of this observer.
fn watched(corner: &Corner, told: &Told) -> (VaultClient, Kv, Watched) {
    let client = corner.builder().limits(quick()).observer(told.clone()).build().unwrap();
    let kv = client.kv(&corner.name);
    kv.write("a", &json!({"K": "one"}), Cas::New).unwrap();
    let watched = kv.watch("a", seldom()).unwrap();
    (client, kv, watched)
}

fn text(watched: &Watched) -> String {
    watched.current().text("K").unwrap().to_owned()
}

#[test]
fn a_change_is_swapped_in_and_the_one_before_is_there_for_a_while() {
    with_corner("a_change_is_swapped_in_and_the_one_before_is_there_for_a_while", |corner| {
        let told = Told::default();
        let (_client, kv, watched) = watched(corner, &told);
        assert_eq!(state(&watched), (HealthStatus::Ok, None, Some(1), 0, 0));
        assert!(watched.previous(PATIENCE).is_none());
        let held = watched.current();
        kv.write("a", &json!({"K": "two"}), Cas::Any).unwrap();
        watched.refresh().unwrap();
        assert_eq!((text(&watched).as_str(), held.text("K")), ("two", Some("one")));
        assert_eq!(watched.previous(PATIENCE).unwrap().text("K"), Some("one"));
        assert!(watched.previous(Duration::ZERO).is_none());
        watched.refresh().unwrap();
        assert_eq!(state(&watched), (HealthStatus::Ok, Some(true), Some(2), 2, 0));
        assert_eq!(told.take(), [(Outcome::Changed, Some(1), Some(2))]);
        // One that is not there, or denied, is loud at once.
        assert_eq!(kv.watch("none", seldom()).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn the_thread_brings_each_change_to_all_who_wait() {
    with_corner("the_thread_brings_each_change_to_all_who_wait", |corner| {
        let kv = corner.client().kv(&corner.name);
        kv.write("a", &json!({"K": "one"}), Cas::New).unwrap();
        let watched = kv.watch("a", Every::seconds(1)).unwrap();
        let (mut first, mut second) = (watched.changes(), watched.changes());
        for version in 2..4 {
            kv.write("a", &json!({"K": version.to_string()}), Cas::Any).unwrap();
            let waited = std::thread::scope(|scope| {
                [&mut first, &mut second].map(|changes| scope.spawn(|| changes.next())).map(|it| it.join().unwrap())
            });
            assert_eq!(waited.map(|it| it.unwrap().metadata.version), [version; 2]);
        }
        assert!(first.next_within(Duration::from_millis(10)).is_none());
    });
}

#[test]
fn other_metadata_of_the_same_version_is_no_change() {
    with_corner("other_metadata_of_the_same_version_is_no_change", |corner| {
        let told = Told::default();
        let (_client, kv, watched) = watched(corner, &told);
        let custom = Some([("owner".to_owned(), "shop".to_owned())].into());
        let options = MetadataOptions {
            custom_metadata: custom,
            delete_version_after: Some(Duration::from_secs(3600)),
            ..MetadataOptions::default()
        };
        let held = watched.current();
        kv.set_metadata("a", &options).unwrap();
        watched.refresh().unwrap();
        assert!(Arc::ptr_eq(&held, &watched.current()));
        assert_eq!((told.take(), watched.health().version), (vec![], Some(1)));
    });
}

#[test]
fn what_was_deleted_is_kept_and_told_once_and_its_return_is_no_change() {
    with_corner("what_was_deleted_is_kept_and_told_once_and_its_return_is_no_change", |corner| {
        let told = Told::default();
        let (_client, kv, watched) = watched(corner, &told);
        kv.write("a", &json!({"K": "two"}), Cas::Any).unwrap();
        watched.refresh().unwrap();
        told.take();
        kv.delete("a").unwrap();
        for _ in 0..3 {
            assert_eq!(failure(&watched), (ErrorKind::NotFound, Some(404), Some(2)));
        }
        assert_eq!(state(&watched), (HealthStatus::Failing, Some(false), Some(2), 4, 3));
        assert_eq!(told.take(), [(Outcome::Failing, Some(2), Some(2))]);
        assert_eq!(text(&watched), "two");
        kv.undelete("a", &[2]).unwrap();
        watched.refresh().unwrap();
        assert!(watched.failing().is_none());
        assert_eq!(state(&watched), (HealthStatus::Ok, Some(true), Some(2), 5, 3));
        assert_eq!(told.take(), [(Outcome::Recovered, Some(2), Some(2))]);
        kv.destroy("a", &[2]).unwrap();
        assert_eq!(failure(&watched), (ErrorKind::NotFound, Some(404), Some(2)));
        assert!(watched.failing().unwrap().to_string().ends_with("version 2 was destroyed"));
        assert_eq!((told.take(), text(&watched)), (vec![(Outcome::Failing, Some(2), Some(2))], "two".to_owned()));
        kv.write("a", &json!({"K": "three"}), Cas::Any).unwrap();
        watched.refresh().unwrap();
        assert_eq!((told.take(), text(&watched)), (vec![(Outcome::Changed, Some(2), Some(3))], "three".to_owned()));
    });
}

#[test]
fn a_secret_that_was_deleted_whole_and_written_anew_has_changed() {
    with_corner("a_secret_that_was_deleted_whole_and_written_anew_has_changed", |corner| {
        let told = Told::default();
        let (_client, kv, watched) = watched(corner, &told);
        kv.delete_all("a").unwrap();
        assert_eq!(failure(&watched), (ErrorKind::NotFound, Some(404), None));
        kv.write("a", &json!({"K": "anew"}), Cas::New).unwrap();
        watched.refresh().unwrap();
        assert_eq!((text(&watched).as_str(), watched.health().version), ("anew", Some(1)));
        // The same between two reads, and with a mount that is new.
        kv.delete_all("a").unwrap();
        kv.write("a", &json!({"K": "again"}), Cas::New).unwrap();
        watched.refresh().unwrap();
        assert_eq!(text(&watched), "again");
        corner.server.must("DELETE", &format!("sys/mounts/{}", corner.name), &Value::Null);
        let gone = failure(&watched).0;
        assert!(matches!(gone, ErrorKind::NotFound | ErrorKind::Rejected | ErrorKind::Denied), "{gone:?}");
        corner.server.mount_kv("", &corner.name, 2);
        kv.write("a", &json!({"K": "elsewhere"}), Cas::New).unwrap();
        watched.refresh().unwrap();
        assert_eq!((text(&watched).as_str(), watched.health().version), ("elsewhere", Some(1)));
        let (failing, changed) = ((Outcome::Failing, Some(1), None), (Outcome::Changed, Some(1), Some(1)));
        assert_eq!(told.take(), [failing, changed, changed, failing, changed]);
    });
}

#[test]
fn a_refresh_is_one_request_with_the_token_of_one_login() {
    with_corner("a_refresh_is_one_request_with_the_token_of_one_login", |corner| {
        let told = Told::default();
        let (client, _, watched) = watched(corner, &told);
        let all = || corner.server.asked(&corner.name).len();
        let before = all();
        (0..20).for_each(|_| watched.refresh().unwrap());
        assert_eq!((all() - before, corner.count("auth/kubernetes/login")), (20, 1));
        assert_eq!(client.close(), Revoked::Yes);
    });
}

const INLINE: &str = "WATCHES_INLINE_IN";

/// Run again by itself, with the environment that asks for reads without a token.
#[test]
fn a_refresh_uses_the_token_though_other_reads_bring_their_login_along() {
    const NAME: &str = "a_refresh_uses_the_token_though_other_reads_bring_their_login_along";
    if let Ok(mount) = std::env::var(INLINE) {
        let client = VaultClient::from_env().unwrap();
        assert_eq!(client.kv_read(&mount, "a").unwrap().text("K"), Some("v"));
        let watched = client.kv(&mount).watch("a", seldom()).unwrap();
        (0..3).for_each(|_| watched.refresh().unwrap());
        assert_eq!(client.close(), Revoked::Yes);
        return;
    }
    with_corner(NAME, |corner| {
        corner.server.write_secret("", &corner.name, "a", &json!({"K": "v"}));
        let tap = Tap::before(&corner.server.addr(Listener::Plain));
        let (address, login) = (format!("http://{}", tap.authority()), corner.login());
        let settings = [
            (INLINE, corner.name.as_str()),
            ("VAULT_ADDR", &address),
            ("VAULT_ROLE", &login.role),
            ("VAULT_K8S_TOKEN_PATH", login.jwt.to_str().unwrap()),
            ("VAULT_INLINE_AUTH", "true"),
        ];
        run_again(&format!("cases::watch::{NAME}"), &settings);
        let sent = tap.requests().concat().into_iter().map(|request| {
            let is_inline = request.iter().any(|line| line.starts_with("x-vault-inline-auth-path:"));
            (request[0].split(' ').nth(1).unwrap().replace(&corner.name, "NAME"), is_inline)
        });
        let mut sent: Vec<_> = sent.collect();
        sent.sort();
        let read = |inline| ("/v1/NAME/data/a".to_owned(), inline);
        let of_token = ["/v1/auth/kubernetes/login", "/v1/auth/token/revoke-self"].map(|path| (path.into(), false));
        let mut wanted = vec![read(false); 4];
        wanted.extend(of_token.into_iter().chain([read(true)]));
        wanted.sort();
        assert_eq!(sent, wanted);
    });
}

const LEFT: &str = "LEFT_BEHIND_BY_THE_WATCH_OF";

/// How many threads of this process have this name.
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|it| it.trim_end() == name).count()
}

/// Run again by itself, in a process whose threads and descriptors are its own.
#[test]
fn one_thread_reads_a_hundred_secrets_and_the_end_leaves_nothing() {
    const NAME: &str = "one_thread_reads_a_hundred_secrets_and_the_end_leaves_nothing";
    let Ok(given) = std::env::var(LEFT) else {
        return with_corner(NAME, |corner| {
            let kv = corner.client().kv(&corner.name);
            (0..100).for_each(|n| drop(kv.write(&n.to_string(), &json!({"K": n}), Cas::New).unwrap()));
            let login = corner.login();
            let given = format!("{} {} {}", corner.server.addr(Listener::Plain), login.role, login.jwt.display());
            run_again(&format!("cases::watch::{NAME}"), &[(LEFT, &given)]);
        });
    };
    let [address, role, jwt] = given.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let before = (count("fd"), count("task"));
    for closes in [true, false] {
        let login =
            vault_client::Kubernetes { mount: "kubernetes".into(), role: role.into(), jwt: jwt.into(), revoke: true };
        let client = VaultClient::builder().address(address).login(login).ignore_environment().build().unwrap();
        let kv = client.kv(role);
        let all: Vec<_> = (0..100).map(|n| kv.watch(&n.to_string(), Every::seconds(1)).unwrap()).collect();
        let is_read = |watched: &Watched| watched.health().refreshes > 0;
        vault_testkit::eventually("each was read again", || all.iter().all(is_read));
        assert_eq!(threads_named("vault-watch"), 1);
        assert!(all.iter().all(|watched| watched.health().failures == 0));
        let waiting = all[0].changes();
        if closes {
            let waiting = std::thread::spawn(move || waiting.count());
            assert_eq!(client.close(), Revoked::Yes);
            assert_eq!(waiting.join().unwrap(), 0);
            assert_eq!(threads_named("vault-watch"), 0);
            // Values in hand stay.
            assert_eq!(all[7].current().data.get("K").unwrap().json().expose(), "7");
            assert_eq!(kv.watch("0", Every::seconds(1)).unwrap_err().kind(), ErrorKind::Closed);
            assert_eq!(all[0].refresh().unwrap_err().kind(), ErrorKind::Closed);
            // The end of the client is no failure of a secret.
            assert!(all[0].failing().is_none() && all[0].health().failures == 0);
            drop(all);
        } else {
            drop((waiting, all));
            vault_testkit::eventually("nobody watches", || threads_named("vault-watch") == 0);
            assert!(client.kv_read(role, "0").is_ok(), "the client goes on");
            // It can be watched anew.
            let again = kv.watch("0", Every::seconds(1)).unwrap();
            vault_testkit::eventually("it is read again", || is_read(&again));
        }
        drop((client, kv));
        vault_testkit::eventually("all is given back", || (count("fd"), count("task")) == before);
    }
}

#[test]
fn no_reader_sees_a_mixed_value_while_500_are_swapped_in() {
    let replies = |number: u64| scripted::version(number, number, &json!({"A": number, "B": number}));
    let raw = Raw::start([(READ, (1..=501).map(replies).collect())]);
    let (client, _) = scripted::client(&raw);
    let watched = client.kv("kv").watch("shop/app", seldom()).unwrap();
    let reads = std::sync::atomic::AtomicUsize::new(0);
    let both = |data: &vault_client::KvData| {
        let [a, b] = ["A", "B"].map(|key| data.data.get(key).unwrap().json().expose().parse::<u64>().unwrap());
        assert_eq!((a, b), (data.metadata.version, data.metadata.version));
        a
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut last = 0;
                while last < 501 || reads.load(std::sync::atomic::Ordering::Relaxed) < 10_000 {
                    let (now, before) = watched.accepted(PATIENCE);
                    let now = both(&now);
                    // No change can come between the two.
                    assert_eq!(before.map_or(0, |before| both(&before)), now - 1);
                    assert!(now >= last);
                    last = both(&watched.current()).max(now);
                    reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
        (0..500).for_each(|_| watched.refresh().unwrap());
    });
    assert_eq!(state(&watched), (HealthStatus::Ok, Some(true), Some(501), 500, 0));
}

#[test]
fn a_short_lease_is_replaced_beside_the_refreshes() {
    on(Kind::OpenBao, "a_short_lease_is_replaced_beside_the_refreshes", |server| {
        let corner = Corner::of(server, &json!({"token_ttl": "2s", "token_max_ttl": "6s"}));
        let kv = corner.client().kv(&corner.name);
        kv.write("a", &json!({"K": "one"}), Cas::New).unwrap();
        let watched = kv.watch("a", Every::seconds(1)).unwrap();
        vault_testkit::eventually("four tokens were used", || corner.count("auth/kubernetes/login") >= 4);
        let (_, last, version, refreshes, failures) = state(&watched);
        assert_eq!((last, version, failures), (Some(true), Some(1), 0));
        assert!(refreshes >= 3, "{refreshes}");
        assert_eq!(corner.count("lookup-self"), 0);
    });
}
