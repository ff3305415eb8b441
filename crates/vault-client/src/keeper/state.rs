//! What the keeper's thread and the callers share.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Held;
use super::plan::Plan;
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::login::{Login, Origin};
use crate::time::{Ended, Turn, since_boot};
use crate::token::Revoked;

/// No two logins are nearer to each other, where the first was answered with what cannot be used.
const LEAST_GAP: Duration = Duration::from_secs(1);

/// What the keeper's thread and the callers share.
pub struct State {
    pub plan: Plan,
    pub held: Option<Arc<Held>>,
    /// A login is under way in one thread.
    pub logging_in: Option<Turn>,
    /// What a call fails with as long as it is too early for a login.
    pub refusal: Option<VaultError>,
    /// When a login was answered last with what is neither a token nor a refusal, and with what.
    pub unusable: Option<(Duration, VaultError)>,
    /// The credential's file as it was when it was refused, or looked at last.
    pub seen: Option<Fingerprint>,
    /// Whether a login has ever succeeded.
    pub has_logged_in: bool,
    /// When the files of trust and identity were read last for a login that was sent along.
    pub refreshed: Option<Duration>,
    /// When a login was tried last beside a token of which no look-up tells anything.
    pub doubted: Option<Duration>,
    /// Look-ups tell nothing of this login's tokens: they are denied to live ones too.
    pub blind: bool,
    pub phase: Phase,
}

/// How far the keeping has come.
pub enum Phase {
    /// No thread runs.
    Idle,
    /// The thread runs, and ends this turn when it has revoked. It is made before it is needed: at the end there may be no
    /// descriptor for it.
    Running(Turn),
    /// The client is at its end, and the thread ends this turn when it has revoked.
    Ending(Turn),
    /// It has ended, and this became of the token.
    Ended(Revoked),
}

impl State {
    /// Whether the keeping has ended, or is about to.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Ending(_) | Phase::Ended(_))
    }

    /// The token in hand, unless its lease is over. One that was handed in may live longer: somebody else may renew it.
    pub fn live(&self, origin: Origin, now: Duration) -> Option<Arc<Held>> {
        let over = origin.is_login() && self.plan.ends().is_some_and(|ends| ends <= now);
        self.held.clone().filter(|_| !over)
    }

    /// Looks at the file of a credential: one that has changed is tried again though it was refused.
    pub fn look_at(&mut self, file: Option<&Path>) {
        let now = Fingerprint::of(file);
        if now != self.seen {
            self.plan.credential_changed(since_boot());
            self.seen = now;
        }
    }

    pub fn holds(&self, held: &Arc<Held>) -> bool {
        self.held.as_ref().is_some_and(|it| Arc::ptr_eq(it, held))
    }

    /// What a call fails with that needs a token for which it is too early.
    pub fn too_early(&self, now: Duration) -> Option<VaultError> {
        let lately = |at: &Duration| now.saturating_sub(*at) < LEAST_GAP;
        let unusable = self.unusable.as_ref().filter(|(at, _)| lately(at)).map(|(_, error)| error);
        let refused = self.refusal.as_ref().filter(|_| !self.plan.may_log_in(now));
        refused.or(unusable).cloned()
    }

    /// Begins a login that others wait for.
    pub fn begin(&mut self, caller: &Endpoint, login: &dyn Login) -> Result<Turn, VaultError> {
        let turn = Turn::begin().map_err(|refused| caller.ended(&login.step(), Ended::Refused(refused)))?;
        Ok(self.logging_in.insert(turn).clone())
    }
}

/// What tells whether a file is another one than before.
#[derive(PartialEq, Eq)]
pub struct Fingerprint(u64, u64, i64, i64, u64);

impl Fingerprint {
    pub fn of(path: Option<&Path>) -> Option<Self> {
        let found = std::fs::metadata(path?).ok()?;
        Some(Self(found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
    }
}
