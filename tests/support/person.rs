//! Scenarios in which a person logs in, and what the person does.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use vault_testkit::browser::{Visited, browse};
use vault_testkit::openid::OpenIdProvider;
use vault_testkit::server::CallbackMode;

use super::scenario::Scenario;
use super::started::Started;
use super::system::names;

impl Scenario<'_> {
    /// A login at this provider, at a mount with a role `r` of this mode, with these fields changed.
    pub(crate) fn oidc(self, provider: &OpenIdProvider, mode: CallbackMode, role: &Value) -> Self {
        let (server, namespace, name) = (self.server(), self.namespace.clone(), self.name.clone());
        server.enable_oidc(&namespace, &name, provider, mode);
        server.write_oidc_role(&namespace, &name, "r", &name, mode, role);
        let listen = if mode == CallbackMode::Client { "localhost:0" } else { "none" };
        self.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r").person(listen)
    }

    /// There is a person, and the browser comes back to this place. The tokens are kept in the scenario's folder.
    pub(crate) fn person(self, listen: &str) -> Self {
        self.env("VAULT_AUTH_METHOD", "oidc").env("VAULT_OIDC_LISTEN", listen).env("HOME", "{folder}")
    }

    /// The folder of the tokens that are kept.
    pub(crate) fn cache(&self) -> PathBuf {
        self.file(".cache/vault-client")
    }

    /// The files in it.
    pub(crate) fn cached(&self) -> Vec<String> {
        let folder = self.cache();
        if folder.is_dir() { names(&folder) } else { Vec::new() }
    }

    /// The token that is kept.
    pub(crate) fn kept_token(&self) -> String {
        let cached = self.cached();
        let text = fs::read(self.cache().join(cached.first().expect("a file"))).expect("it can be read");
        let entry: Value = serde_json::from_slice(&text).expect("JSON");
        entry["token"].as_str().expect("a token").to_owned()
    }
}

impl Started<'_> {
    /// The URL that the person is asked to open.
    pub(crate) fn url(&self) -> String {
        self.await_line("http").trim().to_owned()
    }

    /// The person opens it, and signs in.
    pub(crate) fn sign_in(&self, user: &str) -> Visited {
        browse(&self.url(), user, None)
    }
}
