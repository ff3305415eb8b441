//! What is refused, in which order, and that a refusal tells nothing.

use serde_json::{Value, json};
use vault_testkit::on_both;
use vault_testkit::openid::{OpenIdProvider, Settings};
use vault_testkit::server::{Kind, Server, on};

use crate::support::Corner;

fn the_first_refusal_in_the_order_counts(server: &Server) {
    let corner = Corner::of(server);
    let mut tables = corner.tables();
    tables.more = "[limits]\nbody_bytes = 100\n".into();
    let gateway = corner.start(&tables);
    let (admin, reader) = (corner.token("admin"), corner.token("reader"));
    let elsewhere = corner.issuer.token(&json!({"roles": ["admin"], "tenant": "team-b"}));
    let large = json!({"K": "x".repeat(200)}).to_string();
    for (request, token, body, status, kind) in [
        ("BREW /nowhere?x", "", None, 401, "unauthorized"),
        ("GET /vault/secrets/..", "a.b.c", None, 401, "unauthorized"),
        ("BREW /nowhere?x", &elsewhere, None, 403, "denied"),
        ("GET /nowhere", &reader, None, 404, "not-found"),
        ("BREW /vault/secrets/..", &reader, None, 405, "method"),
        ("GET /vault/secrets/..", &reader, None, 400, "path"),
        ("GET /vault/secrets/a?b=c", &reader, None, 400, "path"),
        ("PUT /vault/secrets/apps/a/config", &reader, Some(large.as_str()), 403, "denied"),
        ("GET /vault/secrets/other", &reader, None, 403, "denied"),
        ("PUT /vault/secrets/a", &admin, Some(large.as_str()), 413, "too-large"),
        ("PUT /vault/secrets/a", &admin, Some("[]"), 400, "body"),
        ("PUT /vault/secrets/a", &admin, Some(r#"{"a":1,"a":2}"#), 400, "body"),
        ("POST /vault/versions/a/rollback", &admin, Some("{}"), 400, "body"),
    ] {
        let reply = gateway.send(request, token, &[], body);
        assert_eq!(reply.told(), (status, kind.to_owned()), "{request}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        let document = reply.json();
        assert_eq!(document["status"], json!(status), "{request}");
        assert_eq!(document["instance"], json!(format!("urn:uuid:{}", reply.header("x-request-id"))), "{request}");
    }
    let text = gateway.send("PUT /vault/secrets/a", &admin, &[("Content-Type", "text/plain")], Some("{}"));
    assert_eq!(text.told(), (415, "media-type".to_owned()));
    assert_eq!(gateway.ask("OPTIONS /vault/secrets/a", &admin).header("allow"), "GET, HEAD, PUT, PATCH, DELETE");
    // Nothing of all this was asked upstream.
    let asked = server.asked(&corner.name);
    assert!(asked.iter().all(|it| !it.path.starts_with(&format!("{}/", corner.name))), "{asked:?}");
}

fn a_refusal_by_a_rule_is_the_same_for_every_path(server: &Server) {
    let corner = Corner::of(server);
    corner.put("there", &json!({"K": "v"}));
    let gateway = corner.start(&corner.tables());
    let reader = corner.token("reader");
    let told = |path: &str| {
        let reply = gateway.ask(&format!("GET /vault/secrets/{path}"), &reader);
        let mut document = reply.json();
        document["instance"] = Value::Null;
        let mut headers = reply.headers;
        headers.retain(|name, _| !matches!(name.as_str(), "x-request-id" | "date"));
        (reply.status, document, headers)
    };
    assert_eq!(told("there"), told("not/there"));
    assert_eq!(told("there").0, 403);
}

on_both!(the_first_refusal_in_the_order_counts, a_refusal_by_a_rule_is_the_same_for_every_path);

#[test]
fn every_refused_token_gets_the_same_answer() {
    on(Kind::Embedded, "every_refused_token_gets_the_same_answer", |server| {
        let corner = Corner::of(server);
        let gateway = corner.start(&corner.tables());
        let issuer = &corner.issuer;
        let claims = |changes: Value| {
            let mut all = json!({"roles": ["admin"], "tenant": "team-a"});
            all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            issuer.token(&all)
        };
        let good = corner.token("admin");
        let other = crate::support::issuer::Issuer::new("https://idp.example").token(&json!({"tenant": "team-a"}));
        let header = |header: Value| {
            let claims = json!({"iss": "https://idp.example", "sub": "ci", "aud": "vault-gateway", "exp": 4_000_000_000_u64, "tenant": "team-a", "roles": "admin"});
            issuer.sign(&header, &claims)
        };
        assert_eq!(gateway.ask("GET /vault/secrets/a", &header(json!({"alg": "EdDSA", "kid": "first"}))).status, 404);
        let mut seen = Vec::new();
        for token in [
            String::new(),
            "x".into(),
            format!("{good}x"),
            other,
            claims(json!({"exp": 1})),
            claims(json!({"exp": null})),
            claims(json!({"exp": "4000000000"})),
            claims(json!({"nbf": 4_000_000_000_u64})),
            claims(json!({"iat": 4_000_000_000_u64})),
            claims(json!({"aud": "other"})),
            claims(json!({"aud": null})),
            claims(json!({"iss": ["https://idp.example"]})),
            claims(json!({"iss": "https://idp.example/"})),
            claims(json!({"sub": ""})),
            claims(json!({"sub": null})),
            header(json!({"alg": "none", "kid": "first", "typ": "JWT"})),
            header(json!({"alg": "HS256", "kid": "first", "typ": "JWT"})),
            header(json!({"alg": "EdDSA", "typ": "JWT"})),
            header(json!({"alg": "EdDSA", "kid": "second", "typ": "JWT"})),
            header(json!({"alg": "EdDSA", "kid": "first", "typ": "JWT", "crit": ["exp"]})),
            header(json!({"alg": "EdDSA", "kid": "first", "typ": "JWT", "b64": false})),
            header(json!({"alg": "EdDSA", "kid": "first", "typ": "secevent+jwt"})),
        ] {
            let reply = gateway.ask("GET /vault/secrets/a", &token);
            assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"");
            let mut document = reply.json();
            document["instance"] = Value::Null;
            seen.push((reply.status, document));
        }
        seen.dedup();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].0, 401);
        // The reason stands in the audit log, and no claim of a refused token does.
        let lines = corner.audit();
        let refused = lines.iter().filter(|line| line["status"] == json!(401));
        for line in refused {
            assert!(line["reason"].is_string() && line["issuer"].is_null() && line["subject"].is_null(), "{line}");
        }
    });
}

#[test]
fn a_real_provider_vouches_for_callers_and_its_new_keys_are_found() {
    on(Kind::OpenBao, "a_real_provider_vouches_for_callers_and_its_new_keys_are_found", |server| {
        let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let mut tables = corner.tables();
        tables.issuer = format!(
            "[[issuer]]\nurl = \"{}\"\naudience = \"vault-gateway\"\ntenant = {{ claim = \"/realm/team\" }}\n",
            provider.issuer()
        );
        let gateway = corner.start(&tables);
        let claims = json!({"aud": "vault-gateway", "roles": ["reader"], "realm": {"team": "team-a"}});
        let ask = |token: &str| gateway.ask("GET /vault/secrets/shared/a", token).status;
        assert_eq!(ask(&provider.mint(&claims)), 200);
        assert_eq!([ask(&provider.mint_forged(&claims)), ask(&provider.mint_with_unknown_kid(&claims))], [401, 401]);
        let before = provider.hits("/jwks");
        for _ in 0..200 {
            assert_eq!(ask(&provider.mint_with_unknown_kid(&claims)), 401);
        }
        assert_eq!(provider.hits("/jwks"), before, "an unknown key is looked for once in 30 seconds");
        assert_eq!(ask(&provider.mint(&claims)), 200);
    });
}
