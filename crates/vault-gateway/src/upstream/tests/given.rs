//! Tenants whose token is handed in, in a file.

use super::*;

on_both!(
    a_token_that_was_handed_in_is_asked_of_at_the_first_try,
    a_token_that_dies_is_no_refusal_of_a_path_and_another_one_mends_the_tenant,
    a_tenant_is_well_again_once_vault_is,
);

/// A tenant of `corner` with a token file that holds this; the file is not there for an empty one.
fn of_file(corner: &Corner, name: &str, token: &str) -> Tenant {
    let file = scratch(&unique()).join("token");
    if !token.is_empty() {
        std::fs::write(&file, token).expect("the token is written");
    }
    let login = TenantLogin { token_file: Some(file), ..TenantLogin::default() };
    Tenant { name: name.into(), login, ..corner.tenant.clone() }
}

/// A token of the corner's policy, with these fields of its own.
fn token(server: &Server, corner: &Corner, fields: &Value) -> String {
    let mut all = json!({"policies": [corner.tenant.mount]});
    all.as_object_mut().expect("an object").extend(fields.as_object().cloned().unwrap_or_default());
    server.create_token("", &all)
}

fn a_token_that_was_handed_in_is_asked_of_at_the_first_try(server: &Server) {
    let corner = Corner::of(server);
    let blind = token(server, &corner, &json!({"no_default_policy": true}));
    let given = [
        ("team-a", token(server, &corner, &json!({}))),
        ("team-b", blind),
        ("team-c", "s.wrong-wrong-wrong-wrong".into()),
        ("team-d", String::new()),
    ];
    let tenants = given.map(|(name, token)| of_file(&corner, name, &token));
    let all = corner.with(&tenants, cache(), None);
    let away = Corner { addr: "http://127.0.0.1:1".into(), ..Corner::at("", &unique()) };
    let away = away.with(&tenants[..1], cache(), None);
    runtime().block_on(async {
        all.try_all().await;
        let states = [("team-a", "ok"), ("team-b", "ok"), ("team-c", "denied"), ("team-d", "denied")];
        assert_eq!(all.states(), states.map(|(name, state)| (name.to_owned(), state)));
        let counted = ["team-a login ok", "team-b login ok", "team-c login upstream-identity"];
        assert_eq!(counted.map(|what| corner.counts.of(what)), [1, 1, 1]);
        // Who may not look itself up is refused a path, and serves others.
        let upstream = all.get("team-b").unwrap();
        for _ in 0..3 {
            assert_eq!(read(upstream, "denied/a", None).await.0, Err("upstream-denied"));
            assert_eq!(read(upstream, "a", None).await.0, Err("not-found"));
        }
        assert_eq!(word(upstream.renew(ID).await), "ok");
        away.try_all().await;
        assert_eq!(away.states(), [("team-a".to_owned(), "unavailable")]);
        all.close(None).await;
    });
}

fn a_token_that_dies_is_no_refusal_of_a_path_and_another_one_mends_the_tenant(server: &Server) {
    let corner = Corner::of(server);
    let [first, second] = [(); 2].map(|()| token(server, &corner, &json!({})));
    let tenant = of_file(&corner, "team-a", &first);
    let file = tenant.login.token_file.clone().unwrap();
    let tenants = corner.with(&[tenant], cache(), None);
    let upstream = tenants.get("team-a").unwrap();
    let states = |state| vec![("team-a".to_owned(), state)];
    runtime().block_on(async {
        assert_eq!(read(upstream, "denied/a", None).await.0, Err("upstream-denied"));
        server.must("POST", "auth/token/revoke", &json!({"token": first}));
        for path in ["a", "denied/a", "b"] {
            assert_eq!(read(upstream, path, None).await.0, Err("upstream-identity"), "{path}");
        }
        tenants.try_all().await;
        assert_eq!(tenants.states(), states("denied"));
        std::fs::write(&file, &second).unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while tenants.states() != states("ok") && std::time::Instant::now() < end {
            tenants.try_all().await;
        }
        assert_eq!(tenants.states(), states("ok"));
        assert_eq!(read(upstream, "a", None).await.0, Err("not-found"));
        tenants.close(None).await;
    });
}

fn a_tenant_is_well_again_once_vault_is(server: &Server) {
    let Some(fresh) = Server::fresh(server.kind()).map(Server::ready) else { return };
    let corner = Corner::of(&fresh);
    let given = token(&fresh, &corner, &json!({}));
    let tenants = corner.with(&[corner.tenant.clone(), of_file(&corner, "team-b", &given)], cache(), None);
    let states = |state| ["team-a", "team-b"].map(|name| (name.to_owned(), state));
    let asked = || corner.counts.of("team-a login ok") + corner.counts.of("team-b login ok");
    runtime().block_on(async {
        tenants.try_all().await;
        assert_eq!(tenants.states(), states("ok"));
        fresh.seal();
        // Who is well is not asked of.
        tenants.try_all().await;
        assert_eq!((tenants.states().as_slice(), asked()), (&states("ok")[..], 2));
        for name in ["team-a", "team-b"] {
            assert_eq!(read(tenants.get(name).unwrap(), "a", None).await.0, Err("unavailable"));
        }
        tenants.try_all().await;
        assert_eq!(tenants.states(), states("unavailable"));
        fresh.unseal();
        tenants.try_all().await;
        assert_eq!((tenants.states().as_slice(), asked()), (&states("ok")[..], 4));
        tenants.close(None).await;
    });
}
