//! Wrapping tokens of a real server: each holds one answer, for one who unwraps it. An empty namespace is the root.

use serde_json::{Value, json};

use super::Server;
use crate::http::Call;

impl Server {
    /// The wrapping token of the answer to a request with the root token, for so many seconds.
    pub fn wrapped(&self, namespace: &str, path: &str, body: &Value, ttl: u64) -> String {
        self.wrapped_with(
            self.root_token(),
            namespace,
            &Call { body: Some(body.to_string()), ..Call::new("POST", path) },
            ttl,
        )
    }

    fn wrapped_with(&self, token: &str, namespace: &str, call: &Call, ttl: u64) -> String {
        let namespace = Some(namespace.to_owned()).filter(|it| !it.is_empty());
        let call = Call { token: Some(token.to_owned()), namespace, wrap_ttl: Some(ttl), ..call.clone() };
        let answer = self.send(&call);
        let token = answer.json()["wrap_info"]["token"].as_str().map(str::to_owned);
        token.unwrap_or_else(|| panic!("{}: {} {}", call.path, answer.status, answer.text))
    }

    /// A wrapped secret ID of an AppRole's role, with fields such as `num_uses` and `ttl`.
    pub fn wrapped_secret_id(&self, namespace: &str, mount: &str, role: &str, fields: &Value, ttl: u64) -> String {
        self.wrapped(namespace, &format!("auth/{mount}/role/{role}/secret-id"), fields, ttl)
    }

    /// A wrapped token, from the fields of `auth/token/create`.
    pub fn wrapped_token(&self, namespace: &str, fields: &Value, ttl: u64) -> String {
        self.wrapped(namespace, "auth/token/create", fields, ttl)
    }

    /// A wrapped JWT of the server's own identity provider, for this audience. It is asked for by a new AppRole; mount,
    /// key, role and policy of it are called `name`. The keys are at [`identity_jwks_url`](Self::identity_jwks_url).
    pub fn wrapped_identity_jwt(&self, namespace: &str, name: &str, audience: &str, ttl: u64) -> String {
        let path = format!("identity/oidc/token/{name}");
        self.must_in(namespace, "POST", &format!("identity/oidc/key/{name}"), &json!({"allowed_client_ids": ["*"]}));
        let role = json!({"key": name, "client_id": audience, "ttl": "1h"});
        self.must_in(namespace, "POST", &format!("identity/oidc/role/{name}"), &role);
        self.write_policy(namespace, name, &format!("path \"{path}\" {{ capabilities = [\"read\"] }}"));
        self.enable_auth(namespace, name, "approle");
        let role_id = self.write_approle(namespace, name, name, name, &json!({}));
        let secret_id = self.create_secret_id(namespace, name, name, &json!({}));
        let login = self.login(namespace, name, &json!({"role_id": role_id, "secret_id": secret_id})).json();
        let token = login["auth"]["client_token"].as_str().expect("a token");
        self.wrapped_with(token, namespace, &Call::new("GET", &path), ttl)
    }

    /// Where the keys of a namespace's identity provider are, for [`Keys::Jwks`](super::Keys).
    pub fn identity_jwks_url(&self, namespace: &str) -> String {
        let below = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        format!("{}/v1/{below}identity/oidc/.well-known/keys", self.addr(super::Listener::Plain))
    }
}
