//! Every wait of the program: for a descriptor, or for time to pass; each ends at a deadline and at a signal.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::Refused;
use super::signal::Signals;

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This signal arrived.
    Signal(Signal),
    /// The deadline passed.
    Deadline,
    /// There is no waiting: the kernel refuses this call.
    Refused(Refused),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => write!(f, "{signal} arrived"),
            Self::Deadline => f.write_str("the time limit passed"),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl std::error::Error for Ended {}

/// Waits, with the signals armed in the program and without any in a library's caller.
#[derive(Debug)]
pub struct Waiter {
    signals: Mutex<Option<Signals>>,
    rules: Mutex<Rules>,
}

#[derive(Debug)]
struct Rules {
    deadline: Instant,
    grace: Duration,
    caught: Option<(Signal, Instant)>,
}

impl Waiter {
    /// One that watches `signals` beside everything else.
    pub fn new(signals: Option<Signals>) -> Self {
        let rules = Rules { deadline: Instant::now(), grace: Duration::ZERO, caught: None };
        Self { signals: Mutex::new(signals), rules: Mutex::new(rules) }
    }

    /// Sets when every wait from now on ends: at `deadline`, and no later than `grace` after a signal.
    pub fn expect(&self, deadline: Instant, grace: Duration) {
        let mut rules = lock(&self.rules);
        rules.deadline = deadline;
        rules.grace = grace;
    }

    /// The signal that has arrived, if one has.
    pub fn caught(&self) -> Option<Signal> {
        self.look().ok().flatten()
    }

    fn look(&self) -> Result<Option<Signal>, Refused> {
        let mut rules = lock(&self.rules);
        if rules.caught.is_none() {
            let signal = lock(&self.signals).as_ref().map_or(Ok(None), Signals::take)?;
            rules.caught = signal.map(|signal| (signal, Instant::now()));
        }
        Ok(rules.caught.map(|(signal, _)| signal))
    }

    /// Gives the signals back to their inherited state, or returns the one that has arrived by now.
    pub fn disarm(&self) -> Result<(), Signal> {
        if let Some(signal) = self.caught() {
            return Err(signal);
        }
        drop(lock(&self.signals).take());
        Ok(())
    }

    /// Waits until `until`.
    pub fn pause(&self, until: Instant) -> Result<(), Ended> {
        self.ready(&[], Some(until)).map(drop)
    }

    /// Waits until one of `descriptors` is ready and returns its index; none when `until` comes first.
    pub fn ready(&self, descriptors: &[PollFd<'_>], until: Option<Instant>) -> Result<Option<usize>, Ended> {
        loop {
            let deadline = self.alive()?;
            let next = until.map_or(deadline, |until| until.min(deadline));
            if let Some(index) = self.poll(descriptors, next)? {
                return Ok(Some(index));
            }
            let now = Instant::now();
            if now < deadline && until.is_some_and(|until| now >= until) {
                return Ok(None);
            }
        }
    }

    /// The deadline in force, which a signal brings nearer; an error once it has passed. Whoever may go on without ever
    /// waiting, because a peer never stops sending, asks this in between.
    pub fn alive(&self) -> Result<Instant, Ended> {
        let signal = self.look().map_err(Ended::Refused)?;
        let rules = lock(&self.rules);
        let deadline = rules.caught.map_or(rules.deadline, |(_, at)| rules.deadline.min(at + rules.grace));
        if Instant::now() < deadline { Ok(deadline) } else { Err(signal.map_or(Ended::Deadline, Ended::Signal)) }
    }

    /// One poll of `descriptors` and the signals until `next`; the index of the first that is ready.
    fn poll(&self, descriptors: &[PollFd<'_>], next: Instant) -> Result<Option<usize>, Ended> {
        // One that has been caught is not looked out for again.
        let watch_signals = lock(&self.rules).caught.is_none();
        // Rounded up, else the last millisecond is spent spinning.
        let timeout = next.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
        let signals = lock(&self.signals);
        let mut all = descriptors.to_vec();
        all.extend(signals.as_ref().filter(|_| watch_signals).map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        match poll(&mut all, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)) {
            Ok(_) => Ok(all.iter().take(descriptors.len()).position(|fd| fd.any().unwrap_or(true))),
            // From a process that was stopped and goes on; the caller's loop waits for the rest.
            Err(Errno::EINTR) => Ok(None),
            // The C library takes the one that the architecture has.
            Err(errno) => Err(Ended::Refused(Refused { call: "poll or ppoll", errno })),
        }
    }
}

/// A poisoned lock only means that a panic is under way; nothing here is half-changed then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::libc;
    use nix::sys::pthread::{pthread_kill, pthread_self};

    use super::super::sys;
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// A waiter with SIGTERM waiting in its queue: directed at this thread, so that tests stay independent.
    fn after_a_signal(grace: Duration) -> Waiter {
        // Whoever runs the tests may have it ignored, and then it is left alone.
        sys::set(libc::SIGTERM, libc::SIG_DFL).unwrap();
        let waiter = Waiter::new(Some(Signals::arm().unwrap()));
        waiter.expect(Instant::now() + LONG, grace);
        pthread_kill(pthread_self(), Signal::SIGTERM).unwrap();
        waiter
    }

    #[test]
    fn a_signal_ends_a_pause_at_once() {
        let waiter = after_a_signal(Duration::ZERO);
        assert_eq!(waiter.pause(Instant::now() + LONG), Err(Ended::Signal(Signal::SIGTERM)));
        assert_eq!(waiter.disarm(), Err(Signal::SIGTERM));
    }

    #[test]
    fn within_its_grace_a_wait_goes_on_and_then_ends() {
        let start = Instant::now();
        let waiter = after_a_signal(Duration::from_millis(30));
        assert_eq!(waiter.pause(start + LONG), Err(Ended::Signal(Signal::SIGTERM)));
        assert!((Duration::from_millis(30)..LONG).contains(&start.elapsed()));
    }

    #[test]
    fn what_is_ready_within_the_grace_is_had() {
        let waiter = after_a_signal(LONG);
        assert_eq!(waiter.pause(Instant::now() + Duration::from_millis(5)), Ok(()));
        assert_eq!(waiter.caught(), Some(Signal::SIGTERM));
    }

    #[test]
    fn the_deadline_ends_a_wait_for_a_silent_descriptor() {
        let (silent, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let waiter = Waiter::new(None);
        waiter.expect(Instant::now() + Duration::from_millis(5), Duration::ZERO);
        let readable = || PollFd::new(silent.as_fd(), PollFlags::POLLIN);
        assert_eq!(waiter.ready(&[readable()], None), Err(Ended::Deadline));

        waiter.expect(Instant::now() + LONG, Duration::ZERO);
        assert_eq!(waiter.ready(&[readable()], Some(Instant::now())), Ok(None));
        peer.write_all(b"x").unwrap();
        assert_eq!(waiter.ready(&[readable()], None), Ok(Some(0)));
    }
}
