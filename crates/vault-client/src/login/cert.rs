//! The login with the client certificate of the TLS connection.

use std::time::SystemTime;

use super::request::{self, Proof};
use super::{Inspected, Login, of_certificate};
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::Fault;
use crate::session::Session;
use crate::step::{AuthMethod, Step};
use crate::text::{shown, without_ids};

/// A login with the client certificate that [`Tls`](crate::Tls) shows.
/// [`POST auth/{mount}/login`](https://openbao.org/api-docs/auth/cert/#login-with-tls-certificate-method)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cert {
    /// Mount of the auth method.
    pub mount: String,
    /// Name of the certificate role; `None` lets the server take any that matches.
    pub role: Option<String>,
    /// Whether the login's token is revoked at the end.
    pub revoke: bool,
}

impl Cert {
    fn prove(&self) -> Proof {
        self.role.iter().fold(Proof::at(&self.mount), |proof, role| proof.with("name", role))
    }
}

impl Login for Cert {
    fn name(&self) -> &'static str {
        AuthMethod::Cert.name()
    }

    fn step(&self) -> Step {
        Step::Login { method: AuthMethod::Cert, mount: shown(&self.mount), role: self.role.as_deref().map(without_ids) }
    }

    fn look(&self) -> Result<Inspected, Fault> {
        Ok(Inspected { said: "the client certificate of the TLS connection".into(), ..Inspected::default() })
    }

    fn look_at(&self, endpoint: &Endpoint) -> Result<Inspected, VaultError> {
        let seen = endpoint.await_credential(|| self.look())?;
        Ok(match endpoint.client_certificate() {
            Some(leaf) => of_certificate::inspected(seen, &leaf, SystemTime::now()),
            None => seen,
        })
    }

    fn can_come_along(&self) -> bool {
        true
    }

    fn proof(&self) -> Option<Result<Proof, Fault>> {
        Some(Ok(self.prove()))
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        request::log_in((self, self.revoke), endpoint, self.prove(), &|| Ok(self.prove()))
    }
}
