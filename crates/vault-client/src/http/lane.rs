//! Lanes: a connection that is kept, lent to one thread for one exchange.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ureq::Agent;

use crate::time::{Call, Cancel, Ended, Turn};

/// The call that a lane is lent for: each connect, read and write of its connection is a wait of it.
#[derive(Clone, Debug)]
pub struct Slot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    call: Mutex<Call>,
    /// Whether a byte of the request was handed to the kernel: the server may have done what it asks for.
    sent: AtomicBool,
}

impl Slot {
    /// One without a call: whatever waits with it ends at once.
    pub fn empty() -> Self {
        let call = Mutex::new(Call::until(Instant::now(), Cancel::never()));
        Self(Arc::new(Inner { call, sent: AtomicBool::new(false) }))
    }

    /// Every wait from now on is one of `call`.
    fn set(&self, call: &Call) {
        self.0.call.lock().unwrap_or_else(PoisonError::into_inner).clone_from(call);
        self.0.sent.store(false, Ordering::Relaxed);
    }

    /// The call.
    pub fn call(&self) -> Call {
        self.0.call.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a part of the request is on its way.
    pub fn note_sent(&self) {
        self.0.sent.store(true, Ordering::Relaxed);
    }

    /// Whether a part of the request was on its way.
    pub fn has_sent(&self) -> bool {
        self.0.sent.load(Ordering::Relaxed)
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
    /// How often the lanes were made anew.
    generation: u64,
    /// Threads that wait for a lane, in the order they came.
    waiting: VecDeque<Turn>,
}

impl Lanes {
    /// Up to `most` of what `make` makes.
    pub fn new(most: usize, make: impl Fn() -> Lane + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), most: most.max(1), state: Mutex::default() }
    }

    /// Lends a lane for `call`; waits for one where all are lent, unless `extra` allows for one more.
    ///
    /// # Errors
    ///
    /// `call` ended first.
    pub fn lend(&self, call: &Call, extra: bool) -> Result<Lent<'_>, Ended> {
        let most = self.most + usize::from(extra);
        let mut was_first = false;
        loop {
            let turn = {
                let mut state = self.lock();
                let generation = state.generation;
                if let Some(lane) = state.idle.pop() {
                    lane.slot.set(call);
                    return Ok(Lent { lanes: self, lane: Some(lane), generation });
                }
                if state.made < most {
                    state.made += 1;
                    drop(state);
                    let lane = (self.make)();
                    lane.slot.set(call);
                    return Ok(Lent { lanes: self, lane: Some(lane), generation });
                }
                let turn = Turn::begin().map_err(Ended::Refused)?;
                // Who came just after another one keeps its place.
                if was_first {
                    state.waiting.push_front(turn.clone());
                } else {
                    state.waiting.push_back(turn.clone());
                }
                turn
            };
            if let Err(ended) = turn.wait(call) {
                self.give_up(&turn);
                return Err(ended);
            }
            was_first = true;
        }
    }

    /// Makes every lane anew: those in use end with their exchange.
    pub fn renew(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.made -= state.idle.len();
        state.idle.clear();
    }

    /// Takes a thread that waits no longer out of the queue. Where it was woken meanwhile, the next one is.
    fn give_up(&self, turn: &Turn) {
        let mut state = self.lock();
        match state.waiting.iter().position(|it| it.is(turn)) {
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
        turn.end();
    }
}

/// A lane in use; it goes back when this is dropped.
pub struct Lent<'a> {
    lanes: &'a Lanes,
    lane: Option<Lane>,
    generation: u64,
}

impl std::ops::Deref for Lent<'_> {
    type Target = Lane;

    fn deref(&self) -> &Lane {
        self.lane.as_ref().expect("it is there until the drop")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        if self.generation == state.generation && state.made <= self.lanes.most {
            state.idle.extend(self.lane.take());
        } else {
            state.made -= 1;
        }
        wake(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    /// Lanes that count how many were made.
    fn lanes(most: usize) -> (Arc<AtomicUsize>, Lanes) {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let new_lane = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Lane { agent: Agent::new_with_defaults(), slot: Slot::empty() }
        };
        (made, Lanes::new(most, new_lane))
    }

    fn call() -> Call {
        Call::until(Instant::now() + Duration::from_secs(30), Cancel::never())
    }

    #[test]
    fn a_lane_that_is_given_back_is_lent_again_and_no_more_are_made_than_there_may_be() {
        let (made, lanes) = lanes(2);
        drop(lanes.lend(&call(), false).unwrap());
        let both = [lanes.lend(&call(), false).unwrap(), lanes.lend(&call(), false).unwrap()];
        let short = Call::until(Instant::now() + Duration::from_millis(5), Cancel::never());
        assert_eq!(lanes.lend(&short, false).err(), Some(Ended::Deadline));
        drop(lanes.lend(&call(), true).unwrap());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lanes.lend(&call(), false).map(drop));
            drop(both);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        // The extra one was made, and not kept.
        assert_eq!((made.load(Ordering::Relaxed), lanes.lock().made), (3, 2));
    }

    #[test]
    fn who_gave_up_in_its_turn_passes_it_on() {
        let (_, lanes) = lanes(1);
        let lent = lanes.lend(&call(), false).unwrap();
        let (first, second) = (Turn::begin().unwrap(), Turn::begin().unwrap());
        lanes.lock().waiting.extend([first.clone(), second.clone()]);
        drop(lent);
        lanes.give_up(&first);
        assert_eq!(second.wait(&call()), Ok(()));
    }

    #[test]
    fn renewed_lanes_are_made_anew_those_in_use_after_their_exchange() {
        let (made, lanes) = lanes(2);
        let in_use = lanes.lend(&call(), false).unwrap();
        drop(lanes.lend(&call(), false).unwrap());
        lanes.renew();
        drop(in_use);
        drop([lanes.lend(&call(), false).unwrap(), lanes.lend(&call(), false).unwrap()]);
        assert_eq!((made.load(Ordering::Relaxed), lanes.lock().made), (4, 2));
    }
}
