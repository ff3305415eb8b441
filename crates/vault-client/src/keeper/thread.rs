//! The keeper's thread: does what is due, and revokes the token at the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::plan::{Due, Failed};
use super::state::Phase;
use super::{Held, Shared};
use crate::fault::{ErrorKind, Fault};
use crate::judge;
use crate::observe::Act;
use crate::retry::uniform;
use crate::step::Step;
use crate::time::{Turn, since_boot};
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
            let mut state = shared.lock();
            if let Phase::Running(_) = state.phase {
                state.phase = Phase::Idle;
                return;
            }
        }
        shared.lock().look_at(shared.login.file());
        // A login or an observer of the program's may panic; the token is kept all the same.
        if catch_unwind(AssertUnwindSafe(|| act(shared))).is_err() {
            let mut state = shared.lock();
            for act in [Act::Renew, Act::LogIn] {
                state.plan.failed(act, Failed::Silent, since_boot(), uniform());
            }
        }
    }
    end(shared);
}

/// What is due next, and whether the credential's file is watched; `None` at the end. Nothing is due as long as a caller
/// logs in, whose end rings.
fn next(shared: &Shared) -> Option<(Option<Due>, bool)> {
    let state = shared.lock();
    let runs = matches!(state.phase, Phase::Running(_));
    let due = state.plan.next(since_boot()).filter(|_| state.logging_in.is_none());
    runs.then(|| (due, state.plan.is_refused() && shared.login.file().is_some()))
}

/// What is done now.
enum Work {
    Renew(Arc<Held>),
    LogIn(Turn),
}

/// Does what is due by now.
fn act(shared: &Arc<Shared>) {
    match work(shared) {
        Some(Work::Renew(held)) => renew(shared, &held),
        Some(Work::LogIn(turn)) => log_in(shared, turn),
        None => {}
    }
}

/// What is due by now; where it is a login, it has begun.
fn work(shared: &Shared) -> Option<Work> {
    let mut state = shared.lock();
    let now = since_boot();
    if !matches!(state.phase, Phase::Running(_)) || state.logging_in.is_some() {
        return None;
    }
    match state.plan.next(now).filter(|due| due.at <= now)?.act {
        Act::Renew => state.held.clone().map(Work::Renew),
        Act::LogIn => {
            let turn = state.begin(&shared.own, &*shared.login).ok();
            if turn.is_none() {
                state.plan.failed(Act::LogIn, Failed::Silent, now, uniform());
            }
            turn.map(Work::LogIn)
        }
    }
}

fn renew(shared: &Shared, held: &Arc<Held>) {
    match held.session.renew_once(&shared.own, &shared.own.call()) {
        Ok(info) => {
            shared.note(Act::Renew, Ok(info.lease_duration));
            shared.renewed(held, info);
        }
        Err(fault) => {
            shared.note(Act::Renew, Err((&Step::Renew, &fault)));
            let mut state = shared.lock();
            if state.holds(held) {
                state.plan.failed(Act::Renew, failed(&fault), since_boot(), uniform());
            }
        }
    }
}

/// What a renewal's failure is to the plan.
pub fn failed(fault: &Fault) -> Failed {
    match (fault.kind(), fault.status) {
        (ErrorKind::RateLimited | ErrorKind::Unreachable, _) | (_, None | Some(408 | 412 | 429)) => Failed::Silent,
        (_, Some(500..)) if judge::is_past_maximum(fault) => Failed::Refused,
        (_, Some(400..500)) => Failed::Refused,
        (_, Some(status)) => Failed::Broken(status),
    }
}

fn log_in(shared: &Arc<Shared>, turn: Turn) {
    match shared.log_in(&shared.own, turn) {
        Ok(held) => shared.note(Act::LogIn, Ok(held.info().lease_duration)),
        Err(error) => {
            let step = error.step().cloned().unwrap_or(Step::Credential);
            shared.note(Act::LogIn, Err((&step, error.fault())));
        }
    }
}

/// Revokes the token where that is owed, and wakes who waits for it.
fn end(shared: &Shared) {
    let held = shared.lock().held.take();
    let revoke = || held.map_or(Revoked::No(Kept::NoToken), |held| held.session.revoke());
    let revoked = catch_unwind(AssertUnwindSafe(revoke)).unwrap_or(Revoked::No(Kept::Failed));
    let before = std::mem::replace(&mut shared.lock().phase, Phase::Ended(revoked));
    if let Phase::Ending(turn) = before {
        turn.end();
    }
}
