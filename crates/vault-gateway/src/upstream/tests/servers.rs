//! A tenant on the real and the embedded server.

use super::*;

on_both!(
    a_secret_is_written_read_deleted_brought_back_and_destroyed,
    conditions_are_vaults_and_a_conflict_names_the_version,
    names_and_metadata_are_read_below_the_prefix,
    what_the_policies_deny_is_told_apart_from_a_login_that_is_refused,
    fifty_callers_on_a_cold_path_are_one_read_of_vault,
    a_token_is_renewed_and_revoked_at_the_end,
    a_reload_keeps_who_has_not_changed_and_no_one_else,
);

fn a_secret_is_written_read_deleted_brought_back_and_destroyed(server: &Server) {
    let corner = Corner::of(server);
    let tenants = corner.tenants(None);
    let upstream = tenants.get("team-a").unwrap();
    runtime().block_on(async {
        assert_eq!(read(upstream, "a", None).await, (Err("not-found"), Lookup::Miss));
        assert_eq!(read(upstream, "a", None).await, (Err("not-found"), Lookup::Hit));
        let first = r#"{"z":1.5,"a":"é\"\\","n":{"m":[7,null]}}"#;
        let written = upstream.write("a", Arc::new(Zeroizing::new(first.to_owned())), Cas::Any, ID).await.unwrap();
        assert_eq!(written.version, 1);
        assert_eq!(server.admin("GET", &format!("{}/data/pre/a", upstream.tenant().mount), &Value::Null).0, 200);
        let looked = upstream.read("a", None, READING).await;
        let secret = looked.result.unwrap();
        assert_eq!((secret.version, secret.etag.to_str().unwrap(), looked.lookup), (1, "\"1\"", Lookup::Miss));
        let whole = text(&secret);
        assert_eq!(whole["data"], serde_json::from_str::<Value>(first).unwrap());
        assert_eq!((&whole["version"], whole["created_time"].as_str()), (&json!(1), Some(&*secret.created_time)));
        assert!(secret.created_time.ends_with('Z') && secret.vault_request_id.is_some());
        assert_eq!(format!("{secret:?}"), "Secret { version: 1, .. }");
        assert_eq!(upstream.read("a", None, READING).await.lookup, Lookup::Hit);
        upstream.write("a", body(&json!({"K": "two"})), Cas::Any, ID).await.unwrap();
        assert_eq!(read(upstream, "a", None).await, got(2, r#"{"K":"two"}"#, Lookup::Miss));
        assert_eq!(read(upstream, "a", Some(1)).await.0.map(|it| it.0), Ok(1));
        assert_eq!(read(upstream, "a", Some(9)).await, (Err("not-found"), Lookup::Miss));
        assert_eq!(upstream.read_now("a", ID).await.unwrap().version, 2);
        upstream.delete("a", ID).await.unwrap();
        assert_eq!(read(upstream, "a", None).await, (Err("not-found"), Lookup::Miss));
        upstream.undelete("a", &[2], ID).await.unwrap();
        assert_eq!(read(upstream, "a", None).await, got(2, r#"{"K":"two"}"#, Lookup::Miss));
        upstream.delete_versions("a", &[1], ID).await.unwrap();
        assert_eq!(read(upstream, "a", Some(1)).await, (Err("not-found"), Lookup::Miss));
        upstream.destroy("a", &[1, 2], ID).await.unwrap();
        upstream.undelete("a", &[1, 2], ID).await.unwrap();
        assert_eq!(read(upstream, "a", None).await, (Err("not-found"), Lookup::Miss));
        for done in [upstream.delete("b", ID).await, upstream.destroy("b", &[1], ID).await] {
            assert_eq!(word(done), "ok");
        }
        assert_eq!(word(upstream.write("a", Arc::new(String::from("[]")), Cas::Any, ID).await), "body");
        assert_eq!(word(upstream.write("a", Arc::new(String::from("{")), Cas::Any, ID).await), "body");
        // What others write is seen by who reads past the cache, and by all after that.
        server.write_secret("", &upstream.tenant().mount, "pre/c", &json!({"K": 1}));
        assert_eq!(read(upstream, "c", None).await, got(1, r#"{"K":1}"#, Lookup::Miss));
        server.write_secret("", &upstream.tenant().mount, "pre/c", &json!({"K": 2}));
        assert_eq!(read(upstream, "c", None).await, got(1, r#"{"K":1}"#, Lookup::Hit));
        let refreshed = upstream.read("c", None, Reading { refresh: true, id: ID }).await;
        assert_eq!((refreshed.result.unwrap().version, refreshed.lookup), (2, Lookup::Bypass));
        assert_eq!(read(upstream, "c", None).await, got(2, r#"{"K":2}"#, Lookup::Hit));
        tenants.close(None).await;
    });
    assert_eq!((corner.counts.of("team-a write ok"), corner.counts.of("team-a bypass")), (2, 1));
}

fn conditions_are_vaults_and_a_conflict_names_the_version(server: &Server) {
    let corner = Corner::of(server);
    let tenants = corner.tenants(None);
    let upstream = tenants.get("team-a").unwrap();
    runtime().block_on(async {
        let write = |cas| upstream.write("a", body(&json!({"K": 1})), cas, ID);
        assert_eq!(write(Cas::New).await.unwrap().version, 1);
        assert_eq!(write(Cas::At(1)).await.unwrap().version, 2);
        for cas in [Cas::New, Cas::At(1)] {
            let problem = write(cas).await.unwrap_err();
            assert_eq!((problem.kind.word(), problem.status, problem.version), ("conflict", 409, Some(2)));
        }
        tenants.close(None).await;
    });
}

fn names_and_metadata_are_read_below_the_prefix(server: &Server) {
    let corner = Corner::of(server);
    let tenants = corner.tenants(None);
    let upstream = tenants.get("team-a").unwrap();
    runtime().block_on(async {
        for path in ["b", "a", "f/x", "c"] {
            upstream.write(path, body(&json!({})), Cas::Any, ID).await.unwrap();
        }
        server.write_secret("", &upstream.tenant().mount, "other/s", &json!({}));
        assert_eq!(upstream.list("", ID).await.unwrap(), ["a", "b", "c", "f/"]);
        assert_eq!(upstream.list("f", ID).await.unwrap(), ["x"]);
        assert_eq!(word(upstream.list("none", ID).await), "not-found");
        assert_eq!(upstream.list_page("", None, 2, ID).await.unwrap(), ["a", "b"]);
        assert_eq!(upstream.list_page("", Some("b"), 9, ID).await.unwrap(), ["c", "f/"]);
        let metadata = upstream.metadata("a", ID).await.unwrap();
        assert_eq!((metadata.current_version, metadata.versions.len()), (1, 1));
        let absent = upstream.metadata("data/a", ID).await.unwrap_err();
        assert_eq!(
            (absent.kind.word(), &*absent.detail),
            ("not-found", "nothing is at this path; leave mount and data/ out")
        );
        tenants.close(None).await;
    });
}

fn what_the_policies_deny_is_told_apart_from_a_login_that_is_refused(server: &Server) {
    let corner = Corner::of(server);
    let refused = Tenant {
        name: "team-b".into(),
        login: TenantLogin { role: Some("no-such-role".into()), ..corner.tenant.login.clone() },
        ..corner.tenant.clone()
    };
    let tenants = corner.with(&[corner.tenant.clone(), refused], cache(), None);
    runtime().block_on(async {
        let states = |first, second| vec![("team-a".to_owned(), first), ("team-b".to_owned(), second)];
        assert_eq!(tenants.states(), states("untried", "untried"));
        tenants.try_all().await;
        assert_eq!(tenants.states(), states("ok", "denied"));
        let upstream = tenants.get("team-a").unwrap();
        let denied = upstream.read("denied/a", None, READING).await.result.unwrap_err();
        assert_eq!((denied.kind.word(), denied.status), ("upstream-denied", 403));
        assert_eq!(word(upstream.write("denied/a", body(&json!({})), Cas::Any, ID).await), "upstream-denied");
        let other = tenants.get("team-b").unwrap();
        let identity = other.read("a", None, READING).await.result.unwrap_err();
        assert_eq!((identity.kind.word(), identity.status), ("upstream-identity", 503));
        assert_eq!(word(other.write("a", body(&json!({})), Cas::Any, ID).await), "upstream-identity");
        assert_eq!(tenants.states(), states("ok", "denied"));
        tenants.close(None).await;
    });
    let counted = ["team-a login ok", "team-b login upstream-identity", "team-a read upstream-denied"];
    assert_eq!(counted.map(|what| corner.counts.of(what)), [1, 1, 1]);
}

fn fifty_callers_on_a_cold_path_are_one_read_of_vault(server: &Server) {
    let corner = Corner::of(server);
    let tenants = corner.tenants(None);
    let upstream = tenants.get("team-a").unwrap();
    server.write_secret("", &upstream.tenant().mount, "pre/a", &json!({"K": 1}));
    runtime().block_on(async {
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let upstream = Arc::clone(upstream);
                tokio::spawn(async move { read(&upstream, "a", None).await.0 })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), Ok((1, r#"{"K":1}"#.to_owned())));
        }
        tenants.close(None).await;
    });
    let reads = server.asked(&upstream.tenant().mount);
    assert_eq!(reads.iter().filter(|asked| asked.path.ends_with("data/pre/a")).count(), 1);
    assert_eq!(corner.counts.of("team-a read ok"), 1);
}

fn a_token_is_renewed_and_revoked_at_the_end(server: &Server) {
    let corner = Corner::of(server);
    let tenants = corner.tenants(None);
    let upstream = tenants.get("team-a").unwrap();
    runtime().block_on(async {
        assert!(tenants.leases().is_empty());
        let token = upstream.renew(ID).await.unwrap();
        assert!(token.renewable && token.policies.contains(&upstream.tenant().mount));
        assert!(matches!(&tenants.leases()[..], [(name, Some(lease))] if name == "team-a" && *lease > MINUTE));
        assert_eq!(server.live_tokens("", &upstream.tenant().mount), 1);
        tenants.close(None).await;
        assert_eq!(server.live_tokens("", &upstream.tenant().mount), 0);
        assert_eq!(word(upstream.renew(ID).await), "unavailable");
    });
}

fn a_reload_keeps_who_has_not_changed_and_no_one_else(server: &Server) {
    let corner = Corner::of(server);
    let second = Tenant { name: "team-b".into(), ..corner.tenant.clone() };
    let first = corner.tenant.clone();
    let mount = &corner.tenant.mount;
    server.write_secret("", mount, "pre/a", &json!({"K": 1}));
    runtime().block_on(async {
        let before = corner.with(&[first.clone(), second.clone()], cache(), None);
        for name in ["team-a", "team-b"] {
            assert_eq!(read(before.get(name).unwrap(), "a", None).await.0.map(|it| it.0), Ok(1));
        }
        before.try_all().await;
        assert_eq!(server.live_tokens("", mount), 2);
        let changed = Tenant { overlap: true, ..second.clone() };
        let after = corner.with(&[first.clone(), changed], cache(), Some(&before));
        assert!(Arc::ptr_eq(before.get("team-a").unwrap(), after.get("team-a").unwrap()));
        assert!(!Arc::ptr_eq(before.get("team-b").unwrap(), after.get("team-b").unwrap()));
        before.close(Some(&after)).await;
        assert_eq!(server.live_tokens("", mount), 1);
        assert_eq!(read(after.get("team-a").unwrap(), "a", None).await, got(1, r#"{"K":1}"#, Lookup::Hit));
        assert_eq!(word(before.get("team-b").unwrap().read_now("a", ID).await), "unavailable");
        // Another cache, and the same client.
        let other = CacheLimits { ttl: 2 * MINUTE, ..cache() };
        let last = corner.with(&[first], other, Some(&after));
        after.close(Some(&last)).await;
        assert_eq!(read(last.get("team-a").unwrap(), "a", None).await, got(1, r#"{"K":1}"#, Lookup::Miss));
        assert_eq!(server.live_tokens("", mount), 1);
        last.close(None).await;
        assert_eq!(server.live_tokens("", mount), 0);
    });
}

/// More strings than the real server takes, by its configuration.
const MANY: usize = 60_000;

#[test]
fn what_only_the_real_server_refuses_is_told_by_its_kind() {
    on(Kind::OpenBao, "what_only_the_real_server_refuses_is_told_by_its_kind", |server| {
        let corner = Corner::of(server);
        let tenants = corner.tenants(None);
        let upstream = tenants.get("team-a").unwrap();
        server.must("POST", &format!("{}/metadata/pre/a", corner.tenant.mount), &json!({"cas_required": true}));
        let many: serde_json::Map<_, _> = (0..MANY).map(|n| (n.to_string(), json!("x"))).collect();
        runtime().block_on(async {
            let problem = upstream.write("a", body(&json!({})), Cas::Any, ID).await.unwrap_err();
            assert_eq!((problem.kind.word(), problem.status), ("precondition-required", 428));
            let problem = upstream.write("b", body(&Value::Object(many)), Cas::Any, ID).await.unwrap_err();
            assert_eq!((problem.kind.word(), problem.status), ("schema", 422));
            tenants.close(None).await;
        });
    });
}

/// A tenant of a server of its own, which is sealed and unsealed.
fn of_a_sealed_server(kind: Kind, scenario: &str) {
    let Some(server) = Server::fresh(kind).map(Server::ready) else { return vault_testkit::server::skip(scenario) };
    let corner = Corner::of(&server);
    let short = CacheLimits { ttl: Duration::from_millis(1), stale_if_error: MINUTE, ..cache() };
    let tenants = corner.with(slice::from_ref(&corner.tenant), short, None);
    let upstream = tenants.get("team-a").unwrap();
    runtime().block_on(async {
        upstream.write("a", body(&json!({"K": 1})), Cas::Any, ID).await.unwrap();
        assert_eq!(read(upstream, "a", None).await, got(1, r#"{"K":1}"#, Lookup::Miss));
        server.seal();
        let begun = std::time::Instant::now();
        eventually("time goes by", || begun.elapsed() > Duration::from_millis(5));
        assert_eq!(read(upstream, "a", None).await, got(1, r#"{"K":1}"#, Lookup::Stale));
        let problem = upstream.read("b", None, READING).await.result.unwrap_err();
        assert_eq!((problem.kind.word(), problem.status), ("unavailable", 503));
        assert!(problem.retry_after.is_some_and(|seconds| (1..=5).contains(&seconds)));
        assert_eq!(word(upstream.write("a", body(&json!({})), Cas::Any, ID).await), "unavailable");
        assert_eq!(tenants.states(), [("team-a".to_owned(), "unavailable")]);
        server.unseal();
        assert_eq!(read(upstream, "b", None).await, (Err("not-found"), Lookup::Miss));
        assert_eq!(tenants.states(), [("team-a".to_owned(), "ok")]);
        tenants.close(None).await;
    });
    vault_testkit::tally::note(kind.name(), scenario);
}

#[test]
fn while_the_embedded_server_is_sealed_old_values_are_served_and_nothing_else() {
    of_a_sealed_server(Kind::Embedded, "while_the_embedded_server_is_sealed_old_values_are_served_and_nothing_else");
}

#[test]
fn while_the_real_server_is_sealed_old_values_are_served_and_nothing_else() {
    of_a_sealed_server(Kind::OpenBao, "while_the_real_server_is_sealed_old_values_are_served_and_nothing_else");
}
