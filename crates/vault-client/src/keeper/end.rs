//! The end of the keeping: the token is revoked where that is owed.

use std::time::{Duration, Instant};

use super::state::Phase;
use super::{Keeper, Shared};
use crate::time::{Call, Cancel};
use crate::token::{Kept, Revoked};

/// How long the end of a client waits for the revoke.
pub const LONGEST_END: Duration = Duration::from_secs(2);

impl Keeper {
    /// What fires at the end of the client.
    pub fn end_of_client(&self) -> &Cancel {
        &self.shared.stop
    }

    /// Whether the keeping has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed()
    }

    /// Ends the keeping: revokes the token where that is owed, and waits for it up to two seconds. Calls after it fail.
    pub fn close(&self) -> Revoked {
        self.shared.end(true)
    }
}

impl Drop for Keeper {
    /// The thread revokes; nobody waits for it.
    fn drop(&mut self) {
        self.shared.end(false);
    }
}

impl Shared {
    /// Ends the keeping, and waits for its end if `patient`.
    fn end(&self, patient: bool) -> Revoked {
        let (turn, held) = {
            let mut state = self.lock();
            match &state.phase {
                Phase::Ended(revoked) => return *revoked,
                Phase::Ending(turn) => (Some(turn.clone()), None),
                Phase::Running(turn) => {
                    let turn = turn.clone();
                    state.phase = Phase::Ending(turn.clone());
                    (Some(turn), None)
                }
                // Without a thread it is done here, or by the login that is under way.
                Phase::Idle => {
                    let (turn, held) = (state.logging_in.clone(), state.held.take());
                    state.phase = Phase::Ended(Revoked::No(if turn.is_some() || held.is_some() {
                        Kept::UnderWay
                    } else {
                        Kept::NoToken
                    }));
                    (turn, held)
                }
            }
        };
        self.stop.cancel();
        self.alarm.ring();
        if let Some(held) = held {
            let revoked = held.session.revoke();
            self.lock().phase = Phase::Ended(revoked);
        }
        if let (true, Some(turn)) = (patient, turn) {
            let _ = turn.wait(&Call::until(Instant::now() + LONGEST_END, Cancel::never()));
        }
        match self.lock().phase {
            Phase::Ended(revoked) => revoked,
            _ => Revoked::No(Kept::UnderWay),
        }
    }
}
