//! The example `status_agent` on the real server: what it lets in and what it refuses, rotations under load, its README.

mod checks;
mod connections;
mod gate;
mod health;
mod readme;
mod rotation;
mod stalled;

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ring::{digest, hmac};
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::openbao::spawn_bound;
use vault_testkit::server::Listener;

use crate::support::{Corner, example};

/// So much of a token is looked for in all that was said.
const PIECE: usize = 12;

/// A token of the tests.
pub(super) fn token(number: usize) -> String {
    let digest = digest::digest(&digest::SHA256, format!("token {number}").as_bytes());
    hex(digest.as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs()
}

/// A running agent.
pub(super) struct Agent {
    child: Child,
    /// `127.0.0.1:PORT`
    at: String,
    lines: Arc<Mutex<Vec<Value>>>,
    stdout: JoinHandle<()>,
    stderr: JoinHandle<String>,
    http: ureq::Agent,
    /// Everything that was answered.
    told: Mutex<BTreeSet<String>>,
    /// How many requests were sent that have to be decided on.
    asked: AtomicUsize,
}

/// What an agent has said until its end.
pub(super) struct Ended {
    pub code: Option<i32>,
    pub lines: Vec<Value>,
    pub stderr: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Answer {
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, retry_after: None, body }
    }

    pub fn error(status: u16, error: &str) -> Self {
        Self::new(status, json!({ "error": error }))
    }
}

/// An agent of no Vault with this token, as a command.
pub(super) fn with_static(token: &str) -> Command {
    let mut command = Command::new(example("status_agent"));
    command.env_clear().env("AGENT_LISTEN", "127.0.0.1:0").env("AGENT_TOKEN", token);
    command.env("AGENT_RATE", "1000000").env("AGENT_SCOPES", "panel:status,restart,refresh;ci:status;other:status");
    command
}

/// An agent of the corner's deployment `deployment-1`, as a command. It logs in with the corner's role.
pub(super) fn of(corner: &Corner) -> Command {
    let mut command = with_static("");
    command.env_remove("AGENT_TOKEN").env("VAULT_ADDRESS", corner.server.addr(Listener::Plain));
    command.env("VAULT_ROLE", &corner.name).env("VAULT_K8S_TOKEN_PATH", corner.login().jwt);
    command.env("VAULT_AGENT_PATH_PREFIX", &corner.name).env("DEPLOYMENT_HASH", "deployment-1");
    command
}

/// Writes the token of `deployment-1`.
pub(super) fn rotate(corner: &Corner, token: &str) {
    corner.server.write_secret("", &corner.name, "deployment-1/token", &json!({ "token": token }));
}

impl Agent {
    /// Starts it, and waits until it listens.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn_bound(command);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (out, heard) = (BufReader::new(child.stdout.take().expect("a pipe")), Arc::clone(&lines));
        let stdout = thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let mut err = child.stderr.take().expect("a pipe");
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).expect("text");
            text
        });
        let http = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let mut agent = Self {
            child,
            at: String::new(),
            lines,
            stdout,
            stderr,
            http,
            told: Mutex::default(),
            asked: AtomicUsize::new(0),
        };
        eventually("it listens or has ended", || {
            let started = agent.lines_of("started").first().and_then(|line| line["listen"].as_str().map(str::to_owned));
            agent.at = started.unwrap_or_default();
            !agent.at.is_empty() || agent.stdout.is_finished()
        });
        agent
    }

    pub fn at(&self) -> &str {
        &self.at
    }

    /// The lines of the audit log with this event.
    pub fn lines_of(&self, event: &str) -> Vec<Value> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line["event"] == event).cloned().collect()
    }

    /// The decisions on all requests.
    pub fn decisions(&self) -> Vec<Value> {
        let asked = self.asked.load(Ordering::Relaxed);
        // A line is written before its answer, and read by another thread.
        eventually("each decision is in the audit log", || self.lines_of("request").len() == asked);
        self.lines_of("request")
    }

    /// The last decision: its reason, or that the request was accepted.
    pub fn last_decision(&self) -> String {
        let lines = self.decisions();
        let line = lines.last().expect("a request");
        line["reason"].as_str().or(line["decision"].as_str()).expect("a word").to_owned()
    }

    /// Counts a request.
    pub fn count(&self, ask: &Ask) {
        if ask.target != "/health" {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn send(&self, ask: &Ask) -> Answer {
        self.count(ask);
        let request = ask.headers.iter().fold(
            ureq::http::Request::builder().method(ask.method).uri(format!("http://{}{}", self.at, ask.target)),
            |request, (name, value)| request.header(*name, value),
        );
        let sent = match ask.body.as_str() {
            "" => self.http.run(request.body(()).expect("a request")),
            body => self.http.run(request.body(body).expect("a request")),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{} {}: {error}", ask.method, ask.target));
        let body = response.body_mut().read_to_string().expect("a body");
        let told = format!("{:?} {:?} {body}", response.status(), response.headers());
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(told);
        let retry_after = response.headers().get("retry-after").map(|it| it.to_str().expect("text").to_owned());
        let body = serde_json::from_str(&body).unwrap_or_default();
        Answer { status: response.status().as_u16(), retry_after, body }
    }

    pub fn health(&self) -> Answer {
        self.send(&Ask::unsigned("GET", "/health"))
    }

    /// Has the token read again, and waits for it.
    pub fn refresh(&self, token: &str) {
        let answer = self.send(&Ask::new("panel", token, "POST", "/refresh", ""));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Ends it with this signal.
    pub fn end(self, signal: Signal) -> Ended {
        kill(Pid::from_raw(self.child.id().try_into().expect("an id")), signal).expect("it is there");
        self.ended()
    }

    /// Waits for its end; no piece of these tokens has stood anywhere.
    pub fn ended(mut self) -> Ended {
        let code = self.child.wait().expect("it ends").code();
        self.stdout.join().expect("no panic");
        let stderr = self.stderr.join().expect("no panic");
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<_> = lines.iter().map(Value::to_string).chain(told.iter().cloned()).collect();
        let said = said.join("\n") + &stderr;
        drop(told);
        let tokens: Vec<_> = (0..=110).map(token).collect();
        let pieces: HashSet<_> = tokens.iter().flat_map(|token| token.as_bytes().windows(PIECE)).collect();
        let leaked = said.as_bytes().windows(PIECE).find(|piece| pieces.contains(piece));
        assert_eq!(leaked.map(String::from_utf8_lossy), None, "a piece of a token is in {said}");
        Ended { code, lines, stderr }
    }
}

/// A request, as its caller sends it.
#[derive(Clone)]
pub(super) struct Ask {
    method: &'static str,
    target: String,
    body: String,
    headers: Vec<(&'static str, String)>,
}

impl Ask {
    pub fn unsigned(method: &'static str, target: &str) -> Self {
        Self { method, target: target.to_owned(), body: String::new(), headers: Vec::new() }
    }

    /// One that is signed now.
    pub fn new(caller: &str, token: &str, method: &'static str, target: &str, body: &str) -> Self {
        Self::at(unix(), caller, token, method, target, body)
    }

    /// One that is signed at this time.
    pub fn at(time: u64, caller: &str, token: &str, method: &'static str, target: &str, body: &str) -> Self {
        let mut nonce = [0; 12];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut nonce).expect("random bytes");
        Self::made((time, &hex(&nonce)), caller, token, (method, target, body))
    }

    /// One of this time and nonce.
    pub fn made(
        (time, nonce): (u64, &str),
        caller: &str,
        token: &str,
        (method, target, body): (&'static str, &str, &str),
    ) -> Self {
        let digest = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
        let text = format!("v1\n{method}\n{target}\n{time}\n{nonce}\n{caller}\n{digest}");
        let code = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()), text.as_bytes());
        let headers = vec![
            ("X-Agent-Caller", caller.to_owned()),
            ("X-Agent-Timestamp", time.to_string()),
            ("X-Agent-Nonce", nonce.to_owned()),
            ("X-Agent-Signature", format!("v1={}", hex(code.as_ref()))),
        ];
        Self { method, target: target.to_owned(), body: body.to_owned(), headers }
    }

    /// The status of the deployment, asked by the panel.
    pub fn status(token: &str) -> Self {
        Self::new("panel", token, "GET", "/status", "")
    }

    /// The same with another body, and the signature of the first.
    pub fn with_body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// The same for another method or target, with the signature of the first.
    pub fn towards(mut self, method: &'static str, target: &str) -> Self {
        self.method = method;
        target.clone_into(&mut self.target);
        self
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.iter().find(|(own, _)| *own == name).expect("a header").1.clone()
    }

    /// The same with another value in a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        for header in self.headers.iter_mut().filter(|(own, _)| *own == name) {
            value.clone_into(&mut header.1);
        }
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self
    }

    /// The same with a header twice.
    pub fn twice(mut self, name: &'static str) -> Self {
        let value = self.header(name);
        self.headers.push((name, value));
        self
    }

    /// As it goes over the wire.
    pub fn head(&self, more: &str) -> String {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        format!("{} {} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n{headers}{more}\r\n", self.method, self.target)
    }
}
