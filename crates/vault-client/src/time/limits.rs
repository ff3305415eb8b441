//! How long and how often a client tries.

use std::time::{Duration, Instant};

/// How long and how often a client tries. [`VaultClient::within`](crate::VaultClient::within) gives a clone its own.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use vault_client::Limits;
///
/// let quick = Limits { retries: 0, whole: Duration::from_secs(2), ..Limits::default() };
/// assert_eq!(quick.request, Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The limit of one request, from name resolution to the last byte. `VAULT_TIMEOUT`, 30 s.
    pub request: Duration,
    /// Tries after the first, per step, after faults that may pass. `VAULT_MAX_RETRIES`, 3.
    pub retries: u32,
    /// The first pause between tries; it doubles up to a minute, with jitter. `VAULT_RETRY_DELAY`, 5 s.
    pub delay: Duration,
    /// How long a server that is not ready, or a credential that is not there, is waited for at the first login.
    /// `VAULT_WAIT`, 0.
    pub wait: Duration,
    /// The limit of one operation, with all its tries and pauses. `VAULT_STARTUP_TIMEOUT`, 2 minutes.
    pub whole: Duration,
    /// The instant that ends every operation, where there is one.
    pub until: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            retries: 3,
            delay: Duration::from_secs(5),
            wait: Duration::ZERO,
            whole: Duration::from_secs(120),
            until: None,
        }
    }
}

impl Limits {
    /// The end of an operation that begins at `begun`, and which limit that is.
    pub(crate) fn end(&self, begun: Instant) -> (Instant, Limit) {
        let whole = after(begun, self.whole);
        match self.until {
            Some(until) if until <= whole => (until, Limit::Deadline),
            _ => (whole, Limit::Whole),
        }
    }
}

/// `length` after `instant`; a length that no clock holds is a hundred years.
pub(crate) fn after(instant: Instant, length: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    instant + length.min(LONGEST)
}

/// The limit that ended a call: who tells of it knows which setting to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::request`].
    Request,
    /// [`Limits::whole`]: what was left of it.
    Whole,
    /// [`Limits::until`]: what was left until then.
    Deadline,
    /// [`Limits::wait`].
    Wait,
    /// One that no setting changes: that of a revoke, or of a background renewal.
    Own,
}
