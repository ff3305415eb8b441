//! Every wait of the client: for a descriptor, or for time to pass; each ends at a deadline and at a cancellation.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Cancel, Limit, after};
use crate::refused::Refused;

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was cancelled.
    Cancelled,
    /// The deadline passed.
    Deadline,
    /// There is no waiting: the kernel refuses this call.
    Refused(Refused),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::Deadline => f.write_str("the time limit passed"),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl std::error::Error for Ended {}

/// How long one attempt may take, and what ends it before that.
#[derive(Clone, Debug)]
pub struct Call {
    /// The end of it.
    pub until: Instant,
    /// Which limit that end is.
    pub limit: Limit,
    /// How long the limit is in all.
    pub length: Duration,
    /// How much longer it may take once it is cancelled.
    pub grace: Duration,
    /// What cancels it.
    pub cancel: Cancel,
}

impl Call {
    /// One that has until `until`, and ends at once where it is cancelled.
    pub fn until(until: Instant, cancel: Cancel) -> Self {
        let length = until.saturating_duration_since(Instant::now());
        Self { until, limit: Limit::Own, length, grace: Duration::ZERO, cancel }
    }

    /// Waits until `until`.
    ///
    /// # Errors
    ///
    /// Why the wait ended before.
    pub fn pause(&self, until: Instant) -> Result<(), Ended> {
        self.ready(&[], Some(until)).map(drop)
    }

    /// Waits until one of `descriptors` is ready and returns its index; none when `until` comes first.
    ///
    /// # Errors
    ///
    /// Why the wait ended before.
    pub fn ready(&self, descriptors: &[PollFd<'_>], until: Option<Instant>) -> Result<Option<usize>, Ended> {
        loop {
            // Looked at once: one that fires from here on has to be seen by the poll.
            let fired = self.fired()?;
            let deadline = self.deadline(fired)?;
            let next = until.map_or(deadline, |until| until.min(deadline));
            // One that has fired is not looked out for again.
            let cancel = self.cancel.descriptor().filter(|_| fired.is_none());
            if let Some(index) = poll_until(descriptors, cancel, next)? {
                return Ok(Some(index));
            }
            let now = Instant::now();
            if now < deadline && until.is_some_and(|until| now >= until) {
                return Ok(None);
            }
        }
    }

    /// The deadline in force, which a cancellation brings nearer. Whoever may go on without ever waiting, because a peer
    /// never stops sending, asks this in between.
    ///
    /// # Errors
    ///
    /// Why there is no more time.
    pub fn alive(&self) -> Result<Instant, Ended> {
        self.deadline(self.fired()?)
    }

    fn fired(&self) -> Result<Option<Instant>, Ended> {
        self.cancel.fired().map_err(Ended::Refused)
    }

    /// The deadline in force of a call that was cancelled at `fired`.
    fn deadline(&self, fired: Option<Instant>) -> Result<Instant, Ended> {
        let deadline = fired.map_or(self.until, |at| self.until.min(after(at, self.grace)));
        match fired {
            _ if Instant::now() < deadline => Ok(deadline),
            Some(_) => Err(Ended::Cancelled),
            None => Err(Ended::Deadline),
        }
    }
}

/// One poll of `descriptors` and `cancel` until `next`; the index of the first of `descriptors` that is ready.
fn poll_until(
    descriptors: &[PollFd<'_>],
    cancel: Option<BorrowedFd<'_>>,
    next: Instant,
) -> Result<Option<usize>, Ended> {
    // Rounded up, else the last millisecond is spent spinning.
    let timeout = next.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    let mut all = descriptors.to_vec();
    all.extend(cancel.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)));
    match poll(&mut all, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)) {
        Ok(_) => Ok(all.iter().take(descriptors.len()).position(|fd| fd.any().unwrap_or(true))),
        // From a process that was stopped and goes on; the caller's loop waits for the rest.
        Err(Errno::EINTR) => Ok(None),
        // The C library takes the one that the architecture has.
        Err(errno) => Err(Ended::Refused(Refused { call: "poll or ppoll", errno })),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::Trigger;
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// A call that has long, and was cancelled before it began.
    fn cancelled(grace: Duration) -> Call {
        let cancel = Cancel::new().unwrap();
        cancel.cancel();
        Call { grace, ..Call::until(Instant::now() + LONG, cancel) }
    }

    #[test]
    fn a_cancellation_ends_a_pause_at_once() {
        assert_eq!(cancelled(Duration::ZERO).pause(Instant::now() + LONG), Err(Ended::Cancelled));
    }

    #[test]
    fn a_cancellation_from_another_thread_ends_a_pause_that_has_begun() {
        let cancel = Cancel::new().unwrap();
        let call = Call::until(Instant::now() + LONG, cancel.clone());
        let waiting = std::thread::spawn(move || call.pause(Instant::now() + LONG));
        cancel.cancel();
        assert_eq!(waiting.join().unwrap(), Err(Ended::Cancelled));
    }

    /// What fires right after it was first looked at.
    #[derive(Debug)]
    struct FiresAfterALook(OwnedFd, AtomicBool);

    impl Trigger for FiresAfterALook {
        fn descriptor(&self) -> Option<BorrowedFd<'_>> {
            Some(self.0.as_fd())
        }

        fn has_fired(&self) -> Result<bool, Refused> {
            Ok(self.1.swap(true, Ordering::Relaxed))
        }
    }

    #[test]
    fn a_cancellation_between_the_look_and_the_poll_ends_a_pause_at_once() {
        let (readable, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"x").unwrap();
        let watch = FiresAfterALook(readable.into(), AtomicBool::new(false));
        let start = Instant::now();
        let limit = Duration::from_secs(20);
        let call = Call::until(start + limit, Cancel::by(Arc::new(watch)));
        assert_eq!(call.pause(start + limit), Err(Ended::Cancelled));
        assert!(start.elapsed() < limit);
    }

    #[test]
    fn within_its_grace_a_wait_goes_on_and_then_ends() {
        let start = Instant::now();
        assert_eq!(cancelled(Duration::from_millis(30)).pause(start + LONG), Err(Ended::Cancelled));
        assert!((Duration::from_millis(30)..LONG).contains(&start.elapsed()));
    }

    #[test]
    fn what_is_ready_within_the_grace_is_had() {
        assert_eq!(cancelled(LONG).pause(Instant::now() + Duration::from_millis(5)), Ok(()));
    }

    #[test]
    fn the_deadline_ends_a_wait_for_a_silent_descriptor() {
        let (silent, mut peer) = UnixStream::pair().unwrap();
        let readable = || PollFd::new(silent.as_fd(), PollFlags::POLLIN);
        let short = Call::until(Instant::now() + Duration::from_millis(5), Cancel::never());
        assert_eq!(short.ready(&[readable()], None), Err(Ended::Deadline));

        let long = Call::until(Instant::now() + LONG, Cancel::never());
        assert_eq!(long.ready(&[readable()], Some(Instant::now())), Ok(None));
        peer.write_all(b"x").unwrap();
        assert_eq!(long.ready(&[readable()], None), Ok(Some(0)));
    }
}
