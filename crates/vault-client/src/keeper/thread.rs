//! The keeper's thread: does what is due, and revokes the token at the end.

use std::sync::Arc;
use std::time::Duration;

use super::plan::{Due, Failed};
use super::state::Phase;
use super::{Held, Shared, spread};
use crate::fault::ErrorKind;
use crate::fault::Fault;
use crate::judge;
use crate::observe::Act;
use crate::step::Step;
use crate::time::since_boot;
use crate::token::{Kept, Revoked};

/// How often the file of a credential that was refused is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Runs until the client's end.
pub fn run(shared: &Arc<Shared>) {
    while let Some((due, watches)) = next(shared) {
        let look = watches.then(|| since_boot() + LOOK);
        let until = [due.map(|due| due.at), look].into_iter().flatten().min();
        if shared.alarm.wait(until).is_err() {
            // Without a way to wait there is no keeping; each call looks after the token itself.
            break;
        }
        shared.lock().look_at(shared.login.file());
        act(shared);
    }
    end(shared);
}

/// What is due next, and whether the credential's file is watched; `None` at the end.
fn next(shared: &Shared) -> Option<(Option<Due>, bool)> {
    let state = shared.lock();
    let runs = matches!(state.phase, Phase::Running);
    runs.then(|| (state.plan.next(since_boot()), state.plan.is_refused() && shared.login.file().is_some()))
}

/// Does what is due by now.
fn act(shared: &Arc<Shared>) {
    let (due, held) = {
        let state = shared.lock();
        if !matches!(state.phase, Phase::Running) || state.logging_in.is_some() {
            return;
        }
        (state.plan.next(since_boot()), state.held.clone())
    };
    match (due.filter(|due| due.at <= since_boot()).map(|due| due.act), held) {
        (Some(Act::Renew), Some(held)) => renew(shared, &held),
        (Some(Act::LogIn), _) => log_in(shared),
        (Some(Act::Renew), None) | (None, _) => {}
    }
}

fn renew(shared: &Shared, held: &Arc<Held>) {
    match held.session.renew_once(&shared.endpoint, &shared.endpoint.call()) {
        Ok(info) => {
            shared.note(Act::Renew, Ok(info.lease_duration));
            shared.renewed(held, info);
        }
        Err(fault) => {
            shared.note(Act::Renew, Err((&Step::Renew, &fault)));
            let mut state = shared.lock();
            if state.holds(held) {
                state.plan.failed(Act::Renew, failed(&fault), since_boot(), spread());
            }
        }
    }
}

/// What a renewal's failure is to the plan.
fn failed(fault: &Fault) -> Failed {
    match (fault.kind(), fault.status) {
        (ErrorKind::RateLimited | ErrorKind::Unreachable, _) | (_, None | Some(408 | 412 | 429)) => Failed::Silent,
        (_, Some(500..)) if judge::is_past_maximum(fault) => Failed::Refused,
        (_, Some(400..500)) => Failed::Refused,
        (_, Some(status)) => Failed::Broken(status),
    }
}

fn log_in(shared: &Arc<Shared>) {
    let turn = {
        let mut state = shared.lock();
        let Ok(turn) = state.begin(&shared.endpoint, &*shared.login) else { return };
        turn
    };
    match shared.log_in(&shared.endpoint, turn) {
        Ok(held) => shared.note(Act::LogIn, Ok(held.info().lease_duration)),
        Err(error) => shared.note(Act::LogIn, Err((&shared.login.step(), error.fault()))),
    }
}

/// Revokes the token where that is owed, and wakes who waits for it.
fn end(shared: &Shared) {
    let held = shared.lock().held.take();
    let revoked = held.map_or(Revoked::No(Kept::NoToken), |held| held.session.revoke());
    let before = std::mem::replace(&mut shared.lock().phase, Phase::Ended(revoked));
    if let Phase::Ending(turn) = before {
        turn.end();
    }
}
