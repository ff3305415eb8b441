//! The settings that are known before all others, because every fault is reported through the log.

use std::path::PathBuf;

use log::LevelFilter;

use super::setting;
use super::source::{Flags, Texts};
use crate::process::environ::Environ;
use vault_client::settings::Reader;

/// What is known before anything else is, passthrough included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The lowest level that is written.
    pub level: LevelFilter,
    /// One object a line instead of text.
    pub json: bool,
    /// Where the final error goes as well.
    pub termination_log: Option<PathBuf>,
}

/// Reads the log's settings. A value that cannot be used is reported by [`super::load`]; until then the default holds.
pub fn log(environ: &Environ) -> Log {
    read(&mut Texts { environ, flags: &Flags::default() }.reader())
}

/// The same, with the faults noted in `reader`.
pub(super) fn read(reader: &mut Reader) -> Log {
    let level = reader
        .parse(&setting::LOG_LEVEL, |text| level(text).ok_or("unknown; write off, error, warn, info, debug or trace"));
    let json = reader.value(&setting::LOG_FORMAT, |text| match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err("unknown; write text or json"),
    });
    let termination_log = match reader.find(&setting::TERMINATION_LOG) {
        Some(found) if found.text == "none" => None,
        Some(found) => Some(found.text.into()),
        None => setting::TERMINATION_LOG.default.map(PathBuf::from).filter(|path| path.exists()),
    };
    let level = level.or_else(|| rust_log(reader)).unwrap_or(LevelFilter::Info);
    Log { level, json, termination_log }
}

fn level(text: &str) -> Option<LevelFilter> {
    match text.to_ascii_lowercase().as_str() {
        "warning" => Some(LevelFilter::Warn),
        other => other.parse().ok(),
    }
}

/// `RUST_LOG` belongs to the application; of it only the level for everything or for `vault_exec` counts.
fn rust_log(reader: &Reader) -> Option<LevelFilter> {
    let directives = std::str::from_utf8(reader.bytes("RUST_LOG")?).ok()?;
    let directives = directives.split('/').next().unwrap_or_default().split(',').map(str::trim);
    let (mut all, mut own) = (None, None);
    for directive in directives {
        match directive.split_once('=') {
            // A name alone stands for all of its levels: https://docs.rs/env_logger/#enabling-logging
            None if directive == "vault_exec" => own = Some(LevelFilter::Trace),
            Some(("vault_exec", "")) => own = Some(LevelFilter::Trace),
            None => all = level(directive).or(all),
            Some(("vault_exec", text)) => own = level(text).or(own),
            Some(_) => {}
        }
    }
    own.or(all)
}
