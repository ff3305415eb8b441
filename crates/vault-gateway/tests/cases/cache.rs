//! The cache: who reads what of it, and when it forgets.

use std::thread;

use serde_json::json;
use vault_testkit::eventually;
use vault_testkit::server::{Kind, on};

use crate::support::Corner;

#[test]
fn fifty_callers_on_a_cold_key_are_one_read() {
    on(Kind::OpenBao, "fifty_callers_on_a_cold_key_are_one_read", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let gateway = corner.start(&corner.tables());
        let token = corner.token("reader");
        thread::scope(|scope| {
            let asked: Vec<_> =
                (0..50).map(|_| scope.spawn(|| gateway.ask("GET /vault/secrets/shared/a", &token))).collect();
            for reply in asked.into_iter().map(|it| it.join().expect("no panic")) {
                assert_eq!((reply.status, reply.json()["data"].clone()), (200, json!({"K": "v"})));
            }
        });
        assert_eq!(corner.reads("shared/a"), 1);
        assert_eq!(
            gateway.metric("vault_gateway_cache_lookups_total{result=\"miss\",tenant=\"team-a\"}")
                + gateway.metric("vault_gateway_cache_lookups_total{result=\"hit\",tenant=\"team-a\"}"),
            50
        );
    });
}

#[test]
fn every_write_forgets_what_was_read_and_who_may_refresh_reads_through() {
    on(Kind::OpenBao, "every_write_forgets_what_was_read_and_who_may_refresh_reads_through", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": 1}));
        let gateway = corner.start(&corner.tables());
        let (admin, reader) = (corner.token("admin"), corner.token("reader"));
        let read = |token: &str, anew: bool| {
            let headers: &[(&str, &str)] = if anew { &[("Cache-Control", "max-age=5, no-cache")] } else { &[] };
            let reply = gateway.send("GET /vault/secrets/shared/a", token, headers, None);
            (reply.status, reply.json()["data"]["K"].as_u64())
        };
        assert_eq!(read(&reader, false), (200, Some(1)));
        // What others write is seen within the time to live, or by who may refresh.
        corner.put("shared/a", &json!({"K": 2}));
        assert_eq!([read(&reader, false), read(&reader, true)], [(200, Some(1)); 2]);
        assert_eq!([read(&admin, true), read(&reader, false)], [(200, Some(2)); 2]);
        for (number, (request, body)) in [
            ("PUT /vault/secrets/shared/a", Some(json!({"K": 3}))),
            ("DELETE /vault/secrets/shared/a", None),
            ("POST /vault/versions/shared/a/undelete", Some(json!({"versions": [3]}))),
            ("POST /vault/versions/shared/a/rollback", Some(json!({"to": 1}))),
            ("POST /vault/versions/shared/a/destroy", Some(json!({"versions": [4]}))),
        ]
        .into_iter()
        .enumerate()
        {
            let status = gateway.send(request, &admin, &[], body.map(|it| it.to_string()).as_deref()).status;
            assert!(status < 300, "{request}: {status}");
            let expected = [(200, Some(3)), (404, None), (200, Some(3)), (200, Some(1)), (404, None)][number];
            assert_eq!([read(&reader, false), read(&reader, false)], [expected; 2], "{request}");
        }
    });
}

#[test]
fn a_cached_secret_is_not_read_by_who_may_not() {
    on(Kind::Embedded, "a_cached_secret_is_not_read_by_who_may_not", |server| {
        let corner = Corner::of(server);
        corner.put("apps/shop/config", &json!({"K": "v"}));
        corner.put("private", &json!({"K": "p"}));
        let gateway = corner.start(&corner.tables());
        let (admin, reader) = (corner.token("admin"), corner.token("reader"));
        for path in ["apps/shop/config", "private"] {
            assert_eq!(gateway.ask(&format!("GET /vault/secrets/{path}"), &admin).status, 200);
        }
        let read = |path: &str| gateway.ask(&format!("GET /vault/secrets/{path}"), &reader);
        assert_eq!(read("apps/shop/config").header("cache-status"), "vault-gateway; hit");
        let denied = read("private");
        assert_eq!((denied.status, denied.header("cache-status"), denied.text.contains("\"p\"")), (403, "", false));
    });
}

#[test]
fn while_vault_is_sealed_what_is_known_is_served_only_where_that_is_configured() {
    on(Kind::OpenBao, "while_vault_is_sealed_what_is_known_is_served_only_where_that_is_configured", |_| {
        let Some(server) = vault_testkit::server::Server::durable().map(vault_testkit::server::Server::ready) else {
            return;
        };
        let corner = Corner::of(&server);
        corner.put("shared/a", &json!({"K": "v"}));
        let mut tables = corner.tables();
        tables.more = "[cache]\nttl = \"1s\"\nstale_if_error = \"1h\"\n".into();
        let kind = gateway_after_a_seal(&corner, &tables);
        assert_eq!(kind, (200, "vault-gateway; hit; detail=stale".to_owned()));
        server.unseal();
        tables.more = "[cache]\nttl = \"1s\"\n".into();
        assert_eq!(gateway_after_a_seal(&corner, &tables), (503, String::new()));
    });
}

/// What a read of a secret that was read before a seal is answered once its time to live is over.
fn gateway_after_a_seal(corner: &Corner, tables: &crate::support::Tables) -> (u16, String) {
    let gateway = corner.start(tables);
    let token = corner.token("reader");
    let read = || gateway.ask("GET /vault/secrets/shared/a", &token);
    assert_eq!(read().status, 200);
    corner.server.seal();
    let mut last = (0, String::new());
    eventually("the time to live is over", || {
        let reply = read();
        last =
            (reply.status, if reply.status == 200 { reply.header("cache-status").to_owned() } else { String::new() });
        assert!(reply.status == 200 || reply.header("retry-after").parse::<u64>().is_ok(), "{reply:?}");
        last.1 != "vault-gateway; hit" && last.1 != "vault-gateway; fwd=miss"
    });
    assert_eq!(gateway.operate("/ready").status, 200, "it does not depend on Vault");
    last
}
