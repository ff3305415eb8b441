//! The reads of a dry run, past one that fails where that tells more, and what the server tells of those.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::DENIED;
use super::report::{Facts, Found, Report};
use crate::config::{Config, Locations};
use crate::error::{Code, Error};
use crate::process::wait::Waiter;
use crate::remedy;
use crate::steps::{self, Fetched, place};
use vault_client::Session;
use vault_client::kv::{Explained, Location, Mount, Version};

const ABSENT: u8 = Code::Absent as u8;

/// What the reads came to.
pub(super) struct Reads<'a> {
    /// Those that went well.
    pub fetched: Vec<Fetched<'a>>,
    /// Those that failed, with the exit code.
    pub failed: Vec<(&'a Location, u8)>,
}

impl Reads<'_> {
    /// The exit code of the first that failed, where none went well.
    pub fn refused(&self) -> Option<u8> {
        self.failed.first().map(|it| it.1).filter(|_| self.fetched.is_empty())
    }
}

impl Report {
    /// Reads every secret, until one fails for a reason that the others share.
    pub(super) fn read<'a>(
        &mut self,
        locations: &'a Locations,
        session: &Session,
        waiter: &Waiter,
    ) -> Result<Reads<'a>, Error> {
        let mut reads = Reads { fetched: Vec::new(), failed: Vec::new() };
        for (n, location) in locations.iter().enumerate() {
            let begun = Instant::now();
            let read = session.read(location).map_err(steps::ended_by(waiter));
            let code = read.as_ref().err().map_or(0, Error::exit_code);
            match self.step("read", begun, read.map(|secret| found(location, secret)))? {
                Some(secret) => reads.fetched.push(Fetched { location, secret: secret.into() }),
                None => reads.failed.push((location, code)),
            }
            if locations.only().is_none() && code != 0 {
                self.add_facts(at(location));
                if ![ABSENT, DENIED].contains(&code) && n + 1 < locations.count() {
                    self.skip("read", "the paths behind it would end alike");
                    break;
                }
            }
        }
        Ok(reads)
    }

    /// Asks about each path that was refused or found nothing.
    pub(super) fn explain(&mut self, config: &Config, failed: &[(&Location, u8)], session: &Session) {
        let (locations, vault) = (&config.locations, &config.vault);
        let prefix = remedy::rule_prefix(vault.namespace.as_deref(), vault.auth_namespace.as_deref());
        for &(location, code) in failed.iter().filter(|(_, code)| [ABSENT, DENIED].contains(code)) {
            let begun = Instant::now();
            let explained = session.explain(location, code == DENIED);
            let mut said = remedy::explained(&explained, location, &prefix, code == DENIED);
            let mut facts = of_mount(explained);
            if locations.only().is_none() {
                said = format!("{}: {said}", place(location));
                facts.push(("path", json!(location.path)));
            }
            self.explanation.get_or_insert_with(|| said.clone());
            self.note("preflight", begun, Found { said, facts, value: () });
        }
    }
}

/// A secret that was read.
fn found(location: &Location, secret: Version) -> Found<Version> {
    // A document with a duplicate key is not read as far as its version.
    let known = secret.data.is_ok();
    let age = secret.created.as_deref().and_then(age);
    let version = if known {
        let age = age.map(|age| format!(" ({} old)", in_largest_unit(age))).unwrap_or_default();
        format!(" {secret}{age}")
    } else {
        String::new()
    };
    let mut facts = at(location);
    facts.extend([
        ("version", json!(known.then_some(secret.number))),
        ("created_time", json!(secret.created)),
        ("age_seconds", json!(age.map(|age| age.as_secs()))),
    ]);
    Found { said: format!("{}{version}", place(location)), facts, value: secret }
}

fn at(location: &Location) -> Facts {
    vec![("mount", json!(location.mount)), ("path", json!(location.path))]
}

/// What the server tells of the mount and the policy.
fn of_mount(explained: Explained) -> Facts {
    let (kind, version) = match explained.mount {
        Mount::Engine { kind, version } => (Some(kind), version),
        Mount::Hidden | Mount::Untold(_) => (None, None),
    };
    vec![("mount_type", json!(kind)), ("mount_version", json!(version)), ("may_read", json!(explained.may_read))]
}

/// How long ago an RFC 3339 time was.
fn age(created: &str) -> Option<Duration> {
    SystemTime::now().duration_since(humantime::parse_rfc3339(created).ok()?).ok()
}

fn in_largest_unit(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
