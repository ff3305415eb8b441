//! What a test of the program has: a corner of a server, an issuer, and the program in between.

pub(crate) mod between;
pub(crate) mod gateway;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod wire;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Listener, Server};
use vault_testkit::{scratch, unique};

use gateway::Gateway;
use issuer::Issuer;

/// The tables of a configuration. A test changes what it is about.
#[derive(Clone)]
pub(crate) struct Tables {
    /// What stands above all tables.
    pub top: String,
    pub issuer: String,
    pub tenant: String,
    pub rules: String,
    /// Everything else.
    pub more: String,
}

/// A mount, a policy and a role of their own at a server, an issuer, and a folder.
pub(crate) struct Corner<'a> {
    pub server: &'a Server,
    /// The name of mount, policy and role.
    pub name: String,
    pub issuer: Issuer,
    pub folder: PathBuf,
}

impl<'a> Corner<'a> {
    pub fn of(server: &'a Server) -> Self {
        let name = unique();
        let folder = scratch(&name);
        server.mount_kv("", &name, 2);
        let policy =
            format!("path \"{name}/*\" {{ capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }}");
        server.write_policy("", &name, &policy);
        server.write_kubernetes_role("", "kubernetes", &name, &name, &json!({}));
        fs::write(folder.join("jwt"), Jwt::default().encode()).expect("the JWT is written");
        let issuer = Issuer::new("https://idp.example");
        fs::write(folder.join("jwks.json"), issuer.keys()).expect("the keys are written");
        Self { server, name, issuer, folder }
    }

    /// A configuration with one issuer and one tenant, `team-a`. The role `admin` may do everything; `reader` reads and
    /// lists `apps/*/config` and what is below `shared`.
    pub fn tables(&self) -> Tables {
        let (folder, name) = (self.folder.display(), &self.name);
        Tables {
            top: format!("listen = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\naudit = \"{folder}/audit.log\"\n"),
            issuer: format!(
                "[[issuer]]\nurl = \"https://idp.example\"\njwks = \"file:{folder}/jwks.json\"\n\
                 audience = \"vault-gateway\"\nalgorithms = [\"EdDSA\"]\ntenant = {{ claim = \"tenant\" }}\n"
            ),
            tenant: format!(
                "[[tenant]]\nname = \"team-a\"\nmount = \"{name}\"\nrole = \"{name}\"\nauth_method = \"kubernetes\"\n\
                 jwt_file = \"{folder}/jwt\"\n"
            ),
            rules:
                "[[rule]]\nname = \"admins\"\ntenant = \"team-a\"\nclaim = { roles = \"admin\" }\npaths = [\"**\"]\n\
                    allow = [\"read\", \"write\", \"delete\", \"list\", \"history\", \"restore\", \"destroy\", \
                    \"refresh\", \"renew\"]\n\
                    [[rule]]\nname = \"readers\"\ntenant = \"team-a\"\nclaim = { roles = \"reader\" }\n\
                    paths = [\"apps/*/config\", \"shared/**\"]\nallow = [\"read\", \"list\"]\n"
                    .into(),
            more: String::new(),
        }
    }

    /// Writes the configuration, and returns its file.
    pub fn write(&self, tables: &Tables) -> PathBuf {
        let Tables { top, issuer, tenant, rules, more } = tables;
        let file = self.folder.join("gateway.toml");
        fs::write(&file, [top, issuer, tenant, rules, more].map(String::as_str).concat()).expect("a file");
        file
    }

    /// The program with this configuration, ready.
    pub fn start(&self, tables: &Tables) -> Gateway {
        Gateway::start(&self.write(tables), &self.server.addr(Listener::Plain))
    }

    /// A token of this role of `team-a`.
    pub fn token(&self, role: &str) -> String {
        self.issuer.token(&json!({"roles": [role], "tenant": "team-a"}))
    }

    /// Writes a version of a secret past the gateway.
    pub fn put(&self, path: &str, data: &Value) {
        self.server.write_secret("", &self.name, path, data);
    }

    /// How many reads of this path the server has answered.
    pub fn reads(&self, path: &str) -> usize {
        let path = format!("{}/data/{path}", self.name);
        self.server.asked(&self.name).iter().filter(|it| it.operation == "read" && it.path == path).count()
    }

    /// The audit lines so far.
    pub fn audit(&self) -> Vec<Value> {
        lines(&self.folder.join("audit.log"))
    }
}

/// Ends a load when it is dropped, also where the test fails: whoever waits for its threads would wait for ever.
pub(crate) struct Ends<'a>(pub &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file of JSON lines; none where it is not there.
pub(crate) fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}
