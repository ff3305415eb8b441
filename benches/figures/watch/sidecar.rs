//! A program that keeps a file current, and what is seen of it from beside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_testkit::measure::Process;
use vault_testkit::openbao::spawn_bound;
use vault_testkit::server::{Listener, Server};

use crate::subject::{KEYS, Subject, agent_login};
use crate::support::scenario::Scenario;

/// How long a first file may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running sidecar, with a secret and a role of its own. Dropping it kills it.
pub(crate) struct Sidecar<'a> {
    server: &'a Server,
    scenario: Scenario<'a>,
    process: Child,
    begun: Instant,
}

/// How it is at one moment.
#[derive(Clone, Copy)]
pub(crate) struct State {
    pub(crate) at: Instant,
    /// Milliseconds of processor time so far.
    pub(crate) cpu: f64,
    pub(crate) resident_kib: u64,
    /// How often it has read the secret.
    pub(crate) reads: usize,
    /// All requests so far that the server's audit log has.
    pub(crate) requests: usize,
}

impl<'a> Sidecar<'a> {
    /// Starts one that reads the secret again about every `every` seconds.
    pub(crate) fn start(server: &'a Server, subject: Subject, program: &Path, every: u64) -> Self {
        let scenario = Scenario::new(server).secret(&secret("the first")).kubernetes().tls(Listener::Tls);
        let mut command = Command::new(program);
        command.env_clear().envs(scenario.given_env()).env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let file = scenario.file("app.env");
        if subject == Subject::BaoAgent {
            let config = scenario.file("agent.hcl");
            fs::write(&config, agent(&scenario, &file, every, &server.addr(Listener::Tls))).expect("a file is written");
            command.arg("agent").arg("-log-level=error").arg("-config").arg(config);
        } else {
            command.arg("--env-file").arg(&file).args(["--watch", &format!("{every}s")]);
            command.args(["--listen", "127.0.0.1:0"]).env("VAULT_LOG_LEVEL", "warn");
        }
        let begun = Instant::now();
        Self { server, scenario, process: spawn_bound(command), begun }
    }

    fn file(&self) -> PathBuf {
        self.scenario.file("app.env")
    }

    /// Waits for the file, and returns how long after the start it was there.
    pub(crate) fn first_file(&self) -> Duration {
        let file = self.file();
        while !file.exists() {
            assert!(self.begun.elapsed() < PATIENCE, "there is no file after {PATIENCE:?}");
            thread::sleep(Duration::from_micros(100));
        }
        self.begun.elapsed()
    }

    /// Writes another version of the secret.
    pub(crate) fn change(&self, value: &str) {
        self.server.write_secret("", "kv", &self.scenario.path(), &secret(value));
    }

    /// Whether the file has this value.
    pub(crate) fn has(&self, value: &str) -> bool {
        fs::read_to_string(self.file()).is_ok_and(|text| text.contains(value))
    }

    /// How it is now.
    pub(crate) fn now(&self) -> State {
        let process = Process::of(&self.process);
        let asked = self.server.asked(&self.scenario.name);
        let reads = asked.iter().filter(|it| it.path.starts_with("kv/data/")).count();
        let (cpu, resident_kib) = (process.cpu(), process.resident_kib());
        State { at: Instant::now(), cpu, resident_kib, reads, requests: asked.len() }
    }
}

impl Drop for Sidecar<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn secret(value: &str) -> Value {
    KEYS.map(|key| (key.to_owned(), json!(format!("a value of some length: {value}")))).into_iter().collect()
}

/// The same for an agent: a template of the same lines.
fn agent(scenario: &Scenario, file: &Path, every: u64, url: &str) -> String {
    let (login, path) = (agent_login(url, &scenario.name, &scenario.file("jwt")), scenario.path());
    format!(
        r#"{login}template_config {{
  static_secret_render_interval = "{every}s"
}}
template {{
  destination = "{}"
  contents = <<EOT
{{{{ with secret "kv/data/{path}" }}}}{{{{ range $key, $value := .Data.data }}}}export {{{{ $key }}}}='{{{{ $value }}}}'
{{{{ end }}}}{{{{ end }}}}
EOT
}}
"#,
        file.display()
    )
}
