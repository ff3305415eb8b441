//! The keys of an issuer as they change.

use std::fs;
use std::thread;

use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::server::{Kind, on};

use crate::support::issuer::Issuer;
use crate::support::keys::KeyServer;
use crate::support::{Corner, Tables};

const URL: &str = "https://idp.example";

/// The configuration with the keys of this server.
fn fetching(corner: &Corner, keys: &KeyServer) -> Tables {
    let mut tables = corner.tables();
    let file = format!("file:{}/jwks.json", corner.folder.display());
    tables.issuer = tables.issuer.replace(&file, &keys.url);
    tables
}

fn claims() -> Value {
    json!({"roles": "reader", "tenant": "team-a"})
}

#[test]
fn a_new_key_is_taken_at_once_and_tokens_of_one_that_is_withdrawn_are_not_remembered() {
    on(Kind::Embedded, "a_new_key_is_taken_at_once_and_tokens_of_one_that_is_withdrawn_are_not_remembered", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let keys = KeyServer::of(&[&corner.issuer]);
        let gateway = corner.start(&fetching(&corner, &keys));
        let (first, second) = (&corner.issuer, Issuer::with_kid(URL, "second"));
        let ask = |token: &str| gateway.ask("GET /vault/secrets/shared/a", token).status;
        let (old, other_old) =
            (first.token(&claims()), first.token(&json!({"sub": "b", "roles": "reader", "tenant": "team-a"})));
        assert_eq!([ask(&old), ask(&old), ask(&second.token(&claims()))], [200, 200, 401]);
        // The one fetch that an unknown key may cause in 30 seconds is used up.
        assert_eq!(keys.hits(), 2);
        keys.publish(&[&second]);
        assert_eq!([ask(&second.token(&claims())), ask(&old)], [401, 200]);
        assert_eq!(keys.hits(), 2);
        drop(gateway);
        keys.publish(&[first]);
        let gateway = corner.start(&fetching(&corner, &keys));
        let ask = |token: &str| gateway.ask("GET /vault/secrets/shared/a", token).status;
        assert_eq!([ask(&old), ask(&other_old)], [200, 200]);
        keys.publish(&[&second]);
        assert_eq!(ask(&old), 200, "nothing is known yet of what the issuer has withdrawn");
        assert_eq!([ask(&second.token(&claims())), ask(&old), ask(&other_old)], [200, 401, 401]);
    });
}

#[test]
fn ten_thousand_unknown_keys_are_at_most_two_fetches() {
    on(Kind::Embedded, "ten_thousand_unknown_keys_are_at_most_two_fetches", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let keys = KeyServer::of(&[&corner.issuer]);
        let gateway = corner.start(&fetching(&corner, &keys));
        let before = keys.hits();
        thread::scope(|scope| {
            for caller in 0..8 {
                let (gateway, issuer) = (&gateway, &corner.issuer);
                scope.spawn(move || {
                    for number in 0..1250 {
                        let header = json!({"alg": "EdDSA", "kid": format!("{caller}-{number}"), "typ": "JWT"});
                        let mut claims = json!({"iss": URL, "sub": "ci", "aud": "vault-gateway", "tenant": "team-a"});
                        claims["exp"] = json!(4_000_000_000_u64);
                        let reply = gateway.ask("GET /vault/secrets/shared/a", &issuer.sign(&header, &claims));
                        assert_eq!(reply.told(), (401, "unauthorized".to_owned()));
                    }
                });
            }
        });
        assert!((1..=2).contains(&(keys.hits() - before)), "{}", keys.hits());
        assert_eq!(gateway.metric("vault_gateway_rejected_tokens_total{reason=\"key\"}"), 10_000);
        assert_eq!(gateway.ask("GET /vault/secrets/shared/a", &corner.token("reader")).status, 200);
    });
}

#[test]
fn keys_of_a_file_are_read_again_for_an_unknown_one() {
    on(Kind::Embedded, "keys_of_a_file_are_read_again_for_an_unknown_one", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let gateway = corner.start(&corner.tables());
        let second = Issuer::with_kid(URL, "second");
        let ask = |token: &str| gateway.ask("GET /vault/secrets/shared/a", token).status;
        let old = corner.token("reader");
        assert_eq!(ask(&old), 200);
        fs::write(corner.folder.join("jwks.json"), json!({"keys": [corner.issuer.key(), second.key()]}).to_string())
            .expect("a file");
        assert_eq!([ask(&second.token(&claims())), ask(&old)], [200, 200]);
    });
}

#[test]
fn the_keys_in_hand_are_used_on_while_an_issuer_is_away_or_says_nonsense() {
    on(Kind::Embedded, "the_keys_in_hand_are_used_on_while_an_issuer_is_away_or_says_nonsense", |server| {
        for (what, spoil) in [
            ("away", KeyServer::hang_up as fn(&KeyServer)),
            ("an error", KeyServer::echo),
            ("no JSON", |keys| keys.say("<html>")),
            ("another document", |keys| keys.say("{\"error\":\"x\"}")),
            ("too much", |keys| keys.say(&format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(70_000)))),
        ] {
            let corner = Corner::of(server);
            corner.put("shared/a", &json!({"K": "v"}));
            let keys = KeyServer::of(&[&corner.issuer]);
            let gateway = corner.start(&fetching(&corner, &keys));
            spoil(&keys);
            let unknown = Issuer::with_kid(URL, "second").token(&claims());
            let ask = |token: &str| gateway.ask("GET /vault/secrets/shared/a", token).status;
            assert_eq!([ask(&unknown), ask(&corner.token("reader"))], [401, 200], "{what}");
            let failed = format!("vault_gateway_jwks_fetches_total{{issuer=\"{URL}\",result=\"failed\"}}");
            eventually("it is counted", || gateway.metric(&failed) == 1);
        }
    });
}
