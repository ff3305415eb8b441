//! Writes, deletes and versions, and their conditions.

use serde_json::{Value, json};
use vault_testkit::server::{Kind, on};

use crate::support::Corner;
use crate::support::gateway::{Gateway, Reply};

/// Sends a write under these conditions.
fn write(
    gateway: &Gateway,
    token: &str,
    (method, path): (&str, &str),
    conditions: &[(&str, &str)],
    body: &Value,
) -> Reply {
    let mut headers = conditions.to_vec();
    if method == "PATCH" {
        headers.push(("Content-Type", "application/merge-patch+json"));
    }
    gateway.send(&format!("{method} {path}"), token, &headers, Some(&body.to_string()))
}

#[test]
fn a_secret_is_written_merged_deleted_brought_back_and_rolled_back() {
    on(Kind::OpenBao, "a_secret_is_written_merged_deleted_brought_back_and_rolled_back", |server| {
        let corner = Corner::of(server);
        let gateway = corner.start(&corner.tables());
        let token = corner.token("admin");
        let secret = "/vault/secrets/apps/shop/config";
        let read = || {
            let reply = gateway.ask(&format!("GET {secret}"), &token);
            (reply.status, reply.json()["data"].clone(), reply.json()["version"].as_u64())
        };
        let first = write(&gateway, &token, ("PUT", secret), &[], &json!({"a": 1, "b": {"c": "x"}}));
        assert_eq!((first.status, first.header("location"), first.header("etag")), (201, secret, "\"1\""));
        assert_eq!(first.json()["version"], json!(1));
        assert!(first.json()["created_time"].as_str().is_some_and(|it| it.ends_with('Z')), "{}", first.text);
        let second = write(&gateway, &token, ("PATCH", secret), &[], &json!({"a": null, "b": {"d": 2}}));
        assert_eq!((second.status, second.header("location"), second.header("etag")), (200, "", "\"2\""));
        assert_eq!(read(), (200, json!({"b": {"c": "x", "d": 2}}), Some(2)));
        assert_eq!(gateway.ask(&format!("DELETE {secret}"), &token).status, 204);
        assert_eq!((read().0, gateway.ask(&format!("DELETE {secret}"), &token).status), (404, 204));
        let of_versions = "/vault/versions/apps/shop/config";
        let verb = |verb: &str, body: &Value| gateway.put(&format!("POST {of_versions}/{verb}"), &token, body).status;
        assert_eq!(verb("undelete", &json!({"versions": [2]})), 204);
        assert_eq!(read().2, Some(2));
        assert_eq!(verb("rollback", &json!({"to": 1})), 200);
        assert_eq!(read(), (200, json!({"a": 1, "b": {"c": "x"}}), Some(3)));
        assert_eq!(verb("destroy", &json!({"versions": [1]})), 204);
        assert_eq!(verb("rollback", &json!({"to": 1})), 404);
        assert_eq!(gateway.ask("DELETE /vault/secrets/never/there", &token).status, 204);
        assert_eq!(write(&gateway, &token, ("PATCH", "/vault/secrets/never/there"), &[], &json!({})).status, 404);
    });
}

#[test]
fn conditions_are_met_or_the_version_that_is_there_is_told() {
    on(Kind::OpenBao, "conditions_are_met_or_the_version_that_is_there_is_told", |server| {
        let corner = Corner::of(server);
        let gateway = corner.start(&corner.tables());
        let token = corner.token("admin");
        let secret = "/vault/secrets/a";
        let put = |conditions: &[(&str, &str)]| {
            let reply = write(&gateway, &token, ("PUT", secret), conditions, &json!({"K": "v"}));
            (reply.status, reply.json()["version"].as_u64())
        };
        // In order: each depends on the version that the ones before have left.
        for (conditions, expected) in [
            (&[("If-Match", "*")][..], (412, None)),
            (&[("If-Match", "\"1\"")], (412, None)),
            (&[("If-None-Match", "*")], (201, Some(1))),
            (&[("If-None-Match", "*")], (412, Some(1))),
            (&[("If-Match", "\"1\"")], (200, Some(2))),
            (&[("If-Match", "\"1\"")], (412, Some(2))),
            (&[("If-Match", "W/\"2\"")], (412, Some(2))),
            (&[("If-Match", "2")], (412, Some(2))),
            (&[("If-Match", "\"1\", \"2\"")], (200, Some(3))),
            (&[("If-Match", "*")], (200, Some(4))),
            (&[("If-None-Match", "\"4\"")], (412, Some(4))),
            (&[("If-None-Match", "\"3\"")], (200, Some(5))),
        ] {
            assert_eq!(put(conditions), expected, "{conditions:?}");
        }
        let delete = |tag: &str| gateway.send(&format!("DELETE {secret}"), &token, &[("If-Match", tag)], None);
        assert_eq!((delete("\"4\"").status, delete("\"4\"").json()["version"].as_u64()), (412, Some(5)));
        assert_eq!(delete("\"5\"").status, 204);
        assert_eq!((delete("\"5\"").status, delete("*").status), (412, 412));
        // What was deleted counts as not there, and is written on top of.
        assert_eq!(put(&[("If-Match", "*")]), (412, None));
        assert_eq!(put(&[("If-None-Match", "*")]), (200, Some(6)));
        let patch =
            |tag: &str| write(&gateway, &token, ("PATCH", secret), &[("If-Match", tag)], &json!({"L": 1})).status;
        assert_eq!((patch("\"5\""), patch("\"6\"")), (412, 200));
        for (request, body) in [
            ("POST /vault/versions/a/undelete", Some(r#"{"versions":[5]}"#)),
            ("POST /vault/versions/a/destroy", Some(r#"{"versions":[5]}"#)),
            ("DELETE /vault/secrets/a?versions=5", None),
        ] {
            assert_eq!(gateway.send(request, &token, &[("If-Match", "\"7\"")], body).status, 400, "{request}");
        }
        let rollback = |tag: &str| {
            gateway.send("POST /vault/versions/a/rollback", &token, &[("If-Match", tag)], Some(r#"{"to":4}"#)).status
        };
        assert_eq!((rollback("\"6\""), rollback("\"7\"")), (412, 200));
    });
}

#[test]
fn who_may_not_read_is_not_told_the_version() {
    on(Kind::OpenBao, "who_may_not_read_is_not_told_the_version", |server| {
        let corner = Corner::of(server);
        corner.put("a", &json!({"K": "v"}));
        let mut tables = corner.tables();
        tables.rules.push_str(
            "[[rule]]\ntenant = \"team-a\"\nclaim = { roles = \"writer\" }\npaths = [\"**\"]\nallow = [\"write\"]\n",
        );
        let gateway = corner.start(&tables);
        let body = |role: &str| {
            let tag = &[("If-Match", "\"7\"")];
            write(&gateway, &corner.token(role), ("PUT", "/vault/secrets/a"), tag, &json!({})).json()["version"].clone()
        };
        assert_eq!([body("admin"), body("writer")], [json!(1), json!(null)]);
    });
}

#[test]
fn a_mount_that_demands_versions_answers_428() {
    on(Kind::OpenBao, "a_mount_that_demands_versions_answers_428", |server| {
        let corner = Corner::of(server);
        server.must("POST", &format!("{}/config", corner.name), &json!({"cas_required": true}));
        let gateway = corner.start(&corner.tables());
        let token = corner.token("admin");
        let put = |conditions: &[(&str, &str)]| {
            write(&gateway, &token, ("PUT", "/vault/secrets/a"), conditions, &json!({})).told()
        };
        assert_eq!(put(&[]), (428, "precondition-required".into()));
        assert_eq!(put(&[("If-None-Match", "*")]).0, 201);
    });
}

#[test]
fn what_breaks_the_rules_of_structure_is_told_by_place_and_keyword() {
    on(Kind::OpenBao, "what_breaks_the_rules_of_structure_is_told_by_place_and_keyword", |server| {
        let corner = Corner::of(server);
        let schema = json!({"type": "object", "properties": {"port": {"type": "integer"}}, "required": ["host"]});
        std::fs::write(corner.folder.join("schema.json"), schema.to_string()).unwrap();
        let mut tables = corner.tables();
        tables.more =
            "[[schema]]\npaths = [\"apps/*/config\"]\nfile = \"schema.json\"\nmax_keys = 3\nmax_value_bytes = 20\n"
                .into();
        let gateway = corner.start(&tables);
        let token = corner.token("admin");
        let secret = "/vault/secrets/apps/shop/config";
        let put = |path: &str, body: &Value| {
            let reply = gateway.put(&format!("PUT {path}"), &token, body);
            (reply.status, reply.json()["errors"].clone(), reply.text)
        };
        let (status, errors, text) = put(secret, &json!({"port": "hunter2", "x": "hunter2-hunter2-hunter2"}));
        let errors = errors.as_array().cloned().unwrap_or_default();
        let mut seen: Vec<_> = errors
            .iter()
            .map(|it| format!("{} {}", it["pointer"].as_str().unwrap(), it["keyword"].as_str().unwrap()))
            .collect();
        seen.sort_unstable();
        assert_eq!(
            (status, seen),
            (422, [" required", "/port type", "/x max_value_bytes"].map(str::to_owned).to_vec())
        );
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(put(secret, &json!({"host": "db", "a": 1, "b": 2, "c": 3})).0, 422);
        assert_eq!(put(secret, &json!({"host": "db", "port": 5432})).0, 201);
        assert_eq!(put("/vault/secrets/other", &json!({"port": "free"})).0, 201);
        // An earlier version that breaks them is not written again.
        corner.put("apps/shop/config", &json!({"port": "old"}));
        corner.put("apps/shop/config", &json!({"host": "db"}));
        assert_eq!(
            gateway.put("POST /vault/versions/apps/shop/config/rollback", &token, &json!({"to": 2})).status,
            422
        );
        assert_eq!(
            gateway.put("POST /vault/versions/apps/shop/config/rollback", &token, &json!({"to": 1})).status,
            200
        );
    });
}

#[test]
fn who_may_not_read_is_not_told_what_of_a_stored_secret_breaks_the_rules() {
    on(Kind::OpenBao, "who_may_not_read_is_not_told_what_of_a_stored_secret_breaks_the_rules", |server| {
        let corner = Corner::of(server);
        corner.put("a", &json!({"private_name": "x".repeat(100)}));
        let mut tables = corner.tables();
        tables.rules.push_str(
            "[[rule]]\ntenant = \"team-a\"\nclaim = { roles = \"writer\" }\npaths = [\"**\"]\nallow = [\"write\", \"restore\"]\n",
        );
        tables.more = "[[schema]]\npaths = [\"**\"]\nmax_value_bytes = 50\n".into();
        let gateway = corner.start(&tables);
        let places = |role: &str, request: (&str, &str), body: &Value| {
            let reply = write(&gateway, &corner.token(role), request, &[], body);
            (reply.status, reply.json()["errors"].as_array().map_or(0, Vec::len))
        };
        let (patch, back) = (("PATCH", "/vault/secrets/a"), ("POST", "/vault/versions/a/rollback"));
        assert_eq!([places("admin", patch, &json!({})), places("writer", patch, &json!({}))], [(422, 1), (422, 0)]);
        assert_eq!(
            [places("admin", back, &json!({"to": 1})), places("writer", back, &json!({"to": 1}))],
            [(422, 1), (422, 0)]
        );
        let own = json!({"long": "y".repeat(100)});
        assert_eq!(places("writer", ("PUT", "/vault/secrets/a"), &own), (422, 1));
    });
}
