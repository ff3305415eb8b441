//! `log`: which lines the log has.

use toml::Value;
use tracing_subscriber::filter::LevelFilter;

use super::fault::Bad;
use super::near::near;
use super::value::{filled, quoted};
use crate::log;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// The targets of the service's own lines begin with one of these.
const TARGETS: [&str; 2] = ["vault_gateway", "vault_client"];

/// A filter that lets lines of the service through, or `off`.
pub(super) fn filter(value: Value) -> Result<String, Bad> {
    let text = filled(value)?;
    // The fields of a span have commas of their own.
    let is_plain = !text.contains(['[', '{']);
    let words = || text.split(',').map(str::trim).filter(|word| !word.is_empty());
    if is_plain {
        words().try_for_each(judge)?;
    }
    // The filter's own parser takes no spaces.
    let text = if is_plain { words().collect::<Vec<_>>().join(",") } else { text.clone() };
    if log::check(&text).is_err() {
        let remedy = "write a level, or a list like info,vault_gateway=debug";
        return Err(Bad::new(format!("{} is no filter", quoted(&text)), remedy));
    }
    let is_about_us = |word: &str| word.split_once('=').is_none_or(|(target, _)| TARGETS.contains(&first(target)));
    if is_plain && !words().any(is_about_us) {
        let cause = format!("{} lets no line of the service through", quoted(&text));
        return Err(Bad::new(cause, "write a level first: info,TARGET=debug"));
    }
    Ok(text)
}

/// One level, or one target with its level. A word that is no level would be a target, of which everything is logged, and
/// nothing else.
fn judge(word: &str) -> Result<(), Bad> {
    let Some((target, _)) = word.split_once('=') else {
        if word.parse::<LevelFilter>().is_ok() {
            return Ok(());
        }
        let remedy = match near(word, &LEVELS) {
            Some(level) => format!("write {level}"),
            None => format!("write one of {}, or TARGET=LEVEL", LEVELS.join(", ")),
        };
        return Err(Bad::new(format!("{} is no level", quoted(word)), remedy));
    };
    match near(first(target), &TARGETS) {
        Some(meant) if meant != first(target) => {
            Err(Bad::new(format!("{} is no target of the service", quoted(target)), format!("write {meant}")))
        }
        _ => Ok(()),
    }
}

/// The crate that a target is of.
fn first(target: &str) -> &str {
    target.split("::").next().unwrap_or_default()
}
