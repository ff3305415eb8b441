//! A server that does what its script says, byte for byte: what no real server can be made to do. It answers as a
//! Vault that is well would, but for the requests that the script names.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Stands in a script for what is no HTTP.
const UNREADABLE: &str = "";

/// No test waits longer for a request.
const PATIENCE: Duration = Duration::from_secs(20);

/// The token that its logins hand out.
pub const TOKEN: &str = "hvs.raw-token-0123456789";

/// What happens after a request was read.
#[derive(Clone)]
pub enum Reply {
    /// These bytes are sent, and the next request is read.
    Bytes(Vec<u8>),
    /// These bytes are sent, and the connection is closed.
    Last(Vec<u8>),
    /// The same, but closed with a reset.
    Reset(Vec<u8>),
    /// These bytes are sent, and then nothing ever again.
    Hang(Vec<u8>),
    /// The first bytes are sent at once, the others one by one until the client has enough.
    Drip(Vec<u8>, Vec<u8>),
    /// The first bytes are sent, then the others again and again until the client has enough.
    Endless(Vec<u8>, Vec<u8>),
    /// An error with this status, which says the request's first line and body again.
    Echo(u16),
    /// What the gate lets through, when it is opened.
    Held(Gate, Box<Self>),
}

impl Reply {
    /// A JSON answer with its length.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::with(status, "Content-Type: application/json\r\n", body.to_string().as_bytes())
    }

    /// An answer with further header lines and its length.
    pub fn with(status: u16, headers: &str, body: &[u8]) -> Self {
        Self::Bytes(whole(status, headers, body))
    }

    /// A secret, its `data` given as text.
    pub fn secret(data: &str) -> Self {
        let metadata = r#"{"created_time":"2026-01-02T03:04:05.678Z","destroyed":false,"version":7}"#;
        let body = format!(r#"{{"data":{{"data":{data},"metadata":{metadata}}}}}"#);
        Self::with(200, "Content-Type: application/json\r\n", body.as_bytes())
    }

    /// The login's answer with these members of `auth` changed.
    pub fn login(changes: &Value) -> Self {
        let mut auth = json!({
            "client_token": TOKEN, "accessor": "a", "policies": ["default"], "lease_duration": 60, "renewable": true,
            "token_type": "service", "num_uses": 0, "mfa_requirement": null,
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            auth[name] = value.clone();
        }
        Self::json(200, &json!({"auth": auth}))
    }

    /// The same when the gate is opened.
    #[must_use]
    pub fn held(self, gate: &Gate) -> Self {
        Self::Held(gate.clone(), Box::new(self))
    }
}

/// The bytes of an answer.
pub fn whole(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Words\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Closed until somebody opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
enum State {
    #[default]
    Closed,
    Open,
    /// Whoever passes sends this signal first.
    OpenAfter(Pid, Signal),
}

impl Gate {
    /// Lets everybody through.
    pub fn open(&self) {
        self.set(State::Open);
    }

    /// The server sends this signal right before the answer.
    pub fn open_after(&self, pid: Pid, signal: Signal) {
        self.set(State::OpenAfter(pid, signal));
    }

    fn set(&self, state: State) {
        *self.0.0.lock().expect("no panic") = state;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let state = self.0.0.lock().expect("no panic");
        let closed = |state: &mut State| matches!(state, State::Closed);
        let (state, _) = self.0.1.wait_timeout_while(state, PATIENCE, closed).expect("no panic");
        if let State::OpenAfter(pid, signal) = *state {
            nix::sys::signal::kill(pid, signal).expect("a signal is sent");
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it was complete.
    pub at: Instant,
    /// `GET /v1/sys/seal-status`
    pub line: String,
    /// All header lines.
    pub head: String,
    /// The body, as text.
    pub body: String,
}

#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    connections: usize,
    /// Connections on which anything at all was received.
    spoken: usize,
}

/// Path below `/v1/` → its answers, one for each request; the last one stays.
type Script = BTreeMap<&'static str, Vec<Reply>>;

/// A TCP server that answers with the bytes of its script. Its threads end with the process.
#[derive(Clone)]
pub struct Raw {
    port: u16,
    script: Arc<Mutex<Script>>,
    log: Arc<(Mutex<Log>, Condvar)>,
}

/// The path of the server's health, which no script has unless a test gives it one.
pub const HEALTH: &str = "sys/health";
/// The path of the seal status.
pub const STATUS: &str = "sys/seal-status";
/// The path of a login by Kubernetes auth.
pub const LOGIN: &str = "auth/kubernetes/login";
/// The path of the secret.
pub const READ: &str = "kv/data/shop/app";
/// The path at which a token revokes itself.
pub const REVOKE: &str = "auth/token/revoke-self";
/// The path at which a token looks itself up.
pub const LOOK_UP: &str = "auth/token/lookup-self";

impl Raw {
    /// One that deviates from a good Vault in these answers.
    pub fn start<const N: usize>(deviations: [(&'static str, Vec<Reply>); N]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        Self::on(listener, deviations)
    }

    /// The same on a listener of the test's.
    pub fn on<const N: usize>(listener: TcpListener, deviations: [(&'static str, Vec<Reply>); N]) -> Self {
        let mut script = Script::from([
            (STATUS, vec![Reply::json(200, &json!({"initialized": true, "sealed": false, "version": "2.7.2"}))]),
            (LOGIN, vec![Reply::login(&json!({}))]),
            (READ, vec![Reply::secret(r#"{"A":"a-raw-secret"}"#)]),
            (REVOKE, vec![Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())]),
        ]);
        script.extend(deviations);
        let script = Arc::new(Mutex::new(script));
        let answers = Arc::clone(&script);
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let log: Arc<(Mutex<Log>, Condvar)> = Arc::default();
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                note(&shared, |log| log.connections += 1);
                let (script, log) = (Arc::clone(&answers), Arc::clone(&shared));
                std::thread::spawn(move || serve(&stream, &script, &log));
            }
        });
        Self { port, script, log }
    }

    /// Gives these answers at this path from now on.
    pub fn script(&self, path: &'static str, replies: Vec<Reply>) {
        self.script.lock().expect("no panic").insert(path, replies);
    }

    /// One that does this to whatever it is sent first, HTTP or not.
    pub fn saying(reply: &Reply) -> Self {
        Self::start([(UNREADABLE, vec![reply.clone()])])
    }

    /// Its URL.
    pub fn addr(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `["GET sys/seal-status", …]`
    pub fn requests(&self) -> Vec<String> {
        let requests = self.whole_requests();
        requests.iter().map(|it| it.line.replace("/v1/", "")).collect()
    }

    /// The requests so far, in the order in which they were complete.
    pub fn whole_requests(&self) -> Vec<Request> {
        self.log.0.lock().expect("no panic").requests.clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.log.0.lock().expect("no panic").connections
    }

    /// It was asked exactly this, e.g. `["GET sys/seal-status"]`.
    pub fn expect_requests<const N: usize>(&self, requests: [&str; N]) {
        assert_eq!(self.requests(), requests);
    }

    /// It was asked for status, login and read, and the token was revoked.
    pub fn expect_whole_run(&self) {
        self.expect_requests([
            "GET sys/seal-status",
            "POST auth/kubernetes/login",
            "GET kv/data/shop/app",
            "POST auth/token/revoke-self",
        ]);
        let token = format!("x-vault-token: {TOKEN}");
        let requests = self.whole_requests();
        let revoke = requests.last().expect("a request");
        assert!(revoke.head.to_lowercase().lines().any(|line| line == token), "{revoke:?}");
    }

    /// Waits until this many requests have come.
    pub fn await_requests(&self, count: usize) {
        self.wait(|log| log.requests.len() >= count);
    }

    /// Waits until somebody has sent anything, HTTP or not.
    pub fn await_bytes(&self) {
        self.wait(|log| log.spoken > 0);
    }

    fn wait(&self, enough: impl Fn(&Log) -> bool) {
        let log = self.log.0.lock().expect("no panic");
        let (log, waited) = self.log.1.wait_timeout_while(log, PATIENCE, |log| !enough(log)).expect("no panic");
        assert!(!waited.timed_out(), "only this was asked: {:?}", log.requests);
    }
}

fn note(log: &(Mutex<Log>, Condvar), change: impl FnOnce(&mut Log)) {
    change(&mut log.0.lock().expect("no panic"));
    log.1.notify_all();
}

fn serve(stream: &TcpStream, script: &Mutex<Script>, log: &(Mutex<Log>, Condvar)) {
    let mut received = Vec::new();
    let answer_to_anything = script.lock().expect("no panic").get(UNREADABLE).map(|replies| replies[0].clone());
    while let Some(request) = receive(stream, &mut received, log, answer_to_anything.as_ref()) {
        let path = request.line.split_once("/v1/").map_or("", |it| it.1);
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let reply = match next_reply(script, &path) {
            Reply::Echo(status) => Reply::json(status, &json!({"errors": [request.line, request.body]})),
            reply => reply,
        };
        note(log, |log| log.requests.push(request));
        if !perform(stream, reply) {
            return;
        }
    }
}

fn next_reply(script: &Mutex<Script>, path: &str) -> Reply {
    let mut script = script.lock().expect("no panic");
    match script.get_mut(path) {
        None => Reply::json(404, &json!({"errors": []})),
        Some(replies) if replies.len() > 1 => replies.remove(0),
        Some(replies) => replies[0].clone(),
    }
}

/// One request with its body; `None` at the end of the connection.
fn receive(
    mut stream: &TcpStream,
    received: &mut Vec<u8>,
    log: &(Mutex<Log>, Condvar),
    answer_to_anything: Option<&Reply>,
) -> Option<Request> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(request) = take_request(received) {
            return Some(request);
        }
        let first = received.is_empty();
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => received.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
        if first {
            note(log, |log| log.spoken += 1);
            if let Some(reply) = answer_to_anything {
                perform(stream, reply.clone());
                return None;
            }
        }
    }
}

fn take_request(received: &mut Vec<u8>) -> Option<Request> {
    let end = received.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let (line, head) = head.split_once("\r\n")?;
    let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok();
    let length = head.lines().find_map(length).unwrap_or(0);
    let body = received.get(end..end + length)?.to_vec();
    let request = Request {
        at: Instant::now(),
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        head: head.to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    received.drain(..end + length);
    Some(request)
}

/// Whether the connection goes on.
fn perform(mut stream: &TcpStream, reply: Reply) -> bool {
    match reply {
        Reply::Bytes(bytes) => stream.write_all(&bytes).is_ok(),
        Reply::Last(bytes) => {
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Both);
            false
        }
        Reply::Reset(bytes) => {
            let _ = stream.write_all(&bytes);
            let abrupt = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            let _ = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &abrupt);
            false
        }
        Reply::Hang(bytes) => {
            let _ = stream.write_all(&bytes);
            // Until the client has hung up.
            while stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {}
            false
        }
        Reply::Drip(first, then) => {
            let _ = stream.write_all(&first);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
            for byte in then {
                // Waits for the client to hang up, and for no longer than a drop takes.
                let gone = stream.read(&mut [0; 64]).is_ok();
                if gone || stream.write_all(&[byte]).is_err() {
                    break;
                }
            }
            false
        }
        Reply::Endless(first, again) => {
            let mut sent = stream.write_all(&first);
            while sent.is_ok() {
                sent = stream.write_all(&again);
            }
            false
        }
        // It was made into an answer where the request is known.
        Reply::Echo(_) => false,
        Reply::Held(gate, reply) => {
            gate.pass();
            perform(stream, *reply)
        }
    }
}
