//! The signals that end a start-up: blocked, so that they wait in a descriptor until somebody looks.
//!
//! A handler that sets a flag comes too late (reads and pauses go on after it), and for process 1 the kernel drops a
//! signal that has neither a handler nor is blocked. A blocked one is queued for process 1 as well, and every wait of
//! this program watches the descriptor beside its own, so no thread and no handler is needed.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::sys;

const ENDING: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// The armed signals. The inherited mask comes back when this is dropped, and before that only by [`Signals::disarm`];
/// but not once a signal was taken: a further one would kill the process before it has said how it ends.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    inherited: SigSet,
    taken: Cell<bool>,
}

impl Signals {
    /// Blocks TERM, INT, HUP and QUIT for this thread and those it starts. One that was inherited as ignored, or as
    /// blocked, is left alone: whoever started us meant the application to have it that way.
    pub fn arm() -> Result<Self, Errno> {
        let inherited = SigSet::thread_get_mask()?;
        let mut ours = SigSet::empty();
        for signal in ENDING {
            if !inherited.contains(signal) && !sys::is_ignored(signal as i32) {
                ours.add(signal);
            }
        }
        let descriptor = SignalFd::with_flags(&ours, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        ours.thread_block()?;
        Ok(Self { descriptor, inherited, taken: Cell::new(false) })
    }

    /// A signal that has arrived, taken out of the queue.
    pub fn take(&self) -> Option<Signal> {
        let info = self.descriptor.read_signal().ok().flatten()?;
        self.taken.set(true);
        i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok())
    }

    /// Gives the inherited mask back, unless a signal has arrived by now: then that one is returned.
    pub fn disarm(self) -> Result<(), Signal> {
        self.take().map_or(Ok(()), Err)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if !self.taken.get() {
            let _ = self.inherited.thread_swap_mask(SigmaskHow::SIG_SETMASK);
        }
    }
}
