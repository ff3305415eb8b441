//! What a client does beside its answers, as lines of the log.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use vault_client::watch::Outcome;
use vault_client::{ErrorKind, Event, Next, Observer, Seconds, Step};

use crate::process::Refused;
use crate::process::wait::Waiter;
use crate::remedy;

/// Writes what a client does to the log.
pub struct Log(pub Arc<Waiter>);

/// The same of a client that keeps secrets current: rings at each change.
pub struct WatchLog {
    /// What else happens.
    pub log: Log,
    /// Rings at each change.
    pub bell: Bell,
}

/// Rings for one thread. Its clones are one and the same.
#[derive(Clone, Debug)]
pub struct Bell(Arc<EventFd>);

impl Bell {
    /// One that does not ring.
    ///
    /// # Errors
    ///
    /// The kernel gives no descriptor.
    pub fn new() -> Result<Self, Refused> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(Arc::new(EventFd::from_flags(flags).map_err(Refused::by("eventfd2"))?)))
    }

    /// Is silent until it is rung again.
    pub fn silence(&self) {
        let _ = self.0.read();
    }

    fn ring(&self) {
        // It fails only where the counter is full, and then it is readable.
        let _ = self.0.write(1);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Observer for WatchLog {
    fn note(&self, event: &Event<'_>) {
        match event {
            Event::Watched { audit, error: None } => {
                log::info!("{audit}");
                if audit.outcome == Outcome::Changed {
                    self.bell.ring();
                }
            }
            Event::Watched { audit, error: Some(error) } => {
                let path = format!("{}/{}", audit.mount, audit.path);
                log::warn!(
                    path = path.as_str(), version = audit.from, status = error.status();
                    "{}; what was read before is kept", remedy::sentence(error)
                );
            }
            Event::Kept { act, lease } if lease.is_zero() => log::debug!("token: {} done, it has no end", act.name()),
            Event::Kept { act, lease } => log::debug!("token: {} done, it lives for {}", act.name(), Seconds(*lease)),
            Event::KeepFailed { act, step, fault } => {
                log::warn!(
                    step = step.name(), status = fault.status;
                    "token: {} failed: {}; the one in hand is used as long as it lives", act.name(), remedy::cause(fault, step)
                );
            }
            event => self.log.note(event),
        }
    }
}

impl Observer for Log {
    fn note(&self, event: &Event<'_>) {
        match event {
            Event::Done { step, elapsed } => {
                let elapsed = millis(*elapsed);
                log::debug!(step = step.name(), elapsed_ms = elapsed; "{}: done in {elapsed}ms", step.name());
            }
            Event::Retrying { step, fault, attempt, next } => {
                let (next, pause) = match next {
                    Next::Wait(total) => (format!("waiting up to {} (VAULT_WAIT)", Seconds(*total)), None),
                    Next::Try { number, of, pause } => {
                        (format!("try {number} of {of}, the next in {}", Seconds(*pause)), Some(millis(*pause)))
                    }
                    Next::Uncounted { pause } => (format!("the next try in {}", Seconds(*pause)), Some(millis(*pause))),
                };
                log::warn!(
                    step = step.name(), attempt = *attempt, status = fault.status, pause_ms = pause;
                    "{}: {}; {next}", step.name(), remedy::cause(fault, step)
                );
            }
            Event::Warning(warning) => log::warn!("{warning}"),
            Event::Tls(words) => log::debug!("TLS: {words}"),
            Event::NotRevoked(kept) => {
                log::debug!(step = Step::Revoke.name(); "revoke: the token is not revoked, {}", remedy::kept(*kept));
            }
            Event::RevokeFailed(fault, ttl) => {
                let signal = self.0.caught().filter(|_| fault.kind() == ErrorKind::Cancelled);
                let cause = signal.map_or_else(
                    || remedy::cause(fault, &Step::Revoke),
                    |signal| format!("{signal} left no time for a complete answer"),
                );
                log::warn!(
                    step = Step::Revoke.name(); "revoke: {cause}; the token stays valid for {}", Seconds(*ttl)
                );
            }
            _ => {}
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
