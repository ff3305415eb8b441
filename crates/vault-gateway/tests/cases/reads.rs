//! Reads of secrets, of their history and of folders.

use serde_json::json;
use vault_testkit::on_both;
use vault_testkit::server::{Kind, Server, on};

use crate::support::Corner;

fn a_secret_is_read_with_its_version_and_served_again_from_the_cache(server: &Server) {
    let corner = Corner::of(server);
    corner.put("apps/shop/config", &json!({"price": 1, "name": "sh\u{f6}p"}));
    let gateway = corner.start(&corner.tables());
    let token = corner.token("reader");
    let first = gateway.ask("GET /vault/secrets/apps/shop/config", &token);
    let body = first.json();
    assert_eq!(
        (first.status, &body["data"], &body["version"]),
        (200, &json!({"price": 1, "name": "sh\u{f6}p"}), &json!(1))
    );
    assert!(body["created_time"].as_str().is_some_and(|time| time.ends_with('Z')), "{body}");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(3));
    let again = gateway.ask("GET /vault/secrets/apps/shop/config", &token);
    let head = gateway.ask("HEAD /vault/secrets/apps/shop/config", &token);
    assert_eq!((&again.text, head.text.as_str()), (&first.text, ""));
    for (reply, status) in
        [(&first, "vault-gateway; fwd=miss"), (&again, "vault-gateway; hit"), (&head, "vault-gateway; hit")]
    {
        let shown = ["etag", "cache-status", "cache-control", "vary", "x-content-type-options", "content-type"];
        assert_eq!(
            shown.map(|name| reply.header(name)),
            ["\"1\"", status, "no-store", "Authorization", "nosniff", "application/json"]
        );
        assert!(
            reply.header("age").parse::<u64>().is_ok_and(|age| age < 10) && reply.header("x-request-id").len() == 36
        );
    }
    assert_eq!(corner.reads("apps/shop/config"), 1);
    assert_eq!(
        gateway.send("GET /vault/secrets/apps/shop/config", &token, &[("If-None-Match", "\"1\"")], None).status,
        304
    );
    let absent = gateway.ask("GET /vault/secrets/apps/none/config", &token);
    assert_eq!((absent.status, absent.problem()), (404, "not-found".to_owned()));
}

on_both!(a_secret_is_read_with_its_version_and_served_again_from_the_cache);

#[test]
fn the_history_of_a_secret_is_read_and_its_folder_listed() {
    on(Kind::OpenBao, "the_history_of_a_secret_is_read_and_its_folder_listed", |server| {
        let corner = Corner::of(server);
        let gateway = corner.start(&corner.tables());
        let token = corner.token("admin");
        for value in ["one", "two", "three"] {
            corner.put("shared/db", &json!({"K": value}));
        }
        for path in ["shared/web/a", "shared/Web", "shared/db/x", "top"] {
            corner.put(path, &json!({}));
        }
        assert_eq!(gateway.ask("DELETE /vault/secrets/shared/db?versions=2", &token).status, 204);
        assert_eq!(
            gateway.put("POST /vault/versions/shared/db/destroy", &token, &json!({"versions": [1]})).status,
            204
        );
        let history = gateway.ask("GET /vault/versions/shared/db", &token).json();
        let versions = history["versions"].as_array().expect("versions");
        let seen: Vec<_> = versions
            .iter()
            .map(|it| (it["version"].as_u64(), it["deletion_time"].is_null(), it["destroyed"].as_bool()))
            .collect();
        assert_eq!(seen, [(Some(1), true, Some(true)), (Some(2), false, Some(false)), (Some(3), true, Some(false))]);
        let mut members: Vec<_> = history.as_object().expect("an object").keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(
            members,
            [
                "cas_required",
                "created_time",
                "current_version",
                "custom_metadata",
                "delete_version_after",
                "max_versions",
                "oldest_version",
                "updated_time",
                "versions"
            ]
        );
        let old = |version: u64| gateway.ask(&format!("GET /vault/secrets/shared/db?version={version}"), &token);
        assert_eq!(
            (old(3).json()["data"]["K"].clone(), old(3).header("etag").to_owned()),
            (json!("three"), "\"3\"".to_owned())
        );
        assert_eq!([old(1).status, old(2).status, old(4).status], [404; 3]);
        // Who may read, and may not see the history, reads no version by its number.
        assert_eq!(gateway.ask("GET /vault/secrets/shared/db?version=3", &corner.token("reader")).problem(), "denied");
        let list = |query: &str| gateway.ask(&format!("GET /vault/list{query}"), &token).json();
        assert_eq!(list("/shared"), json!({"names": ["Web", "db", "db/", "web/"], "next": null}));
        assert_eq!(list("/shared/?limit=2"), json!({"names": ["Web", "db"], "next": "db"}));
        assert_eq!(list("/shared?limit=2&after=db"), json!({"names": ["db/", "web/"], "next": null}));
        assert_eq!(list("/shared?after=web%2F"), json!({"names": [], "next": null}));
        assert_eq!(list(""), json!({"names": ["ready", "shared/", "top"], "next": null}));
        assert_eq!(gateway.ask("GET /vault/list/none", &token).problem(), "not-found");
        assert_eq!(gateway.ask("GET /vault/list/none?after=a", &token).problem(), "not-found");
        let renewed = gateway.ask("POST /vault/token/renew", &token).json();
        assert!(
            renewed["lease_duration"].as_u64().is_some_and(|it| it > 0) && renewed["renewable"] == json!(true),
            "{renewed}"
        );
        assert!(renewed["policies"].as_array().is_some_and(|it| it.contains(&json!(corner.name))), "{renewed}");
        assert_eq!(renewed.as_object().map(serde_json::Map::len), Some(3));
    });
}

#[test]
fn a_path_with_mount_and_data_is_told_how_it_is_written() {
    on(Kind::OpenBao, "a_path_with_mount_and_data_is_told_how_it_is_written", |server| {
        let corner = Corner::of(server);
        let gateway = corner.start(&corner.tables());
        let token = corner.token("admin");
        for path in ["data/shop", &format!("{}/shop", corner.name), &format!("{}/data/shop", corner.name)] {
            let reply = gateway.ask(&format!("GET /vault/secrets/{path}"), &token);
            let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert!(reply.status == 404 && detail.contains("leave mount and data/ out"), "{path}: {detail}");
        }
    });
}
