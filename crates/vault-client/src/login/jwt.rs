//! The login with a JWT of any issuer, such as that of a CI job.

use std::path::Path;
use std::sync::Arc;

use super::request::{self, Proof};
use super::{Credential, Inspected, Login, of_jwt};
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{Fault, Wanted};
use crate::secret::Secret;
use crate::session::Session;
use crate::step::{AuthMethod, Step};
use crate::text::{shown, without_ids};

/// A login with a JWT. [`POST auth/{mount}/login`](https://openbao.org/api-docs/auth/jwt/#jwt-login)
#[derive(Debug)]
pub struct Jwt {
    /// Mount of the auth method.
    pub mount: String,
    /// Role to log in with; `None` is the mount's default role.
    pub role: Option<String>,
    /// The JWT.
    pub jwt: Credential,
    /// Whether the login's token is revoked at the end.
    pub revoke: bool,
}

impl Jwt {
    fn prove(&self, jwt: Arc<Secret>) -> Proof {
        let proof = self.role.iter().fold(Proof::at(&self.mount), |proof, role| proof.with("role", role));
        proof.with_secret("jwt", jwt)
    }
}

impl Login for Jwt {
    fn name(&self) -> &'static str {
        AuthMethod::Jwt.name()
    }

    fn step(&self) -> Step {
        Step::Login { method: AuthMethod::Jwt, mount: shown(&self.mount), role: self.role.as_deref().map(without_ids) }
    }

    fn file(&self) -> Option<&Path> {
        self.jwt.path()
    }

    fn look(&self) -> Result<Inspected, Fault> {
        let (seen, jwt) = self.jwt.look(Wanted::Jwt)?;
        Ok(if self.jwt.is_wrapped() { seen } else { of_jwt::inspected(seen, jwt.expose()) })
    }

    fn look_at(&self, endpoint: &Endpoint) -> Result<Inspected, VaultError> {
        self.jwt.inspect(Wanted::Jwt, endpoint, || self.look())
    }

    fn left_to_the_run(&self, _: &Endpoint) -> Option<&'static str> {
        self.jwt.left_to_the_run()
    }

    fn can_come_along(&self) -> bool {
        !self.jwt.is_wrapped()
    }

    fn proof(&self) -> Option<Result<Proof, Fault>> {
        self.can_come_along().then(|| self.jwt.read(Wanted::Jwt).map(|jwt| self.prove(jwt)))
    }

    fn explain(&self, fault: Fault, proof: &Proof) -> Fault {
        of_jwt::explained(fault, proof)
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        let first = self.prove(self.jwt.obtain(Wanted::Jwt, endpoint)?);
        let again = || self.jwt.obtain_again(Wanted::Jwt).map(|jwt| self.prove(jwt));
        request::log_in((self, self.revoke), endpoint, first, &again)
    }
}
