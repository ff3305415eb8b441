//! What can go wrong: the one error of this crate, and the fault in it.

use std::fmt;
use std::io;
use std::time::Duration;

use nix::errno::Errno;

use crate::judge::TlsFault;
use crate::step::Step;
use crate::time::Seconds;

/// What an error is about. Who handles errors by kind needs no text of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No way to log in was found.
    NotDetected,
    /// A setting cannot be used.
    Settings,
    /// The file with the token or JWT gives no credential.
    Credential,
    /// The server cannot be reached, or gave no complete answer in time.
    Unreachable,
    /// The TLS connection failed.
    Tls,
    /// What answers is not Vault.
    NotVault,
    /// The server answers and is not ready: sealed, starting, without a leader.
    NotReady,
    /// The server denies it: a policy, a login that is refused.
    Denied,
    /// The server refuses the request as it is: a mount, a role or a namespace that is not there or not of this kind.
    Rejected,
    /// There is no such path, version or key; or it was deleted or destroyed.
    NotFound,
    /// Somebody else has written in between: the check-and-set version is another.
    Conflict,
    /// A rate limit.
    RateLimited,
    /// A value has another shape than the caller's type, or a key is missing.
    Shape,
    /// The caller's [`Cancel`](crate::Cancel) ended it.
    Cancelled,
    /// The client was closed.
    Closed,
    /// The login of a person in a browser failed.
    Oidc,
    /// A call of the operating system failed.
    System,
}

/// What failed, at which server, doing what, and after how much effort. Its text has no secret in it.
#[derive(Clone)]
pub struct VaultError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    at: String,
    step: Option<Step>,
    fault: Fault,
    effort: Effort,
    request_id: Option<String>,
    version: Option<u64>,
}

impl VaultError {
    pub(crate) fn new(at: &str, step: Step, fault: Fault, effort: Effort) -> Self {
        Self(Box::new(Inner { at: at.to_owned(), step: Some(step), fault, effort, request_id: None, version: None }))
    }

    /// The settings that a client cannot be made of.
    pub(crate) fn of_settings(kind: ErrorKind, faults: String) -> Self {
        Self::new("", Step::Credential, Fault::bare(kind, faults), Effort::default())
    }

    /// The client was closed before `step`.
    pub(crate) fn closed(at: &str, step: Step) -> Self {
        Self::new(at, step, Fault::bare(ErrorKind::Closed, "the client is closed"), Effort::default())
    }

    /// A credential that is not there, before anything was asked.
    pub(crate) fn of_credential(fault: Fault) -> Self {
        Self::new("", Step::Credential, fault, Effort::default())
    }

    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        self.0.fault.kind
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.fault.status
    }

    /// Whether the same call may succeed later without anybody's act.
    pub fn is_retryable(&self) -> bool {
        !matches!(self.0.fault.retry, Retry::Never | Retry::InWait)
    }

    /// The server's address, without credentials.
    pub fn at(&self) -> &str {
        &self.0.at
    }

    /// What was being done.
    pub fn step(&self) -> Option<&Step> {
        self.0.step.as_ref()
    }

    /// The last fault.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// The server's id of the request, where the answer has one: its audit log has it too.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The version that it is about: the one that was deleted or destroyed, or the one that a conflict has found.
    pub fn version(&self) -> Option<u64> {
        self.0.version
    }

    /// A conflict with the version that was found.
    pub(crate) fn found(mut self, version: u64) -> Self {
        self.0.version = Some(version);
        self.0.fault.cause = format!("{}; the latest version is {version}", self.0.fault.cause);
        self
    }

    /// What had been tried.
    pub fn effort(&self) -> Effort {
        self.0.effort
    }

    /// What was being done, with a colon, where the fault does not say it; empty where it does.
    pub fn during(&self) -> String {
        let Inner { step, fault, .. } = &*self.0;
        let Some(step) = step else { return String::new() };
        let subject = step.subject();
        // What is absent is named by its path, and what is asked first needs no name.
        let named = matches!(step, Step::Status | Step::Credential)
            || fault.kind == ErrorKind::NotFound
            || fault.cause.contains(&subject);
        if named { String::new() } else { format!("{subject}: ") }
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { at, step, fault, effort, .. } = &*self.0;
        match step {
            Some(Step::Credential) | None => write!(f, "{}{effort}", fault.cause),
            Some(_) => write!(f, "vault at {at}: {}{}{effort}", self.during(), fault.cause),
        }
    }
}

impl fmt::Debug for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultError").field("kind", &self.kind()).field("text", &self.to_string()).finish()
    }
}

impl std::error::Error for VaultError {}

/// A system call that this process may not make, as a seccomp profile has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("system call {call}: {}", .errno.desc())]
pub struct Refused {
    /// The name that a seccomp profile has for it.
    pub call: &'static str,
    /// The kernel's answer, or the profile's.
    pub errno: Errno,
}

impl Refused {
    /// What to do about it.
    pub const REMEDY: &str = "the container's seccomp profile or limits may forbid it";

    /// The refusal of `call`.
    pub fn by(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self { call, errno }
    }

    /// The refusal of `call` as an I/O error, where its answer is one that only a profile gives; any other error as it is.
    pub fn in_io<E: Into<io::Error>>(call: &'static str) -> impl Fn(E) -> io::Error {
        move |error| {
            let error = error.into();
            match error.raw_os_error().map(Errno::from_raw) {
                Some(errno @ (Errno::EPERM | Errno::EACCES | Errno::ENOSYS)) => io::Error::other(Self { call, errno }),
                _ => error,
            }
        }
    }
}

/// What Vault's answer, or its absence, comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is about.
    pub kind: ErrorKind,
    /// What happened.
    pub cause: String,
    /// What the operator can do.
    pub remedy: String,
    /// Whether trying again can help.
    pub retry: Retry,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Why the TLS connection failed, if it did. [`Fault::remedy`] is empty then.
    pub tls: Option<Box<TlsFault>>,
}

impl Fault {
    /// One that is final, and that no answer has brought.
    pub(crate) fn bare(kind: ErrorKind, cause: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), remedy: String::new(), retry: Retry::Never, status: None, tls: None }
    }
}

/// Whether trying again can help, and how that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the same question gets the same answer.
    Never,
    /// Only by somebody's act, which a wait waits for.
    InWait,
    /// Yes, after the usual pause; it is one of the tries of [`Limits::retries`](crate::Limits::retries).
    Soon,
    /// The same, after at least this pause, which the server asked for.
    After(Duration),
    /// Yes, as a rule within a second: after short pauses, at least this one, and only then as [`Retry::Soon`].
    Quick(Duration),
    /// Perhaps: the cause can be one that passes or one that stays. Tried twice more at most.
    Again,
    /// Yes, the server lives and asks for patience: after growing pauses, at least this one, until the budget ends.
    Patience(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tls {
            Some(_) => f.write_str(&self.cause),
            None => write!(f, "{}; {}", self.cause, self.remedy),
        }
    }
}

/// What had been tried when a fault became final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Tries made of the step.
    pub tries: u32,
    /// Time spent on the step.
    pub spent: Duration,
    /// Why no further try was made, where that was not the number of tries.
    pub stopped_by: Option<Stop>,
}

/// A limit that forbade a further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// [`Limits::whole`](crate::Limits::whole) cannot hold the pause that a further try needs.
    Budget {
        /// The setting.
        limit: Duration,
        /// The pause.
        pause: Duration,
    },
    /// [`Limits::wait`](crate::Limits::wait) is over.
    Wait(Duration),
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spent = Seconds(self.spent);
        match (self.stopped_by, self.tries) {
            (Some(Stop::Wait(limit)), _) => write!(f, " (waited {spent}, VAULT_WAIT is {})", Seconds(limit)),
            (Some(Stop::Budget { limit, pause }), tries) => {
                let (ies, limit, pause) = (if tries == 1 { "y" } else { "ies" }, Seconds(limit), Seconds(pause));
                write!(f, " ({tries} tr{ies} in {spent}; a pause of {pause} is beyond VAULT_STARTUP_TIMEOUT, {limit})")
            }
            (None, 0 | 1) => Ok(()),
            (None, tries) => write!(f, " ({tries} tries in {spent})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effort_says_what_stopped_it() {
        let effort = |tries, stopped_by| Effort { tries, spent: Duration::from_millis(1500), stopped_by }.to_string();
        assert_eq!(effort(1, None), "");
        assert_eq!(effort(4, None), " (4 tries in 1.5s)");
        assert_eq!(effort(9, Some(Stop::Wait(Duration::from_secs(1)))), " (waited 1.5s, VAULT_WAIT is 1s)");
        assert_eq!(
            effort(1, Some(Stop::Budget { limit: Duration::from_secs(2), pause: Duration::from_secs(5) })),
            " (1 try in 1.5s; a pause of 5s is beyond VAULT_STARTUP_TIMEOUT, 2s)"
        );
    }
}
