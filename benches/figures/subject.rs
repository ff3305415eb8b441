//! What is compared: this program, the floor below it, and whatever else on PATH does the same work.
//!
//! All of them log in with the same JWT and role, read the same secret and start `true`. Those that can revoke the token
//! do it, for `vault-exec` does.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vault_testkit::certs::certs;
use vault_testkit::measure::{built, finished};
use vault_testkit::tap::Tap;
use vault_testkit::tls_front;

use crate::support::scenario::Scenario;

/// How `deploy/dist` and `deploy/Dockerfile` link the program that needs nothing beside it.
const STATIC: &str = "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs";

/// The variables of the secret that everybody reads.
pub(crate) const KEYS: [&str; 3] = ["DATABASE_URL", "API_KEY", "SMTP_PASSWORD"];

/// A way to start an application with a secret in its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    VaultExec,
    VaultExecStatic,
    Floor,
    VaultEnv,
    SecretInit,
    Envconsul,
    BaoAgent,
    Script,
}

impl Subject {
    /// All of them, this program first.
    pub(crate) const ALL: [Self; 8] = [
        Self::VaultExec,
        Self::VaultExecStatic,
        Self::Floor,
        Self::VaultEnv,
        Self::SecretInit,
        Self::Envconsul,
        Self::BaoAgent,
        Self::Script,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::VaultExec => "vault-exec",
            Self::VaultExecStatic => "vault-exec, static",
            Self::Floor => "floor",
            Self::VaultEnv => "vault-env",
            Self::SecretInit => "secret-init",
            Self::Envconsul => "envconsul",
            Self::BaoAgent => "bao agent",
            Self::Script => "curl + jq",
        }
    }

    /// The file that is started; `None` where it is not there.
    pub(crate) fn program(self) -> Option<PathBuf> {
        match self {
            Self::VaultExec => Some(built("vault-exec", "--bin", "vault-exec", "")),
            Self::VaultExecStatic => Some(built("vault-exec", "--bin", "vault-exec", STATIC)),
            Self::Floor => Some(built("vault-exec", "--example", "floor", "")),
            Self::VaultEnv | Self::SecretInit | Self::Envconsul => on_path(self.name()),
            Self::BaoAgent => on_path("bao").or_else(|| vault_testkit::openbao::program().cloned()),
            Self::Script => on_path("curl").and(on_path("jq")).and(on_path("sh")),
        }
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The shared work, and what each subject needs to be told of it.
pub(crate) struct Work<'a> {
    scenario: &'a Scenario<'a>,
    requests: PathBuf,
}

impl<'a> Work<'a> {
    /// Records what `vault-exec` sends, which is what the floor sends.
    pub(crate) fn record(scenario: &'a Scenario<'a>, program: &Path, plain_url: &str) -> Self {
        let work = Self { scenario, requests: scenario.file("requests") };
        let tap = Tap::before(plain_url);
        let mut command = work.command(Subject::VaultExec, program, &tls_front::before(tap.port()));
        assert!(command.status().expect("it starts").success());
        let said = String::from_utf8(tap.said().concat()).expect("requests are text");
        fs::write(&work.requests, recorded(&said)).expect("a file is written");
        work
    }

    /// How many requests one run sends, counted behind TLS.
    pub(crate) fn requests(&self, subject: Subject, program: &Path, plain_url: &str) -> Option<usize> {
        let tap = Tap::before(plain_url);
        finished(subject.name(), &mut self.command(subject, program, &tls_front::before(tap.port())))?;
        Some(tap.requests().iter().map(Vec::len).sum())
    }

    /// One run of `subject` against the server at this URL, in front of `true`.
    pub(crate) fn command(&self, subject: Subject, program: &Path, url: &str) -> Command {
        self.command_for(subject, program, url, &["/usr/bin/true".into()])
    }

    /// The same in front of any application.
    pub(crate) fn command_for(&self, subject: Subject, program: &Path, url: &str, application: &[OsString]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.scenario.given_env()).env("VAULT_ADDR", url).env("PATH", "/usr/bin:/bin");
        let (role, path) = (&self.scenario.name, format!("kv/data/{}", self.scenario.path()));
        let jwt = self.scenario.file("jwt");
        match subject {
            Subject::VaultExec | Subject::VaultExecStatic => {
                command.env("VAULT_LOG_LEVEL", "warn").arg("--");
            }
            Subject::Floor => {
                let ca = &certs().ca.certificate_file;
                command.arg(url.trim_start_matches("https://")).arg(ca).arg(&self.requests);
            }
            Subject::VaultEnv | Subject::SecretInit => {
                let path_setting = if subject == Subject::VaultEnv { "VAULT_ENV_FROM_PATH" } else { "VAULT_FROM_PATH" };
                command.env(path_setting, path).env("VAULT_JWT_FILE", jwt).env("VAULT_REVOKE_TOKEN", "true");
                command.env("VAULT_AUTH_METHOD", "jwt").env("VAULT_PATH", "kubernetes");
                command.env("VAULT_LOG_LEVEL", "error").env("SECRET_INIT_LOG_LEVEL", "error");
            }
            Subject::Envconsul => {
                command
                    .arg("-config")
                    .arg(self.write("envconsul.hcl", &envconsul(url, role, &jwt, &path)))
                    .arg("-once");
            }
            Subject::BaoAgent => {
                let text = agent(url, role, &jwt, &path, application);
                command.arg("agent").arg("-log-level=error").arg("-config").arg(self.write("agent.hcl", &text));
                return command;
            }
            Subject::Script => {
                command.args(["-euc", SCRIPT, "sh"]).env("MOUNT_AND_PATH", path);
            }
        }
        command.args(application);
        command
    }

    /// A file in the folder of the work.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scenario.file(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.file(name);
        fs::write(&file, text).expect("a file is written");
        file
    }
}

/// The requests of one connection, separated by NULs, with `{token}` for the token.
fn recorded(said: &str) -> String {
    let token = said.split("x-vault-token: ").nth(1).and_then(|rest| rest.lines().next()).expect("a token is sent");
    let mut requests = said.replace(token, "{token}");
    for method in ["POST /", "GET /"] {
        requests = requests.replace(method, &format!("\0{method}"));
    }
    requests.trim_start_matches('\0').to_owned()
}

fn envconsul(url: &str, role: &str, jwt: &Path, path: &str) -> String {
    let (ca, jwt) = (certs().ca.certificate_file.display(), jwt.display());
    format!(
        r#"log_level = "err"
vault {{
  address = "{url}"
  k8s_auth_role_name = "{role}"
  k8s_service_account_token_path = "{jwt}"
  renew_token = false
  ssl {{
    ca_cert = "{ca}"
  }}
}}
secret {{
  path = "{path}"
  no_prefix = true
}}
"#
    )
}

fn agent(url: &str, role: &str, jwt: &Path, path: &str, application: &[OsString]) -> String {
    let template = |name: &&str| {
        let contents = format!(r#"{{{{ with secret \"{path}\" }}}}{{{{ .Data.data.{name} }}}}{{{{ end }}}}"#);
        format!("env_template \"{name}\" {{\n  contents = \"{contents}\"\n  error_on_missing_key = true\n}}\n")
    };
    let words: Vec<_> = application.iter().map(|word| format!("\"{}\"", word.display())).collect();
    format!(
        r#"{}exec {{
  command = [{}]
  restart_on_secret_changes = "never"
}}
{}"#,
        agent_login(url, role, jwt),
        words.join(", "),
        KEYS.iter().map(template).collect::<String>()
    )
}

/// Server and login of an agent, as it is configured.
pub(crate) fn agent_login(url: &str, role: &str, jwt: &Path) -> String {
    let (ca, jwt) = (certs().ca.certificate_file.display(), jwt.display());
    format!(
        r#"vault {{
  address = "{url}"
  ca_cert = "{ca}"
}}
auto_auth {{
  method "kubernetes" {{
    mount_path = "auth/kubernetes"
    config = {{
      role = "{role}"
      token_path = "{jwt}"
    }}
  }}
}}
"#
    )
}

/// What a careful hand writes.
const SCRIPT: &str = r#"
call() { curl --silent --show-error --fail --cacert "$VAULT_CACERT" "$@"; }
call "$VAULT_ADDR/v1/sys/seal-status" | jq --exit-status '.initialized and (.sealed | not)' >/dev/null
login=$(jq --null-input --arg role "$VAULT_ROLE" --rawfile jwt "$VAULT_K8S_TOKEN_PATH" '{$role, $jwt}')
VAULT_TOKEN=$(printf %s "$login" | call --data @- "$VAULT_ADDR/v1/auth/kubernetes/login" | jq --raw-output .auth.client_token)
# By standard input, for an argument can be seen by every process.
authorised() { printf 'header = "X-Vault-Token: %s"\n' "$VAULT_TOKEN" | call --config - "$@"; }
secret=$(authorised "$VAULT_ADDR/v1/$MOUNT_AND_PATH")
eval "$(printf %s "$secret" | jq --raw-output '.data.data | to_entries[] | "export \(.key)=\(.value | @sh)"')"
authorised --request POST "$VAULT_ADDR/v1/auth/token/revoke-self"
exec "$@"
"#;
