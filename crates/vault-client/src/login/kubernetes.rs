//! The login with a pod's service-account JWT.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::request::{self, Proof};
use super::{Credential, Inspected, Login, of_jwt};
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{Fault, Retry, Wanted, What};
use crate::secret::Secret;
use crate::session::Session;
use crate::step::{AuthMethod, Step};
use crate::text::{shown, without_ids};

/// A login with the service-account JWT of a pod.
/// [`POST auth/{mount}/login`](https://openbao.org/api-docs/auth/kubernetes/#login)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// Mount of the auth method.
    pub mount: String,
    /// Role to log in with.
    pub role: String,
    /// The JWT file, read anew at each try, because the kubelet rotates it.
    pub jwt: PathBuf,
    /// Whether the login's token is revoked at the end.
    pub revoke: bool,
}

impl Kubernetes {
    fn jwt(&self) -> Credential {
        Credential::file(&self.jwt)
    }

    fn prove(&self, jwt: Arc<Secret>) -> Proof {
        Proof::at(&self.mount).with("role", &self.role).with_secret("jwt", jwt)
    }
}

impl Login for Kubernetes {
    fn name(&self) -> &'static str {
        AuthMethod::Kubernetes.name()
    }

    fn step(&self) -> Step {
        let (mount, role) = (shown(&self.mount), Some(without_ids(&self.role)));
        Step::Login { method: AuthMethod::Kubernetes, mount, role }
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.jwt)
    }

    fn look(&self) -> Result<Inspected, Fault> {
        self.jwt().look(Wanted::PodJwt).map(|(seen, jwt)| of_jwt::inspected(seen, jwt.expose()))
    }

    fn can_come_along(&self) -> bool {
        true
    }

    fn proof(&self) -> Option<Result<Proof, Fault>> {
        Some(self.jwt().read(Wanted::PodJwt).map(|jwt| self.prove(jwt)))
    }

    fn explain(&self, fault: Fault, proof: &Proof) -> Fault {
        let mut fault = of_jwt::explained(fault, proof);
        let What::Answered(answered) = &fault.what else { return fault };
        // A refusal without a reason is final for a JWT that no server in its right mind takes.
        if fault.retry == Retry::Again && answered.jwt.as_ref().is_some_and(|jwt| !jwt.is_plausible()) {
            fault.retry = Retry::Never;
        }
        fault
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        let jwt = self.jwt();
        let first = self.prove(jwt.obtain(Wanted::PodJwt, endpoint)?);
        let again = || jwt.obtain_again(Wanted::PodJwt).map(|jwt| self.prove(jwt));
        request::log_in((self, self.revoke), endpoint, first, &again)
    }
}
