//! The signals that end a start-up: blocked, so that they wait in a descriptor until somebody looks.
//!
//! A handler that sets a flag comes too late (reads and pauses go on after it), and for process 1 the kernel drops a
//! signal that has neither a handler nor is blocked. A blocked one is queued for process 1 as well, and every wait of
//! this program watches the descriptor beside its own, so no thread and no handler is needed.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::{Refused, sys};

const ENDING: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// The armed signals. The inherited mask comes back with [`Signals::restore`], or when this is dropped, but not once a signal
/// was taken: a further one would kill the process before it has said how it ends.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    inherited: SigSet,
    taken: AtomicBool,
}

impl Signals {
    /// Blocks TERM, INT, HUP and QUIT for this thread and those it starts. One that was inherited as ignored, or as
    /// blocked, is left alone: whoever started us meant the application to have it that way.
    ///
    /// # Errors
    ///
    /// The call that the kernel refuses. Each of them is needed: a signal that is not seen ends the process with a token
    /// in its hand.
    pub fn arm() -> Result<Self, Refused> {
        let inherited = sys::signal_mask(None).map_err(Refused::by("rt_sigprocmask"))?;
        let mut ours = SigSet::empty();
        for signal in ENDING {
            let ignored = sys::is_ignored(signal as i32).map_err(Refused::by("rt_sigaction"))?;
            if !inherited.contains(signal) && !ignored {
                ours.add(signal);
            }
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&ours, flags).map_err(Refused::by("signalfd4"))?;
        sys::signal_mask(Some(&(inherited | ours))).map_err(Refused::by("rt_sigprocmask"))?;
        Ok(Self { descriptor, inherited, taken: AtomicBool::new(false) })
    }

    /// The mask that this thread had before.
    pub fn inherited(&self) -> SigSet {
        self.inherited
    }

    /// A signal that has arrived, taken out of the queue.
    pub fn take(&self) -> Result<Option<Signal>, Refused> {
        let Some(info) = self.descriptor.read_signal().map_err(Refused::by("read"))? else { return Ok(None) };
        self.taken.store(true, Ordering::Relaxed);
        Ok(i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Signals {
    /// Gives this thread back the mask that it inherited.
    pub fn restore(&self) {
        if !self.taken.load(Ordering::Relaxed) {
            // The kernel took the same call before.
            let _ = sys::signal_mask(Some(&self.inherited));
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.restore();
    }
}
