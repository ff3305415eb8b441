//! Inline authentication: a request brings its login along, and no token is ever made.
//! [Inline authentication](https://openbao.org/docs/concepts/inline-auth/)

use std::borrow::Cow;
use std::time::Instant;

use super::{Login, Proof};
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{ErrorKind, Fault, What};
use crate::http::{Answer, InlineLogin, Request};
use crate::judge::{self, Judged};
use crate::observe::Event;
use crate::retry::GivenUp;
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
    /// This went wrong, with the one or the other.
    Failed(Part, Fault),
}

/// What a fault is of, and what it is tried again as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Login,
    Request,
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
    /// Whether `login` can be sent along with a read here: what it proves may not cross a network in plain text.
    pub fn takes_along(&self, login: &dyn Login) -> bool {
        self.is_private() && login.can_come_along()
    }

    /// Sends `request` of `step` with `login` along and gives what `read` makes of the answer. Returns `None` where `login`
    /// cannot be sent so, is too long for it, or would cross a network in plain text.
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
        if !self.takes_along(login) {
            return None;
        }
        let first = login.proof()?;
        if first.as_ref().is_ok_and(|proof| !InlineLogin::fits(proof.members())) {
            return None;
        }
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
        let begun = Instant::now();
        let mut first = Some(first);
        let proof = self.endpoint.step(&Step::Credential, |_| first.take().unwrap_or_else(|| self.proof()));
        let proof = proof?;
        if let Some(refused) = self.login.refusal(&proof) {
            return Err(refused);
        }
        let (mut proof, mut last) = (Some(proof), None);
        let mut sent = None;
        let (mut part, mut changes) = (Part::Request, 0);
        loop {
            let outcome = self.endpoint.part(&self.step_of(part), |call| {
                let outcome = if let Some(fault) = last.take() {
                    Outcome::Failed(part, fault)
                } else {
                    let proof = sent.insert(proof.take().map_or_else(|| self.proof(), Ok)?);
                    self.ask(proof, call)
                };
                match outcome {
                    Outcome::Failed(of, fault) if of == part => Err(fault),
                    outcome => Ok(outcome),
                }
            });
            match outcome {
                Ok(Outcome::Done(done)) => {
                    if let Inline::Done(_) = done {
                        self.endpoint.note(&Event::Done { step: self.step, elapsed: begun.elapsed() });
                    }
                    return Ok(done);
                }
                Ok(Outcome::Failed(of, fault)) => {
                    (part, last) = (of, Some(fault));
                    changes += 1;
                }
                Err(error) if error.kind() == ErrorKind::Credential => {
                    return Err(VaultError::of_credential(error.fault().clone()));
                }
                Err(error) => {
                    if let Some(proof) = sent.filter(|_| part == Part::Login && error.kind() == ErrorKind::Denied) {
                        self.login.note_refusal(&proof, &error);
                    }
                    return Err(error);
                }
            }
            // Each change begins to count anew, which a server could go on with until the budget ends.
            if changes > self.endpoint.limits().retries.saturating_add(1)
                && !self.endpoint.waits()
                && let Some(fault) = last.take()
            {
                let effort = Effort { tries: changes, spent: begun.elapsed(), stopped_by: None };
                return Err(self.endpoint.failed(&self.step_of(part), GivenUp::Fault(fault, effort)));
            }
        }
    }

    fn step_of(&self, part: Part) -> Cow<'_, Step> {
        match part {
            Part::Login => Cow::Owned(self.login.step()),
            Part::Request => Cow::Borrowed(self.step),
        }
    }

    fn proof(&self) -> Result<Proof, Fault> {
        // It was asked before whether there is one.
        self.login.proof().unwrap_or_else(|| Err(What::NotInline { status: 0 }.into()))
    }

    fn ask(&self, proof: &Proof, call: &Call) -> Outcome<T> {
        let Self { endpoint, step, .. } = self;
        let login = self.login.step();
        proof.teach(endpoint.scrubber());
        let inline = match proof.path() {
            Ok(path) => InlineLogin::new(path, endpoint.auth_namespace_beside(), proof.members()),
            Err(fault) => return Outcome::Failed(Part::Login, fault),
        };
        inline.teach(endpoint.scrubber());
        let request = Request { inline: Some(&inline), ..*self.request };
        let answer = match endpoint.send(step, &request, call) {
            Ok(answer) => answer,
            Err(fault) => return Outcome::Failed(Part::Request, fault),
        };
        match judge::of_inline(&endpoint.asked(step, &request), &answer) {
            Judged::Login => {
                let fault = endpoint.refusal(&login, &request, &answer);
                Outcome::Failed(Part::Login, self.login.explain(fault, proof))
            }
            Judged::Request if matches!(answer.status, 200 | 204) => match (self.read)(&answer, &request) {
                Ok(read) => Outcome::Done(Inline::Done(read)),
                Err(fault) => Outcome::Failed(Part::Request, fault),
            },
            Judged::Request => Outcome::Failed(Part::Request, endpoint.refusal(step, &request, &answer)),
            Judged::Neither => Outcome::Done(Inline::LogIn(answer.status)),
        }
    }
}
