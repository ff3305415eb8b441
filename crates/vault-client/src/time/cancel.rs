//! What ends calls from outside: something to poll beside a socket, which remembers when it fired.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::refused::Refused;

/// A source of cancellation that is not a call of [`Cancel::cancel`]: a program's signals are one.
pub trait Trigger: fmt::Debug + Send + Sync {
    /// The descriptor that becomes readable when it fires; `None` where there is nothing to wait for.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Whether it has fired. Once it has, it stays so.
    ///
    /// # Errors
    ///
    /// The call that the kernel refuses.
    fn has_fired(&self) -> Result<bool, Refused>;
}

/// Ends calls that are under way, from another thread. Its clones are one and the same.
///
/// # Examples
///
/// ```
/// use vault_client::Cancel;
///
/// let cancel = Cancel::new()?;
/// assert_eq!(cancel.fired()?, None);
/// cancel.clone().cancel();
/// assert!(cancel.fired()?.is_some());
/// # Ok::<(), vault_client::Refused>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cancel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    fired: OnceLock<Instant>,
}

#[derive(Debug)]
enum Source {
    Never,
    Event(EventFd),
    Pulled(Arc<dyn Trigger>),
}

impl Cancel {
    /// One that [`Cancel::cancel`] fires.
    ///
    /// # Errors
    ///
    /// The kernel gives no descriptor.
    pub fn new() -> Result<Self, Refused> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self::of(Source::Event(EventFd::from_flags(flags).map_err(Refused::by("eventfd2"))?)))
    }

    /// One that never fires.
    pub fn never() -> Self {
        Self::of(Source::Never)
    }

    /// One that fires when `trigger` does.
    pub fn by(trigger: Arc<dyn Trigger>) -> Self {
        Self::of(Source::Pulled(trigger))
    }

    fn of(source: Source) -> Self {
        Self(Arc::new(Inner { source, fired: OnceLock::new() }))
    }

    /// Ends every call that waits with it. Has no effect on one that [`never`](Self::never) fires, and on one that
    /// something [else](Self::by) fires.
    pub fn cancel(&self) {
        if let Source::Event(event) = &self.0.source {
            self.0.fired.get_or_init(Instant::now);
            // It fails only where the counter is full, and then it is readable.
            let _ = event.write(1);
        }
    }

    /// When it was first seen to have fired; `None` as long as it has not.
    ///
    /// # Errors
    ///
    /// The call that the kernel refuses.
    pub fn fired(&self) -> Result<Option<Instant>, Refused> {
        if let (None, Source::Pulled(trigger)) = (self.0.fired.get(), &self.0.source)
            && trigger.has_fired()?
        {
            self.0.fired.get_or_init(Instant::now);
        }
        Ok(self.0.fired.get().copied())
    }

    /// What to poll for it; `None` where it never fires.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.0.source {
            Source::Never => None,
            Source::Event(event) => Some(event.as_fd()),
            Source::Pulled(trigger) => trigger.descriptor(),
        }
    }
}
