//! The login with a role id and a secret id.

use std::path::Path;
use std::sync::Arc;

use super::request::{self, Proof};
use super::{Credential, Inspected, Login, Origin};
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{ErrorKind, Fault, Wanted};
use crate::secret::Secret;
use crate::session::Session;
use crate::step::{AuthMethod, Step};
use crate::text::shown;

/// The member of the request with the secret id.
const SECRET_ID: &str = "secret_id";

/// A login with a role id and, as a rule, a secret id.
/// [`POST auth/{mount}/login`](https://openbao.org/api-docs/auth/approle/#login-with-approle)
///
/// A login that was refused is not tried again with the same secret id: a few wrong ones lock every client of the role out.
/// [User lockout](https://openbao.org/docs/concepts/user-lockout/)
#[derive(Debug)]
pub struct AppRole {
    /// Mount of the auth method.
    pub mount: String,
    /// The id of the role, which is not its name.
    pub role_id: Secret,
    /// The secret id; `None` for a role that needs none (`bind_secret_id=false`).
    pub secret_id: Option<Credential>,
    /// Whether the login's token is revoked at the end.
    pub revoke: bool,
}

impl AppRole {
    fn prove(&self, secret_id: Option<Arc<Secret>>) -> Proof {
        let role_id = Arc::new(Secret::new(self.role_id.expose()));
        let proof = Proof::at(&self.mount).with_secret("role_id", role_id);
        secret_id.into_iter().fold(proof, |proof, secret_id| proof.with_secret(SECRET_ID, secret_id))
    }
}

impl Login for AppRole {
    fn name(&self) -> &'static str {
        AuthMethod::AppRole.name()
    }

    fn step(&self) -> Step {
        Step::Login { method: AuthMethod::AppRole, mount: shown(&self.mount), role: None }
    }

    fn origin(&self) -> Origin {
        Origin::LoginOnce
    }

    fn file(&self) -> Option<&Path> {
        self.secret_id.as_ref()?.path()
    }

    fn look(&self) -> Result<Inspected, Fault> {
        match &self.secret_id {
            Some(secret_id) => secret_id.look(Wanted::SecretId).map(|(seen, _)| seen),
            None => Ok(Inspected { said: "a role id, without a secret id".into(), ..Inspected::default() }),
        }
    }

    fn look_at(&self, endpoint: &Endpoint) -> Result<Inspected, VaultError> {
        endpoint.scrubber().learn(self.role_id.expose());
        match &self.secret_id {
            Some(secret_id) => secret_id.inspect(Wanted::SecretId, endpoint, || self.look()),
            None => endpoint.await_credential(|| self.look()),
        }
    }

    fn left_to_the_run(&self, _: &Endpoint) -> Option<&'static str> {
        self.secret_id.as_ref()?.left_to_the_run()
    }

    fn can_come_along(&self) -> bool {
        !self.secret_id.as_ref().is_some_and(Credential::is_wrapped)
    }

    fn proof(&self) -> Option<Result<Proof, Fault>> {
        if !self.can_come_along() {
            return None;
        }
        let secret_id = self.secret_id.as_ref().map(|it| it.read(Wanted::SecretId)).transpose();
        Some(secret_id.map(|it| self.prove(it)))
    }

    fn refusal(&self, proof: &Proof) -> Option<VaultError> {
        self.secret_id.as_ref()?.refusal(proof.member(SECRET_ID)?)
    }

    fn note_refusal(&self, proof: &Proof, why: &VaultError) {
        if let (Some(credential), Some(text)) = (&self.secret_id, proof.member(SECRET_ID)) {
            credential.note_refusal(text, why);
        }
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        // Before it is sent, too: a server can know it.
        endpoint.scrubber().learn(self.role_id.expose());
        let secret_id = self.secret_id.as_ref();
        let first = secret_id.map(|it| it.obtain(Wanted::SecretId, endpoint)).transpose()?;
        let tried = secret_id.zip(first.clone());
        // A file that is written anew can hold the same one.
        if let Some(refused) = tried.as_ref().and_then(|(credential, text)| credential.refusal(text)) {
            return Err(refused);
        }
        let again = || {
            let secret_id = secret_id.map(|it| it.obtain_again(Wanted::SecretId)).transpose()?;
            Ok(self.prove(secret_id))
        };
        let made = request::log_in((self, self.revoke), endpoint, self.prove(first), &again);
        if let (Some((credential, text)), Err(error)) = (tried, &made)
            && error.kind() == ErrorKind::Denied
        {
            credential.note_refusal(&text, error);
        }
        made
    }
}
