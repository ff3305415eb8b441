//! The one error of this crate, and the effort that was made before.

use std::fmt;
use std::time::Duration;

use crate::fault::{ErrorKind, Fault, Retry, SettingFaults, What, Why};
use crate::step::Step;
use crate::time::Seconds;

/// What failed, at which server, doing what, and after how much effort. Its text has no secret in it.
#[derive(Clone)]
pub struct VaultError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    at: String,
    asked_in: AskedIn,
    step: Option<Step>,
    fault: Fault,
    effort: Effort,
}

/// The namespace that was asked in.
#[derive(Clone, Default)]
pub(crate) struct AskedIn {
    /// Its name; `None` where it is the root namespace, or no request names one.
    pub namespace: Option<String>,
    /// Whether it is that of the login alone, other than that of the secrets.
    pub of_login: bool,
    /// The login's, where it is another and `namespace` is that of a secret; `root` for the root namespace.
    pub login_in: Option<String>,
}

impl VaultError {
    pub(crate) fn new(at: &str, step: Step, fault: Fault, effort: Effort) -> Self {
        let (asked_in, step) = (AskedIn::default(), Some(step));
        Self(Box::new(Inner { at: at.to_owned(), asked_in, step, fault, effort }))
    }

    /// The settings that a client cannot be made of.
    pub(crate) fn of_settings(faults: SettingFaults) -> Self {
        Self::new("", Step::Credential, What::Settings(faults).into(), Effort::default())
    }

    /// The client was closed before.
    pub(crate) fn closed() -> Self {
        Self::new("", Step::Credential, What::Closed.into(), Effort::default())
    }

    /// The same, asked in this namespace.
    pub(crate) fn asked_in(mut self, asked_in: AskedIn) -> Self {
        self.0.asked_in = asked_in;
        self
    }

    /// A credential that is not there, before anything was asked.
    pub(crate) fn of_credential(fault: Fault) -> Self {
        Self::new("", Step::Credential, fault, Effort::default())
    }

    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        self.0.fault.kind()
    }

    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.fault.status
    }

    /// Whether the same call may succeed later without anybody's act.
    pub fn is_retryable(&self) -> bool {
        // What may stay as it is was tried often enough.
        !matches!(self.0.fault.retry, Retry::Never | Retry::InWait | Retry::Again)
    }

    /// The server's address, without credentials.
    pub fn at(&self) -> &str {
        &self.0.at
    }

    /// The namespace that was asked in; `None` where that is the root namespace, or no request names one.
    pub fn namespace(&self) -> Option<&str> {
        self.0.asked_in.namespace.as_deref()
    }

    /// The namespace that the login was made in, where it is another than that of the secret that was asked for; `root` for
    /// the root namespace.
    pub fn login_in(&self) -> Option<&str> {
        self.0.asked_in.login_in.as_deref()
    }

    /// Whether that is a namespace of the login alone, other than that of the secrets.
    pub fn is_in_auth_namespace(&self) -> bool {
        self.0.asked_in.of_login
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
        self.0.fault.request_id.as_deref()
    }

    /// The version that it is about: the one that was deleted or destroyed, or the one that a conflict has found.
    pub fn version(&self) -> Option<u64> {
        self.0.fault.what.version()
    }

    /// The same denial, where the token's look-up says that the token is dead.
    pub(crate) fn of_a_dead_token(mut self) -> Self {
        if let What::Answered(answered) = &mut self.0.fault.what {
            answered.why = Why::DeadToken;
        }
        self
    }

    /// A conflict with the version that was found.
    pub(crate) fn found(mut self, version: u64) -> Self {
        if let What::Answered(answered) = &mut self.0.fault.what {
            answered.found = Some(version);
        }
        self
    }

    /// What had been tried.
    pub fn effort(&self) -> Effort {
        self.0.effort
    }

    /// Where it failed, and doing what: the text before [`Fault::told`]. Empty where no server was asked.
    pub fn subject(&self) -> String {
        let Inner { at, step, fault, .. } = &*self.0;
        let is_placed = fault.kind() == ErrorKind::NotFound || matches!(fault.what, What::NoMount { .. });
        // It names the wrapping token itself.
        let is_named = matches!(fault.what, What::SpentWrapping | What::OtherWrapping { .. });
        match step {
            None | Some(Step::Credential) => String::new(),
            // What is absent is named by its place, and what is asked first needs no name.
            Some(step) if *step == Step::Status || is_placed || is_named || fault.what.verb().is_some() => {
                format!("vault at {at}: ")
            }
            Some(step) => format!("vault at {at}: {}: ", step.subject()),
        }
    }
}

/// Subject, cause and effort.
impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { step, fault, effort, .. } = &*self.0;
        f.write_str(&self.subject())?;
        match step {
            Some(step) => f.write_str(&fault.told(step))?,
            None => fault.fmt(f)?,
        }
        effort.fmt(f)
    }
}

impl fmt::Debug for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultError").field("kind", &self.kind()).field("text", &self.to_string()).finish()
    }
}

impl std::error::Error for VaultError {}

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
            (Some(Stop::Wait(limit)), _) => write!(f, " (waited {spent} of {})", Seconds(limit)),
            (Some(Stop::Budget { limit, pause }), tries) => {
                let (ies, limit, pause) = (if tries == 1 { "y" } else { "ies" }, Seconds(limit), Seconds(pause));
                write!(f, " ({tries} tr{ies} in {spent}; a pause of {pause} is beyond the limit of {limit})")
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
        assert_eq!(effort(9, Some(Stop::Wait(Duration::from_secs(2)))), " (waited 1.5s of 2s)");
        assert_eq!(
            effort(1, Some(Stop::Budget { limit: Duration::from_secs(2), pause: Duration::from_secs(5) })),
            " (1 try in 1.5s; a pause of 5s is beyond the limit of 2s)"
        );
    }
}
