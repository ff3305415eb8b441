//! Keeps one token alive for any number of threads: renews it, logs in again, revokes it at the end.
//!
//! A [`Plan`](plan::Plan) says what is due. One thread does it; a caller that finds no live token logs in itself, once for
//! all who wait. What the thread does fails no call.

mod end;
mod held;
mod inline;
mod outcome;
pub mod plan;
mod state;
mod thread;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{Fault, What};
use crate::login::{Login, Origin};
use crate::observe::{Act, Event};
use crate::retry::uniform;
use crate::session::Session;
use crate::step::{Step, TokenOf};
use crate::time::{Alarm, Cancel, Ended, Limits, Turn, since_boot};
use crate::token::{Kept, TokenInfo};
pub use end::LONGEST_END;
pub use held::Held;
use outcome::lease;
pub use plan::Rules;
use plan::{Failed, Plan};
use state::{Fingerprint, Phase, State};

/// So often at most a login is tried beside a token of which no look-up tells whether it lives.
const DOUBT: Duration = Duration::from_secs(60);

/// Keeps one token alive.
pub struct Keeper {
    shared: Arc<Shared>,
}

struct Shared {
    login: Arc<dyn Login>,
    /// Reads the files of trust and identity again, before each login but the first.
    refresh: Box<dyn Fn(&Endpoint) + Send + Sync>,
    /// The server, under limits of its own; nothing cancels it.
    endpoint: Endpoint,
    /// The same for the keeper's own renewals and logins, which its end cancels.
    own: Endpoint,
    stop: Cancel,
    /// What the first login waits for.
    first: Limits,
    state: Mutex<State>,
    alarm: Alarm,
}

impl Keeper {
    /// Keeps the tokens of `login` alive; asks nothing before the first call.
    ///
    /// # Errors
    ///
    /// The kernel gives no descriptors.
    pub fn new(
        login: Arc<dyn Login>,
        refresh: Box<dyn Fn(&Endpoint) + Send + Sync>,
        endpoint: &Endpoint,
        rules: Rules,
    ) -> Result<Self, VaultError> {
        let first = endpoint.limits();
        let plan = Plan::new(rules, login.origin());
        let alarm = Alarm::new().map_err(|refused| endpoint.ended(&login.step(), Ended::Refused(refused)))?;
        let (held, logging_in, refusal, doubted) = (None, None, None, None);
        let state = State {
            plan,
            held,
            logging_in,
            refusal,
            seen: None,
            has_logged_in: false,
            refreshed: None,
            doubted,
            blind: false,
            unusable: None,
            phase: Phase::Idle,
        };
        let single = Limits { retries: 0, wait: Duration::ZERO, whole: first.request, until: None, ..first };
        let endpoint = endpoint.within(single).with_lane_of_its_own();
        let stop = Cancel::new().map_err(|refused| endpoint.ended(&login.step(), Ended::Refused(refused)))?;
        let own = endpoint.cancelled_by(&stop);
        let state = Mutex::new(state);
        Ok(Self { shared: Arc::new(Shared { login, refresh, endpoint, own, stop, first, state, alarm }) })
    }

    /// The token in hand, or a new one: one thread logs in, under the limits of its call, and the others wait.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::login`]; and the refusal of the last login, as long as it is too early for another.
    pub fn token(&self, caller: &Endpoint) -> Result<Arc<Held>, VaultError> {
        self.shared.token(caller)
    }

    /// What is known of the token in hand.
    pub fn in_hand(&self) -> Option<TokenInfo> {
        self.shared.lock().held.as_ref().map(|held| held.info())
    }

    /// Whether a request that was sent with `held` at `sent` and met 403 is worth another try with another token.
    ///
    /// # Errors
    ///
    /// As for [`Keeper::token`].
    pub fn has_replaced(&self, held: &Arc<Held>, caller: &Endpoint, sent: Instant) -> Result<bool, VaultError> {
        self.shared.has_replaced(held, caller, sent)
    }

    /// What `denied` comes to, the 403 of a request that was sent with `held` at `sent` and is not tried again: of a token
    /// that was handed in, it says so where that is dead. Threads share a look-up as for [`Keeper::has_replaced`].
    pub fn told(&self, denied: VaultError, held: &Arc<Held>, caller: &Endpoint, sent: Instant) -> VaultError {
        let is_given = held.session.token_of() == TokenOf::Caller && !self.shared.login.origin().is_login();
        if is_given && held.is_dead(caller, sent).unwrap_or(false) { denied.of_a_dead_token() } else { denied }
    }

    /// The same of a token that has just come in the place of a dead one. Of a login's token, a look-up that is denied as
    /// well says that look-ups tell nothing. A file holds a dead token still: it is put out of hand.
    pub fn doubt(&self, denied: VaultError, held: &Arc<Held>, caller: &Endpoint, sent: Instant) -> VaultError {
        if !held.is_dead(caller, sent).unwrap_or(false) {
            return denied;
        }
        if self.shared.login.origin().is_login() {
            held.revive();
            self.shared.lock().blind = true;
            return denied;
        }
        self.shared.discard(held);
        denied.of_a_dead_token()
    }

    /// Takes note of what a look-up has brought of `held`, of which nothing was known: it is kept alive from now on.
    pub fn learn(&self, held: &Arc<Held>, info: &TokenInfo) {
        if !held.info().is_known() {
            self.shared.renewed(held, info.clone());
        }
    }

    /// Renews the token now; where that is refused, logs in.
    ///
    /// # Errors
    ///
    /// As for [`Keeper::token`], and what the renewal failed with, where a login cannot help.
    pub fn renew(&self, caller: &Endpoint) -> Result<TokenInfo, VaultError> {
        let held = self.token(caller)?;
        if held.session.token_of() == TokenOf::Agent {
            return Ok(held.info());
        }
        match caller.step(&Step::Renew, |call| held.session.renew_once(caller, call)) {
            Ok(info) => {
                self.shared.renewed(&held, info.clone());
                Ok(info)
            }
            // The token in hand stays until there is another one.
            Err(error) if thread::failed(error.fault()) == Failed::Refused && self.shared.can_log_in() => {
                Ok(self.shared.replace(&held, caller).map_err(|_| error)?.info())
            }
            Err(error) => Err(error),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock only means that a panic is under way; nothing is half-changed then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(self: &Arc<Self>, caller: &Endpoint) -> Result<Arc<Held>, VaultError> {
        loop {
            let turn = {
                let mut state = self.lock();
                let now = since_boot();
                if state.is_closed() {
                    return Err(VaultError::closed());
                }
                if let Some(held) = state.live(self.login.origin(), now) {
                    return Ok(held);
                }
                if state.refusal.is_some() {
                    state.look_at(self.login.file());
                }
                match &state.logging_in {
                    Some(turn) => Err(turn.clone()),
                    None => match state.too_early(now) {
                        Some(error) => return Err(error),
                        None => Ok(state.begin(caller, &*self.login)?),
                    },
                }
            };
            match turn {
                Ok(turn) => return self.log_in(caller, turn),
                Err(turn) => caller.wait_for(&turn).map_err(|ended| caller.ended(&self.login.step(), ended))?,
            }
        }
    }

    /// Another token in the place of `held`, by a login of this thread, or of another one that has begun it.
    fn replace(self: &Arc<Self>, held: &Arc<Held>, caller: &Endpoint) -> Result<Arc<Held>, VaultError> {
        let begun = {
            let mut state = self.lock();
            if !state.holds(held) || state.logging_in.is_some() {
                None
            } else if let Some(error) = state.too_early(since_boot()) {
                return Err(error);
            } else {
                Some(state.begin(caller, &*self.login)?)
            }
        };
        match begun {
            Some(turn) => self.log_in(caller, turn),
            None => self.token(caller),
        }
    }

    /// Logs in under the limits of `caller`, as the one thread that does.
    fn log_in(self: &Arc<Self>, caller: &Endpoint, turn: Turn) -> Result<Arc<Held>, VaultError> {
        let turn = LoggingIn { shared: self, turn };
        // The wait is for the first login alone.
        let again = self.lock().has_logged_in;
        if again {
            (self.refresh)(&self.endpoint);
        }
        let wait = if again { Duration::ZERO } else { self.first.wait };
        let endpoint = caller.within(Limits { wait, ..caller.limits() });
        // What changes under way is another one than the one that was tried.
        let before = Fingerprint::of(self.login.file());
        let sent = since_boot();
        let made = self.login.log_in(&endpoint).map(|session| self.introduce(session, &endpoint));
        let result = self.take(made, sent, before);
        drop(turn);
        result
    }

    /// Looks a token up that was handed in, once.
    fn introduce(&self, session: Session, endpoint: &Endpoint) -> (Session, TokenInfo) {
        let info = if session.token_of() == TokenOf::Caller {
            session.look_up_once(endpoint, &endpoint.call()).unwrap_or_else(|_| TokenInfo::unknown())
        } else {
            session.info.clone()
        };
        (session.kept_by(&self.endpoint), info)
    }

    fn has_replaced(self: &Arc<Self>, held: &Arc<Held>, caller: &Endpoint, sent: Instant) -> Result<bool, VaultError> {
        if !self.can_log_in() {
            return Ok(false);
        }
        {
            let mut state = self.lock();
            if !state.holds(held) {
                return Ok(true);
            }
            if state.blind {
                let now = since_boot();
                let lately = state.doubted.is_some_and(|at| now.saturating_sub(at) < DOUBT);
                if lately || held.age() < DOUBT {
                    return Ok(false);
                }
                state.doubted = Some(now);
                drop(state);
                self.discard(held);
                return Ok(true);
            }
        }
        let ended = |ended| caller.ended(&Step::LookUp, ended);
        let dead = held.is_dead(caller, sent).map_err(|refused| ended(Ended::Refused(refused)))?;
        if let Err(why @ Ended::Cancelled) = caller.whole().alive() {
            return Err(ended(why));
        }
        if dead {
            self.discard(held);
            self.login.lost(&held.session);
        }
        Ok(dead)
    }

    /// Puts the token out of hand, where it is the one in hand: it is dead.
    fn discard(&self, held: &Arc<Held>) {
        let mut state = self.lock();
        if state.holds(held) {
            state.held = None;
            held.session.leave(Kept::Dead);
            state.plan.lost(since_boot());
            let fault = What::DeadAgain.into();
            state.refusal = Some(VaultError::new(self.endpoint.at(), Step::LookUp, fault, Effort::default()));
        }
    }

    fn can_log_in(&self) -> bool {
        self.login.origin() != Origin::Token
    }

    fn renewed(&self, held: &Arc<Held>, info: TokenInfo) {
        let mut state = self.lock();
        if state.holds(held) {
            state.plan.renewed(info.sent(), lease(&info), uniform());
            held.renewed(info);
            self.alarm.ring();
        }
    }

    fn note(&self, act: Act, result: Result<Duration, (&Step, &Fault)>) {
        self.endpoint.note(&match result {
            Ok(lease) => Event::Kept { act, lease },
            Err((step, fault)) => Event::KeepFailed { act, step, fault },
        });
    }
}

/// A login under way; whatever ends it, a panic too, wakes those who wait for it.
struct LoggingIn<'a> {
    shared: &'a Shared,
    turn: Turn,
}

impl Drop for LoggingIn<'_> {
    fn drop(&mut self) {
        self.shared.lock().logging_in = None;
        self.turn.end();
        // The thread plans nothing as long as a login is under way.
        self.shared.alarm.ring();
    }
}
