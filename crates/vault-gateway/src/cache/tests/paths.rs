//! What one path loses, and what others keep.

use super::*;

#[tokio::test]
async fn what_is_refused_and_what_is_written_takes_nothing_from_another_path() {
    let place = place(limits());
    let other = beside(&place, "team-b");
    for n in 0..60 {
        look_at(&other, &format!("b/{n}"), None, present("one")).await;
    }
    for n in 0..600 {
        let path = format!("a/{n}");
        let refused = look_at(&place, &path, None, failed(Kind::UpstreamDenied)).await;
        assert_eq!(refused, told("upstream-denied", Lookup::Miss));
        place.purge(&path).await;
    }
    for n in 0..60 {
        let path = format!("b/{n}");
        assert_eq!(look_at(&other, &path, None, present("two")).await, told("one", Lookup::Hit), "{path}");
    }
    // What is neither read nor kept is not known.
    assert_eq!(place.realm.size(), (60, 60));
}

#[tokio::test]
async fn a_refusal_by_vault_takes_its_path_out_and_what_is_being_read_of_it_is_not_kept() {
    let place = place(limits());
    look(&place, present("one")).await;
    look_at(&place, "b", None, present("other")).await;
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let begin = || async move {
        held.notified().await;
        present("slow")
    };
    let mut slow = Box::pin(place.look_up("a", Some(1), false, begin));
    assert!((&mut slow).now_or_never().is_none());
    assert_eq!(refresh(&place, failed(Kind::UpstreamDenied)).await, told("upstream-denied", Lookup::Bypass));
    gate.notify_one();
    assert_eq!(word(&slow.await.0), "slow");
    assert_eq!(place.realm.size(), (1, 1));
    assert_eq!(look(&place, present("new")).await, told("new", Lookup::Miss));
    assert_eq!(look_at(&place, "a", Some(1), present("new")).await, told("new", Lookup::Miss));
    assert_eq!(look_at(&place, "b", None, present("new")).await, told("other", Lookup::Hit));
}

#[test]
fn a_generation_never_comes_back_for_a_path_that_was_forgotten() {
    let realm = Arc::new(Realm::new(0, "", "kv"));
    let before = realm.begin_read("a").key(None);
    assert_eq!((realm.size(), realm.is_current(&before)), ((0, 0), false));
    let reading = realm.begin_read("a");
    assert!(realm.is_current(&reading.key(None)) && !realm.is_current(&before));
    assert!(!realm.note(&before, |_| true) && realm.note(&reading.key(None), |_| true));
    assert!(realm.begin_anew("a") == [reading.key(None)] && !realm.is_current(&reading.key(None)));
}

#[test]
fn the_keys_of_what_is_gone_are_looked_for_and_do_not_pile_up() {
    let realm = Arc::new(Realm::new(0, "", "kv"));
    for version in 0..10_000 {
        let key = realm.begin_read("a").key(Some(version));
        // The reader has gone: nothing is noted for a path that is not known.
        assert!(!realm.note(&key, |_| true));
        let reading = realm.begin_read(&format!("p/{version}"));
        assert!(realm.note(&reading.key(Some(version)), |spot| spot.version > Some(9_990)));
    }
    let (paths, noted) = realm.size();
    assert!(paths == noted && noted < 256 * 32, "{paths} {noted}");
}
