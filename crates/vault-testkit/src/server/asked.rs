//! What a server was asked, and which tokens it has.

use std::sync::PoisonError;
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use super::{Running, Server};

/// A request that a server has seen.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `read`, `list`, `update` or `delete`.
    pub operation: String,
    /// Without `/v1/`.
    pub path: String,
    /// Without slashes at its ends; empty for the root namespace.
    pub namespace: String,
    /// Whether a token was sent.
    pub with_token: bool,
    /// Two requests with the same number came over one connection.
    pub connection: u64,
    /// Only the embedded server knows these.
    pub user_agent: Option<String>,
    /// Status, and when.
    pub answered: Option<(u16, Instant)>,
    /// When its answer was logged. Only the real server knows it.
    pub logged: Option<SystemTime>,
}

impl Server {
    /// How many tokens with this policy are alive. Batch tokens cannot be counted.
    pub fn live_tokens(&self, namespace: &str, policy: &str) -> usize {
        let (_, listed) = self.admin_in(namespace, "GET", "auth/token/accessors?list=true", &Value::Null);
        // None at all is a 404.
        let accessors = listed["data"]["keys"].as_array().cloned().unwrap_or_default();
        let mut known = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut carries = |accessor: &&Value| {
            let key = accessor.as_str().unwrap_or_default().to_owned();
            let policies = known.entry(key).or_insert_with(|| {
                // One that another test has revoked meanwhile is not found, and not this one's.
                let body = json!({"accessor": accessor});
                self.admin_in(namespace, "POST", "auth/token/lookup-accessor", &body).1["data"]["policies"].take()
            });
            policies.as_array().is_some_and(|it| it.contains(&json!(policy)))
        };
        accessors.iter().filter(|it| carries(it)).count()
    }

    /// The requests that have to do with `name` (in their path, their token's policies or the role they
    /// ask for), in order and without those of the test itself. The status call is in neither server's
    /// log.
    pub fn asked(&self, name: &str) -> Vec<Asked> {
        let root = |policies: &Value| policies.as_array().is_some_and(|it| it.contains(&json!("root")));
        match &self.running {
            Running::Embedded(server) => {
                let entries = server.audit().into_iter().filter(|entry| {
                    let texts = entry.policies.iter().chain([&entry.path, &entry.role]);
                    texts.into_iter().any(|text| text.contains(name)) && !root(&json!(entry.policies))
                });
                let asked = entries.map(|entry| Asked {
                    operation: entry.operation.to_owned(),
                    path: entry.path,
                    namespace: entry.namespace.trim_matches('/').to_owned(),
                    with_token: entry.token,
                    connection: entry.connection,
                    user_agent: Some(entry.user_agent),
                    answered: Some((entry.status, entry.at)),
                    logged: None,
                });
                asked.collect()
            }
            Running::OpenBao(server) => {
                let entries = server.audit(name).into_iter().filter(|entry| !root(&entry["auth"]["policies"]));
                entries.map(|entry| seen(&entry)).collect()
            }
        }
    }

    /// The answers in the audit log of a real server whose line holds `text`, as they stand there. The embedded server has
    /// none.
    pub fn audit(&self, text: &str) -> Vec<Value> {
        match &self.running {
            Running::Embedded(_) => Vec::new(),
            Running::OpenBao(server) => server.audit(text),
        }
    }
}

fn seen(entry: &Value) -> Asked {
    let request = &entry["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Asked {
        operation: text(&request["operation"]).replace("create", "update"),
        path: text(&request["path"]),
        namespace: text(&request["namespace"]["path"]).trim_matches('/').to_owned(),
        with_token: request["client_token"].is_string(),
        connection: request["remote_port"].as_u64().unwrap_or_default(),
        user_agent: None,
        answered: None,
        logged: entry["time"].as_str().and_then(|time| humantime::parse_rfc3339(time).ok()),
    }
}
