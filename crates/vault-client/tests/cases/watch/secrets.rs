//! Many secrets behind one handle: read once, kept current, counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use serde_json::json;
use vault_client::{Cas, ErrorKind, Event, Every, Observer, Secrets, VaultClient};
use vault_testkit::raw::{Gate, READ, Raw, Reply};

use super::scripted::{client, reads, version};
use super::{quick, seldom};
use crate::support::{run_again, with_corner};

/// The secrets of a scripted server.
fn of(raw: &Raw) -> Secrets {
    Secrets::new(client(raw).0.kv("kv"), seldom())
}

#[test]
fn sixteen_first_callers_share_one_read() {
    let gate = Gate::default();
    let raw = Raw::start([(READ, vec![version(1, 1, &json!({"K": "v"})).held(&gate)])]);
    let (secrets, ready) = (of(&raw), Barrier::new(17));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                ready.wait();
                assert_eq!(secrets.get("shop/app", "K").unwrap().expose(), "v");
            });
        }
        ready.wait();
        vault_testkit::eventually("one of them reads", || reads(&raw) == 1);
        // Nobody has asked for it to the end yet.
        assert!(secrets.health("shop/app").is_none());
        gate.open();
    });
    // Slashes at the ends are none of the path's.
    assert_eq!(secrets.get("/shop/app/", "K").unwrap().expose(), "v");
    assert_eq!((reads(&raw), secrets.health("shop/app").unwrap().version), (1, Some(1)));
}

/// Waits until as many threads of this process as are named so wait for something.
fn await_waiting(name: &str, count: usize) {
    vault_testkit::eventually("they wait", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
        stats.filter(|stat| stat.contains(&format!("({name}) S"))).count() == count
    });
}

#[test]
fn a_first_read_that_fails_is_shared_by_those_who_wait_and_tried_again_by_the_next() {
    let gate = Gate::default();
    let denied = Reply::json(400, &json!({"errors": ["no"]})).held(&gate);
    let raw = Raw::start([(READ, vec![denied, version(1, 1, &json!({"K": "v"}))])]);
    let secrets = of(&raw);
    let (began, kinds) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let get = || {
            began.fetch_add(1, Ordering::SeqCst);
            let kind = secrets.get("shop/app", "K").unwrap_err().kind();
            kinds.lock().unwrap().push(kind);
        };
        scope.spawn(get);
        vault_testkit::eventually("the first one reads", || reads(&raw) == 1);
        for _ in 0..7 {
            std::thread::Builder::new().name("waits-for-first".into()).spawn_scoped(scope, get).unwrap();
        }
        vault_testkit::eventually("the others ask", || began.load(Ordering::SeqCst) == 8);
        await_waiting("waits-for-first", 7);
        gate.open();
    });
    assert_eq!((kinds.into_inner().unwrap(), reads(&raw)), (vec![ErrorKind::Rejected; 8], 1));
    assert!(secrets.health("shop/app").is_none());
    assert_eq!(secrets.get("shop/app", "K").unwrap().expose(), "v");
    assert_eq!(reads(&raw), 2);
}

/// Panics at the first read.
#[derive(Default)]
struct PanicsOnce(AtomicUsize);

impl Observer for PanicsOnce {
    fn note(&self, event: &Event<'_>) {
        let is_read = matches!(event, Event::Done { step: vault_client::Step::Read { .. }, .. });
        assert!(!is_read || self.0.fetch_add(1, Ordering::Relaxed) > 0, "an observer's own fault");
    }
}

#[test]
fn a_first_read_that_panics_is_made_by_one_of_those_who_wait() {
    let gate = Gate::default();
    let raw = Raw::start([(READ, vec![version(1, 1, &json!({"K": "v"})).held(&gate)])]);
    let builder = VaultClient::builder().address(&raw.addr()).token("hvs.given").limits(quick()).ignore_environment();
    let secrets = Secrets::new(builder.observer(PanicsOnce::default()).build().unwrap().kv("kv"), seldom());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| secrets.get("shop/app", "K").map(drop));
        vault_testkit::eventually("the first one reads", || reads(&raw) == 1);
        let others = [(); 3].map(|()| {
            let waits = std::thread::Builder::new().name("waits-for-panic".into());
            waits.spawn_scoped(scope, || secrets.get("shop/app", "K").unwrap().expose().to_owned()).unwrap()
        });
        await_waiting("waits-for-panic", 3);
        gate.open();
        assert!(first.join().is_err());
        assert_eq!(others.map(|it| it.join().unwrap()), ["v"; 3]);
    });
    assert_eq!(reads(&raw), 2);
}

#[test]
fn each_kind_of_value_is_given_and_a_key_that_is_missing_is_an_error_without_a_request() {
    let data = r#"{"text":"a\nb","empty":"","number":1.50,"list":[1, {"a":null}],"no":null}"#;
    let raw = Raw::start([(READ, vec![Reply::secret(data)])]);
    let secrets = of(&raw);
    for (key, value) in
        [("text", "a\nb"), ("empty", ""), ("number", "1.50"), ("list", r#"[1,{"a":null}]"#), ("no", "null")]
    {
        assert_eq!(secrets.get("shop/app", key).unwrap().expose(), value);
    }
    let error = secrets.get("shop/app", "absent").unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Shape, false));
    assert!(error.to_string().contains("absent"), "{error}");
    assert_eq!((reads(&raw), secrets.read("shop/app").unwrap().data.len()), (1, 5));
}

#[test]
fn a_path_has_the_interval_of_its_longest_prefix_and_every_change_is_counted() {
    with_corner("a_path_has_the_interval_of_its_longest_prefix_and_every_change_is_counted", |corner| {
        let kv = corner.client().kv(&corner.name);
        let write = |path: &str, value| drop(kv.write(path, &json!({"K": value}), Cas::Any).unwrap());
        let paths = ["shop/a", "shop/slow/b", "other"];
        let write_all = |value| paths.iter().for_each(|path| write(path, value));
        write_all("one");
        let secrets = Secrets::new(kv.clone(), seldom());
        let secrets = secrets.with_every("/shop/", Every::seconds(1)).with_every("shop/slow", seldom());
        for path in paths {
            assert_eq!(secrets.get(path, "K").unwrap().expose(), "one");
        }
        assert_eq!(secrets.version(), 0);
        write_all("two");
        let clone = secrets.clone();
        vault_testkit::eventually("the quick one changes", || clone.version() == 1);
        let now = paths.map(|path| secrets.get(path, "K").unwrap().expose().to_owned());
        assert_eq!(now, ["two", "one", "one"]);
        write("shop/a", "three");
        vault_testkit::eventually("it changes again", || secrets.version() == 2);
        assert_eq!(paths[1..].iter().map(|path| secrets.health(path).unwrap().refreshes).sum::<u64>(), 0);
    });
}

const WITHOUT: &str = "SECRETS_OF";

/// Run again by itself, with an environment of its own.
#[test]
fn without_vault_each_get_is_an_error_of_the_settings_and_with_it_the_environment_counts() {
    const NAME: &str = "without_vault_each_get_is_an_error_of_the_settings_and_with_it_the_environment_counts";
    match std::env::var(WITHOUT).as_deref() {
        Err(_) => {
            let raw = Raw::start([]);
            let test = format!("cases::watch::secrets::{NAME}");
            run_again(&test, &[(WITHOUT, "none")]);
            run_again(&test, &[(WITHOUT, "vault"), ("VAULT_ADDRESS", &raw.addr()), ("VAULT_TOKEN", "hvs.given")]);
            run_again(&test, &[(WITHOUT, "faulty"), ("VAULT_ADDR", "ftp://x"), ("VAULT_TIMEOUT", "soon")]);
            assert_eq!(reads(&raw), 1);
        }
        Ok("none") => {
            let secrets = Secrets::from_env("kv", seldom()).unwrap();
            for _ in 0..2 {
                let error = secrets.get("shop/app", "A").unwrap_err();
                assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Settings, false));
                assert!(error.to_string().contains("VAULT_ADDR"), "{error}");
            }
            assert_eq!((secrets.version(), secrets.health("shop/app")), (0, None));
        }
        Ok("vault") => {
            let secrets = Secrets::from_env("kv", seldom()).unwrap();
            assert_eq!(secrets.get("shop/app", "A").unwrap().expose(), "a-raw-secret");
        }
        Ok(_) => {
            let error = Secrets::from_env("kv", seldom()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings);
            assert!(["VAULT_ADDR", "VAULT_TIMEOUT"].iter().all(|name| error.to_string().contains(name)), "{error}");
        }
    }
}
