//! The program, started.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use vault_testkit::eventually;
use vault_testkit::http::agent;

/// The program, with no setting but the server's address.
pub(crate) fn program(vault: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vault-gateway"));
    command.env_clear().env("VAULT_ADDR", vault).stdin(Stdio::null());
    command
}

/// What a request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Reply {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A header; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The kind of a problem document; empty where it is none.
    pub fn problem(&self) -> String {
        let kind = self.json()["type"].as_str().unwrap_or_default().to_owned();
        kind.strip_prefix("urn:vault-gateway:").unwrap_or_default().to_owned()
    }

    /// Status and kind, or status and body where it is no problem document.
    pub fn told(&self) -> (u16, String) {
        let problem = self.problem();
        (self.status, if problem.is_empty() { self.text.clone() } else { problem })
    }
}

/// The running program; it is killed when this is dropped.
pub(crate) struct Gateway {
    child: Child,
    pub listen: SocketAddr,
    pub ops: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    /// Starts it, and waits until it is ready.
    pub fn start(config: &Path, vault: &str) -> Self {
        let mut command = program(vault);
        command.arg("--config").arg(config);
        let gateway = Self::spawn(command);
        eventually("the gateway is ready", || gateway.operate("/ready").status == 200);
        gateway
    }

    /// Starts it, and waits until it serves.
    pub fn spawn(command: Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    /// The same with this standard output.
    pub fn spawn_with(mut command: Command, stdout: Stdio) -> Self {
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("it starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, lines) = (child.stderr.take().expect("a pipe"), Arc::clone(&log));
        thread::spawn(move || {
            let said = BufReader::new(stderr).lines().map_while(Result::ok);
            said.for_each(|line| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line));
        });
        let mut serving = None;
        eventually("the gateway serves", || {
            let lines = log.lock().unwrap_or_else(PoisonError::into_inner);
            serving = lines.iter().find_map(|line| addresses(line));
            assert!(serving.is_some() || child.try_wait().expect("a state").is_none(), "it ended: {lines:?}");
            serving.is_some()
        });
        let (listen, ops) = serving.expect("it serves");
        Self { child, listen, ops, log }
    }

    /// The lines of its log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the ops listener answers.
    pub fn operate(&self, path: &str) -> Reply {
        send(&format!("http://{}{path}", self.ops), "GET", &[], None)
    }

    /// The value of a metric with these labels, as they are written; 0 where there is none.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.operate("/metrics").text;
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_default()
    }

    /// Sends `METHOD PATH` with a token and nothing else.
    pub fn ask(&self, request: &str, token: &str) -> Reply {
        self.send(request, token, &[], None)
    }

    /// The same with a body of JSON.
    pub fn put(&self, request: &str, token: &str, body: &Value) -> Reply {
        self.send(request, token, &[], Some(&body.to_string()))
    }

    /// The same with headers. A body is JSON where they do not say what it is.
    pub fn send(&self, request: &str, token: &str, headers: &[(&str, &str)], body: Option<&str>) -> Reply {
        let (method, path) = request.split_once(' ').expect("METHOD PATH");
        let authorization = format!("Bearer {token}");
        let mut all = headers.to_vec();
        if !token.is_empty() {
            all.push(("Authorization", &authorization));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            all.push(("Content-Type", "application/json"));
        }
        send(&format!("http://{}{path}", self.listen), method, &all, body)
    }

    pub fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("an id"))
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal).expect("it is there");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the gateway ends", || {
            ended = self.child.try_wait().expect("a state");
            ended.is_some()
        });
        ended.expect("it ended")
    }

    /// Ends it at once, as an impatient person does: each further TERM cuts a pause short.
    pub fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the gateway ends", || {
            let _ = kill(self.id(), Signal::SIGTERM);
            ended = self.child.try_wait().expect("a state");
            ended.is_some()
        });
        ended.expect("it ended")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses of the line that says that it serves.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let address = |name: &str| fields[name].as_str()?.parse().ok();
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    Some((address("listen")?, address("ops").unwrap_or(nowhere)))
}

/// Sends a request; any status is an answer.
pub(crate) fn send(url: &str, method: &str, headers: &[(&str, &str)], body: Option<&str>) -> Reply {
    try_send(url, method, headers, body).unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// The same; an error where there is no whole answer.
pub(crate) fn try_send(
    url: &str,
    method: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Result<Reply, ureq::Error> {
    let builder = ureq::http::Request::builder().method(method).uri(url);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    let sent = match body {
        None => agent().run(builder.body(()).expect("a request")),
        Some(body) => agent().run(builder.body(body.to_owned()).expect("a request")),
    };
    let mut response = sent?;
    let text = |value: &ureq::http::HeaderValue| value.to_str().expect("a header is text").to_owned();
    Ok(Reply {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        text: response.body_mut().read_to_string()?,
    })
}
