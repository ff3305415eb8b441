//! How often keys are asked for, and what happens when they change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use vault_testkit::eventually;
use vault_testkit::raw::{Gate, Raw, Reply};

use super::forge::{self, jwk, token};
use crate::config::{Algorithm, Issuer, KeySource};
use crate::jwt::keyring::MOST_WAITING;
use crate::jwt::{Observer, Rejected, Verifier};

pub const KEYS: &str = "idp/keys";

/// The issuer at `server`, with the URL of its keys given.
pub fn issuer(server: &Raw) -> Issuer {
    let url = format!("{}/v1/idp", server.addr());
    Issuer { jwks: KeySource::Url(format!("{url}/keys")), ..forge::issuer(&url) }
}

/// A set of keys of P-256 and Ed25519 with these names.
pub fn keys(kids: &[&str]) -> Reply {
    let key = |kid: &&str| jwk(kid, if kid.starts_with("ed") { "EdDSA" } else { "ES256" });
    Reply::json(200, &json!({"keys": kids.iter().map(key).collect::<Vec<_>>()}))
}

fn silent() -> Observer {
    Arc::new(|_, _| ())
}

fn verifier(issuer: &Issuer) -> Verifier {
    Verifier::new(&[Arc::new(issuer.clone())], Duration::from_secs(60), None, silent())
}

/// How often `server` was asked for its keys.
pub fn asked(server: &Raw) -> usize {
    server.requests().iter().filter(|line| line.ends_with(KEYS)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_name_unknown_keys_wait_for_one_fetch() {
    let gate = Gate::default();
    let server = Raw::start([(KEYS, vec![keys(&["a"]), keys(&["a", "b"]).held(&gate), keys(&[])])]);
    let issuer = issuer(&server);
    let verifier = Arc::new(verifier(&issuer));
    verifier.first_try().await;
    let ask = |kid: &str| {
        let (verifier, token) = (Arc::clone(&verifier), token(&issuer.url, "ES256", kid));
        tokio::spawn(async move { verifier.verify(&token).await.map(drop) })
    };
    let waiting: Vec<_> = (0..MOST_WAITING).map(|n| ask(if n % 2 == 0 { "b" } else { "unknown" })).collect();
    server.await_requests(2);
    gate.open();
    for (n, outcome) in waiting.into_iter().enumerate() {
        let expected = if n % 2 == 0 { Ok(()) } else { Err(Rejected::Key) };
        assert_eq!(outcome.await.unwrap(), expected, "{n}");
    }
    // For half a minute there is no other.
    assert_eq!(ask("unknown").await.unwrap(), Err(Rejected::Key));
    assert_eq!(asked(&server), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_wait_for_unknown_keys_and_the_others_are_refused_at_once() {
    let gate = Gate::default();
    let server = Raw::start([(KEYS, vec![keys(&["a"]), keys(&["a"]).held(&gate)])]);
    let issuer = issuer(&server);
    let verifier = Arc::new(verifier(&issuer));
    verifier.first_try().await;
    let claims = forge::claims(&issuer.url, &json!({})).to_string();
    let ask = |n| {
        let header = json!({"alg": "ES256", "kid": format!("unknown-{n}")}).to_string();
        let (verifier, token) = (Arc::clone(&verifier), format!("{}.AA", forge::signed(&header, &claims)));
        tokio::spawn(async move { verifier.verify(&token).await.map(drop) })
    };
    let all: Vec<_> = (0..MOST_WAITING + 68).map(ask).collect();
    let refused = || all.iter().filter(|it| it.is_finished()).count();
    eventually("the others are refused", || refused() == 68);
    assert!(verifier.verify(&token(&issuer.url, "ES256", "a")).await.is_ok(), "known keys wait for nothing");
    assert_eq!(refused(), 68);
    gate.open();
    for outcome in all {
        assert_eq!(outcome.await.unwrap(), Err(Rejected::Key));
    }
    assert_eq!(asked(&server), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unknown_keys_are_two_fetches() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let issuer = issuer(&server);
    let verifier = Arc::new(verifier(&issuer));
    verifier.first_try().await;
    let claims = forge::claims(&issuer.url, &json!({})).to_string();
    let waiting: Vec<_> = (0..10_000)
        .map(|n| {
            let header = json!({"alg": "ES256", "kid": format!("unknown-{n}")}).to_string();
            let (verifier, token) = (Arc::clone(&verifier), format!("{}.AA", forge::signed(&header, &claims)));
            tokio::spawn(async move { verifier.verify(&token).await.map(drop) })
        })
        .collect();
    for outcome in waiting {
        assert_eq!(outcome.await.unwrap(), Err(Rejected::Key));
    }
    assert!(asked(&server) <= 2, "{}", asked(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_anyhow_leads_to_no_fetch() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let issuer = issuer(&server);
    let verifier = verifier(&issuer);
    verifier.first_try().await;
    for (changes, expected) in [
        (json!({"exp": 1}), Rejected::Expired),
        (json!({"aud": "other"}), Rejected::Audience),
        (json!({"iss": "https://other.example"}), Rejected::Issuer),
    ] {
        let claims = forge::claims(&issuer.url, &changes).to_string();
        let token = forge::token_of("ES256", r#"{"alg":"ES256","kid":"unknown"}"#, &claims);
        assert_eq!(verifier.verify(&token).await.err(), Some(expected), "{changes}");
    }
    assert_eq!(asked(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_may_lead_to_a_fetch_again_after_half_a_minute() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let verifier = verifier(&issuer(&server));
    verifier.first_try().await;
    let now = Instant::now();
    for (seconds, fetches) in [(0, 2), (1, 2), (29, 2), (30, 3), (31, 3), (59, 3), (60, 4)] {
        let keyring = &verifier.issuers[0].keyring;
        keyring.demand(&silent(), now + Duration::from_secs(seconds)).await;
        assert_eq!(asked(&server), fetches, "{seconds}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_brings_the_new_key_and_ends_the_old_one() {
    let server = Raw::start([(KEYS, vec![keys(&["old"]), keys(&["new"])])]);
    let issuer = issuer(&server);
    let verifier = verifier(&issuer);
    verifier.first_try().await;
    let [old, new] = ["old", "new"].map(|kid| token(&issuer.url, "ES256", kid));
    let first = verifier.verify(&old).await.unwrap();
    assert!(Arc::ptr_eq(&first, &verifier.verify(&old).await.unwrap()), "it is remembered");
    assert!(verifier.verify(&new).await.is_ok());
    assert_eq!(verifier.verify(&old).await.err(), Some(Rejected::Key), "it is not remembered any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_token_is_the_same_caller_and_the_keys_stay_where_they_did_not_change() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let issuer = issuer(&server);
    let verifier = verifier(&issuer);
    verifier.first_try().await;
    let token = token(&issuer.url, "ES256", "a");
    let first = verifier.verify(&token).await.unwrap();
    verifier.issuers[0].keyring.refresh(&silent()).await;
    assert_eq!(asked(&server), 2);
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token).await.unwrap()));
    // With the last character changed it is another token.
    let other = format!("{}A", &token[..token.len() - 1]);
    let other = if other == token { format!("{}Q", &token[..token.len() - 1]) } else { other };
    assert_eq!(verifier.verify(&other).await.err(), Some(Rejected::Signature));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_hand_stay_while_the_issuer_is_away() {
    let away = Reply::json(503, &json!({}));
    let server = Raw::start([(KEYS, vec![keys(&["a"]), away])]);
    let issuer = issuer(&server);
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let observer: Observer = Arc::new(move |url, ok| notes.lock().unwrap().push((url.to_owned(), ok)));
    let verifier = Verifier::new(&[Arc::new(issuer.clone())], Duration::ZERO, None, observer);
    verifier.first_try().await;
    assert_eq!(verifier.verify(&token(&issuer.url, "ES256", "unknown")).await.err(), Some(Rejected::Key));
    assert!(verifier.verify(&token(&issuer.url, "ES256", "a")).await.is_ok());
    assert_eq!(*told.lock().unwrap(), [(issuer.url.clone(), true), (issuer.url.clone(), false)]);
    let ages = verifier.ages();
    assert!(matches!(ages[..], [(url, Some(_))] if url == issuer.url), "{ages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_was_never_there_is_tried_once_and_its_tokens_are_refused() {
    let server = Raw::start([(KEYS, vec![Reply::json(500, &json!({})), Reply::json(500, &json!({})), keys(&["a"])])]);
    let issuer = issuer(&server);
    let verifier = verifier(&issuer);
    verifier.first_try().await;
    let token = token(&issuer.url, "ES256", "a");
    assert_eq!(verifier.verify(&token).await.err(), Some(Rejected::NoKeys));
    assert_eq!(verifier.ages(), [(issuer.url.as_str(), None)]);
    verifier.issuers[0].keyring.refresh(&silent()).await;
    assert!(verifier.verify(&token).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_is_chosen_by_iss_and_the_keys_of_another_do_not_count() {
    let servers = [Raw::start([(KEYS, vec![keys(&["a"])])]), Raw::start([(KEYS, vec![keys(&["ed"])])])];
    let issuers = servers.each_ref().map(|server| Arc::new(issuer(server)));
    let verifier = Verifier::new(&issuers, Duration::from_secs(60), None, silent());
    verifier.first_try().await;
    let [one, two] = issuers.each_ref().map(|issuer| issuer.url.as_str());
    for (url, alg, kid, expected) in [
        (one, "ES256", "a", Ok(one.to_owned())),
        (two, "EdDSA", "ed", Ok(two.to_owned())),
        (one, "EdDSA", "ed", Err(Rejected::Key)),
        (two, "ES256", "a", Err(Rejected::Key)),
    ] {
        let outcome = verifier.verify(&token(url, alg, kid)).await;
        assert_eq!(outcome.map(|caller| caller.issuer.url.clone()), expected, "{url} {kid}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_configuration_takes_keys_over_and_remembers_no_token() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let issuer = issuer(&server);
    let before = verifier(&issuer);
    before.first_try().await;
    let token = token(&issuer.url, "ES256", "a");
    assert!(before.verify(&token).await.is_ok());
    let next = |issuer: Issuer| Verifier::new(&[Arc::new(issuer)], Duration::from_secs(60), Some(&before), silent());

    let stricter = next(Issuer { algorithms: vec![Algorithm::EdDSA], ..issuer.clone() });
    stricter.first_try().await;
    assert_eq!(stricter.verify(&token).await.err(), Some(Rejected::Algorithm));
    let same = next(issuer.clone());
    same.first_try().await;
    assert!(same.verify(&token).await.is_ok());
    assert_eq!(asked(&server), 1, "the keys came from the same place");

    let elsewhere = next(Issuer { jwks: KeySource::Url(format!("{}/other", issuer.url)), ..issuer.clone() });
    elsewhere.first_try().await;
    assert_eq!(elsewhere.verify(&token).await.err(), Some(Rejected::NoKeys));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fetches_end_with_the_verifier() {
    let server = Raw::start([(KEYS, vec![keys(&["a"])])]);
    let verifier = verifier(&issuer(&server));
    verifier.first_try().await;
    let keyring = Arc::downgrade(&verifier.issuers[0].keyring);
    assert!(keyring.upgrade().is_some());
    drop(verifier);
    eventually("nobody holds the keys", || keyring.upgrade().is_none());
}

/// A caller that leaves does not take the fetch away from the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_goes_on_without_who_began_it() {
    let gate = Gate::default();
    let server = Raw::start([(KEYS, vec![keys(&["a"]), keys(&["a", "b"]).held(&gate)])]);
    let issuer = issuer(&server);
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let observer: Observer = Arc::new(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let verifier = Arc::new(Verifier::new(&[Arc::new(issuer.clone())], Duration::ZERO, None, observer));
    verifier.first_try().await;
    let token = token(&issuer.url, "ES256", "b");
    let leaves = {
        let (verifier, token) = (Arc::clone(&verifier), token.clone());
        tokio::spawn(async move { verifier.verify(&token).await.map(drop) })
    };
    server.await_requests(2);
    leaves.abort();
    assert!(leaves.await.unwrap_err().is_cancelled());
    gate.open();
    assert!(verifier.verify(&token).await.is_ok());
    assert_eq!(fetched.load(Ordering::Relaxed), 2);
}
