//! What a login has come to: its token is taken in hand, or it is noted why there is none.

use std::sync::Arc;
use std::time::Duration;

use super::plan::{Failed, Lease};
use super::state::{Fingerprint, Phase, State};
use super::{Held, Shared, thread};
use crate::error::VaultError;
use crate::fault::ErrorKind;
use crate::login::Origin;
use crate::observe::Act;
use crate::retry::uniform;
use crate::session::Session;
use crate::time::{Turn, since_boot};
use crate::token::{Kept, Revoked, TokenInfo};

impl Shared {
    /// Takes the token of a login in hand, or notes why there is none.
    pub(super) fn take(
        self: &Arc<Self>,
        made: Result<(Session, TokenInfo), VaultError>,
        sent: Duration,
        before: Option<Fingerprint>,
    ) -> Result<Arc<Held>, VaultError> {
        let mut state = self.lock();
        match made {
            Ok((session, _)) if state.is_closed() => {
                // Who closes the client waits for the end of this login.
                drop(state);
                let revoked = session.revoke();
                let mut state = self.lock();
                if let Phase::Ended(Revoked::No(Kept::UnderWay)) = state.phase {
                    state.phase = Phase::Ended(revoked);
                }
                Err(VaultError::closed())
            }
            Ok((session, info)) => {
                state.plan.obtained(sent, lease(&info), uniform());
                let held = Arc::new(Held::new(session, info));
                if let Some(before) = state.held.replace(Arc::clone(&held)) {
                    before.session.leave(Kept::Replaced);
                }
                (state.refusal, state.unusable) = (None, None);
                state.has_logged_in = true;
                self.start(&mut state);
                self.alarm.ring();
                Ok(held)
            }
            Err(error) => {
                let failed = failed(&error);
                if let Some(failed) = failed {
                    state.plan.failed(Act::LogIn, failed, since_boot(), uniform());
                    state.refusal = Some(error.clone()).filter(|_| failed == Failed::Refused);
                    let is_answer = failed != Failed::Refused && error.status().is_some();
                    state.unusable = is_answer.then(|| (since_boot(), error.clone()));
                    state.seen = before.or_else(|| Fingerprint::of(self.login.file()));
                }
                self.alarm.ring();
                Err(error)
            }
        }
    }

    /// Starts the thread, where there is something to keep and none runs. Without one, each call looks after the token.
    fn start(self: &Arc<Self>, state: &mut State) {
        let idle = matches!(state.phase, Phase::Idle);
        let owed = state.plan.next(since_boot()).is_some() || self.login.origin() != Origin::Token;
        if idle && owed {
            let shared = Arc::clone(self);
            let thread = std::thread::Builder::new().name("vault-keeper".into()).stack_size(512 << 10);
            if let Ok(turn) = Turn::begin()
                && thread.spawn(move || thread::run(&shared)).is_ok()
            {
                state.phase = Phase::Running(turn);
            }
        }
    }
}

/// The lease of a token, as the plan has it.
pub(super) fn lease(info: &TokenInfo) -> Lease {
    match (info.is_static(), info.renewable) {
        (true, _) => Lease::Forever,
        (false, true) => Lease::Renewable(info.lease_duration),
        (false, false) => Lease::Final(info.lease_duration),
    }
}

/// What a login's failure is to the plan; `None` where the caller ended it.
pub(super) fn failed(error: &VaultError) -> Option<Failed> {
    match (error.kind(), error.status()) {
        (ErrorKind::Cancelled, _) => None,
        (ErrorKind::NotReady | ErrorKind::NotVault, Some(status @ 500..)) => Some(Failed::Broken(status)),
        // What this process lacks, or the connection, says nothing of the credential.
        (
            ErrorKind::NotReady
            | ErrorKind::NotVault
            | ErrorKind::RateLimited
            | ErrorKind::Unreachable
            | ErrorKind::System
            | ErrorKind::Tls,
            _,
        ) => Some(Failed::Silent),
        _ => Some(Failed::Refused),
    }
}
