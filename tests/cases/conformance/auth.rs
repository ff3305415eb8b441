//! Kubernetes logins, and the life of tokens.

use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::jwt::Jwt;

use super::{Both, agree};

agree! {
    kubernetes_logins_earn_tokens,
    kubernetes_logins_are_refused,
    a_malformed_batch_token_spoils_even_a_login,
    tokens_live_and_die,
    unknown_tokens_are_refused,
    uses_are_counted_and_time_runs_out,
}

fn kubernetes_logins_earn_tokens(both: &mut Both) {
    both.post("kv/data/{n}/a", &json!({"data": {"A": "1"}}));
    for fields in [
        json!({}),
        json!({"audience": "https://kubernetes.default.svc", "token_ttl": "60s", "token_num_uses": 3}),
        json!({"token_type": "batch", "bound_service_account_names": "*", "bound_service_account_namespaces": "*"}),
        json!({"token_ttl": 90, "bound_service_account_names": "x,app", "token_policies": "{n},other"}),
    ] {
        both.root();
        both.role(&fields);
        both.anyone();
        let made = both.login(&Jwt::default());
        both.become_token(&made);
        both.get("kv/data/{n}/a");
        both.get("auth/token/lookup-self");
        both.post("auth/token/revoke-self", &json!({}));
        both.get("kv/data/{n}/a");
    }
}

fn kubernetes_logins_are_refused(both: &mut Both) {
    both.role(&json!({"audience": "vault"}));
    both.anyone();
    let good = Jwt { audience: json!(["vault"]), ..Jwt::default() };
    let changed = |change: &dyn Fn(&mut Jwt)| {
        let mut jwt = good.clone();
        change(&mut jwt);
        jwt
    };
    both.login(&good);
    for jwt in [
        changed(&|jwt| jwt.algorithm = "HS256"),
        changed(&|jwt| jwt.algorithm = "none"),
        changed(&|jwt| "other".clone_into(&mut jwt.service_account)),
        changed(&|jwt| "other".clone_into(&mut jwt.namespace)),
        changed(&|jwt| jwt.audience = json!(["other"])),
        changed(&|jwt| jwt.audience = json!([])),
        changed(&|jwt| jwt.expires_in = -3600),
        changed(&|jwt| jwt.forged = true),
    ] {
        let [answer, _] = both.login(&jwt);
        assert_eq!(answer.status, 403, "{}", answer.text);
    }
    // Within the leeway.
    both.login(&changed(&|jwt| jwt.expires_in = -10));
    for body in [
        json!({}),
        json!({"role": "{n}"}),
        json!({"jwt": "x"}),
        json!({"role": "{n}", "jwt": "x"}),
        json!({"role": "{n}", "jwt": "x.y"}),
        json!({"role": "{n}", "jwt": "x.y.z"}),
        json!({"role": "unknown-{n}", "jwt": good.encode()}),
    ] {
        both.post("auth/kubernetes/login", &body);
    }
    both.post("auth/nomount/login", &json!({"role": "{n}", "jwt": "x"}));
    both.get("auth/kubernetes/login");
    both.root();
    both.post("auth/nomount/login", &json!({"role": "{n}", "jwt": "x"}));
    both.post("sys/auth/{n}", &json!({"type": "kubernetes"}));
    both.post(
        "auth/{n}/role/r",
        &json!({
            "bound_service_account_names": "app", "bound_service_account_namespaces": "default",
        }),
    );
    both.anyone();
    both.post("auth/{n}/login", &json!({"role": "r", "jwt": good.encode()}));
}

fn a_malformed_batch_token_spoils_even_a_login(both: &mut Both) {
    both.role(&json!({}));
    for token in ["s.unknown", "b.malformed"] {
        both.token = [Some(token.to_owned()), Some(token.to_owned())];
        both.login(&Jwt::default());
    }
}

fn tokens_live_and_die(both: &mut Both) {
    both.role(&json!({}));
    for fields in [
        json!({"policies": ["{n}"], "ttl": "1h", "display_name": "named", "meta": {"a": "b"}}),
        json!({"policies": ["{n}"], "no_default_policy": true, "no_parent": true}),
        json!({"policies": ["{n}"], "ttl": 60, "renewable": false}),
        json!({"policies": ["{n}"], "ttl": "1h", "type": "batch"}),
        json!({"policies": ["default", "{n}"], "num_uses": 20, "type": "service"}),
        json!({}),
    ] {
        both.root();
        let made = both.post("auth/token/create", &fields);
        both.become_token(&made);
        both.get("auth/token/lookup-self");
        both.post("auth/token/renew-self", &json!({}));
        both.post("auth/token/renew-self", &json!({"increment": "30s"}));
        both.get("auth/token/lookup-self");
        both.same("PUT", "auth/token/revoke-self", &Value::Null);
        both.get("auth/token/lookup-self");
        both.post("auth/token/revoke-self", &json!({}));
    }
    both.root();
    for fields in [json!({"type": "bogus"}), json!({"ttl": "soon"})] {
        both.post("auth/token/create", &fields);
    }
    both.get("auth/token/accessors");
    both.post("auth/token/lookup-accessor", &json!({"accessor": "none"}));
    both.post("auth/token/revoke-accessor", &json!({"accessor": "none"}));
    both.post("auth/token/lookup", &json!({"token": "s.none"}));
}

fn unknown_tokens_are_refused(both: &mut Both) {
    for token in [None, Some("s.unknown"), Some("b.malformed"), Some("hvs.unknown"), Some("x")] {
        both.token = [token.map(str::to_owned), token.map(str::to_owned)];
        for path in ["kv/data/{n}", "nomount/x", "auth/token/lookup-self", "sys/nosuch"] {
            both.get(path);
        }
        both.post("auth/token/revoke-self", &json!({}));
    }
}

fn uses_are_counted_and_time_runs_out(both: &mut Both) {
    both.post("kv/data/{n}/a", &json!({"data": {"A": "1"}}));
    both.role(&json!({}));
    let made = both.post("auth/token/create", &json!({"policies": ["{n}"], "num_uses": 3}));
    both.become_token(&made);
    both.get("sys/internal/ui/mounts/kv/{n}");
    both.get("kv/data/{n}/a");
    both.get("auth/token/lookup-self");
    both.get("kv/data/denied");
    both.get("kv/data/{n}/a");
    both.root();
    let made = both.post("auth/token/create", &json!({"policies": ["{n}"], "num_uses": 1}));
    both.become_token(&made);
    both.post("auth/token/revoke-self", &json!({}));
    both.post("auth/token/revoke-self", &json!({}));
    both.root();
    let made = both.post("auth/token/create", &json!({"policies": ["{n}"], "ttl": "1s"}));
    both.become_token(&made);
    eventually("the token expires", || both.send("GET", "kv/data/{n}/a", None).iter().all(|it| it.status == 403));
    both.get("kv/data/{n}/a");
}
