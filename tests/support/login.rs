//! Scenarios that log in at a mount of their own, which is called like the scenario: what a real server's log has of it
//! names the scenario.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::certs::{Pair, certs};
use vault_testkit::jwt::Signer;
use vault_testkit::server::{Keys, Listener, Lockout};

use super::scenario::Scenario;

impl Scenario<'_> {
    /// A login by AppRole with role `r`, with these fields changed, and a secret id unless the role needs
    /// none. No wrong secret id locks the role.
    pub(crate) fn approle(self, role: &Value) -> Self {
        let namespace = self.namespace.clone();
        self.approle_in(&namespace, role)
    }

    /// The same in this namespace.
    pub(crate) fn approle_in(self, namespace: &str, role: &Value) -> Self {
        let (server, name) = (self.server(), self.name.clone());
        server.enable_auth(namespace, &name, "approle");
        server.set_lockout(namespace, &name, Lockout::Off);
        let role_id = server.write_approle(namespace, &name, "r", &name, role);
        let scenario = self.env("VAULT_AUTH_MOUNT", "{name}").hides(&role_id).env("VAULT_APPROLE_ROLE_ID", role_id);
        if role["bind_secret_id"] == false {
            return scenario;
        }
        let secret_id = server.create_secret_id(namespace, &name, "r", &json!({}));
        scenario.hides(&secret_id).env("VAULT_APPROLE_SECRET_ID", secret_id)
    }

    /// A secret id of the role, with these fields.
    pub(crate) fn secret_id(&self, fields: &Value) -> String {
        self.server().create_secret_id(&self.namespace, &self.name, "r", fields)
    }

    /// A mount that takes the JWTs of this key, and a role `r` with these fields changed.
    pub(crate) fn jwt_mount(self, signer: &Signer, role: &Value) -> Self {
        let (server, namespace, name) = (self.server(), self.namespace.clone(), self.name.clone());
        server.enable_jwt(&namespace, &name, Keys::Static(&signer.public_key()));
        server.write_jwt_role(&namespace, &name, "r", &name, role);
        self.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r")
    }

    /// This JWT.
    pub(crate) fn given_jwt(self, jwt: &str) -> Self {
        self.hides(jwt).env("VAULT_JWT", jwt)
    }

    /// A login over TLS with this certificate, at a mount whose role `r` trusts the test CA, with these fields changed.
    pub(crate) fn certificate(self, client: &Pair, role: &Value) -> Self {
        let (server, namespace, name) = (self.server(), self.namespace.clone(), self.name.clone());
        server.enable_auth(&namespace, &name, "cert");
        server.write_cert_role(&namespace, &name, "r", &name, &certs().ca.certificate, role);
        let scenario = self.tls(Listener::Tls).hides(&client.key).env("VAULT_AUTH_METHOD", "cert");
        let scenario =
            scenario.env("VAULT_CLIENT_CERT", &client.certificate_file).env("VAULT_CLIENT_KEY", &client.key_file);
        scenario.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r")
    }

    /// Moves the credential in the variable `name` to a file, which this other variable names.
    pub(crate) fn in_file(self, name: &str, file_variable: &str) -> Self {
        let credential = self.given_env()[name].clone().into_string().expect("a text");
        fs::write(self.file("credential"), format!(" {credential}\r\n")).expect("a file is written");
        self.unset(name).env(file_variable, "{folder}/credential")
    }
}
