//! Inline authentication: one request logs in and reads, and no token is made.

mod answers;
mod ends;
mod never;
mod refusals;
mod whole;

use serde_json::{Value, json};
use vault_testkit::raw::{HEALTH, READ, Raw, Reply};

use crate::support::expect::Expect;
use crate::support::fault_table::Fault;
use crate::support::scenario::Scenario;

pub(super) const FAULTS: &[&[Fault]] = &[answers::FAULTS, refusals::FAULTS, never::FAULTS, ends::FAULTS];

/// What `VAULT_INLINE_AUTH` is, and what asks for the status then.
const MODES: [(&str, &str); 2] = [("auto", "health"), ("true", "status")];

/// The line of a good start.
const DONE: &str = "INFO  vault-exec: 1 variable from kv/shop/app version 7 of {any}Z; status {any}, read {any}; \
                    token not made (VAULT_INLINE_AUTH)";

/// The line of a good start after an ordinary login.
const ORDINARY: &str = "INFO  vault-exec: 1 variable from kv/shop/app version 7 of {any}Z; \
                        status {any}, login {any}, read {any}, revoke {any}; token revoked";

/// A scripted server that says of itself that it is OpenBao 2.7.2, and gives these answers to reads.
fn reading(replies: Vec<Reply>) -> Raw {
    let raw = Raw::start([]);
    raw.script(HEALTH, vec![health(&json!({}))]);
    if !replies.is_empty() {
        raw.script(READ, replies);
    }
    raw
}

/// What OpenBao 2.7.2 says of its health, with these members changed; a null one is left out.
fn health(changes: &Value) -> Reply {
    let mut said = json!({
        "initialized": true, "sealed": false, "standby": false, "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled", "version": "2.7.2",
    });
    let members = said.as_object_mut().expect("an object");
    members.extend(changes.as_object().expect("an object").clone());
    members.retain(|_, value| !value.is_null());
    Reply::json(200, &said)
}

fn secret() -> Reply {
    Reply::secret(r#"{"A":"a-raw-secret"}"#)
}

/// An answer with this one error text.
fn error(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({"errors": [text]}))
}

fn denied() -> Reply {
    error(403, "permission denied")
}

/// With the JWT of a pod, which comes along with the read.
fn along(raw: &Raw, how: &str) -> Scenario<'static> {
    Scenario::against(raw).env("VAULT_INLINE_AUTH", how)
}

fn started() -> Expect {
    Expect::started().env([("A", "a-raw-secret")])
}

/// What `raw` was asked, a word for each request. A read that brings its login along is `inline`.
fn asked(raw: &Raw) -> String {
    let word = |request: vault_testkit::raw::Request| {
        let is_inline = request.head.to_lowercase().contains("x-vault-inline-auth-path:");
        let has_token = request.head.to_lowercase().contains("x-vault-token:");
        assert!(!(is_inline && has_token), "{request:?}");
        let path = request.line.split("/v1/").nth(1).unwrap_or_default();
        match path.split('?').next().unwrap_or_default() {
            "sys/seal-status" => "status",
            HEALTH => "health",
            path if path.ends_with("/login") => "login",
            "auth/token/revoke-self" => "revoke",
            _ if is_inline => "inline",
            _ => "read",
        }
    };
    raw.whole_requests().into_iter().map(word).collect::<Vec<_>>().join(" ")
}
