//! What several threads wait for that one of them does.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags};
use nix::unistd::pipe2;

use super::{Call, Ended};
use crate::refused::Refused;

/// Something under way in one thread, for which others wait. Its clones are one and the same.
///
/// It is a pipe, whose end is the end of the turn: a close cannot be refused, as a write to an event could be.
#[derive(Clone, Debug)]
pub struct Turn(Arc<Pipe>);

#[derive(Debug)]
struct Pipe {
    waited_for: OwnedFd,
    /// `None` once the turn has ended.
    held: Mutex<Option<OwnedFd>>,
}

impl Turn {
    /// One that has begun.
    pub fn begin() -> Result<Self, Refused> {
        let (waited_for, held) = pipe2(OFlag::O_CLOEXEC).map_err(Refused::by("pipe2"))?;
        Ok(Self(Arc::new(Pipe { waited_for, held: Mutex::new(Some(held)) })))
    }

    /// Wakes all who wait for it, now and later.
    pub fn end(&self) {
        drop(self.0.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// `call` ended before.
    pub fn wait(&self, call: &Call) -> Result<(), Ended> {
        call.ready(&[PollFd::new(self.0.waited_for.as_fd(), PollFlags::POLLIN)], None).map(drop)
    }

    /// Whether both are the same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
