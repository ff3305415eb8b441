//! The program, started as a service manager does it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use vault_testkit::eventually;
use vault_testkit::measure::Process;
use vault_testkit::openbao::spawn_bound;

/// The running program; it is killed when this is dropped.
pub(crate) struct Gateway {
    child: Child,
    url: String,
}

impl Gateway {
    /// Starts it with a server at `vault`, and waits until it is ready.
    pub(crate) fn start(program: &Path, config: &Path, vault: &str) -> Self {
        let log = config.with_extension("log");
        let mut command = Command::new(program);
        command.arg("--config").arg(config).env_clear().env("VAULT_ADDR", vault);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("the log is created"));
        let mut child = spawn_bound(command);
        let mut told = None;
        eventually("the gateway serves", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            told = text.lines().find_map(addresses);
            assert!(told.is_some() || child.try_wait().expect("a state").is_none(), "it ended: {text}");
            told.is_some()
        });
        let (listen, ops) = told.expect("it serves");
        eventually("the gateway is ready", || ureq::get(format!("http://{ops}/ready")).call().is_ok());
        Self { child, url: format!("http://{listen}") }
    }

    /// The URL of its callers' listener.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it takes.
    pub(crate) fn process(&self) -> Process {
        Process::of(&self.child)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses of the line that says that it serves.
fn addresses(line: &str) -> Option<(String, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str().map(str::to_owned);
    address("listen").zip(address("ops"))
}
