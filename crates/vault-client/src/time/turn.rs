//! What several threads wait for that one of them does.

use std::os::fd::AsFd;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{Call, Ended};
use crate::refused::Refused;

/// Something under way in one thread, for which others wait. Its clones are one and the same.
#[derive(Clone, Debug)]
pub struct Turn(Arc<EventFd>);

impl Turn {
    /// One that has begun.
    pub fn begin() -> Result<Self, Refused> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(Arc::new(EventFd::from_flags(flags).map_err(Refused::by("eventfd2"))?)))
    }

    /// Wakes all who wait for it, now and later.
    pub fn end(&self) {
        // A counter of zero takes it, and nobody reads it.
        let _ = self.0.write(1);
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// `call` ended before.
    pub fn wait(&self, call: &Call) -> Result<(), Ended> {
        call.ready(&[PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], None).map(drop)
    }

    /// Whether both are the same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
