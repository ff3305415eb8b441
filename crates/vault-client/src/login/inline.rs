//! Inline authentication: a request brings its login along, and no token is ever made.
//! [Inline authentication](https://openbao.org/docs/concepts/inline-auth/)

use super::{Login, Proof};
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{ErrorKind, Fault, What};
use crate::http::{Answer, InlineLogin, Request};
use crate::judge;
use crate::step::Step;
use crate::time::Call;

/// What a request with its login came to.
pub enum Inline<T> {
    /// What was asked for.
    Done(T),
    /// The server answered with this status, as one does that knows nothing of inline authentication, or cannot serve the
    /// role by it: an ordinary login is to be made.
    LogIn(u16),
}

/// Whether a server that does not take the login along is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insist {
    /// No: an ordinary login is made.
    No,
    /// Yes, unless it takes inline authentication and cannot serve this role by it.
    Yes,
}

/// What one such request came to.
enum Outcome<T> {
    Done(Inline<T>),
    /// The login that came along was refused.
    Refused(Fault),
    /// The request itself was.
    Failed(Fault),
}

/// The requests of one operation.
struct Exchange<'a, T> {
    endpoint: &'a Endpoint,
    login: &'a dyn Login,
    step: &'a Step,
    request: &'a Request<'a>,
    read: &'a dyn Fn(&Answer, &Request) -> Result<T, Fault>,
}

impl Endpoint {
    /// Sends `request` of `step` with `login` along and gives what `read` makes of the answer. Returns `None` where `login`
    /// cannot be sent so, or its proof would cross a network in plain text.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::login`] where that login is refused; what the request itself failed with; and
    /// [`ErrorKind::Rejected`] where the server does not take it and the caller insists.
    pub(crate) fn ask_inline<T>(
        &self,
        (login, insist): (&dyn Login, Insist),
        step: &Step,
        request: &Request,
        read: &dyn Fn(&Answer, &Request) -> Result<T, Fault>,
    ) -> Option<Result<Inline<T>, VaultError>> {
        if !self.is_private() {
            return None;
        }
        let first = login.proof()?;
        let done = Exchange { endpoint: self, login, step, request, read }.run(first);
        Some(done.and_then(|done| match done {
            Inline::LogIn(status) if insist == Insist::Yes && status != 500 => {
                let fault = Fault { status: Some(status), ..What::NotInline { status }.into() };
                Err(VaultError::new(self.at(), login.step(), fault, Effort::default()))
            }
            done => Ok(done),
        }))
    }
}

impl<T> Exchange<'_, T> {
    /// The fault of a login is tried again as that of a login is, the fault of a read as that of a read: each is a step of
    /// its own.
    fn run(&self, first: Result<Proof, Fault>) -> Result<Inline<T>, VaultError> {
        let mut first = Some(first);
        let proof = self.endpoint.step(&Step::Credential, |_| first.take().unwrap_or_else(|| self.proof()));
        let mut proof = Some(proof?);
        let mut last = None;
        loop {
            let is_login = matches!(last, Some(Outcome::Refused(_)));
            let step = if is_login { &self.login.step() } else { self.step };
            let outcome = self.endpoint.step(step, |call| {
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

    fn ask(&self, proof: &Proof, call: &Call) -> Outcome<T> {
        let Self { endpoint, step, .. } = self;
        proof.teach(endpoint.scrubber());
        let inline = match proof.path() {
            Ok(path) => InlineLogin::new(path, endpoint.auth_namespace_beside(), proof.members()),
            Err(fault) => return Outcome::Refused(fault),
        };
        let request = Request { inline: Some(&inline), ..*self.request };
        let answer = match endpoint.send(step, &request, call) {
            Ok(answer) => answer,
            Err(fault) => return Outcome::Failed(fault),
        };
        let said = answer.document().ok().and_then(|said| said.strings("errors").into_iter().next());
        let begins = |text: &str| said.as_ref().is_some_and(|said| said.starts_with(text));
        match answer.status {
            200 | 204 => match (self.read)(&answer, &request) {
                Ok(read) => Outcome::Done(Inline::Done(read)),
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
