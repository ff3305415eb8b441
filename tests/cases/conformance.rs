//! The embedded server against the real one: the same requests, and whole answers compared. What the program's
//! scenarios prove on the embedded server is worth as much as this file is thorough.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::embedded_vault::jwt::Jwt;
use crate::support::http::{Answer, Call};
use crate::support::server::{Kind, Server, eventually, skip};
use crate::support::{tally, unique};

/// Fields that differ from one server or moment to the next: only their type and emptiness are compared.
const VOLATILE: [&str; 23] = [
    "accessor",
    "client_token",
    "cluster_id",
    "cluster_name",
    "commit_date",
    "created_time",
    "creation_time",
    "deletion_time",
    "entity_id",
    "expire_time",
    "id",
    "issue_time",
    "keys",
    "keys_base64",
    "last_renewal",
    "last_renewal_time",
    "modified",
    "request_id",
    "root_token",
    "server_time_utc",
    "ttl",
    "updated_time",
    "uuid",
];

/// Both servers, asked in step.
struct Both {
    servers: [&'static Server; 2],
    /// Part of the paths, so that tests do not meet.
    name: String,
    namespace: Option<String>,
    /// The token of the next requests, one for each server.
    token: [Option<String>; 2],
    /// All of them are shown at the end, because one often explains the next.
    differences: RefCell<Vec<String>>,
}

impl Both {
    fn new() -> Option<Self> {
        let servers = [Server::shared(Kind::Embedded)?, Server::shared(Kind::OpenBao)?];
        let token = servers.map(|server| Some(server.root_token().to_owned()));
        Some(Self {
            servers,
            name: unique(),
            namespace: None,
            token,
            differences: RefCell::default(),
        })
    }

    fn root(&mut self) {
        self.token = self.servers.map(|server| Some(server.root_token().to_owned()));
    }

    fn anyone(&mut self) {
        self.token = [None, None];
    }

    fn verdict(&self) {
        let differences = self.differences.borrow();
        assert!(
            differences.is_empty(),
            "the servers differ:\n{}",
            differences.join("\n\n")
        );
    }

    /// Sends a request to both; `{n}` in path and body is this test's name. Where the answers differ, the test fails
    /// in the end.
    fn same(&self, method: &str, path: &str, body: &Value) -> [Answer; 2] {
        let body = if body.is_null() {
            None
        } else {
            Some(body.to_string())
        };
        self.same_text(method, path, body.as_deref())
    }

    fn same_text(&self, method: &str, path: &str, body: Option<&str>) -> [Answer; 2] {
        let answers = self.send(method, path, body);
        let seen = |answer: &Answer| (answer.status, answer.location.clone(), comparable(answer));
        let [embedded, real] = answers.each_ref().map(seen);
        if embedded != real {
            let text = format!(
                "{method} {path} {}\nembedded: {embedded:?}\nreal: {real:?}",
                body.unwrap_or_default()
            );
            self.differences.borrow_mut().push(text);
        }
        answers
    }

    /// For answers whose error texts are the server's own business.
    fn same_status(&self, method: &str, path: &str, body: &Value) {
        let answers = self.send(method, path, Some(&body.to_string()));
        let errors = answers.each_ref().map(|it| it.json()["errors"].is_array());
        let statuses = answers.each_ref().map(|answer| answer.status);
        assert_eq!(
            (statuses[0], errors[0]),
            (statuses[1], errors[1]),
            "{method} {path}: {answers:?}"
        );
    }

    fn send(&self, method: &str, path: &str, body: Option<&str>) -> [Answer; 2] {
        [0, 1].map(|index| {
            let call = Call {
                token: self.token[index].clone(),
                namespace: self.namespace.clone(),
                body: body.map(|body| body.replace("{n}", &self.name)),
                ..Call::new(method, &path.replace("{n}", &self.name))
            };
            self.servers[index].send(&call)
        })
    }

    fn get(&self, path: &str) -> [Answer; 2] {
        self.same("GET", path, &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> [Answer; 2] {
        self.same("POST", path, body)
    }

    /// Goes on with the tokens of two `auth` answers.
    fn become_token(&mut self, answers: &[Answer; 2]) {
        self.token = answers
            .each_ref()
            .map(|it| it.json()["auth"]["client_token"].as_str().map(str::to_owned));
        assert!(self.token.iter().all(Option::is_some), "{answers:?}");
    }

    /// A policy and a role, both of this test's name.
    fn role(&self, fields: &Value) {
        let policy = json!({"policy": "path \"kv/data/{n}/*\" { capabilities = [\"read\"] }"});
        self.same("PUT", "sys/policies/acl/{n}", &policy);
        let mut role = json!({
            "bound_service_account_names": ["app"], "bound_service_account_namespaces": ["default"],
            "token_policies": ["{n}"],
        });
        for (field, value) in fields.as_object().into_iter().flatten() {
            role[field] = value.clone();
        }
        self.post("auth/kubernetes/role/{n}", &role);
        self.get("auth/kubernetes/role/{n}");
    }

    fn login(&self, jwt: &Jwt) -> [Answer; 2] {
        self.post(
            "auth/kubernetes/login",
            &json!({"role": "{n}", "jwt": jwt.encode()}),
        )
    }
}

/// A test on both servers at once; it counts as one on the real server.
macro_rules! agree {
    ($($name:ident, |$both:ident| $body:block)+) => {$(
        #[test]
        fn $name() {
            #[allow(unused_mut, reason = "not every test changes the token")]
            let Some(mut $both) = Both::new() else { return skip(stringify!($name)) };
            $body
            $both.verdict();
            tally::note("openbao", concat!("conformance::", stringify!($name)));
        }
    )+};
}

agree! {
    secrets_are_written_and_read, |both| {
        both.get("kv/data/{n}/none");
        both.post("kv/data/{n}/a", &json!({"data": {"A": "1"}}));
        both.same("PUT", "kv/data/{n}/a", &json!({"data": {"A": "2"}, "options": {"cas": 1}}));
        both.post("kv/data/{n}/a", &json!({"data": {"A": "3"}, "options": {"cas": 1}}));
        both.post("kv/data/{n}/a", &json!({"A": "no data"}));
        both.post("kv/data/{n}/a", &json!({"data": "text"}));
        for version in ["", "?version=1", "?version=2", "?version=9", "?version=0", "?version=-1", "?version=x"] {
            both.get(&format!("kv/data/{{n}}/a{version}"));
        }
        both.get("kv/metadata/{n}/a");
        both.get("kv/metadata/{n}/none");
        both.same("LIST", "kv/metadata/{n}", &Value::Null);
        both.get("kv/metadata/{n}/?list=true");
        both.same("LIST", "kv/metadata/{n}/none", &Value::Null);
        both.post("kv/data/{n}/empty", &json!({"data": {}}));
        both.get("kv/data/{n}/empty");
        both.post("kv/data/{n}/null", &json!({"data": null}));
        both.get("kv/data/{n}/null");
    }

    numbers_and_escapes_come_back_as_the_same_text, |both| {
        let data = r#"{"data":{"a":1.0,"b":1e21,"c":9007199254740993,"d":0.1,"e":1e-7,"f":-0.0,"g":123456.789e3,
            "h":"<&>\u2028\u0007é😀\"\\","i":true,"j":null,"k":{"z":[1,{}],"a":{}},"l":12345678901234567890,"m":1.5e-9,
            "":"","é":"ü"}}"#;
        both.same_text("POST", "kv/data/{n}/numbers", Some(data));
        let data = both.get("kv/data/{n}/numbers").map(|answer| {
            let start = answer.text.find(r#""data":{"data":"#).expect("an envelope") + 15;
            let end = answer.text.find(r#","metadata""#).expect("metadata");
            answer.text[start..end].to_owned()
        });
        assert_eq!(data[0], data[1]);
    }

    versions_are_deleted_and_destroyed, |both| {
        for value in ["1", "2", "3"] {
            both.post("kv/data/{n}/a", &json!({"data": {"A": value}}));
        }
        both.same("DELETE", "kv/data/{n}/a", &Value::Null);
        both.get("kv/data/{n}/a");
        both.get("kv/data/{n}/a?version=2");
        both.post("kv/undelete/{n}/a", &json!({"versions": [3]}));
        both.get("kv/data/{n}/a");
        both.post("kv/delete/{n}/a", &json!({"versions": [1]}));
        both.post("kv/destroy/{n}/a", &json!({"versions": [1, 3]}));
        both.get("kv/data/{n}/a?version=1");
        both.get("kv/data/{n}/a");
        both.get("kv/metadata/{n}/a");
        both.post("kv/delete/{n}/a", &json!({}));
        both.post("kv/destroy/{n}/none", &json!({"versions": [1]}));
        both.same("DELETE", "kv/data/{n}/none", &Value::Null);
        both.same("DELETE", "kv/metadata/{n}/a", &Value::Null);
        both.get("kv/data/{n}/a");
        both.post("kv/metadata/{n}/tagged", &json!({"custom_metadata": {"owner": "team"}}));
        both.get("kv/data/{n}/tagged");
        both.post("kv/data/{n}/tagged", &json!({"data": {"A": "1"}}));
        both.get("kv/data/{n}/tagged");
    }

    odd_paths_are_answered_alike, |both| {
        both.post("kv/data/{n}/a", &json!({"data": {"A": "1"}}));
        for path in [
            "kv/{n}/a", "kv/data/data/{n}/a", "kv/data/{n}", "kv/data/{n}/a/", "kv/data//{n}", "kv//data/{n}/a",
            "kv/data/{n}%2Fa", "kv/data/{n}/../x", "kv/data/{n}/./a", "kv/data/{n}%01", "kv/data/{n}%0a", "kv/data",
            "kv/data/", "kv", "kv/data/{n}/a+b", "kv/data/{n}/%C3%A9", "nomount/data/x", "nomount", "",
            "sys/nosuch",
        ] {
            both.get(path);
        }
        both.same_status("POST", "kv/data/{n}/a", &json!("no object"));
        let broken = both.send("POST", "kv/data/{n}/a", Some("{broken"));
        assert_eq!(broken.map(|answer| answer.status), [400, 400]);
    }

    kv_version_1, |both| {
        both.post("kv1/{n}", &json!({"A": "1"}));
        for path in ["kv1/{n}", "kv1/data/{n}", "kv1/none", "kv1"] {
            both.get(path);
        }
        both.post("kv1/{n}", &json!({}));
        both.post("kv1/data/{n}", &json!({"data": {"A": "1"}}));
        both.get("kv1/data/{n}");
        both.same("DELETE", "kv1/{n}", &Value::Null);
        both.get("kv1/{n}");
    }

    mounts, |both| {
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

    policies_decide, |both| {
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
                "kv/data/{n}/a", "kv/data/{n}/b", "kv/data/{n}/b/a", "kv/data/{n}", "kv/metadata/{n}/a", "nomount/a",
                "sys/policies/acl/{n}", "sys/internal/ui/mounts/kv/{n}", "sys/internal/ui/mounts/kv1/x",
                "sys/internal/ui/mounts/nomount/x",
            ] {
                both.get(path);
            }
            both.same("LIST", "auth/token/accessors", &Value::Null);
        }
    }

    the_preflight_tells_the_mount, |both| {
        for path in ["kv/{n}/a", "kv", "kv/", "kv1/x", "nomount/a", "nomount"] {
            both.get(&format!("sys/internal/ui/mounts/{path}"));
        }
        both.post("sys/internal/ui/mounts/kv/x", &json!({}));
        both.anyone();
        both.get("sys/internal/ui/mounts/kv/x");
        both.token = ["s.unknown".to_owned(), "s.unknown".to_owned()].map(Some);
        both.get("sys/internal/ui/mounts/kv/x");
    }

    kubernetes_logins_earn_tokens, |both| {
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

    kubernetes_logins_are_refused, |both| {
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
            changed(&|jwt| jwt.service_account = "other".to_owned()),
            changed(&|jwt| jwt.namespace = "other".to_owned()),
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
            json!({}), json!({"role": "{n}"}), json!({"jwt": "x"}), json!({"role": "{n}", "jwt": "x"}),
            json!({"role": "{n}", "jwt": "x.y"}), json!({"role": "{n}", "jwt": "x.y.z"}),
            json!({"role": "unknown-{n}", "jwt": good.encode()}),
        ] {
            both.post("auth/kubernetes/login", &body);
        }
        both.post("auth/nomount/login", &json!({"role": "{n}", "jwt": "x"}));
        both.get("auth/kubernetes/login");
        both.root();
        both.post("auth/nomount/login", &json!({"role": "{n}", "jwt": "x"}));
        both.post("sys/auth/{n}", &json!({"type": "kubernetes"}));
        both.post("auth/{n}/role/r", &json!({
            "bound_service_account_names": "app", "bound_service_account_namespaces": "default",
        }));
        both.anyone();
        both.post("auth/{n}/login", &json!({"role": "r", "jwt": good.encode()}));
    }

    a_malformed_batch_token_spoils_even_a_login, |both| {
        both.role(&json!({}));
        for token in ["s.unknown", "b.malformed"] {
            both.token = [Some(token.to_owned()), Some(token.to_owned())];
            both.login(&Jwt::default());
        }
    }

    tokens_live_and_die, |both| {
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

    unknown_tokens_are_refused, |both| {
        for token in [None, Some("s.unknown"), Some("b.malformed"), Some("hvs.unknown"), Some("x")] {
            both.token = [token.map(str::to_owned), token.map(str::to_owned)];
            for path in ["kv/data/{n}", "nomount/x", "auth/token/lookup-self", "sys/nosuch"] {
                both.get(path);
            }
            both.post("auth/token/revoke-self", &json!({}));
        }
    }

    uses_are_counted_and_time_runs_out, |both| {
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

    namespaces, |both| {
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
        both.servers.map(|server| server.create_namespace(&both.name));
        both.namespace = Some(both.name.clone());
        both.get("kv/data/a");
        both.post("kv/data/a", &json!({"data": {"A": "inside"}}));
        both.get("kv/data/a");
        both.role(&json!({"token_policies": "inside"}));
        both.same("PUT", "sys/policies/acl/inside", &json!({
            "policy": "path \"kv/data/a\" { capabilities = [\"read\"] }",
        }));
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
}

#[test]
fn servers_are_initialised_sealed_and_unsealed() {
    let fresh = [Kind::Embedded, Kind::OpenBao].map(Server::fresh);
    let [Some(embedded), Some(real)] = fresh else {
        return skip("servers_are_initialised_sealed_and_unsealed");
    };
    let paths = [
        "sys/seal-status",
        "sys/health",
        "sys/init",
        "kv/data/x",
        "auth/token/lookup-self",
        "nomount",
    ];
    let compare = |state: &str| {
        for path in paths {
            for (method, namespace) in [("GET", None), ("GET", Some("x")), ("POST", None)] {
                if method == "POST" && path != "auth/token/lookup-self" {
                    continue;
                }
                let call = Call {
                    namespace: namespace.map(str::to_owned),
                    ..Call::new(method, path)
                };
                let answers = [&embedded, &real].map(|server| server.send(&call));
                let seen = answers
                    .each_ref()
                    .map(|answer| (answer.status, comparable(answer)));
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
    assert_eq!(
        embedded.admin("PUT", "sys/init", &again),
        real.admin("PUT", "sys/init", &again)
    );
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
    tally::note(
        "openbao",
        "conformance::servers_are_initialised_sealed_and_unsealed",
    );
}

/// A body with volatile values replaced by their type; what is no JSON stays text.
fn comparable(answer: &Answer) -> Value {
    match serde_json::from_str(&answer.text) {
        Ok(value) => normalise(value, "", &mut BTreeMap::new()),
        Err(_) => Value::String(answer.text.clone()),
    }
}

/// Equal values get equal marks, so that a look-up still has to show the token that was asked about.
fn normalise(value: Value, field: &str, marks: &mut BTreeMap<String, usize>) -> Value {
    let volatile = VOLATILE.contains(&field);
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name.clone(), normalise(value, &name, marks)))
            .collect(),
        Value::Array(_) if volatile => json!("<list>"),
        Value::Array(items) => items
            .into_iter()
            .map(|item| normalise(item, field, marks))
            .collect(),
        Value::String(text) if volatile && !text.is_empty() => {
            let next = marks.len();
            json!(format!("<text {}>", marks.entry(text).or_insert(next)))
        }
        Value::Number(number) if volatile && number.as_f64() != Some(0.0) => json!("<number>"),
        other => other,
    }
}
