//! Seal, mounts, policies and namespaces.

use serde_json::{Value, json};
use vault_testkit::http::Call;
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Kind, Server, skip};
use vault_testkit::tally;

use super::{Both, agree, comparable};

agree! {
    mounts,
    policies_decide,
    the_preflight_tells_the_mount,
    namespaces,
}

fn mounts(both: &mut Both) {
    both.post("sys/mounts/{n}", &json!({"type": "kv", "options": {"version": "1"}}));
    both.post("sys/mounts/{n}", &json!({"type": "kv"}));
    both.post("sys/mounts/{n}-x", &json!({"type": "nosuch"}));
    both.post("sys/auth/{n}", &json!({"type": "kubernetes"}));
    both.post("sys/auth/{n}", &json!({"type": "kubernetes"}));
    both.post("sys/auth/{n}-x", &json!({"type": "nosuch"}));
    both.post("auth/{n}/role/r", &json!({}));
    both.post("auth/{n}/role/r", &json!({"bound_service_account_names": "a"}));
    both.get("auth/{n}/role/r");
    both.same("DELETE", "sys/mounts/{n}", &Value::Null);
    both.get("{n}/a");
}

fn policies_decide(both: &mut Both) {
    both.post("kv/data/{n}/a", &json!({"data": {"A": "1"}}));
    for text in ["", "garbage", "path \"x\" { capabilities = [\"bogus\"] }"] {
        both.same_status("PUT", "sys/policies/acl/{n}", &json!({"policy": text}));
    }
    both.get("sys/policies/acl/{n}");
    for rules in [
        "path \"kv/data/{n}/a\" { capabilities = [\"read\"] }",
        "path \"kv/data/{n}/*\" { capabilities = [\"read\", \"list\"] }",
        "path \"kv/data/+/a\" { capabilities = [\"read\"] }",
        "path \"kv/+/{n}/*\" { capabilities = [\"read\"] }",
        "path \"kv/data/{n}\" { capabilities = [\"read\"] }",
        "path \"kv/data/{n}/*\" { capabilities = [\"read\"] }\npath \"kv/data/{n}/a\" { capabilities = [\"deny\"] }",
        "path \"kv/data/{n}/a\" { capabilities = [\"update\"] } # read\npath \"kv/*\" { capabilities = [\"read\"] }",
        "path \"kv/data/{n}/*\" { capabilities = [\"deny\"] }",
    ] {
        both.root();
        both.same("PUT", "sys/policies/acl/{n}", &json!({"policy": rules}));
        both.get("sys/policies/acl/{n}");
        let made = both.post("auth/token/create", &json!({"policies": ["{n}"], "ttl": "1m"}));
        both.become_token(&made);
        for path in [
            "kv/data/{n}/a",
            "kv/data/{n}/b",
            "kv/data/{n}/b/a",
            "kv/data/{n}",
            "kv/metadata/{n}/a",
            "nomount/a",
            "sys/policies/acl/{n}",
            "sys/internal/ui/mounts/kv/{n}",
            "sys/internal/ui/mounts/kv1/x",
            "sys/internal/ui/mounts/nomount/x",
        ] {
            both.get(path);
        }
        both.same("LIST", "auth/token/accessors", &Value::Null);
    }
}

fn the_preflight_tells_the_mount(both: &mut Both) {
    for path in ["kv/{n}/a", "kv", "kv/", "kv1/x", "nomount/a", "nomount"] {
        both.get(&format!("sys/internal/ui/mounts/{path}"));
    }
    both.post("sys/internal/ui/mounts/kv/x", &json!({}));
    both.anyone();
    both.get("sys/internal/ui/mounts/kv/x");
    both.token = ["s.unknown".to_owned(), "s.unknown".to_owned()].map(Some);
    both.get("sys/internal/ui/mounts/kv/x");
}

fn namespaces(both: &mut Both) {
    both.namespace = Some("nowhere".to_owned());
    both.get("kv/data/x");
    both.get("sys/seal-status");
    both.get("sys/health");
    both.get("sys/init");
    both.anyone();
    both.get("kv/data/x");
    both.post("auth/kubernetes/login", &json!({"role": "r", "jwt": "x"}));
    both.root();
    for root in ["root", "/", "root/"] {
        both.namespace = Some(root.to_owned());
        both.get("kv/data/none");
    }
    both.namespace = None;
    for server in both.servers {
        server.create_namespace(&both.name);
    }
    both.namespace = Some(both.name.clone());
    both.same("LIST", "auth/token/accessors", &Value::Null);
    both.get("kv/data/a");
    both.post("kv/data/a", &json!({"data": {"A": "inside"}}));
    both.get("kv/data/a");
    both.role(&json!({"token_policies": "inside"}));
    both.same(
        "PUT",
        "sys/policies/acl/inside",
        &json!({
            "policy": "path \"kv/data/a\" { capabilities = [\"read\"] }",
        }),
    );
    both.anyone();
    let made = both.login(&Jwt::default());
    both.become_token(&made);
    both.get("kv/data/a");
    both.get("auth/token/lookup-self");
    both.namespace = None;
    both.get("kv/data/a");
    both.get("{n}/kv/data/a");
    both.namespace = Some(format!("{}/", both.name));
    both.post("auth/token/revoke-self", &json!({}));
    both.get("kv/data/a");
}

#[test]
fn servers_are_initialised_sealed_and_unsealed() {
    let fresh = [Kind::Embedded, Kind::OpenBao].map(Server::fresh);
    let [Some(embedded), Some(real)] = fresh else {
        return skip("servers_are_initialised_sealed_and_unsealed");
    };
    let paths = ["sys/seal-status", "sys/health", "sys/init", "kv/data/x", "auth/token/lookup-self", "nomount"];
    let compare = |state: &str| {
        for path in paths {
            for (method, namespace) in [("GET", None), ("GET", Some("x")), ("POST", None)] {
                if method == "POST" && path != "auth/token/lookup-self" {
                    continue;
                }
                let call = Call { namespace: namespace.map(str::to_owned), ..Call::new(method, path) };
                let answers = [&embedded, &real].map(|server| server.send(&call));
                let seen = answers.each_ref().map(|answer| (answer.status, comparable(answer)));
                assert_eq!(seen[0], seen[1], "{state}: {method} {path} {namespace:?}");
            }
        }
        for (path, body) in [("sys/unseal", json!({"key": "aaaa"})), ("sys/unseal", json!({}))] {
            let answers = [&embedded, &real].map(|server| server.admin("PUT", path, &body));
            assert_eq!(answers[0].0, answers[1].0, "{state}: {path} {body}: {answers:?}");
        }
    };
    compare("uninitialised");
    for server in [&embedded, &real] {
        server.initialise();
    }
    compare("sealed");
    let again = json!({"secret_shares": 1, "secret_threshold": 1});
    assert_eq!(embedded.admin("PUT", "sys/init", &again), real.admin("PUT", "sys/init", &again));
    for server in [&embedded, &real] {
        server.unseal();
    }
    for path in ["sys/seal-status", "sys/health", "sys/init"] {
        let seen = [&embedded, &real].map(|server| comparable(&server.send(&Call::new("GET", path))));
        assert_eq!(seen[0], seen[1], "unsealed: {path}");
    }
    for server in [&embedded, &real] {
        server.seal();
    }
    compare("sealed again");
    tally::note("openbao", "conformance::servers_are_initialised_sealed_and_unsealed");
}
