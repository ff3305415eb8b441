//! What is known of a token, and what becomes of it.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::json::{Malformed, Object};
use crate::text::Scrubber;
use crate::time::{Seconds, serial, since_boot};

/// What is known of a token. The token itself is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// How long it lives, counted from [`TokenInfo::obtained_at`]; zero where it has no end.
    #[serde(serialize_with = "serial::seconds")]
    pub lease_duration: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// The policies that it has.
    pub policies: Vec<String>,
    /// When it was obtained or renewed last, by the clock of this machine.
    #[serde(serialize_with = "serial::rfc3339")]
    pub obtained_at: SystemTime,
    /// The same by a clock that nobody sets.
    #[serde(skip)]
    obtained: Duration,
    /// Whether the server has told it.
    #[serde(skip)]
    is_known: bool,
}

impl Default for TokenInfo {
    /// A token without an end, without policies, obtained now.
    fn default() -> Self {
        let (lease_duration, policies) = (Duration::ZERO, Vec::new());
        let (obtained_at, obtained) = (SystemTime::now(), since_boot());
        Self { lease_duration, renewable: false, policies, obtained_at, obtained, is_known: true }
    }
}

impl TokenInfo {
    /// What is known of a token that was handed in, and may not look itself up or could not.
    pub(crate) fn unknown() -> Self {
        Self { is_known: false, ..Self::default() }
    }

    /// What is known of a cached token that lives for `left` from now on.
    pub(crate) fn cached(left: Duration, renewable: bool, policies: Vec<String>) -> Self {
        Self { lease_duration: left, renewable, policies, ..Self::default() }
    }

    /// Whether the server has told it.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Reads the `auth` of an answer to a login or a renewal whose request was sent at `sent`, in time since boot.
    /// [Token API](https://openbao.org/api-docs/auth/token/#renew-a-token-self)
    pub(crate) fn of_auth(auth: &Object, sent: Duration, scrubber: &Scrubber) -> Result<Self, Malformed> {
        let lease_duration = seconds(auth.number("lease_duration")?);
        Ok(Self::new(lease_duration, auth, sent, scrubber))
    }

    /// The same of a renewal, after which a token without a lease has less than a second left.
    pub(crate) fn of_renewal(auth: &Object, sent: Duration, scrubber: &Scrubber) -> Result<Self, Malformed> {
        let info = Self::of_auth(auth, sent, scrubber)?;
        let lease_duration = info.lease_duration.max(Duration::from_millis(1));
        Ok(Self { lease_duration, ..info })
    }

    /// Reads the `data` of an answer to a look-up.
    /// [Token API](https://openbao.org/api-docs/auth/token/#lookup-a-token-self)
    pub(crate) fn of_look_up(data: &Object, sent: Duration, scrubber: &Scrubber) -> Result<Self, Malformed> {
        let ttl = seconds(data.number("ttl")?);
        // A TTL of zero with a time at which it expires is one of less than a second.
        let ends = data.get("expire_time").is_some();
        let lease_duration = if ttl.is_zero() && ends { Duration::from_millis(1) } else { ttl };
        Ok(Self::new(lease_duration, data, sent, scrubber))
    }

    fn new(lease_duration: Duration, said: &Object, sent: Duration, scrubber: &Scrubber) -> Self {
        Self {
            lease_duration,
            renewable: said.bool("renewable").unwrap_or(false),
            policies: said.strings("policies").into_iter().map(|it| scrubber.clean(&[it])).collect(),
            obtained_at: SystemTime::now(),
            obtained: sent,
            is_known: true,
        }
    }

    /// How much longer it lives; `None` where it has no end, zero where it has ended.
    pub fn expires_in(&self) -> Option<Duration> {
        let age = since_boot().saturating_sub(self.obtained);
        (!self.is_static()).then(|| self.lease_duration.saturating_sub(age))
    }

    /// Whether it has no end.
    pub fn is_static(&self) -> bool {
        self.lease_duration.is_zero()
    }

    /// Whether `threshold` of its life is over, between 0 and 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use vault_client::TokenInfo;
    ///
    /// assert!(!TokenInfo::default().needs_refresh(0.75), "it has no end");
    /// ```
    pub fn needs_refresh(&self, threshold: f64) -> bool {
        let left = self.expires_in().map(|left| left.as_secs_f64());
        left.is_some_and(|left| left <= self.lease_duration.as_secs_f64() * (1.0 - threshold))
    }

    /// Whether its life is over.
    pub fn is_expired(&self) -> bool {
        self.expires_in().is_some_and(|left| left.is_zero())
    }

    /// When the request was sent that it comes from, in time since boot.
    pub(crate) fn sent(&self) -> Duration {
        self.obtained
    }
}

/// More seconds than fit into 136 years are as good as so many.
fn seconds(number: u64) -> Duration {
    Duration::from_secs(number.min(u32::MAX.into()))
}

impl fmt::Display for TokenInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ttl = if self.is_static() { "no end".to_owned() } else { Seconds(self.lease_duration).to_string() };
        match &self.policies[..] {
            [] => write!(f, "token without policies, TTL {ttl}"),
            policies => write!(f, "token with policies {}, TTL {ttl}", policies.join(", ")),
        }
    }
}

/// What became of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It is revoked.
    Yes,
    /// It is not, for this reason.
    No(Kept),
}

/// Why a token is not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was handed in, and is its owner's to revoke.
    HandedIn,
    /// The caller wants it so.
    Wanted,
    /// It is a batch token, which cannot be revoked.
    Batch,
    /// The read is its only use.
    OneUse,
    /// The reads were all of its uses.
    Spent,
    /// The revoke failed.
    Failed,
    /// The revoke is under way.
    UnderWay,
    /// A login has replaced it, and it is left to expire.
    Replaced,
    /// It was dead.
    Dead,
    /// It is cached for the next start.
    Cached,
    /// There is no token.
    NoToken,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Kept {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::HandedIn => "it was handed in",
            Self::Wanted => "it is to be kept",
            Self::Batch => "a batch token cannot be",
            Self::OneUse => "the read is its only use",
            Self::Spent => "the reads were all of its uses",
            Self::Failed => "the revoke failed",
            Self::UnderWay => "the revoke is under way",
            Self::Replaced => "a login has replaced it",
            Self::Dead => "it was dead",
            Self::Cached => "it is cached for the next start",
            Self::NoToken => "there is none",
        }
    }
}
