//! The embedded server against the real one: the same requests, and whole answers compared. What the
//! program's scenarios prove on the embedded server is worth as much as this file is thorough.

mod auth;
mod kv;
mod system;

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

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
        Some(Self { servers, name: unique(), namespace: None, token, differences: RefCell::default() })
    }

    fn root(&mut self) {
        self.token = self.servers.map(|server| Some(server.root_token().to_owned()));
    }

    fn anyone(&mut self) {
        self.token = [None, None];
    }

    fn verdict(&self) {
        let differences = self.differences.borrow();
        assert!(differences.is_empty(), "the servers differ:\n{}", differences.join("\n\n"));
    }

    /// Sends a request to both; `{n}` in path and body is this test's name. Where the answers differ, the
    /// test fails in the end.
    fn same(&self, method: &str, path: &str, body: &Value) -> [Answer; 2] {
        let body = if body.is_null() { None } else { Some(body.to_string()) };
        self.same_text(method, path, body.as_deref())
    }

    fn same_text(&self, method: &str, path: &str, body: Option<&str>) -> [Answer; 2] {
        let answers = self.send(method, path, body);
        let seen = |answer: &Answer| (answer.status, answer.location.clone(), comparable(answer));
        let [embedded, real] = answers.each_ref().map(seen);
        if embedded != real {
            let text = format!("{method} {path} {}\nembedded: {embedded:?}\nreal: {real:?}", body.unwrap_or_default());
            self.differences.borrow_mut().push(text);
        }
        answers
    }

    /// For answers whose error texts are the server's own business.
    fn same_status(&self, method: &str, path: &str, body: &Value) {
        let answers = self.send(method, path, Some(&body.to_string()));
        let errors = answers.each_ref().map(|it| it.json()["errors"].is_array());
        let statuses = answers.each_ref().map(|answer| answer.status);
        assert_eq!((statuses[0], errors[0]), (statuses[1], errors[1]), "{method} {path}: {answers:?}");
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
        self.token = answers.each_ref().map(|it| it.json()["auth"]["client_token"].as_str().map(str::to_owned));
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
        self.post("auth/kubernetes/login", &json!({"role": "{n}", "jwt": jwt.encode()}))
    }
}

/// Makes a test of each function that takes both servers; it counts as one on the real server.
macro_rules! agree {
    ($($scenario:ident),+ $(,)?) => {
        /// The tests of the same names.
        mod agree {
            $(#[test]
            fn $scenario() {
                $crate::cases::conformance::run(stringify!($scenario), super::$scenario);
            })+
        }
    };
}
use agree;
use vault_testkit::http::{Answer, Call};
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Kind, Server, skip};
use vault_testkit::{tally, unique};

/// Runs one of those functions and judges all that it has seen.
fn run(scenario: &str, body: fn(&mut Both)) {
    let Some(mut both) = Both::new() else {
        return skip(scenario);
    };
    body(&mut both);
    both.verdict();
    tally::note("openbao", scenario);
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
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name.clone(), normalise(value, &name, marks))).collect()
        }
        Value::Array(_) if volatile => json!("<list>"),
        Value::Array(items) => items.into_iter().map(|item| normalise(item, field, marks)).collect(),
        Value::String(text) if volatile && !text.is_empty() => {
            let next = marks.len();
            json!(format!("<text {}>", marks.entry(text).or_insert(next)))
        }
        Value::Number(number) if volatile && number.as_f64() != Some(0.0) => json!("<number>"),
        other => other,
    }
}
