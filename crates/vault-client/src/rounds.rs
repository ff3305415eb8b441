//! The one thread of a client that does something again and again: it reads what is watched.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::refused::Refused;
use crate::time::{Alarm, Call, Turn, since_boot};

/// What is done again and again.
pub trait Round: Send + Sync {
    /// When it is due next, in time since boot.
    fn due(&self) -> Duration;

    /// Does it, and plans the next time.
    fn go(&self);

    /// It has panicked: plans the next time.
    fn panicked(&self);

    /// It will not be done again.
    fn end(&self);
}

/// The rounds of a client. The thread runs as long as there are some.
pub struct Rounds {
    state: Mutex<State>,
    alarm: Alarm,
}

#[derive(Default)]
struct State {
    /// Whoever holds a round keeps it alive; one that nobody holds is over.
    rounds: Vec<Weak<dyn Round>>,
    /// The thread, and what it ends with.
    running: Option<(ThreadId, Turn)>,
    is_closed: bool,
}

impl Rounds {
    /// None yet, and no thread.
    pub fn new() -> Result<Arc<Self>, Refused> {
        Ok(Arc::new(Self { state: Mutex::default(), alarm: Alarm::new()? }))
    }

    /// Does `round` whenever it is due, until nobody else holds it.
    ///
    /// # Errors
    ///
    /// There is no thread, or no descriptor for its end.
    pub fn add(self: &Arc<Self>, round: &Arc<impl Round + 'static>) -> io::Result<()> {
        let round: Arc<dyn Round> = Arc::clone(round) as Arc<dyn Round>;
        let mut state = self.lock();
        if state.is_closed {
            drop(state);
            round.end();
            return Ok(());
        }
        if state.running.is_none() {
            let turn = Turn::begin().map_err(io::Error::other)?;
            let rounds = Arc::clone(self);
            let thread = thread::Builder::new().name("vault-watch".into()).stack_size(512 << 10);
            // The thread looks for its rounds once this lock is free.
            let started = thread.spawn(move || rounds.run())?;
            state.running = Some((started.thread().id(), turn));
        }
        state.rounds.push(Arc::downgrade(&round));
        drop(state);
        self.ring();
        Ok(())
    }

    /// Lets the thread look again at what is due.
    pub fn ring(&self) {
        self.alarm.ring();
    }

    /// Ends every round, and waits for the end of the thread as long as `call` lasts.
    pub fn end(&self, call: &Call) {
        let (rounds, running) = {
            let mut state = self.lock();
            state.is_closed = true;
            let own = thread::current().id();
            // A round may end the client that it belongs to.
            let running = state.running.as_ref().filter(|(thread, _)| *thread != own).map(|(_, turn)| turn.clone());
            (std::mem::take(&mut state.rounds), running)
        };
        self.ring();
        rounds.iter().filter_map(Weak::upgrade).for_each(|round| round.end());
        if let Some(turn) = running {
            let _ = turn.wait(call);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock only means that a panic is under way; nothing is half-changed then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(rounds) = self.live() {
            let now = since_boot();
            let next = rounds.iter().map(|round| round.due()).min();
            if next.is_some_and(|next| next > now) {
                // The last holder of a round lets go of it here, if it is this thread.
                drop(rounds);
                if self.alarm.wait(next).is_err() {
                    // Without a way to wait nothing is done again, which their health shows.
                    self.lock().stop();
                    return;
                }
                continue;
            }
            for round in rounds.into_iter().filter(|round| round.due() <= now) {
                if self.lock().is_closed {
                    break;
                }
                // An observer of the program's may panic; the others are done all the same.
                if catch_unwind(AssertUnwindSafe(|| round.go())).is_err() {
                    round.panicked();
                }
            }
        }
    }

    /// The rounds that somebody holds; `None` where this thread is over.
    fn live(&self) -> Option<Vec<Arc<dyn Round>>> {
        let mut state = self.lock();
        state.rounds.retain(|round| round.strong_count() > 0);
        let rounds: Vec<_> = state.rounds.iter().filter_map(Weak::upgrade).collect();
        if rounds.is_empty() || state.is_closed {
            state.stop();
            return None;
        }
        Some(rounds)
    }
}

impl State {
    /// The thread is over.
    fn stop(&mut self) {
        if let Some((_, turn)) = self.running.take() {
            turn.end();
        }
    }
}
