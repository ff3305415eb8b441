//! A line of the audit log.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::action::Action;

/// What became of a request. Its members are those of the line, in this order; what is not known is null.
#[derive(Clone, Debug, Serialize)]
pub struct Line<'a> {
    /// When the request arrived; RFC 3339 in UTC with milliseconds.
    #[serde(serialize_with = "as_rfc3339")]
    pub time: SystemTime,
    /// The request's id, made here.
    pub request_id: &'a str,
    /// The id that the caller gave it.
    pub client_request_id: Option<&'a str>,
    /// The tenant.
    pub tenant: Option<&'a str>,
    /// The issuer of the caller's token, once the token is verified.
    pub issuer: Option<&'a str>,
    /// The subject of the caller's token, once the token is verified.
    pub subject: Option<&'a str>,
    /// What the caller wanted to do.
    pub action: Option<Action>,
    /// The path, canonical, without the tenant's prefix; empty for the root folder.
    pub path: Option<&'a str>,
    /// The version asked for, or written.
    pub version: Option<u64>,
    /// The versions that a delete, an undelete or a destroy names.
    pub versions: Option<&'a [u64]>,
    /// The rule that decided.
    pub rule: Option<&'a str>,
    /// What was decided.
    pub decision: Verdict,
    /// The word of the refusal.
    pub reason: Option<&'a str>,
    /// What the cache had.
    pub cache: Option<&'a str>,
    /// Vault's id of its request, as in Vault's own audit log.
    pub vault_request_id: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// How long it took; milliseconds, with at most three decimals.
    #[serde(rename = "duration_ms", serialize_with = "as_milliseconds")]
    pub took: Duration,
}

/// What was decided on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// A rule allowed it.
    Allow,
    /// A rule denied it, or none allowed it.
    Deny,
    /// It was refused before the rules were asked.
    Refuse,
}

fn as_rfc3339<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    // The formatter panics where it cannot show a year: before 1970 and after 9999.
    let latest = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let time = *time.clamp(&SystemTime::UNIX_EPOCH, &latest);
    to.collect_str(&humantime::format_rfc3339_millis(time))
}

fn as_milliseconds<S: Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
    to.serialize_f64(f64::from(micros) / 1000.0)
}
