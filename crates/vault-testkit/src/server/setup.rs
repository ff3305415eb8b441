//! What tests put into a server: mounts, policies, roles, secrets, tokens. An empty namespace is the root.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::Server;
use crate::clock::eventually;
use crate::token_review;

/// These fields, with those of `changes` in place of their own or beside them.
pub(super) fn changed(mut fields: Value, changes: &Value) -> Value {
    for (field, value) in changes.as_object().into_iter().flatten() {
        fields[field] = value.clone();
    }
    fields
}

impl Server {
    /// Creates a namespace with the same mounts as the root's.
    pub fn create_namespace(&self, namespace: &str) {
        self.create_empty_namespace(namespace);
        self.prepare(namespace);
    }

    /// Creates a namespace without mounts of ours.
    pub fn create_empty_namespace(&self, namespace: &str) {
        self.must("POST", &format!("sys/namespaces/{namespace}"), &json!({}));
    }

    /// The mounts that all scenarios count on.
    pub fn prepare(&self, namespace: &str) {
        self.mount_kv(namespace, "kv", 2);
        self.mount_kv(namespace, "kv1", 1);
        self.enable_kubernetes(namespace, "kubernetes");
    }

    /// Mounts a KV engine of this version, and waits until it takes writes.
    pub fn mount_kv(&self, namespace: &str, mount: &str, version: u8) {
        let body = json!({"type": "kv", "options": {"version": version.to_string()}});
        self.must_in(namespace, "POST", &format!("sys/mounts/{mount}"), &body);
        if version == 2 {
            self.await_writes(namespace, mount);
        }
    }

    /// A real v2 mount refuses writes for a moment, while it is upgraded.
    pub fn await_writes(&self, namespace: &str, mount: &str) {
        eventually("the KV mount takes writes", || {
            let path = format!("{mount}/data/ready");
            self.admin_in(namespace, "POST", &path, &json!({"data": {}})).0 == 200
        });
    }

    /// Enables Kubernetes auth at this mount.
    pub fn enable_kubernetes(&self, namespace: &str, mount: &str) {
        static TOKEN_REVIEW: LazyLock<String> = LazyLock::new(token_review::start);
        let config = json!({
            "kubernetes_host": *TOKEN_REVIEW, "kubernetes_ca_cert": "none", "token_reviewer_jwt": "reviewer",
        });
        self.must_in(namespace, "POST", &format!("sys/auth/{mount}"), &json!({"type": "kubernetes"}));
        self.must_in(namespace, "POST", &format!("auth/{mount}/config"), &config);
    }

    /// Writes a role of Kubernetes auth that gives `policy` to the account of [`Jwt::default`](crate::jwt::Jwt), with
    /// these fields changed.
    pub fn write_kubernetes_role(&self, namespace: &str, mount: &str, role: &str, policy: &str, changes: &Value) {
        let fields = json!({
            "bound_service_account_names": "app", "bound_service_account_namespaces": "default",
            "token_policies": policy,
        });
        self.must_in(namespace, "POST", &format!("auth/{mount}/role/{role}"), &changed(fields, changes));
    }

    /// Writes an ACL policy.
    pub fn write_policy(&self, namespace: &str, name: &str, rules: &str) {
        self.must_in(namespace, "PUT", &format!("sys/policies/acl/{name}"), &json!({"policy": rules}));
    }

    /// Writes a version of a secret to a KV v2 mount.
    pub fn write_secret(&self, namespace: &str, mount: &str, path: &str, data: &Value) {
        self.must_in(namespace, "POST", &format!("{mount}/data/{path}"), &json!({"data": data}));
    }

    /// Creates a service or batch token from the fields of `auth/token/create`.
    pub fn create_token(&self, namespace: &str, fields: &Value) -> String {
        let made = self.must_in(namespace, "POST", "auth/token/create", fields);
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    }
}
