//! A token that was handed in.

use std::path::Path;

use super::{Credential, Inspected, Login, Origin, wrapping};
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{Fault, Wanted};
use crate::secret::Secret;
use crate::session::Session;
use crate::step::Step;
use crate::time::since_boot;

/// A token that was handed in. It is its owner's and is not revoked, but for one that came wrapped.
#[derive(Debug)]
pub struct Token {
    /// Where it is.
    pub token: Credential,
    /// Whether one that came wrapped is revoked at the end: nobody else has it.
    pub revoke: bool,
}

impl Token {
    /// This one.
    pub fn given(token: &str) -> Self {
        Self { token: Credential::given(Secret::new(token)), revoke: true }
    }

    /// The one in this file, which is read anew when the token is dead.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self { token: Credential::file(path.as_ref()), revoke: true }
    }
}

impl Login for Token {
    fn name(&self) -> &'static str {
        "token"
    }

    fn origin(&self) -> Origin {
        if self.token.path().is_some() { Origin::TokenFile } else { Origin::Token }
    }

    fn file(&self) -> Option<&Path> {
        self.token.path()
    }

    fn look(&self) -> Result<Inspected, Fault> {
        self.token.look(Wanted::Token).map(|(seen, _)| seen)
    }

    fn look_at(&self, endpoint: &Endpoint) -> Result<Inspected, VaultError> {
        self.token.inspect(Wanted::Token, endpoint, || self.look())
    }

    fn left_to_the_run(&self, _: &Endpoint) -> Option<&'static str> {
        self.token.left_to_the_run()
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        let token = endpoint.await_credential(|| self.token.read(Wanted::Token))?;
        if !self.token.is_wrapped() {
            return Ok(Session::handed_in(endpoint, token));
        }
        let sent = since_boot();
        wrapping::open(&token, Wanted::Token, endpoint, |answer, request| {
            Session::from_answer(endpoint, &Step::Unwrap, request, answer, (sent, self.revoke))
        })
    }
}
