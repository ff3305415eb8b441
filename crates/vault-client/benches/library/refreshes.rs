//! What a client's memory is after very many refreshes, each of which brings a change.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use vault_testkit::measure::built;

/// Refreshes of each run; the first tenth is what the others are held against.
pub(crate) const REFRESHES: usize = 10_000;

/// Runs of the program: what they tell, how many secrets they have, and the bytes of each.
const RUNS: [(&str, usize, usize); 2] = [
    ("memory after 10,000 refreshes, each with a change", 1, 100),
    ("the same with 100 secrets of 100 KiB", 100, 100 << 10),
];

/// What came of a run.
pub(crate) struct Refreshes {
    pub(crate) figure: &'static str,
    /// What was resident after a tenth of the refreshes and after all of them, in KiB.
    pub(crate) resident_kib: [u64; 2],
}

impl Refreshes {
    /// All runs.
    pub(crate) fn watch() -> Vec<Self> {
        let program = built("vault-client", "--example", "refreshes", "");
        let run = |(figure, secrets, bytes): (&'static str, usize, usize)| {
            let mut command = Command::new(&program);
            command.args(["kv", &secrets.to_string(), &REFRESHES.to_string()]).env_clear();
            command.env("VAULT_ADDR", changing(bytes)).env("VAULT_TOKEN", "a-token-that-is-given");
            let output = command.output().expect("it starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).expect("numbers");
            let resident: Vec<_> = text.lines().map(|line| line.parse().expect("a number")).collect();
            Self { figure, resident_kib: resident.try_into().expect("two") }
        };
        RUNS.into_iter().map(run).collect()
    }
}

/// The URL of a server that has another secret of so many bytes for each read. No other one is used, because those remember
/// what they were asked. Its threads end with the process.
fn changing(bytes: usize) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
    let version: Arc<AtomicUsize> = Arc::default();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let version = Arc::clone(&version);
            thread::spawn(move || serve(&stream, bytes, &version));
        }
    });
    url
}

/// Answers until the client hangs up: a read with the next version, all else with 404.
fn serve(mut stream: &TcpStream, bytes: usize, version: &AtomicUsize) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    loop {
        let request = lines.next()?.ok()?;
        // No request has a body.
        while !lines.next()?.ok()?.is_empty() {}
        let (status, body) = if request.starts_with("GET /v1/kv/data/") {
            ("200 OK", secret(bytes, version.fetch_add(1, Ordering::Relaxed) + 1))
        } else {
            ("404 Not Found", r#"{"errors":[]}"#.to_owned())
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.into_bytes(), body.into_bytes()].concat()).ok()?;
    }
}

/// The answer to a read. No two versions have a value in common.
fn secret(bytes: usize, version: usize) -> String {
    let value = format!("{version:010}").repeat(bytes / 10);
    format!(
        r#"{{"data":{{"data":{{"VALUE":"{value}"}},"metadata":{{"created_time":"2026-01-02T03:04:05.678Z","destroyed":false,"version":{version}}}}}}}"#
    )
}
