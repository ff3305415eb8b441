//! The cache with reads that are made up.

mod paths;
mod property;

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use vault_testkit::eventually;

use super::*;
use crate::problem::Kind;

/// A value: a text that takes as many bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text(pub String);

impl Weighed for Text {
    fn bytes(&self) -> usize {
        self.0.len()
    }
}

pub(super) const MINUTE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(1);

pub(super) fn limits() -> CacheLimits {
    CacheLimits { ttl: MINUTE, max_bytes: 1 << 20, negative_ttl: MINUTE, stale_if_error: Duration::ZERO }
}

/// A tenant's place in an empty cache.
fn place(limits: CacheLimits) -> Place<Text> {
    Place::new(&Arc::new(Cache::new(limits, None)), "", "kv", &Arc::new(Owner::new("team-a")))
}

/// Another tenant's place in the same cache.
fn beside(place: &Place<Text>, tenant: &str) -> Place<Text> {
    Place::new(place.cache(), "", "kv", &Arc::new(Owner::new(tenant)))
}

type Read = Result<Found<Text>, Failure>;

#[allow(clippy::unnecessary_wraps, reason = "a read returns it so")]
pub(super) fn present(text: &str) -> Read {
    Ok(Found::Present(Arc::new(Text(text.to_owned()))))
}

#[allow(clippy::unnecessary_wraps, reason = "a read returns it so")]
pub(super) fn absent() -> Read {
    Ok(Found::Absent(Problem::new(Kind::NotFound, "nothing is there")))
}

fn failed(kind: Kind) -> Read {
    let (away, denied) = (kind == Kind::Unavailable, kind == Kind::UpstreamDenied);
    Err(Failure { problem: Problem::new(kind, ""), away, denied })
}

/// In a word: a value, or the kind of a problem.
pub(super) fn word(done: &Result<(Found<Text>, Instant), Failure>) -> String {
    match done {
        Ok((Found::Present(text), _)) => text.0.clone(),
        Ok((Found::Absent(problem), _)) => problem.kind.word().to_owned(),
        Err(failure) => failure.problem.kind.word().to_owned(),
    }
}

/// Looks `a` up; a read, if there is one, comes to `read`.
async fn look(place: &Place<Text>, read: Read) -> (String, Lookup) {
    look_at(place, "a", None, read).await
}

async fn look_at(place: &Place<Text>, path: &str, version: Option<u64>, read: Read) -> (String, Lookup) {
    let (done, lookup) = place.look_up(path, version, false, || async { read }).await;
    (word(&done), lookup)
}

async fn refresh(place: &Place<Text>, read: Read) -> (String, Lookup) {
    let (done, lookup) = place.look_up("a", None, true, || async { read }).await;
    (word(&done), lookup)
}

fn told(word: &str, lookup: Lookup) -> (String, Lookup) {
    (word.to_owned(), lookup)
}

/// Waits until what was read at `began` is older than `age`.
fn let_pass(began: Instant, age: Duration) {
    eventually("time goes by", || began.elapsed() > age);
}

#[tokio::test]
async fn what_was_read_once_comes_from_the_cache_by_path_and_version() {
    let place = place(limits());
    assert_eq!(look(&place, present("one")).await, told("one", Lookup::Miss));
    assert_eq!(look(&place, present("two")).await, told("one", Lookup::Hit));
    assert_eq!(look_at(&place, "a", Some(1), present("of 1")).await, told("of 1", Lookup::Miss));
    assert_eq!(look_at(&place, "a", Some(1), present("two")).await, told("of 1", Lookup::Hit));
    assert_eq!(look_at(&place, "a/b", None, present("below")).await, told("below", Lookup::Miss));
    assert_eq!(look(&place, present("two")).await, told("one", Lookup::Hit));
}

#[tokio::test]
async fn tenants_of_one_mount_share_what_was_read_and_other_mounts_and_namespaces_do_not() {
    let place = place(limits());
    look(&place, present("one")).await;
    assert_eq!(look(&beside(&place, "team-b"), present("two")).await, told("one", Lookup::Hit));
    for (namespace, mount) in [("", "kv2"), ("n", "kv"), ("k", "v")] {
        let other = Place::new(place.cache(), namespace, mount, &Arc::new(Owner::new("team-c")));
        assert_eq!(look(&other, present("other")).await, told("other", Lookup::Miss), "{namespace} {mount}");
    }
}

#[tokio::test]
async fn absence_is_kept_as_long_as_it_may_be_and_failures_are_not() {
    let long = place(limits());
    assert_eq!(look(&long, absent()).await, told("not-found", Lookup::Miss));
    assert_eq!(look(&long, present("one")).await, told("not-found", Lookup::Hit));
    let never = place(CacheLimits { negative_ttl: Duration::ZERO, ..limits() });
    assert_eq!(look(&never, absent()).await, told("not-found", Lookup::Miss));
    for kind in [Kind::Unavailable, Kind::UpstreamDenied, Kind::UpstreamIdentity, Kind::Timeout] {
        assert_eq!(look(&never, failed(kind)).await, told(kind.word(), Lookup::Miss));
    }
    assert_eq!(look(&never, present("one")).await, told("one", Lookup::Miss));
}

#[tokio::test]
async fn without_a_ttl_each_caller_reads() {
    let place = place(CacheLimits { ttl: Duration::ZERO, ..limits() });
    assert_eq!(look(&place, present("one")).await, told("one", Lookup::Bypass));
    assert_eq!(look(&place, present("two")).await, told("two", Lookup::Bypass));
    assert_eq!(place.cache().entries.iter().count(), 0);
}

#[tokio::test]
async fn fifty_callers_make_one_read_and_it_goes_on_where_the_first_leaves() {
    let place = place(limits());
    let (reads, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let begin = || {
        let (reads, gate) = (Arc::clone(&reads), Arc::clone(&gate));
        async move {
            reads.fetch_add(1, Ordering::SeqCst);
            gate.notified().await;
            present("one")
        }
    };
    let mut callers: Vec<_> = (0..50).map(|_| Box::pin(place.look_up("a", None, false, begin))).collect();
    for caller in &mut callers {
        assert!(caller.now_or_never().is_none());
    }
    drop(callers.remove(0));
    for caller in &mut callers {
        assert!(caller.now_or_never().is_none());
    }
    gate.notify_one();
    for caller in callers {
        let (done, lookup) = caller.await;
        assert_eq!((word(&done), lookup), told("one", Lookup::Miss));
    }
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    assert!(place.cache().flights.is_empty());
    assert_eq!(look(&place, present("two")).await, told("one", Lookup::Hit));
}

#[tokio::test]
async fn a_read_ends_when_all_its_callers_have_left() {
    struct Given(Arc<AtomicBool>);
    impl Drop for Given {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (place, ended) = (place(limits()), Arc::new(AtomicBool::new(false)));
    let begin = || {
        let given = Given(Arc::clone(&ended));
        async move {
            let _given = given;
            pending::<Read>().await
        }
    };
    let mut callers = [0, 1].map(|_| Box::pin(place.look_up("a", None, false, begin)));
    for caller in &mut callers {
        assert!(caller.now_or_never().is_none());
    }
    let [first, second] = callers;
    drop(first);
    assert!(!ended.load(Ordering::SeqCst));
    drop(second);
    assert!(ended.load(Ordering::SeqCst) && place.cache().flights.is_empty());
    assert_eq!(look(&place, present("one")).await, told("one", Lookup::Miss));
}

#[tokio::test]
async fn a_read_that_began_before_a_write_is_neither_kept_nor_given_to_who_comes_after_it() {
    let place = place(limits());
    let gate = Notify::new();
    let gate = Arc::new(gate);
    let begin = || {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            present("old")
        }
    };
    let mut before = Box::pin(place.look_up("a", None, false, begin));
    assert!((&mut before).now_or_never().is_none());
    place.purge("a").await;
    assert_eq!(look(&place, present("new")).await, told("new", Lookup::Miss));
    gate.notify_one();
    let (done, lookup) = before.await;
    assert_eq!((word(&done), lookup), told("old", Lookup::Miss));
    assert_eq!(look(&place, present("newer")).await, told("new", Lookup::Hit));
}

#[tokio::test]
async fn a_purge_takes_every_version_and_the_absence_out_of_memory_and_leaves_other_paths() {
    let place = place(limits());
    look(&place, absent()).await;
    look_at(&place, "a", Some(1), present("one")).await;
    look_at(&place, "a", Some(900), present("two")).await;
    look_at(&place, "a/b", None, present("other")).await;
    place.purge("a").await;
    place.cache().tidy().await;
    assert_eq!(place.cache().stats(), Stats { entries: 1, bytes: 256 + 3 + 5 });
    for version in [None, Some(1), Some(900)] {
        assert_eq!(look_at(&place, "a", version, present("new")).await, told("new", Lookup::Miss));
    }
    assert_eq!(look_at(&place, "a/b", None, present("new")).await, told("other", Lookup::Hit));
}

#[tokio::test]
async fn a_value_is_dropped_when_it_goes() {
    let place = place(limits());
    let value = Arc::new(Text("one".into()));
    let watched = Arc::downgrade(&value);
    place.look_up("a", None, false, || async { Ok(Found::Present(value)) }).await.0.map(drop).unwrap();
    assert!(watched.upgrade().is_some());
    place.purge("a").await;
    place.cache().tidy().await;
    // It goes with the next rounds of the reclamation below, which other uses drive.
    let mut rounds = 0;
    while watched.upgrade().is_some() {
        rounds += 1;
        assert!(rounds < 10_000, "it stays");
        look_at(&place, "b", Some(rounds), present("x")).await;
        place.cache().tidy().await;
    }
}

#[tokio::test]
async fn a_refresh_reads_and_is_kept_unless_a_later_read_is_there() {
    let place = place(limits());
    look(&place, present("one")).await;
    assert_eq!(refresh(&place, present("two")).await, told("two", Lookup::Bypass));
    assert_eq!(look(&place, present("three")).await, told("two", Lookup::Hit));
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let begin = || async move {
        held.notified().await;
        present("slow")
    };
    let mut slow = Box::pin(place.look_up("a", None, true, begin));
    assert!((&mut slow).now_or_never().is_none());
    refresh(&place, present("four")).await;
    gate.notify_one();
    assert_eq!(word(&slow.await.0), "slow");
    assert_eq!(look(&place, present("five")).await, told("four", Lookup::Hit));
    // An absence that may not be kept takes the value away all the same.
    let never = self::place(CacheLimits { negative_ttl: Duration::ZERO, ..limits() });
    look(&never, present("one")).await;
    refresh(&never, absent()).await;
    assert_eq!(look(&never, present("two")).await, told("two", Lookup::Miss));
}

#[tokio::test]
async fn what_is_too_old_is_served_only_while_vault_is_away_and_only_so_long() {
    let short = CacheLimits { ttl: MOMENT, ..limits() };
    let stale = place(CacheLimits { stale_if_error: MINUTE, ..short });
    look(&stale, present("one")).await;
    let_pass(Instant::now(), MOMENT);
    assert_eq!(look(&stale, failed(Kind::Unavailable)).await, told("one", Lookup::Stale));
    assert_eq!(look(&stale, failed(Kind::UpstreamInvalid)).await, told("upstream-invalid", Lookup::Miss));
    assert_eq!(look(&stale, present("two")).await, told("two", Lookup::Miss));
    let_pass(Instant::now(), MOMENT);
    // A refresh and a denial are no reason to serve what is old; a denial takes it away.
    assert_eq!(refresh(&stale, failed(Kind::Unavailable)).await, told("unavailable", Lookup::Bypass));
    assert_eq!(look(&stale, failed(Kind::UpstreamDenied)).await, told("upstream-denied", Lookup::Miss));
    assert_eq!(look(&stale, failed(Kind::Unavailable)).await, told("unavailable", Lookup::Miss));
    // Nor is an absence served.
    let absent_one = place(CacheLimits { negative_ttl: MOMENT, stale_if_error: MINUTE, ..short });
    look(&absent_one, absent()).await;
    let_pass(Instant::now(), MOMENT);
    assert_eq!(look(&absent_one, failed(Kind::Unavailable)).await, told("unavailable", Lookup::Miss));
    // Without the setting, and after its time, nothing old is served.
    for stale_if_error in [Duration::ZERO, MOMENT] {
        let place = place(CacheLimits { stale_if_error, ..short });
        look(&place, present("one")).await;
        let_pass(Instant::now(), 3 * MOMENT);
        assert_eq!(look(&place, failed(Kind::Unavailable)).await, told("unavailable", Lookup::Miss));
    }
}

#[tokio::test]
async fn a_lost_identity_takes_with_it_what_it_has_read_and_is_reading() {
    let place = place(limits());
    let other = beside(&place, "team-b");
    look(&place, present("one")).await;
    look_at(&other, "b", None, present("other")).await;
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let begin = || async move {
        held.notified().await;
        present("late")
    };
    let mut late = Box::pin(place.look_up("c", None, false, begin));
    assert!((&mut late).now_or_never().is_none());
    place.owner.lose();
    gate.notify_one();
    assert_eq!(word(&late.await.0), "late");
    place.cache().tidy().await;
    assert_eq!(place.cache().stats().entries, 1);
    for path in ["a", "c"] {
        assert_eq!(look_at(&place, path, None, present("new")).await, told("new", Lookup::Miss));
    }
    assert_eq!(look_at(&place, "b", None, present("new")).await, told("other", Lookup::Hit));
}

#[tokio::test]
async fn a_tenant_with_a_new_identity_begins_with_nothing() {
    let place = place(limits());
    look(&place, present("one")).await;
    assert_eq!(look(&beside(&place, "team-a"), present("two")).await, told("two", Lookup::Miss));
}

#[tokio::test]
async fn the_failure_of_another_identity_is_not_shared() {
    let place = place(limits());
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let begin = || async move {
        held.notified().await;
        failed(Kind::UpstreamIdentity)
    };
    let mut first = Box::pin(place.look_up("a", None, false, begin));
    assert!((&mut first).now_or_never().is_none());
    let other = beside(&place, "team-b");
    let mut second = Box::pin(look(&other, present("one")));
    assert!((&mut second).now_or_never().is_none());
    gate.notify_one();
    assert_eq!(word(&first.await.0), "upstream-identity");
    assert_eq!(second.await, told("one", Lookup::Miss));
}

#[tokio::test]
async fn values_and_absences_take_no_more_memory_than_they_may() {
    let place = place(CacheLimits { max_bytes: 100 * 300, ..limits() });
    for n in 0..1000 {
        let path = format!("p/{n}");
        look_at(&place, &path, None, if n % 2 == 0 { absent() } else { present(&"x".repeat(40)) }).await;
    }
    place.cache().tidy().await;
    let Stats { entries, bytes } = place.cache().stats();
    assert!((50..=120).contains(&entries) && bytes <= 30_000, "{entries} {bytes}");
    // What is larger than all of it is not kept.
    look_at(&place, "large", None, present(&"x".repeat(40_000))).await;
    place.cache().tidy().await;
    assert!(place.cache().stats().bytes <= 30_000);
}
