//! How a watched secret is doing.

use std::time::Duration;

use serde::Serialize;

use super::plan::Every;

/// No success for so many intervals is too long.
const STALE: u32 = 3;

/// How a watched secret is doing. It serialises as `{"status":"ok","token_age_seconds":120,"last_refresh_ok":true,…}`.
///
/// An alert compares [`seconds_since_success`](Self::seconds_since_success) with the interval: a secret that nobody changes
/// grows old and is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// All of it in a word.
    pub status: HealthStatus,
    /// Seconds since the value in hand came: since the last change, or the first read. It is the secret's age and not that of
    /// the token that it is read with.
    pub token_age_seconds: u64,
    /// How the last refresh ended; `None` before the first has, and where there is no Vault.
    pub last_refresh_ok: Option<bool>,
    /// Seconds since the last read that succeeded, the first one included; `None` where none has.
    pub seconds_since_success: Option<u64>,
    /// The version in hand; `None` where it was not read from the server.
    pub version: Option<u64>,
    /// Refreshes that have ended.
    pub refreshes: u64,
    /// Those of them that failed.
    pub failures: u64,
}

/// How a watched secret is doing, in a word. `Failing` also means that the secret was deleted, or cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// The last read succeeded.
    Ok,
    /// The last read failed, and the last good value is kept.
    Failing,
    /// No read has succeeded for three intervals.
    Stale,
}

impl HealthStatus {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Stale => "stale",
        }
    }

    /// That of a secret read so often, whose last read ended so, and which was read last, or asked for first, so long ago.
    pub(super) fn of(every: Every, last: Option<bool>, idle: Duration) -> Self {
        if idle > every.length().saturating_mul(STALE) {
            Self::Stale
        } else if last == Some(false) {
            Self::Failing
        } else {
            Self::Ok
        }
    }
}
