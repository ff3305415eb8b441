//! A corner of the real server for one test: a KV mount, a policy, a role to log in with.

pub(crate) mod cutting;
pub(crate) mod desk;
pub(crate) mod log;
pub(crate) mod proxy;

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use vault_client::{Kubernetes, VaultClient, VaultClientBuilder};
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Kind, Listener, Server, on};
use vault_testkit::{scratch, unique};

/// What a test has to itself on a server.
pub(crate) struct Corner<'a> {
    pub server: &'a Server,
    /// The names of its mount, policy and role.
    pub name: String,
    jwt: PathBuf,
}

/// The example `name`, as cargo has built it beside this program.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a program knows its file");
    let built = tests.parent().and_then(|deps| deps.parent()).expect("it is in a folder of target").join("examples");
    let path = built.join(name);
    assert!(path.is_file(), "{}: cargo build --package vault-client --examples", path.display());
    path
}

/// Runs a test, `cases::MODULE::NAME`, in a process of its own with these settings and no other variable.
pub(crate) fn run_again(test: &str, settings: &[(&str, &str)]) {
    let mut own = Command::new(std::env::current_exe().expect("a program knows its file"));
    own.args(["--exact", test, "--nocapture"]).env_clear().envs(settings.iter().copied());
    let output = own.output().expect("it runs");
    let [said, printed] = [&output.stderr, &output.stdout].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}{said}");
}

/// Runs `body` in a corner of the shared real server; `scenario` is the test's name.
pub(crate) fn with_corner(scenario: &str, body: impl FnOnce(&Corner)) {
    on(Kind::OpenBao, scenario, |server| body(&Corner::of(server, &json!({}))));
}

impl<'a> Corner<'a> {
    /// One in `server`, with these fields of the role changed.
    pub fn of(server: &'a Server, role: &Value) -> Self {
        let name = unique();
        server.mount_kv("", &name, 2);
        server.write_policy("", &name, &format!("path \"{name}/*\" {{ capabilities = [\"create\", \"read\", \"update\", \"patch\", \"delete\", \"list\"] }}"));
        server.write_kubernetes_role("", "kubernetes", &name, &name, role);
        let jwt = scratch(&name).join("jwt");
        std::fs::write(&jwt, Jwt::default().encode()).expect("the JWT is written");
        Self { server, name, jwt }
    }

    /// The login of its role.
    pub fn login(&self) -> Kubernetes {
        Kubernetes { mount: "kubernetes".into(), role: self.name.clone(), jwt: self.jwt.clone(), revoke: true }
    }

    /// A client that logs in with its role.
    pub fn builder(&self) -> VaultClientBuilder {
        VaultClient::builder().address(&self.server.addr(Listener::Plain)).login(self.login()).ignore_environment()
    }

    /// The same, made.
    pub fn client(&self) -> VaultClient {
        self.builder().build().expect("a client")
    }

    /// How many tokens of its role are alive.
    pub fn live_tokens(&self) -> usize {
        self.server.live_tokens("", &self.name)
    }

    /// Revokes all tokens of its role, and no others.
    pub fn revoke_tokens(&self) {
        let (_, listed) = self.server.admin("GET", "auth/token/accessors?list=true", &Value::Null);
        for accessor in listed["data"]["keys"].as_array().into_iter().flatten() {
            let body = json!({"accessor": accessor});
            let (_, found) = self.server.admin("POST", "auth/token/lookup-accessor", &body);
            if found["data"]["policies"].as_array().is_some_and(|policies| policies.contains(&json!(self.name))) {
                self.server.must("POST", "auth/token/revoke-accessor", &body);
            }
        }
    }

    /// How many requests of this operation the server has seen whose path holds `part`.
    pub fn count(&self, part: &str) -> usize {
        self.server.asked(&self.name).iter().filter(|asked| asked.path.contains(part)).count()
    }
}
