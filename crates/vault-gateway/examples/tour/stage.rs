//! What the tour needs: a Vault with a secret, an issuer, and the gateway in between.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use ureq::http::HeaderMap;
use vault_testkit::jwt::Jwt;
use vault_testkit::openbao::spawn_bound;
use vault_testkit::server::{Kind, Listener, Server};
use vault_testkit::{eventually, scratch, unique};

#[path = "../../tests/support/issuer.rs"]
mod issuer;

use issuer::Issuer;

const ISSUER: &str = "https://idp.example";

/// The claims of the caller.
fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "ci", "tenant": "team-a", "roles": ["shop"]})
}

/// All that runs.
pub(crate) struct Stage {
    server: &'static Server,
    folder: PathBuf,
    token: String,
    gateway: Gateway,
}

/// The gateway; it is killed when this is dropped.
struct Gateway {
    child: Child,
    url: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request.
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) body: Option<String>,
    /// `If-Match`.
    pub(crate) condition: Option<&'static str>,
}

/// What it is answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Ask {
    pub(crate) fn get(target: &'static str) -> Self {
        Self { method: "GET", target, body: None, condition: None }
    }

    pub(crate) fn put(target: &'static str, body: &Value) -> Self {
        Self { method: "PUT", body: Some(body.to_string()), ..Self::get(target) }
    }

    pub(crate) fn post(target: &'static str, body: &Value) -> Self {
        Self { method: "POST", ..Self::put(target, body) }
    }

    pub(crate) fn on(self, tag: &'static str) -> Self {
        Self { condition: Some(tag), ..self }
    }
}

impl Stage {
    /// Starts everything.
    pub(crate) fn set() -> Self {
        let server = Server::shared(Kind::OpenBao).or_else(|| Server::shared(Kind::Embedded));
        let server = server.expect("the embedded one needs nothing");
        let folder = scratch(&unique());
        server.write_policy("", "team-a", "path \"kv/*\" { capabilities = [\"create\", \"read\", \"update\"] }");
        server.write_kubernetes_role("", "kubernetes", "team-a", "team-a", &json!({}));
        server.write_secret("", "kv", "apps/shop/config", &json!({"host": "db.internal", "port": 5432}));
        fs::write(folder.join("jwt"), Jwt::default().encode()).expect("the gateway's own JWT is written");
        let issuer = Issuer::new(ISSUER);
        fs::write(folder.join("jwks.json"), issuer.keys()).expect("the keys are written");
        fs::write(folder.join("claims.json"), claims().to_string()).expect("the claims are written");
        fs::write(folder.join("gateway.toml"), configuration(&folder)).expect("the configuration is written");
        let gateway = Gateway::start(&folder, &server.addr(Listener::Plain));
        Self { server, token: issuer.token(&claims()), folder, gateway }
    }

    /// What stands behind the gateway.
    pub(crate) fn vault(&self) -> &'static str {
        match self.server.kind() {
            Kind::OpenBao => "OpenBao",
            Kind::Embedded => "a small Vault within this program",
        }
    }

    /// The configuration's rules.
    pub(crate) fn rules(&self) -> String {
        let text = configuration(&self.folder);
        text.find("[[rule]]").map_or_else(String::new, |at| text[at..].to_owned())
    }

    /// Sends a request; any status is an answer.
    pub(crate) fn ask(&self, ask: &Ask) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let builder =
            ureq::http::Request::builder().method(ask.method).uri(format!("{}{}", self.gateway.url, ask.target));
        let builder = builder.header("Authorization", format!("Bearer {}", self.token));
        let builder = ask.condition.iter().fold(builder, |builder, tag| builder.header("If-Match", *tag));
        let sent = match &ask.body {
            None => agent.run(builder.body(()).expect("a request")),
            Some(body) => {
                agent.run(builder.header("Content-Type", "application/json").body(body.clone()).expect("a request"))
            }
        };
        let mut response = sent.expect("the gateway answers");
        let body = response.body_mut().read_to_string().expect("a body is text");
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    /// What a dry run prints.
    pub(crate) fn explain(&self, method: &str, target: &str) -> String {
        let mut command = program(&self.folder);
        command.arg("--check").arg("--as").arg(self.folder.join("claims.json")).args([method, target]);
        let output = command.output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The lines of the audit log.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("audit.log")).expect("the audit log is there");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }
}

impl Gateway {
    fn start(folder: &Path, vault: &str) -> Self {
        let log = folder.join("log");
        let mut command = program(folder);
        command.env("VAULT_ADDR", vault).stderr(File::create(&log).expect("the log is made"));
        let child = spawn_bound(command);
        let mut serving = None;
        eventually("the gateway serves", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            serving = text.lines().find_map(addresses);
            serving.is_some()
        });
        let (listen, ops) = serving.expect("it serves");
        eventually("the gateway is ready", || ureq::get(format!("http://{ops}/ready")).call().is_ok());
        Self { child, url: format!("http://{listen}") }
    }
}

/// The gateway with the configuration in `folder` and an empty environment.
fn program(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program knows its file"));
    command.arg("--config").arg(folder.join("gateway.toml")).env_clear();
    command.stdin(Stdio::null());
    command
}

/// The addresses of the line of the log that says that it serves.
fn addresses(line: &str) -> Option<(String, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str().map(str::to_owned);
    address("listen").zip(address("ops"))
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"listen = "127.0.0.1:0"
ops = "127.0.0.1:0"
audit = "{folder}/audit.log"

[[issuer]]
url = "{ISSUER}"
jwks = "file:{folder}/jwks.json"
audience = "vault-gateway"
algorithms = ["EdDSA"]
tenant = {{ claim = "tenant" }}

[[tenant]]
name = "team-a"
mount = "kv"
auth_method = "kubernetes"
role = "team-a"
jwt_file = "{folder}/jwt"

[[rule]]
name = "the shop's own"
tenant = "team-a"
claim = {{ roles = "shop" }}
paths = ["apps/shop/**"]
allow = ["read", "write", "history", "restore"]

[[rule]]
name = "banking"
tenant = "team-a"
claim = {{ roles = "bank" }}
paths = ["apps/bank/**"]
allow = ["read"]
"#
    )
}
