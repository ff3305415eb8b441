//! Lanes: a connection that is kept, lent to one thread for one exchange.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use ureq::Agent;

use crate::error::Refused;
use crate::time::{Call, Cancel, Ended};

/// The call that a lane is lent for: each connect, read and write of its connection is a wait of it.
#[derive(Clone, Debug)]
pub struct Slot(Arc<Mutex<Call>>);

impl Slot {
    /// One without a call: whatever waits with it ends at once.
    pub fn empty() -> Self {
        Self(Arc::new(Mutex::new(Call::until(Instant::now(), Cancel::never()))))
    }

    /// Every wait from now on is one of `call`.
    fn set(&self, call: &Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(call);
    }

    /// The call.
    pub fn call(&self) -> Call {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A client with one kept connection.
pub struct Lane {
    pub agent: Agent,
    pub slot: Slot,
}

/// The lanes to one server: made when they are needed, up to a limit.
pub struct Lanes {
    make: Box<dyn Fn() -> Lane + Send + Sync>,
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Lane>,
    made: usize,
    /// Threads that wait for a lane, in the order they came.
    waiting: VecDeque<Arc<EventFd>>,
}

impl Lanes {
    /// Up to `most` of what `make` makes.
    pub fn new(most: usize, make: impl Fn() -> Lane + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), most: most.max(1), state: Mutex::default() }
    }

    /// Lends a lane for `call`; waits for one where all are lent.
    ///
    /// # Errors
    ///
    /// `call` ended first.
    pub fn lend(&self, call: &Call) -> Result<Lent<'_>, Ended> {
        loop {
            let turn = {
                let mut state = self.lock();
                if let Some(lane) = state.idle.pop() {
                    lane.slot.set(call);
                    return Ok(Lent { lanes: self, lane: Some(lane) });
                }
                if state.made < self.most {
                    state.made += 1;
                    drop(state);
                    let lane = (self.make)();
                    lane.slot.set(call);
                    return Ok(Lent { lanes: self, lane: Some(lane) });
                }
                let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
                let turn = EventFd::from_flags(flags).map_err(Refused::by("eventfd2")).map_err(Ended::Refused)?;
                let turn = Arc::new(turn);
                state.waiting.push_back(Arc::clone(&turn));
                turn
            };
            if let Err(ended) = call.ready(&[PollFd::new(turn.as_fd(), PollFlags::POLLIN)], None) {
                self.give_up(&turn);
                return Err(ended);
            }
        }
    }

    /// Takes a thread that waits no longer out of the queue. Where it was woken meanwhile, the next one is.
    fn give_up(&self, turn: &Arc<EventFd>) {
        let mut state = self.lock();
        match state.waiting.iter().position(|it| Arc::ptr_eq(it, turn)) {
            Some(place) => drop(state.waiting.remove(place)),
            None => wake(&mut state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(state: &mut State) {
    if let Some(turn) = state.waiting.pop_front() {
        // A counter of zero takes it.
        let _ = turn.write(1);
    }
}

/// A lane in use; it goes back when this is dropped.
pub struct Lent<'a> {
    lanes: &'a Lanes,
    lane: Option<Lane>,
}

impl std::ops::Deref for Lent<'_> {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.lane.as_ref().expect("it is there until the drop").agent
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        state.idle.extend(self.lane.take());
        wake(&mut state);
    }
}
