//! What a client does beside its answers: further tries, renewals, logins, revokes that fail.

use std::time::Duration;

use crate::audit::Audit;
use crate::error::VaultError;
use crate::fault::Fault;
use crate::step::Step;
use crate::time::Seconds;
use crate::token::Kept;

/// What happened. No text in it holds a secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step succeeded.
    Done {
        /// Which one.
        step: &'a Step,
        /// How long it took, with all its tries.
        elapsed: Duration,
    },
    /// A step failed and is tried again.
    Retrying {
        /// Which one.
        step: &'a Step,
        /// Why it failed.
        fault: &'a Fault,
        /// The number of the try that failed, from 1 on.
        attempt: u32,
        /// How it goes on.
        next: Next,
    },
    /// What is not wrong with the settings but deserves a look.
    Warning(&'a str),
    /// A TLS connection failed, in the library's own words.
    Tls(&'a str),
    /// The keeper has done what was due.
    Kept {
        /// A renewal or a login.
        act: Act,
        /// How long the token lives now; zero where it has no end.
        lease: Duration,
    },
    /// What was due to keep the token alive failed; it is tried again.
    KeepFailed {
        /// A renewal or a login.
        act: Act,
        /// What was being done for it.
        step: &'a Step,
        /// Why it failed.
        fault: &'a Fault,
    },
    /// A watched secret has changed, has begun to fail or can be read again. A state of failure is told once.
    Watched {
        /// What happened.
        audit: &'a Audit,
        /// Why it failed, where it did.
        error: Option<&'a VaultError>,
    },
    /// A session ended, and its token is left as it is, for this reason.
    NotRevoked(Kept),
    /// A token that should be revoked is not, and stays valid for this long.
    RevokeFailed(&'a Fault, Duration),
}

/// What keeps a token alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Its lease is prolonged.
    Renew,
    /// A login replaces it.
    LogIn,
}

impl Act {
    /// The word for it in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Renew => "renewal",
            Self::LogIn => "login",
        }
    }
}

/// How a step that failed goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is polled, for this long at most. Told once a fault.
    Wait(Duration),
    /// Another try after a pause.
    Try {
        /// The number of the try that failed, of those that count.
        number: u64,
        /// How many are made at most.
        of: u64,
        /// The pause.
        pause: Duration,
    },
    /// Another try after a pause, which is not counted.
    Uncounted {
        /// The pause.
        pause: Duration,
    },
}

/// Gets what a client does, as it happens. It is called on the thread that does it, and must not block.
pub trait Observer: Send + Sync {
    /// Takes note of `event`.
    fn note(&self, event: &Event<'_>);
}

/// What the records of this crate are told from others by.
const TARGET: &str = "vault_client";

/// Hands what happens to the [`log`] crate, with the target `vault_client`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToLog;

impl Observer for ToLog {
    fn note(&self, event: &Event<'_>) {
        match event {
            Event::Done { step, elapsed } => {
                log::debug!(target: TARGET, "{}: done in {}", step.name(), Seconds(*elapsed));
            }
            Event::Retrying { step, fault, next, .. } => {
                let next = match next {
                    Next::Wait(total) => format!("waiting up to {}", Seconds(*total)),
                    Next::Try { number, of, pause } => {
                        format!("try {number} of {of}, the next in {}", Seconds(*pause))
                    }
                    Next::Uncounted { pause } => format!("the next try in {}", Seconds(*pause)),
                };
                log::warn!(target: TARGET, "{}: {}; {next}", step.name(), fault.told(step));
            }
            Event::Kept { act, lease } if lease.is_zero() => {
                log::debug!(target: TARGET, "token: {} done, it has no end", act.name());
            }
            Event::Kept { act, lease } => {
                log::debug!(target: TARGET, "token: {} done, it lives for {}", act.name(), Seconds(*lease));
            }
            Event::KeepFailed { act, step, fault } => {
                log::warn!(target: TARGET, "token: {} failed: {}; the one in hand is used as long as it lives", act.name(), fault.told(step));
            }
            Event::Watched { audit, error: None } => log::info!(target: TARGET, "{audit}"),
            Event::Watched { audit, error: Some(_) } => log::warn!(target: TARGET, "{audit}"),
            Event::Warning(warning) => log::warn!(target: TARGET, "{warning}"),
            Event::Tls(words) => log::debug!(target: TARGET, "TLS: {words}"),
            Event::NotRevoked(kept) => {
                log::debug!(target: TARGET, "revoke: the token is not revoked, {}", kept.words());
            }
            Event::RevokeFailed(fault, ttl) => {
                log::warn!(target: TARGET, "revoke: {}; the token stays valid for {}", fault.told(&Step::Revoke), Seconds(*ttl));
            }
        }
    }
}
