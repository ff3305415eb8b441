//! Whether the env file is kept current, and what belongs to that.

use std::time::Duration;

use super::setting::{self, Setting};
use super::source::{Flags, Texts};
use crate::process::environ::Environ;
use crate::sink::env_file::{EnvFile, Place};
use crate::watch::listener::Listen;
use crate::watch::notify::Notify;
use vault_client::Every;
use vault_client::settings::value::duration;
use vault_client::settings::{Found, Reader};

/// How an env file is kept current.
#[derive(Clone, Debug)]
pub struct Watch {
    /// How often the secrets are read again.
    pub every: Every,
    /// Where health and metrics are served.
    pub listen: Option<Listen>,
    /// Who is told of a change.
    pub notify: Option<Notify>,
    /// After how long without a success the health is bad.
    pub stale_limit: Option<Duration>,
}

/// What a watch has no use without.
const PARTS: [&Setting; 3] = [&setting::HEALTH_LISTEN, &setting::NOTIFY, &setting::STALE_LIMIT];

/// What is wrong with a command line that asks for a watch, or for a part of one; `None` where nothing is. What variables
/// alone ask for is a fault of theirs.
pub fn misuse(environ: &Environ, flags: &Flags, has_hook: bool) -> Option<&'static str> {
    let texts = Texts { environ, flags };
    let mut reader = texts.reader();
    let is_flag = |found: &Option<Found>| found.as_ref().is_some_and(|found| found.name.starts_with("--"));
    let watch = reader.find(&setting::WATCH);
    let file = reader.find(&setting::ENV_FILE);
    let is_stdout = file.as_ref().is_some_and(|found| found.text == "-");
    match &watch {
        None if has_hook => {
            Some("COMMAND and --env-file go together only with --watch; add --watch DURATION, or leave one of them out")
        }
        None if is_flag(&reader.find(&setting::HEALTH_LISTEN)) => Some("--listen goes with --watch"),
        None if is_flag(&reader.find(&setting::NOTIFY)) => Some("--notify goes with --watch"),
        Some(_) if is_flag(&watch) && file.is_none() => Some("--watch keeps an env file current; add --env-file PATH"),
        Some(_) if is_stdout && (is_flag(&watch) || is_flag(&file)) => {
            Some("--watch keeps a file current, and - is standard output; give --env-file a path")
        }
        _ => None,
    }
}

/// Whether a watch is asked for.
pub fn is_asked_for(environ: &Environ, flags: &Flags) -> bool {
    Texts { environ, flags }.reader().find(&setting::WATCH).is_some()
}

/// Reads how the env file is kept current; `None` where it is not, or a fault was recorded. Beside COMMAND as the application
/// (`for_command`) it is judged, and has no effect.
pub(super) fn read(reader: &mut Reader, env_file: Option<&EnvFile>, for_command: bool) -> Option<Watch> {
    let every = reader.parse(&setting::WATCH, every);
    let is_unset = reader.is_unset(&setting::WATCH);
    let listen = reader.parse(&setting::HEALTH_LISTEN, Listen::parse);
    let notify = reader.parse(&setting::NOTIFY, Notify::parse);
    let stale_limit = reader.parse(&setting::STALE_LIMIT, duration);
    if is_unset {
        for part in PARTS {
            if let Some(Found { name, text }) = reader.find(part) {
                reader.fault(name, Some(text), "goes with VAULT_WATCH, which is unset; set it, or leave this out");
            }
        }
        return None;
    }
    // A refresh comes after up to 7/6 of the interval: until then nothing can have been read.
    if let (Some(every), Some(limit)) = (every, stale_limit)
        && limit <= every.length().mul_f64(7.0 / 6.0)
        && let Some(Found { name, text }) = reader.find(&setting::STALE_LIMIT)
    {
        let cause =
            "not longer than VAULT_WATCH and a sixth, in which nothing is read; write three times VAULT_WATCH or more";
        reader.fault(name, Some(text), cause);
    }
    if for_command {
        return None;
    }
    let cause = match env_file.map(|file| &file.place) {
        None => "keeps an env file current, and there is none; set VAULT_ENV_FILE, or leave this out",
        Some(Place::Stdout) => "keeps a file current, and VAULT_ENV_FILE is standard output; give it a path",
        Some(_) => return Some(Watch { every: every?, listen, notify, stale_limit }),
    };
    if let Some(Found { name, text }) = reader.find(&setting::WATCH) {
        reader.fault(name, Some(text), cause);
    }
    None
}

fn every(text: &str) -> Result<Every, &'static str> {
    match duration(text)? {
        often if often < Every::LEAST => Err("less than a second; write 1s or more"),
        often => Ok(Every::of(often)),
    }
}
