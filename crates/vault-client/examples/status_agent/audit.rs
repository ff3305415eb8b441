//! The audit log: a line of JSON on standard output for each decision on a request, each command, and each change of the
//! token. No value is in it.

use std::io;
use std::net::SocketAddr;
use std::time::SystemTime;

use serde::Serialize;
use vault_client::watch::Source;
use vault_client::{AgentToken, Event, Observer, Step, watch};

use crate::settings::Scope;
use crate::signature::Under;
use crate::stream;

/// A line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line<'a> {
    /// The agent listens.
    Started { time: String, listen: SocketAddr, deployment: &'a str, source: &'static str },
    /// The token has changed, cannot be read or can be read again.
    Token(&'a watch::Audit),
    /// A request is let in or refused.
    Request(Request<'a>),
    /// A command is recorded.
    Command { time: String, caller: &'a str, command: &'static str, service: &'a str },
    /// The agent ends.
    Ended { time: String, revoked: bool },
}

/// The decision on a request.
#[derive(Serialize)]
pub struct Request<'a> {
    pub time: String,
    pub decision: Decision,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    pub method: String,
    pub path: String,
    /// Who asks. Of a request whose signature is refused, it is what the request says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The token that it is signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Under>,
}

/// Whether a request is let in.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Accepted,
    Refused,
}

impl<'a> Line<'a> {
    /// The agent listens at `listen`.
    pub fn started(listen: SocketAddr, token: &'a AgentToken) -> Self {
        Self::Started { time: now(), listen, deployment: token.deployment(), source: source(token) }
    }

    /// The agent ends, and has revoked the token that it read the agent's token with.
    pub fn ended(revoked: bool) -> Self {
        Self::Ended { time: now(), revoked }
    }

    /// A command of `caller` is recorded.
    pub fn command(caller: &'a str, command: &'static str, service: &'a str) -> Self {
        Self::Command { time: now(), caller, command, service }
    }

    /// Writes it, in one piece.
    ///
    /// # Errors
    ///
    /// It is not written. Nothing should be done then that it would have told of.
    pub fn write(&self) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        stream::write(&line)
    }
}

/// The word for where the token in hand comes from.
pub fn source(token: &AgentToken) -> &'static str {
    match token.source() {
        Source::Static => "static",
        Source::Vault => "vault",
    }
}

/// Now, in RFC 3339 with milliseconds.
pub fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// Writes what becomes of the token as lines of the audit log, and what deserves a look on standard error.
pub struct Audit;

impl Observer for Audit {
    fn note(&self, event: &Event<'_>) {
        match event {
            Event::Watched { audit, .. } => {
                if let Err(error) = Line::Token(audit).write() {
                    stream::say(format_args!("the audit log cannot be written: {error}"));
                }
            }
            Event::Warning(warning) => stream::say(warning),
            Event::Retrying { step, fault, .. } => {
                stream::say(format_args!("{}: {}; it is tried again", step.name(), fault.told(step)));
            }
            Event::KeepFailed { act, step, fault } => {
                let (act, cause) = (act.name(), fault.told(step));
                stream::say(format_args!("{act} of the Vault token: {cause}; it is tried again"));
            }
            Event::RevokeFailed(fault, left) => {
                let (cause, left) = (fault.told(&Step::Revoke), left.as_secs());
                stream::say(format_args!("the Vault token is not revoked: {cause}; it is valid for {left} s"));
            }
            // There are more, and later versions may add some.
            _ => {}
        }
    }
}
