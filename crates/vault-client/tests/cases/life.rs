//! The life of a token: one login, renewals, replacements, the end.

use std::time::{Duration, Instant};

use serde_json::json;
use vault_client::{Cas, ErrorKind, Revoked, VaultClient};
use vault_testkit::server::{Kind, Listener, on};

use crate::support::{Corner, with_corner};

#[test]
fn sixteen_threads_share_one_login_and_the_end_leaves_no_token() {
    with_corner("sixteen_threads_share_one_login_and_the_end_leaves_no_token", |corner| {
        let client = corner.client();
        corner.server.write_secret("", &corner.name, "a", &json!({"K": "v"}));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                let client = client.clone();
                scope.spawn(move || {
                    let read = client.kv_read(&corner.name, "a").unwrap();
                    assert_eq!(read.text("K"), Some("v"));
                });
            }
        });
        assert_eq!((corner.count("auth/kubernetes/login"), corner.live_tokens()), (1, 1));
        assert_eq!(client.close(), Revoked::Yes);
        assert_eq!(corner.live_tokens(), 0);
        let closed = client.kv_read(&corner.name, "a").unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::Closed);
    });
}

#[test]
fn the_drop_of_the_last_clone_revokes_the_token_in_the_background() {
    with_corner("the_drop_of_the_last_clone_revokes_the_token_in_the_background", |corner| {
        let client = corner.client();
        let clone = client.clone();
        client.token().unwrap();
        drop(client);
        assert_eq!(corner.live_tokens(), 1);
        drop(clone);
        vault_testkit::eventually("the token is revoked", || corner.live_tokens() == 0);
    });
}

#[test]
fn a_revoked_token_is_replaced_once_for_all_threads() {
    with_corner("a_revoked_token_is_replaced_once_for_all_threads", |corner| {
        let client = corner.client();
        client.kv(&corner.name).write("a", &json!({"K": "v"}), Cas::Any).unwrap();
        corner.revoke_tokens();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let client = client.clone();
                scope.spawn(move || assert_eq!(client.kv_read(&corner.name, "a").unwrap().text("K"), Some("v")));
            }
        });
        assert_eq!(corner.count("auth/kubernetes/login"), 2);
        client.close();
        assert_eq!(corner.live_tokens(), 0);
    });
}

#[test]
fn a_denied_path_costs_a_look_up_and_no_login() {
    with_corner("a_denied_path_costs_a_look_up_and_no_login", |corner| {
        let client = corner.client();
        for _ in 0..3 {
            let denied = client.kv_read("kv", "elsewhere").unwrap_err();
            assert_eq!((denied.kind(), denied.status()), (ErrorKind::Denied, Some(403)));
        }
        assert_eq!((corner.count("auth/kubernetes/login"), corner.count("lookup-self")), (1, 3));
        client.close();
    });
}

#[test]
fn a_token_whose_life_ends_every_two_seconds_is_replaced_in_time() {
    on(Kind::OpenBao, "a_token_whose_life_ends_every_two_seconds_is_replaced_in_time", |server| {
        let corner = Corner::of(server, &json!({"token_ttl": "2s", "token_max_ttl": "6s"}));
        let client = corner.client();
        client.kv(&corner.name).write("a", &json!({"K": "v"}), Cas::Any).unwrap();
        let end = Instant::now() + Duration::from_secs(8);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let client = client.clone();
                let corner = &corner;
                scope.spawn(move || {
                    while Instant::now() < end {
                        assert_eq!(client.kv_read(&corner.name, "a").unwrap().text("K"), Some("v"));
                    }
                });
            }
        });
        let (logins, renewals) = (corner.count("auth/kubernetes/login"), corner.count("renew-self"));
        assert!((4..=8).contains(&logins), "{logins} logins");
        assert_eq!(renewals, 0);
        client.close();
    });
}

#[test]
fn a_token_that_was_handed_in_is_looked_up_once_and_never_revoked() {
    with_corner("a_token_that_was_handed_in_is_looked_up_once_and_never_revoked", |corner| {
        let token = corner.server.create_token("", &json!({"policies": [corner.name], "ttl": "1h", "no_parent": true}));
        let address = corner.server.addr(Listener::Plain);
        let client = VaultClient::builder().address(&address).token(&token).ignore_environment().build().unwrap();
        let info = client.token().unwrap();
        assert_eq!((info.renewable, info.is_static()), (true, false));
        assert!(info.expires_in().is_some_and(|left| left > Duration::from_secs(3590)), "{info:?}");
        client.kv(&corner.name).write("a", &json!({"K": "v"}), Cas::Any).unwrap();
        client.renew().unwrap();
        assert_eq!((corner.count("lookup-self"), corner.count("renew-self")), (1, 1));
        assert!(matches!(client.close(), Revoked::No(_)));
        assert_eq!(corner.live_tokens(), 1);
    });
}

#[test]
fn a_login_that_is_refused_is_not_repeated_by_each_call() {
    with_corner("a_login_that_is_refused_is_not_repeated_by_each_call", |corner| {
        let mut login = corner.login();
        login.role = format!("{}-absent", corner.name);
        let client = corner.builder().login(login).build().unwrap();
        let first = client.token().unwrap_err();
        for _ in 0..5 {
            assert_eq!(client.kv_read(&corner.name, "a").unwrap_err().to_string(), first.to_string());
        }
        assert_eq!(corner.count("auth/kubernetes/login"), 1);
    });
}
