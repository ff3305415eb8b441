//! Logins that are sent along with requests: no token comes of them, and they are refused like any other.

use std::time::Duration;

use super::outcome::failed;
use super::plan::Failed;
use super::state::{Fingerprint, Phase};
use super::{Keeper, LoggingIn, Shared};
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::What;
use crate::login::{Login, Origin};
use crate::observe::Act;
use crate::retry::uniform;
use crate::step::Step;
use crate::time::{Limits, since_boot};
use crate::token::{Kept, Revoked};

/// How old what is read from the files of trust and identity may be: no login reads them again here.
const AGE: Duration = Duration::from_secs(60);

/// The right to send the login along.
pub struct Along<'a> {
    shared: &'a Shared,
    /// Under the limits of a login.
    endpoint: Endpoint,
    /// The credential's file before it was sent: what changes under way is another one than the one that was tried.
    before: Option<Fingerprint>,
    /// Nobody else sends one meanwhile: of a secret id that is refused, a few tries at once would lock the role.
    alone: Option<LoggingIn<'a>>,
}

impl Keeper {
    /// The login whose tokens are kept.
    pub fn login(&self) -> &dyn Login {
        &*self.shared.login
    }

    /// Waits until the login may be sent along with a request of `caller`.
    ///
    /// # Errors
    ///
    /// The client is closed, or it is too early after a login that was refused. Another one did not end in time.
    pub fn along(&self, caller: &Endpoint) -> Result<Along<'_>, VaultError> {
        let shared = &*self.shared;
        let is_once = shared.login.origin() == Origin::LoginOnce;
        loop {
            let mut state = shared.lock();
            if state.is_closed() {
                return Err(VaultError::closed());
            }
            if state.refusal.is_some() {
                state.look_at(shared.login.file());
            }
            let now = since_boot();
            let under_way = state.logging_in.clone().filter(|_| is_once);
            if let Some(turn) = under_way {
                drop(state);
                caller.wait_for(&turn).map_err(|ended| caller.ended(&shared.login.step(), ended))?;
                continue;
            }
            if let Some(error) = state.too_early(now) {
                return Err(error);
            }
            let turn = if is_once { Some(state.begin(caller, &*shared.login)?) } else { None };
            let is_first = !state.has_logged_in;
            let is_old = state.refreshed.is_some_and(|at| now.saturating_sub(at) >= AGE);
            if is_old || state.refreshed.is_none() {
                state.refreshed = Some(now);
            }
            drop(state);
            let alone = turn.map(|turn| LoggingIn { shared, turn });
            if is_old {
                (shared.refresh)(&shared.endpoint);
            }
            let wait = if is_first { shared.first.wait } else { Duration::ZERO };
            let endpoint = caller.within(Limits { wait, ..caller.limits() });
            let before = Fingerprint::of(shared.login.file());
            return Ok(Along { shared, endpoint, before, alone });
        }
    }
}

impl Along<'_> {
    /// The server, under the limits of a login: the wait is for the first one alone.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Notes that the server has taken it.
    pub fn taken(&self) {
        let mut state = self.shared.lock();
        state.has_logged_in = true;
        if state.refusal.take().is_some() {
            state.plan.accepted();
        }
    }

    /// Notes that it was refused, if that is what `error` tells. A server that takes no notice of it has not judged it.
    pub fn failed(mut self, error: &VaultError) {
        let is_judged =
            matches!(error.step(), Some(Step::Login { .. })) && !matches!(error.fault().what, What::NotInline { .. });
        let is_refused = is_judged && failed(error) == Some(Failed::Refused);
        if is_refused {
            let mut state = self.shared.lock();
            state.plan.failed(Act::LogIn, Failed::Refused, since_boot(), uniform());
            state.refusal = Some(error.clone());
            state.seen = self.before.take().or_else(|| Fingerprint::of(self.shared.login.file()));
        }
    }
}

impl Drop for Along<'_> {
    fn drop(&mut self) {
        // Who closes the client waits for the end of a login, and this one leaves no token.
        if self.alone.is_some() {
            let mut state = self.shared.lock();
            if let Phase::Ended(Revoked::No(Kept::UnderWay)) = state.phase {
                state.phase = Phase::Ended(Revoked::No(Kept::NoToken));
            }
        }
    }
}
