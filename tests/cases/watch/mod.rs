//! `--watch`: an env file that is kept current.

mod ask;
mod changes;
mod ends;
mod faults;
mod hooks;
mod outages;
mod settings;

pub(super) use settings::FAULTS;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;
use vault_testkit::eventually;
use vault_testkit::server::Server;

use crate::support::outcome::Outcome;
use crate::support::scenario::Scenario;
use crate::support::started::Started;

/// A secret, a login, and an env file that is kept current every second.
fn watched<'a>(server: &'a Server, secret: &Value) -> Scenario<'a> {
    Scenario::new(server).secret(secret).kubernetes().no_command().options(OPTIONS)
}

const OPTIONS: [&str; 4] = ["--env-file", "{folder}/app.env", "--watch", "1s"];

/// Writes another version of the secret of `scenario`.
fn write(server: &Server, scenario: &Scenario, secret: &Value) {
    server.write_secret("", "kv", &scenario.path(), secret);
}

/// What the file holds; empty where there is none.
fn content(scenario: &Scenario) -> String {
    fs::read_to_string(scenario.file("app.env")).unwrap_or_default()
}

/// Waits until the file holds `text`.
fn await_content(scenario: &Scenario, text: &str) {
    eventually("the file has its content", || content(scenario) == text);
}

/// Ends the watch, within a second.
fn end(mut started: Started<'_>) -> Outcome<'_> {
    started.signal(Signal::SIGTERM);
    let outcome = started.finish();
    assert!(outcome.after_signal.as_millis() < 1000, "{:?}\n{}", outcome.after_signal, outcome.describe());
    outcome
}

/// The line of a first write.
fn first(variables: &str, version: u64, became: &str) -> String {
    format!(
        "INFO  vault-exec: {variables} from kv/{{path}} version {version} of 20{{any}}Z; status {{any}}, login {{any}}, read \
         {{any}}; token kept alive; {{folder}}/app.env {became}"
    )
}

/// The lines of a change.
fn change(variables: &str, version: u64, became: &str) -> [String; 2] {
    let before = version - 1;
    [
        format!(
            "INFO  vault-exec: secret kv/{{path}}: version {version} in place of version {before}, in hand for {{any}}"
        ),
        format!(
            "INFO  vault-exec: {variables} from kv/{{path}} version {version} of 20{{any}}Z; write {{any}}; token kept alive; \
             {{folder}}/app.env {became}"
        ),
    ]
}

/// The last line of a watch.
fn last() -> String {
    "INFO  vault-exec: SIGTERM: ended by it; {folder}/app.env stays; token revoked".to_owned()
}

/// What is answered to a request for `path`: the status and the body.
fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// Health as JSON, with its status.
fn health(port: u16) -> (u16, Value) {
    let (status, body) = get(port, "/health").expect("an answer");
    (status, serde_json::from_str(&body).expect("JSON"))
}

/// Lines that COMMAND has written into this file.
fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
