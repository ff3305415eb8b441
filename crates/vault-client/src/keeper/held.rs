//! The token in hand, shared by all who use it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::fault::ErrorKind;
use crate::refused::Refused;
use crate::session::{Session, is_death};
use crate::time::{Turn, since_boot};
use crate::token::TokenInfo;

/// The token in hand.
pub struct Held {
    pub session: Session,
    info: Mutex<TokenInfo>,
    /// When it came, in time since boot.
    since: Duration,
    checked: Mutex<Checked>,
}

/// What is known of whether it lives.
#[derive(Default)]
struct Checked {
    /// A look-up is under way in one thread.
    under_way: Option<Turn>,
    /// A look-up that was sent then has found it alive.
    alive_at: Option<Instant>,
    dead: bool,
}

impl Held {
    /// The token of `session`, of which so much is known.
    pub fn new(session: Session, info: TokenInfo) -> Self {
        Self { session, info: Mutex::new(info), since: since_boot(), checked: Mutex::default() }
    }

    /// What is known of it.
    pub fn info(&self) -> TokenInfo {
        lock(&self.info).clone()
    }

    /// Notes what a renewal has brought.
    pub fn renewed(&self, info: TokenInfo) {
        // The policies of a renewal's answer are those of the token.
        *lock(&self.info) = info;
    }

    /// How long it has been in hand.
    pub fn age(&self) -> Duration {
        since_boot().saturating_sub(self.since)
    }

    /// Whether it is dead, which a request asks that was sent at `sent` and answered with 403. All threads share one
    /// look-up. Who cannot find out takes it for alive.
    pub fn is_dead(&self, endpoint: &Endpoint, sent: Instant) -> Result<bool, Refused> {
        let call = endpoint.call();
        loop {
            let turn = {
                let mut checked = lock(&self.checked);
                if checked.dead {
                    return Ok(true);
                }
                if checked.alive_at.is_some_and(|at| at >= sent) {
                    return Ok(false);
                }
                match &checked.under_way {
                    Some(turn) => Err(turn.clone()),
                    None => Ok(checked.under_way.insert(Turn::begin()?).clone()),
                }
            };
            match turn {
                Ok(turn) => {
                    let looking = Looking { checked: &self.checked, turn };
                    let asked = Instant::now();
                    let said = self.session.look_up_once(endpoint, &call);
                    let denied = said.as_ref().is_err_and(is_death);
                    let kind = said.err().map(|fault| fault.kind());
                    // Where this caller had no time for it, the next one asks itself. Any other failure is one for all.
                    let ended = matches!(kind, Some(ErrorKind::Cancelled | ErrorKind::Unreachable));
                    let mut checked = lock(&self.checked);
                    checked.dead = denied;
                    checked.alive_at = Some(asked.max(sent)).filter(|_| !denied && !ended);
                    drop(checked);
                    drop(looking);
                    return Ok(denied);
                }
                Err(turn) if turn.wait(&call).is_err() => return Ok(false),
                Err(_) => {}
            }
        }
    }

    /// Forgets that a look-up found it dead: look-ups tell nothing of it.
    pub fn revive(&self) {
        lock(&self.checked).dead = false;
    }
}

/// A look-up under way; whatever ends it wakes those who wait for it.
struct Looking<'a> {
    checked: &'a Mutex<Checked>,
    turn: Turn,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        lock(self.checked).under_way = None;
        self.turn.end();
    }
}

/// A poisoned lock only means that a panic is under way; nothing here is half-changed then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
