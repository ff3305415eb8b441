//! What a measurement has to itself on the server: a KV mount with a secret, a policy, a role to log in with.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use vault_client::options::tls::roots;
use vault_client::{Kubernetes, Tls, VaultClient};
use vault_testkit::certs::certs;
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Listener, Server};
use vault_testkit::{scratch, unique};

/// The path of the secret.
pub(crate) const PATH: &str = "shop/app";

/// What a measurement has to itself on the server.
pub(crate) struct Corner<'a> {
    server: &'a Server,
    /// The names of its mount, policy and role.
    pub(crate) name: String,
    jwt: PathBuf,
}

impl<'a> Corner<'a> {
    /// One whose tokens live for `ttl`, and `max_ttl` at most.
    pub(crate) fn of(server: &'a Server, ttl: &str, max_ttl: &str) -> Self {
        let name = unique();
        server.mount_kv("", &name, 2);
        server.write_policy("", &name, &format!("path \"{name}/data/*\" {{ capabilities = [\"read\"] }}"));
        let lease = json!({"token_ttl": ttl, "token_max_ttl": max_ttl});
        server.write_kubernetes_role("", "kubernetes", &name, &name, &lease);
        let value = "a value of some length";
        let secret = json!({"DATABASE_URL": value, "API_KEY": value, "SMTP_PASSWORD": value});
        server.write_secret("", &name, PATH, &secret);
        let jwt = scratch(&name).join("jwt");
        std::fs::write(&jwt, Jwt::default().encode()).expect("the JWT is written");
        Self { server, name, jwt }
    }

    /// The URL of the server, with TLS.
    pub(crate) fn url(&self) -> String {
        self.server.addr(Listener::Tls)
    }

    /// A client that logs in with its role to the server at `url`; all else is a default.
    pub(crate) fn client(&self, url: &str) -> VaultClient {
        let login =
            Kubernetes { mount: "kubernetes".into(), role: self.name.clone(), jwt: self.jwt.clone(), revoke: true };
        let ca = roots(certs().ca.certificate.as_bytes()).expect("a CA");
        let tls = Tls { roots: Some(ca), ..Tls::default() };
        VaultClient::builder().address(url).login(login).tls(tls).ignore_environment().build().expect("a client")
    }

    /// A run of `program` that reads the secret so often on so many threads.
    pub(crate) fn run(&self, program: &Path, reads: usize, threads: usize) -> Command {
        let mut command = Command::new(program);
        command.args([&self.name, PATH, &reads.to_string(), &threads.to_string()]).env_clear();
        command.env("VAULT_ADDR", self.url()).env("VAULT_CACERT", &certs().ca.certificate_file);
        command.env("VAULT_ROLE", &self.name).env("VAULT_K8S_TOKEN_PATH", &self.jwt);
        command.env("VAULT_AUTH_METHOD", "kubernetes");
        command
    }

    /// How many requests the server was sent whose path holds `part`.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.server.asked(&self.name).iter().filter(|asked| asked.path.contains(part)).count()
    }
}
