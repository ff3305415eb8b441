//! How a tenant's login at Vault is doing, and what is to be logged of it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use vault_client::{Act, Event, Observer};

use super::cause::Cause;
use super::judge::{is_of_login, refuses_the_login};
use crate::cache::Owner;

/// A cause that is met again within this time is no news: many requests may meet two of them in turn.
const NEWS: Duration = Duration::from_secs(60);

/// How a tenant is doing, by what Vault said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Nothing was asked yet.
    Untried = 0,
    /// Vault takes the login.
    Ok = 1,
    /// Vault refuses the login.
    Denied = 2,
    /// Vault cannot be asked.
    Unavailable = 3,
}

impl State {
    const ALL: [Self; 4] = [Self::Untried, Self::Ok, Self::Denied, Self::Unavailable];

    /// Its word for `/ready`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Untried => "untried",
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A tenant's login at Vault.
pub(super) struct Identity {
    state: AtomicU8,
    /// The causes that were met since the state changed last, and when; the last one last. It is locked for every change of
    /// state.
    met: Mutex<Vec<(String, Instant)>>,
    /// What its reads leave in the cache.
    pub owner: Arc<Owner>,
}

impl Identity {
    pub(super) fn new(tenant: &str) -> Self {
        let (state, met) = (AtomicU8::new(State::Untried as u8), Mutex::default());
        Self { state, met, owner: Arc::new(Owner::new(tenant)) }
    }

    pub(super) fn state(&self) -> State {
        let state = self.state.load(Ordering::Relaxed);
        State::ALL.into_iter().find(|it| *it as u8 == state).unwrap_or(State::Untried)
    }

    /// Notes that Vault takes the login.
    pub(super) fn is_well(&self) {
        // Each request that goes well comes by here.
        if self.state() != State::Ok && self.is_news(State::Ok, None) {
            tracing::info!(tenant = self.owner.tenant(), "tenant: Vault takes the login");
        }
    }

    /// Notes what a call of Vault has failed with, and what that says of the tenant. A login that is refused takes with it
    /// what it has read. A line tells of each change of state and of cause.
    pub(super) fn note(&self, state: State, cause: &Cause) {
        if state == State::Ok {
            return self.is_well();
        }
        if state == State::Denied {
            self.owner.lose();
        }
        if !self.is_news(state, Some(cause.words())) {
            return;
        }
        let tenant = self.owner.tenant();
        if state != State::Denied {
            tracing::warn!(tenant, "tenant: Vault cannot be asked: {cause}; it is tried again until it can be");
        } else if cause.is_of_credential() {
            tracing::error!(tenant, "tenant: there is no credential for Vault: {cause}; give one");
        } else {
            tracing::error!(tenant, "tenant: Vault refuses the login: {cause}; correct role or credential");
        }
    }

    /// Changes the state, and returns whether that is to be told: state or cause is another one.
    fn is_news(&self, state: State, cause: Option<String>) -> bool {
        // A poisoned lock only means that a panic is under way; nothing here is half-changed then.
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let is_another = self.state.swap(state as u8, Ordering::Relaxed) != state as u8;
        if is_another {
            met.clear();
        }
        let Some(cause) = cause else { return is_another };
        let now = Instant::now();
        let before = met.iter().position(|(it, _)| *it == cause);
        // The one before this is the same, or it was met lately.
        let is_told = before.is_some_and(|at| at + 1 == met.len() || now.duration_since(met[at].1) < NEWS);
        met.retain(|(it, at)| *it != cause && now.duration_since(*at) < NEWS);
        met.push((cause, now));
        !is_told
    }
}

/// Makes lines of the log of what a client does. What Vault says is repeated of a refused login alone.
pub(super) struct Told(pub Arc<Identity>);

impl Observer for Told {
    fn note(&self, event: &Event<'_>) {
        let tenant = self.0.owner.tenant();
        match event {
            Event::Done { step, elapsed } => {
                let took_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
                tracing::debug!(tenant, step = step.name(), took_ms, "vault: done");
            }
            Event::Retrying { step, fault, .. } => {
                tracing::warn!(tenant, step = step.name(), cause = ?fault.kind(), status = fault.status, "vault: tried again");
            }
            Event::Warning(warning) => tracing::warn!(tenant, "settings: {warning}"),
            Event::Kept { act, lease } => {
                tracing::debug!(tenant, act = act.name(), lease_seconds = lease.as_secs(), "token: kept alive");
                self.0.is_well();
            }
            Event::KeepFailed { act, step, fault } => {
                tracing::warn!(
                    tenant, act = act.name(), step = step.name(), cause = ?fault.kind(), status = fault.status,
                    "token: not kept alive; the one in hand is used as long as it lives"
                );
                if *act == Act::LogIn && is_of_login(Some(step)) && refuses_the_login(fault) {
                    self.0.note(State::Denied, &Cause::of_step(step, fault));
                }
            }
            Event::NotRevoked(kept) => tracing::debug!(tenant, reason = kept.words(), "token: not revoked"),
            Event::RevokeFailed(fault, ttl) => {
                tracing::warn!(
                    tenant, cause = ?fault.kind(), status = fault.status, lives_seconds = ttl.as_secs(),
                    "token: not revoked; it ends by itself"
                );
            }
            // Words of others, or of what is not done here.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_of_state_and_of_cause_is_news_once() {
        let identity = Identity::new("team-a");
        for (state, cause, is_news) in [
            (State::Unavailable, Some("refused"), true),
            (State::Unavailable, Some("refused"), false),
            (State::Unavailable, Some("sealed"), true),
            // Many requests meet the two in turn.
            (State::Unavailable, Some("refused"), false),
            (State::Unavailable, Some("sealed"), false),
            (State::Denied, Some("sealed"), true),
            (State::Ok, None, true),
            (State::Ok, None, false),
            (State::Unavailable, Some("refused"), true),
        ] {
            assert_eq!(identity.is_news(state, cause.map(str::to_owned)), is_news, "{state:?} {cause:?}");
            assert_eq!(identity.state(), state);
        }
    }

    #[test]
    fn a_cause_that_comes_back_after_a_while_is_news_and_one_that_stays_is_not() {
        let identity = Identity::new("team-a");
        let long_ago = || {
            let mut met = identity.met.lock().unwrap();
            met.iter_mut().for_each(|(_, at)| *at = at.checked_sub(NEWS).unwrap());
        };
        for (cause, is_news) in [("refused", true), ("refused", false), ("sealed", true), ("refused", true)] {
            assert_eq!(identity.is_news(State::Unavailable, Some(cause.to_owned())), is_news, "{cause}");
            long_ago();
        }
    }
}
