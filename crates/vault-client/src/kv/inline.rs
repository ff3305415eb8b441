//! Inline authentication: one request logs in and reads, and no token is ever made.
//! [Inline authentication](https://openbao.org/docs/concepts/inline-auth/)

use super::Location;
use super::read::{Version, read_request};
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{ErrorKind, Fault, What};
use crate::http::{InlineLogin, Request};
use crate::judge;
use crate::login::{Login, Proof};
use crate::step::{Step, TokenOf};
use crate::time::Call;

/// What a read with inline authentication came to.
pub enum Inline {
    /// The secret.
    Read(Box<Version>),
    /// The server answered with this status, as one does that knows nothing of inline authentication, or cannot serve the
    /// role by it: an ordinary login is to be made.
    LogIn(u16),
}

/// What one such request came to.
enum Outcome {
    Done(Inline),
    /// The login that came along was refused.
    Refused(Fault),
    /// The read was.
    Failed(Fault),
}

/// The requests of one read.
struct Exchange<'a> {
    endpoint: &'a Endpoint,
    login: &'a dyn Login,
    location: &'a Location,
    read: Step,
}

impl Endpoint {
    /// Reads a version at `location`, with the login sent along; `None` where `login` cannot be sent so, or its proof would
    /// cross a network in plain text.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::login`] where that login is refused, else as for [`Session::read`](crate::Session::read).
    pub fn read_inline(&self, login: &dyn Login, location: &Location) -> Option<Result<Inline, VaultError>> {
        if !self.is_private() {
            return None;
        }
        let first = login.proof()?;
        let Location { mount, path, version } = location.clone();
        let read = Step::Read { mount, path, version, token: TokenOf::Login };
        Some(Exchange { endpoint: self, login, location, read }.run(first))
    }

    /// The same, where an ordinary login is no way out.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::read_inline`], and [`ErrorKind::Rejected`] where the server does not serve the login so.
    pub fn read_only_inline(&self, login: &dyn Login, location: &Location) -> Option<Result<Version, VaultError>> {
        Some(self.read_inline(login, location)?.and_then(|read| match read {
            Inline::Read(version) => Ok(*version),
            Inline::LogIn(status) => {
                let fault = Fault { status: Some(status), ..What::NotInline { status }.into() };
                Err(VaultError::new(self.at(), login.step(), fault, Effort::default()))
            }
        }))
    }
}

impl Exchange<'_> {
    /// The fault of a login is tried again as that of a login is, the fault of a read as that of a read: each is a step of
    /// its own.
    fn run(&self, first: Result<Proof, Fault>) -> Result<Inline, VaultError> {
        let mut first = Some(first);
        let proof = self.endpoint.step(&Step::Credential, |_| first.take().unwrap_or_else(|| self.proof()));
        let mut proof = Some(proof?);
        let mut last = None;
        loop {
            let (step, is_login) = match &last {
                Some(Outcome::Refused(_)) => (self.login.step(), true),
                _ => (self.read.clone(), false),
            };
            let outcome = self.endpoint.step(&step, |call| {
                let outcome = match last.take() {
                    Some(outcome) => outcome,
                    None => self.ask(&proof.take().map_or_else(|| self.proof(), Ok)?, call),
                };
                match outcome {
                    Outcome::Refused(fault) if is_login => Err(fault),
                    Outcome::Failed(fault) if !is_login => Err(fault),
                    outcome => Ok(outcome),
                }
            });
            match outcome {
                Ok(Outcome::Done(done)) => return Ok(done),
                Ok(outcome) => last = Some(outcome),
                Err(error) if error.kind() == ErrorKind::Credential => {
                    return Err(VaultError::of_credential(error.fault().clone()));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn proof(&self) -> Result<Proof, Fault> {
        // It was asked before whether there is one.
        self.login.proof().unwrap_or_else(|| Err(What::NotInline { status: 0 }.into()))
    }

    fn ask(&self, proof: &Proof, call: &Call) -> Outcome {
        let (endpoint, step) = (self.endpoint, &self.read);
        proof.teach(endpoint.scrubber());
        let inline = match proof.path() {
            Ok(path) => InlineLogin::new(path, endpoint.auth_namespace_beside(), proof.members()),
            Err(fault) => return Outcome::Refused(fault),
        };
        let url = read_request(self.location);
        let request = Request { inline: Some(&inline), ..Request::get(&url) };
        let answer = match endpoint.send(step, &request, call) {
            Ok(answer) => answer,
            Err(fault) => return Outcome::Failed(fault),
        };
        let said = answer.document().ok().and_then(|said| said.strings("errors").into_iter().next());
        let begins = |text: &str| said.as_ref().is_some_and(|said| said.starts_with(text));
        match answer.status {
            200 | 204 => match endpoint.version_in(step, &request, &answer) {
                Ok(version) => Outcome::Done(Inline::Read(Box::new(version))),
                Err(fault) => Outcome::Failed(fault),
            },
            _ if answer.inline_failed || begins(judge::INLINE_FAILED) => {
                let fault = endpoint.refusal(&self.login.step(), &request, &answer);
                Outcome::Refused(self.login.explain(fault, proof))
            }
            403 if begins("1 error occurred") => Outcome::Failed(endpoint.refusal(step, &request, &answer)),
            404 | 408 | 412 | 429 | 502..=504 => Outcome::Failed(endpoint.refusal(step, &request, &answer)),
            status => Outcome::Done(Inline::LogIn(status)),
        }
    }
}
