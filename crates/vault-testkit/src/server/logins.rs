//! Auth methods of a real server, and their roles. An empty namespace is the root. Tests that name their mounts
//! themselves do not see each other.

use serde_json::{Value, json};

use super::setup::changed;
use super::{Listener, Server};
use crate::http::{Answer, Call};
use crate::openid::OpenIdProvider;

/// How a mount of type `jwt` knows whose JWTs it takes.
#[derive(Clone, Copy)]
pub enum Keys<'a> {
    /// It fetches the keys from this URL.
    Jwks(&'a str),
    /// It fetches where the keys are from this issuer.
    Discovery(&'a str),
    /// It has this key, PEM; see [`Signer`](crate::jwt::Signer).
    Static(&'a str),
}

/// When an AppRole mount locks a role ID out.
#[derive(Clone, Copy)]
pub enum Lockout {
    /// Never.
    Off,
    /// After so many wrong secret IDs. A server does so after five where nothing is set.
    After(u32),
}

/// How the outcome of an OIDC login gets from the provider to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackMode {
    /// The browser brings it to a listener of the client.
    Client,
    /// The browser brings it to the server, and the client polls. The provider's web client is needed.
    Direct,
    /// The provider gives it to the server, and the client polls.
    Device,
}

impl CallbackMode {
    /// As a role has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Direct => "direct",
            Self::Device => "device",
        }
    }
}

/// The redirect URI of a client's listener. Server and provider take any port for this one.
pub const LOOPBACK_CALLBACK: &str = "http://localhost:8250/oidc/callback";

impl Server {
    /// Logs in at a mount with this body, without a token.
    pub fn login(&self, namespace: &str, mount: &str, body: &Value) -> Answer {
        self.anonymous(namespace, "POST", &format!("auth/{mount}/login"), body)
    }

    /// A request without a token. A body that is null is none.
    pub fn anonymous(&self, namespace: &str, method: &str, path: &str, body: &Value) -> Answer {
        let namespace = Some(namespace.to_owned()).filter(|it| !it.is_empty());
        let body = (!body.is_null()).then(|| body.to_string());
        self.send(&Call { namespace, body, ..Call::new(method, path) })
    }

    /// Mounts an auth method of this type, and configures nothing.
    pub fn enable_auth(&self, namespace: &str, mount: &str, kind: &str) {
        self.must_in(namespace, "POST", &format!("sys/auth/{mount}"), &json!({"type": kind}));
    }

    /// Says when an AppRole mount locks a role ID out.
    pub fn set_lockout(&self, namespace: &str, mount: &str, lockout: Lockout) {
        let config = match lockout {
            Lockout::Off => json!({"lockout_disable": true}),
            Lockout::After(threshold) => json!({"lockout_threshold": threshold.to_string()}),
        };
        let body = json!({"user_lockout_config": config});
        self.must_in(namespace, "POST", &format!("sys/auth/{mount}/tune"), &body);
    }

    /// Writes a role of an AppRole mount that gives `policy`, with these fields changed. Returns its role ID.
    pub fn write_approle(&self, namespace: &str, mount: &str, role: &str, policy: &str, changes: &Value) -> String {
        let path = format!("auth/{mount}/role/{role}");
        self.must_in(namespace, "POST", &path, &changed(json!({"token_policies": policy}), changes));
        let read = self.must_in(namespace, "GET", &format!("{path}/role-id"), &Value::Null);
        read["data"]["role_id"].as_str().expect("a role ID").to_owned()
    }

    /// A secret ID of a role, with fields such as `num_uses`, `ttl` and `cidr_list`.
    pub fn create_secret_id(&self, namespace: &str, mount: &str, role: &str, fields: &Value) -> String {
        let made = self.must_in(namespace, "POST", &format!("auth/{mount}/role/{role}/secret-id"), fields);
        made["data"]["secret_id"].as_str().expect("a secret ID").to_owned()
    }

    /// Mounts `jwt`, with these keys.
    pub fn enable_jwt(&self, namespace: &str, mount: &str, keys: Keys) {
        self.enable_auth(namespace, mount, "jwt");
        let config = match keys {
            Keys::Jwks(url) => json!({"jwks_url": url}),
            Keys::Discovery(issuer) => json!({"oidc_discovery_url": issuer}),
            Keys::Static(key) => json!({"jwt_validation_pubkeys": [key]}),
        };
        self.configure_auth(namespace, mount, &config);
    }

    /// Writes the configuration of a mount of type `jwt` or `oidc` anew.
    pub fn configure_auth(&self, namespace: &str, mount: &str, config: &Value) {
        self.must_in(namespace, "POST", &format!("auth/{mount}/config"), config);
    }

    /// Writes a role of type `jwt` that gives `policy` for the audience `vault`, with these fields changed.
    pub fn write_jwt_role(&self, namespace: &str, mount: &str, role: &str, policy: &str, changes: &Value) {
        let fields = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": policy,
        });
        self.must_in(namespace, "POST", &format!("auth/{mount}/role/{role}"), &changed(fields, changes));
    }

    /// Writes a role of a mount of type `cert` that gives `policy` to certificates of this CA, PEM, with these fields
    /// changed. All TLS listeners ask for a certificate; only [`Listener::MutualTls`] insists.
    pub fn write_cert_role(&self, namespace: &str, mount: &str, role: &str, policy: &str, ca: &str, changes: &Value) {
        let fields = json!({"certificate": ca, "token_policies": policy});
        self.must_in(namespace, "POST", &format!("auth/{mount}/certs/{role}"), &changed(fields, changes));
    }

    /// Mounts `oidc` for roles of this mode, at a provider that was started with the [`direct_callback`] of the mount
    /// where the mode is `Direct`. A mount for `Client` does for `Device` as well.
    ///
    /// [`direct_callback`]: Self::direct_callback
    pub fn enable_oidc(&self, namespace: &str, mount: &str, provider: &OpenIdProvider, mode: CallbackMode) {
        self.enable_auth(namespace, mount, "oidc");
        let client_id = match mode {
            CallbackMode::Client | CallbackMode::Device => provider.client_id().to_owned(),
            CallbackMode::Direct => provider.web_client_id(),
        };
        let config = json!({
            "oidc_discovery_url": provider.issuer(), "oidc_client_id": client_id,
            "oidc_client_secret": provider.client_secret(),
        });
        self.configure_auth(namespace, mount, &config);
    }

    /// Writes a role of type `oidc` that gives `policy` to every user of the provider, with these fields changed.
    pub fn write_oidc_role(
        &self,
        namespace: &str,
        mount: &str,
        role: &str,
        policy: &str,
        mode: CallbackMode,
        changes: &Value,
    ) {
        let redirect_uris = match mode {
            CallbackMode::Client => json!([LOOPBACK_CALLBACK, "http://127.0.0.1:8250/oidc/callback"]),
            CallbackMode::Direct => json!([self.direct_callback(namespace, mount)]),
            // The server wants one, and never uses it.
            CallbackMode::Device => json!(["http://unused.invalid/"]),
        };
        let mut fields = json!({
            "role_type": "oidc", "user_claim": "sub", "groups_claim": "groups", "oidc_scopes": ["email", "groups"],
            "allowed_redirect_uris": redirect_uris, "token_policies": policy,
        });
        if mode != CallbackMode::Client {
            fields["callback_mode"] = json!(mode.name());
            fields["poll_interval"] = json!(1);
        }
        self.must_in(namespace, "POST", &format!("auth/{mount}/role/{role}"), &changed(fields, changes));
    }

    /// The redirect URI of a mount for [`CallbackMode::Direct`], on the plain listener.
    pub fn direct_callback(&self, namespace: &str, mount: &str) -> String {
        let below = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        format!("{}/v1/{below}auth/{mount}/oidc/callback", self.addr(Listener::Plain))
    }
}
