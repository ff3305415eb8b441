//! What a client does beside its answers, as lines of the log.

use std::sync::Arc;
use std::time::Duration;

use vault_client::{ErrorKind, Event, Next, Observer, Seconds, Step};

use crate::process::wait::Waiter;
use crate::remedy;

/// Writes what a client does to the log.
pub struct Log(pub Arc<Waiter>);

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
