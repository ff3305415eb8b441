//! How a run ended: the one line when all went well, and the one place that prints an error, to the log and to the file
//! that `kubectl describe` shows.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, fstat, lstat};
use serde_json::json;

use crate::error::Error;
use crate::logging::Json;
use crate::remedy;
use crate::secrets::{self, Variable, name};
use crate::sink::exec::OnConflict;
use crate::sink::file::obstacle;
use crate::steps::{Fetched, PATHS_OF_A_MESSAGE, place};
use vault_client::Revoked;
use vault_client::Seconds;
use vault_client::text;

/// What the kubelet keeps of a termination log, in bytes:
/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>
const LONGEST_MESSAGE: usize = 4096 - "vault-exec: \n".len();

/// All names of variables that were there with another value, in bytes; more are counted.
const CONFLICTING: usize = 600;

/// Prints `error`, one record a line, and writes the same lines to `termination_log`; cut where it is longer than what the
/// kubelet keeps.
pub fn error(error: &Error, termination_log: Option<&Path>) {
    let code = error.exit_code();
    let text = error.to_string();
    let text = text::within(&text::without_credentials(&text), LONGEST_MESSAGE);
    let status = if let Error::Vault(error) = error { error.status() } else { None };
    // The error comes last, where it is looked for.
    if let Some(path) = termination_log
        && let Err(fault) = write(path, &text)
    {
        let path = text::os(path);
        log::warn!("termination log {path}: {fault}; correct VAULT_TERMINATION_LOG, or set it to none");
    }
    for line in text.lines() {
        log::error!(exit_code = code, status = status; "{line}");
    }
}

/// The kubelet makes the file and mounts it, so it is written in place. Whatever else stands there was put there by
/// somebody with another purpose: it is not opened, and a file that has other names is not changed.
fn write(path: &Path, text: &str) -> io::Result<()> {
    match lstat(path) {
        Err(Errno::ENOENT) => {}
        found => demand_plain(&found?)?,
    }
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits())
        .open(path)?;
    // It may be another one by now.
    demand_plain(&fstat(&file)?)?;
    file.set_len(0)?;
    text.lines().try_for_each(|line| file.write_all(format!("vault-exec: {line}\n").as_bytes()))
}

fn demand_plain(found: &FileStat) -> io::Result<()> {
    match obstacle(found) {
        Some(kind) => Err(io::Error::other(format!("{kind}, where a file is expected"))),
        None if found.st_nlink > 1 => Err(io::Error::other("a file with other names (hard links)")),
        None => Ok(()),
    }
}

/// What became of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// None was made: the login came along with the read.
    NotMade,
    /// It is kept alive.
    Kept,
    /// The session has ended.
    Ended(Revoked),
}

impl Token {
    /// What became of it, in words.
    pub fn told(self) -> String {
        match self {
            Self::NotMade => "not made (VAULT_INLINE_AUTH)".to_owned(),
            Self::Kept => "kept alive".to_owned(),
            Self::Ended(Revoked::Yes) => "revoked".to_owned(),
            Self::Ended(Revoked::No(kept)) => format!("not revoked ({})", remedy::kept(kept)),
        }
    }
}

/// A run that went well.
pub struct Done<'a> {
    /// What was handed over.
    pub variables: &'a [Variable],
    /// The names of the variables that COMMAND's environment had with another value.
    pub conflicting: &'a [String],
    /// What became of those.
    pub on_conflict: OnConflict,
    /// Where they came from, and what was read there.
    pub secrets: &'a [Fetched<'a>],
    /// What became of the token.
    pub token: Token,
    /// How long each step took.
    pub times: &'a Times,
}

impl Done<'_> {
    /// Prints the one line of such a run, which ends with `more`, and at debug one line a variable.
    pub fn print(&self, more: &str) {
        let Self { variables, conflicting, on_conflict, secrets, token, times } = self;
        for variable in *variables {
            log::debug!("{}", name::masked(&variable.name));
        }
        let (count, s) = (variables.len(), if variables.len() == 1 { "" } else { "s" });
        let told: Vec<_> = secrets.iter().map(Fetched::told).collect();
        let from = secrets::list(&told, PATHS_OF_A_MESSAGE);
        let (only, paths) = match secrets {
            [only] => (Some(only), None),
            several => (None, Some(entries(several))),
        };
        let path = only.map(|it| place(it.location));
        let token = token.told();
        let conflicting: Vec<_> = conflicting.iter().map(|name| text::name(name)).collect();
        let conflicting = (!conflicting.is_empty()).then(|| secrets::list(&conflicting, CONFLICTING));
        let [overwritten, kept] =
            [OnConflict::Overwrite, OnConflict::Keep].map(|it| conflicting.as_deref().filter(|_| it == *on_conflict));
        let over = overwritten.map(|names| format!("; overwritten: {names}")).unwrap_or_default();
        let over = kept.map_or(over, |names| format!("; kept as they were: {names}"));
        log::info!(
            variables = count, path = path.as_deref(), version = only.map(|it| it.secret.number),
            created = only.and_then(|it| it.secret.created.as_deref()), paths = paths,
            overwritten = overwritten, kept = kept, token = token.as_str(), elapsed_ms = times.elapsed_ms();
            "{count} variable{s} from {from}{over}; {times}; token {token}{more}"
        );
    }
}

/// An entry for each of several secrets, with what a record has of a single one.
fn entries(secrets: &[Fetched]) -> Json {
    let entry = |it: &Fetched| {
        let path = place(it.location);
        let mut entry = json!({ "path": text::without_credentials(&path), "version": it.secret.number });
        if let Some(created) = &it.secret.created {
            entry["created"] = json!(created);
        }
        entry
    };
    Json(secrets.iter().map(entry).collect())
}

/// How long each step took.
pub struct Times {
    /// When the run began.
    pub begun: Instant,
    last: Instant,
    laps: Vec<(&'static str, Duration)>,
}

impl Times {
    /// Begins to measure.
    pub fn start() -> Self {
        let begun = Instant::now();
        Self { begun, last: begun, laps: Vec::new() }
    }

    /// Notes the end of `step`.
    pub fn lap(&mut self, step: &'static str) {
        let now = Instant::now();
        self.laps.push((step, now - self.last));
        self.last = now;
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let laps: Vec<_> = self.laps.iter().map(|(step, time)| format!("{step} {}", Seconds(*time))).collect();
        f.write_str(&laps.join(", "))
    }
}
