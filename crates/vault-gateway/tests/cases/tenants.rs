//! Tenants apart: their logins, their secrets, and how much one slows another.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::random::Random;
use vault_testkit::server::{Kind, Listener, Server, on};

use crate::support::between::{Between, Way};
use crate::support::gateway::{Gateway, Reply};
use crate::support::{Corner, Tables};

/// The configuration with a second tenant, `team-b`, of another corner. Its admins may do what those of `team-a` may.
fn of_two(corner: &Corner, other: &Corner) -> Tables {
    let mut tables = corner.tables();
    tables.tenant.push_str(&other.tables().tenant.replace("team-a", "team-b"));
    let rules = tables.rules.replace("team-a", "team-b").replace("admins", "b admins").replace("readers", "b readers");
    tables.rules.push_str(&rules);
    tables
}

/// A token of an admin of this tenant.
fn admin(corner: &Corner, tenant: &str) -> String {
    corner.issuer.token(&json!({"roles": ["admin"], "tenant": tenant}))
}

#[test]
fn a_tenant_whose_login_or_path_vault_refuses_is_told_so_and_others_are_served() {
    on(Kind::OpenBao, "a_tenant_whose_login_or_path_vault_refuses_is_told_so_and_others_are_served", |server| {
        let (corner, other) = (Corner::of(server), Corner::of(server));
        for it in [&corner, &other] {
            it.put("shared/a", &json!({"K": "v"}));
        }
        let nobody = json!({"bound_service_account_names": "nobody"});
        server.write_kubernetes_role("", "kubernetes", &other.name, &other.name, &nobody);
        let name = &corner.name;
        let policy = format!("path \"{name}/data/shared/*\" {{ capabilities = [\"read\"] }}");
        server.write_policy("", name, &policy);
        let gateway = corner.start(&of_two(&corner, &other));
        let (a, b) = (admin(&corner, "team-a"), admin(&corner, "team-b"));
        let ready = json!({"ready": true, "tenants": {"team-a": "ok", "team-b": "denied"}});
        assert_eq!(gateway.operate("/ready").json(), ready);
        for (request, token, expected) in [
            ("GET /vault/secrets/shared/a", &a, (200, "")),
            ("GET /vault/secrets/b", &a, (403, "upstream-denied")),
            ("PUT /vault/secrets/shared/a", &a, (403, "upstream-denied")),
            ("DELETE /vault/secrets/shared/a", &a, (403, "upstream-denied")),
            ("GET /vault/versions/shared/a", &a, (403, "upstream-denied")),
            ("GET /vault/list", &a, (403, "upstream-denied")),
            ("GET /vault/secrets/shared/a", &b, (503, "upstream-identity")),
            ("PUT /vault/secrets/shared/a", &b, (503, "upstream-identity")),
            ("GET /vault/list", &b, (503, "upstream-identity")),
            ("POST /vault/token/renew", &b, (503, "upstream-identity")),
        ] {
            let reply = gateway.send(request, token, &[], request.starts_with("PUT").then_some("{}"));
            assert_eq!((reply.status, &*reply.problem()), expected, "{request}");
        }
        // Whoever has corrected a login need not wait for the client's next try.
        server.write_kubernetes_role("", "kubernetes", &other.name, &other.name, &json!({}));
        gateway.signal(Signal::SIGHUP);
        eventually("the login is taken", || gateway.ask("GET /vault/secrets/shared/a", &b).status == 200);
    });
}

/// The lines of the log about tenants: level, tenant and message.
fn told_of_tenants(gateway: &Gateway) -> Vec<(String, String, String)> {
    let lines = gateway.log();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = lines.map(|line| (text(&line["level"]), text(&line["tenant"]), text(&line["message"])));
    told.filter(|(.., message)| message.starts_with("tenant: ")).collect()
}

#[test]
fn why_a_tenant_is_not_well_is_a_line_of_the_log_and_not_one_for_each_request() {
    on(Kind::OpenBao, "why_a_tenant_is_not_well_is_a_line_of_the_log_and_not_one_for_each_request", |server| {
        let corner = Corner::of(server);
        let (file, vault) = (corner.folder.join("token"), server.addr(Listener::Plain));
        let mut tables = corner.tables();
        tables.tenant = format!(
            "[[tenant]]\nname = \"team-a\"\nmount = \"{}\"\ntoken_file = \"{}\"\n",
            corner.name,
            file.display()
        );
        let refused = "the look-up of the token was answered with 403: permission denied";
        for (token, vault, level, state, problem, message) in [
            (
                "s.wrong-wrong-wrong-wrong",
                &*vault,
                "ERROR",
                "denied",
                "upstream-identity",
                format!("Vault refuses the login: vault at {vault}: {refused}; correct role or credential"),
            ),
            (
                "s.wrong-wrong-wrong-wrong",
                "http://127.0.0.1:1",
                "WARN",
                "unavailable",
                "unavailable",
                "Vault cannot be asked: vault at http://127.0.0.1:1: connection refused; it is tried again until it can \
                 be"
                .to_owned(),
            ),
        ] {
            fs::write(&file, token).expect("a file");
            let gateway = Gateway::start(&corner.write(&tables), vault);
            assert_eq!(gateway.operate("/ready").json()["tenants"], json!({"team-a": state}));
            assert_eq!(gateway.metric("vault_gateway_upstream_requests_total{operation=\"login\",result=\"ok\",tenant=\"team-a\"}"), 0);
            let line = (level.to_owned(), "team-a".to_owned(), format!("tenant: {message}"));
            assert_eq!(told_of_tenants(&gateway), [line]);
            for _ in 0..10 {
                assert_eq!(gateway.ask("GET /vault/secrets/a", &corner.token("admin")).problem(), problem);
            }
            assert!(told_of_tenants(&gateway).len() <= 3, "{:?}", told_of_tenants(&gateway));
        }
    });
}

/// A tenant of the property: its mount and its prefix.
struct Place<'a> {
    name: String,
    mount: &'a str,
    prefix: &'static str,
}

impl Place<'_> {
    /// Where one of its paths is at Vault: mount and full path.
    fn full(&self, path: &str) -> String {
        format!("{}/{}", self.mount, [self.prefix, path].join("/").trim_start_matches('/'))
    }
}

/// Prefixes that look alike, in mounts whose names do. No two of one mount overlap.
fn places<'a>(one: &'a str, longer: &'a str) -> Vec<Place<'a>> {
    let of_one = ["a", "ab", "b/a", "a-b"].map(|prefix| (one, prefix));
    let of_longer = ["a/b", "a/bc", "ab/a", "b"].map(|prefix| (longer, prefix));
    let all = of_one.into_iter().chain(of_longer).enumerate();
    all.map(|(number, (mount, prefix))| Place { name: format!("t{number}"), mount, prefix }).collect()
}

/// The configuration of these tenants, each with a role of its own.
fn tables_of(corner: &Corner, server: &Server, places: &[Place]) -> Tables {
    let mut tables = corner.tables();
    let (folder, rules) = (corner.folder.display(), tables.rules.clone());
    (tables.tenant, tables.rules) = (String::new(), String::new());
    for Place { name, mount, prefix } in places {
        let role = format!("{}-{name}", corner.name);
        let policy = format!(
            "path \"{mount}/data/{prefix}/*\" {{ capabilities = [\"create\", \"read\", \"update\", \"delete\"] }}"
        );
        server.write_policy("", &role, &policy);
        server.write_kubernetes_role("", "kubernetes", &role, &role, &json!({}));
        let _ = write!(
            tables.tenant,
            "[[tenant]]\nname = \"{name}\"\nmount = \"{mount}\"\nprefix = \"{prefix}\"\nrole = \"{role}\"\n\
             auth_method = \"kubernetes\"\njwt_file = \"{folder}/jwt\"\n"
        );
        tables.rules.push_str(
            &rules.replace("team-a", name).replace("admins", &format!("{name} admins")).replace("readers", name),
        );
    }
    tables
}

#[test]
fn no_tenant_ever_reads_what_is_another_ones() {
    on(Kind::OpenBao, "no_tenant_ever_reads_what_is_another_ones", |server| {
        let corner = Corner::of(server);
        let longer = format!("{}/a", corner.name.replace("case", "longer"));
        server.mount_kv("", &longer, 2);
        let places = places(&corner.name, &longer);
        let gateway = corner.start(&tables_of(&corner, server, &places));
        let tokens: Vec<_> = places.iter().map(|place| admin(&corner, &place.name)).collect();
        let paths = ["a", "b", "b/a", "a/b", "c", "ab", "a/a", "b/c"];
        let mut random = Random::new(20_261_130);
        // What each path holds: the place of who wrote it, and the number of the write.
        let mut written = std::collections::BTreeMap::<String, (String, u64)>::new();
        let mut hits = 0;
        for turn in 0..1500_u64 {
            let index = usize::try_from(random.within(0..=7)).expect("an index");
            let (place, token, path) = (&places[index], &tokens[index], random.pick(&paths));
            let full = place.full(path);
            if random.chance(15) {
                let body = json!({"of": place.name, "at": full, "turn": turn});
                let reply = gateway.put(&format!("PUT /vault/secrets/{path}"), token, &body);
                assert!(matches!(reply.status, 200 | 201), "{full}: {}", reply.text);
                written.insert(full, (place.name.clone(), turn));
                continue;
            }
            let reply = gateway.ask(&format!("GET /vault/secrets/{path}"), token);
            hits += usize::from(reply.header("cache-status") == "vault-gateway; hit");
            let expected = written.get(&full).map(|(of, turn)| json!({"of": of, "at": full, "turn": turn}));
            let status = if expected.is_some() { 200 } else { 404 };
            assert_eq!((reply.status, reply.json()["data"].clone()), (status, expected.unwrap_or_default()), "{full}");
        }
        assert!(hits > 300, "{hits}");
    });
}

#[test]
fn a_tenant_that_hangs_does_not_slow_another_and_has_a_limit_of_its_own() {
    on(Kind::OpenBao, "a_tenant_that_hangs_does_not_slow_another_and_has_a_limit_of_its_own", |server| {
        let (corner, other) = (Corner::of(server), Corner::of(server));
        let mut tables = of_two(&corner, &other);
        tables.more = "[cache]\nttl = \"0s\"\n[limits]\nupstream_per_tenant = 3\n".into();
        corner.put("a", &json!({"K": "v"}));
        let between = Between::before(&server.addr(Listener::Plain));
        let gateway = Gateway::start(&corner.write(&tables), &between.url);
        let (a, b) = (admin(&corner, "team-a"), admin(&corner, "team-b"));
        between.treat(&format!("/v1/{}/data/", other.name), Way::Hold);
        let replies: Vec<Reply> = thread::scope(|scope| {
            let (gateway, b) = (&gateway, &b);
            let asked: Vec<_> = (0..20)
                .map(|number| scope.spawn(move || gateway.ask(&format!("GET /vault/secrets/x{number}"), b)))
                .collect();
            // Three are at Vault and three wait; the others are sent away at once.
            eventually("all but six are sent away", || asked.iter().filter(|it| it.is_finished()).count() == 14);
            eventually("three are at Vault", || between.held() == 3);
            let begun = Instant::now();
            for _ in 0..50 {
                assert_eq!(gateway.ask("GET /vault/secrets/a", &a).json()["data"], json!({"K": "v"}));
            }
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
            between.release();
            asked.into_iter().map(|it| it.join().expect("no panic")).collect()
        });
        let (busy, others): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.problem() == "busy");
        assert_eq!((busy.len(), others.len()), (14, 6));
        let is_told = |reply: &&Reply| reply.status == 503 && reply.header("retry-after").parse::<u64>().is_ok();
        assert!(busy.iter().all(is_told), "{busy:?}");
        assert!(others.iter().all(|reply| reply.status == 404), "{others:?}");
    });
}

/// Revokes all tokens with the policy of this corner.
fn revoke_tokens(corner: &Corner) {
    let server = corner.server;
    let (_, listed) = server.admin("GET", "auth/token/accessors?list=true", &Value::Null);
    for accessor in listed["data"]["keys"].as_array().into_iter().flatten() {
        let found = server.admin("POST", "auth/token/lookup-accessor", &json!({"accessor": accessor})).1;
        if found["data"]["policies"].as_array().is_some_and(|it| it.contains(&json!(corner.name))) {
            server.must("POST", "auth/token/revoke-accessor", &json!({"accessor": accessor}));
        }
    }
}

#[test]
fn a_token_that_is_revoked_is_replaced_and_a_tenant_without_login_loses_its_cache() {
    on(Kind::OpenBao, "a_token_that_is_revoked_is_replaced_and_a_tenant_without_login_loses_its_cache", |server| {
        let (corner, other) = (Corner::of(server), Corner::of(server));
        for it in [&corner, &other] {
            for path in ["a", "b", "c"] {
                it.put(path, &json!({"K": path}));
            }
        }
        let gateway = corner.start(&of_two(&corner, &other));
        let (a, b) = (admin(&corner, "team-a"), admin(&corner, "team-b"));
        let read = |path: &str, token: &str| {
            let reply = gateway.ask(&format!("GET /vault/secrets/{path}"), token);
            (reply.status, reply.header("cache-status").to_owned(), reply.problem())
        };
        let (hit, miss) = ("vault-gateway; hit".to_owned(), "vault-gateway; fwd=miss".to_owned());
        for token in [&a, &b] {
            assert_eq!(read("a", token), (200, miss.clone(), String::new()));
        }
        revoke_tokens(&other);
        assert_eq!(read("b", &b), (200, miss.clone(), String::new()));
        assert_eq!(server.live_tokens("", &other.name), 1);
        server.must("DELETE", &format!("auth/kubernetes/role/{}", corner.name), &Value::Null);
        revoke_tokens(&corner);
        // It is found out with the first question to Vault.
        let refused = (503, miss.clone(), "upstream-identity".to_owned());
        assert_eq!([read("c", &a), read("a", &a), read("b", &a)], [refused.clone(), refused.clone(), refused]);
        assert_eq!(read("a", &b), (200, hit.clone(), String::new()));
        server.write_kubernetes_role("", "kubernetes", &corner.name, &corner.name, &json!({}));
        gateway.signal(Signal::SIGHUP);
        eventually("the login is taken again", || read("a", &a).0 == 200);
        assert_eq!([read("a", &a), read("a", &b)], [(); 2].map(|()| (200, hit.clone(), String::new())));
    });
}
