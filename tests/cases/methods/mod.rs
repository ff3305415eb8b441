//! Logins beside that of a pod, each on the real server: whole starts, refusals, dry runs.

mod approle;
mod cert;
mod jwt;
mod none;
mod oidc;
mod steps;
mod wrapping;

use std::fs;

use crate::support::expect::Expect;
use crate::support::fault_table::Fault;
use crate::support::scenario::Scenario;

/// The rows of all of them.
pub(crate) const FAULTS: &[&[Fault]] = &[
    approle::FAULTS,
    jwt::FAULTS,
    cert::FAULTS,
    wrapping::FAULTS,
    wrapping::FAULTS_SCRIPTED,
    steps::FAULTS,
    oidc::FAULTS[0],
    oidc::FAULTS[1],
];

/// The last line of a run that went well.
fn done(token: &str) -> [String; 1] {
    let revoke = if token == "revoked" { ", revoke {any}" } else { "" };
    [format!(
        "INFO  vault-exec: 1 variable from kv/{{path}} version 1 of {{any}}Z; status {{any}}, login {{any}}, \
         read {{any}}{revoke}; token {token}"
    )]
}

/// The requests of a start that logs in at the scenario's own mount.
const REQUESTS: [&str; 3] = ["update auth/{name}/login", "read kv/data/{path}", "update auth/token/revoke-self"];

/// What such a start comes to.
fn started() -> Expect {
    Expect::started().env([("A", "a-secret")]).stderr(done("revoked"))
}

/// The message of a login with role `r` that was refused.
fn message(rest: &str) -> String {
    format!("vault at {{addr}}: the login at auth/{{name}} with role r was answered with {rest}")
}

/// Puts a file in its place as a whole.
fn put(scenario: &Scenario, name: &str, text: &str) {
    fs::write(scenario.file("written"), text).expect("a file is written");
    fs::rename(scenario.file("written"), scenario.file(name)).expect("it is put in place");
}
