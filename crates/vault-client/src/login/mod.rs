//! Ways to come by a token: one that is handed in, or a login. A further one is a file here, which implements [`Login`].

mod approle;
mod cert;
mod credential;
mod given;
mod inline;
mod jwt;
mod kubernetes;
mod none;
mod of_certificate;
mod of_jwt;
mod oidc;
mod request;
mod wrapping;

use std::fmt;
use std::path::Path;

use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::Fault;
use crate::session::Session;
use crate::step::Step;
pub use approle::AppRole;
pub use cert::Cert;
pub use credential::{Credential, is_in_three_parts, is_jwt, json_is};
pub use given::Token;
pub use inline::{Inline, Insist};
pub use jwt::Jwt;
pub use kubernetes::Kubernetes;
pub use none::NoLogin;
pub use oidc::{CachedLogin, Listen, LoggedOut, LoggedOutAll, Oidc, cache_folder, log_out_all};
pub use request::Proof;

/// A way to come by a token.
///
/// It is a trait and no enum: a program links only the ways that it builds.
pub trait Login: fmt::Debug + Send + Sync {
    /// The method's name.
    fn name(&self) -> &'static str;

    /// What a login is called in errors.
    fn step(&self) -> Step {
        Step::Credential
    }

    /// How its tokens are come by again; decides what keeps them alive.
    fn origin(&self) -> Origin {
        Origin::Login
    }

    /// The file that the credential is read from, where there is one: a login that was refused is tried again when it
    /// has changed.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// Looks at the credential without using it, and says what it is.
    ///
    /// # Errors
    ///
    /// The file gives none.
    fn look(&self) -> Result<Inspected, Fault>;

    /// The same, with what the server says of the credential where it can be asked without using the credential up. The
    /// file of the credential is waited for as the limits say.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::login`], before a login is sent.
    fn look_at(&self, endpoint: &Endpoint) -> Result<Inspected, VaultError> {
        endpoint.await_credential(|| self.look())
    }

    /// Why a dry run does not log in at `endpoint`; `None` where it does.
    fn left_to_the_run(&self, endpoint: &Endpoint) -> Option<&'static str> {
        let _ = endpoint;
        None
    }

    /// Whether the login can be sent along with a read.
    /// [Inline authentication](https://openbao.org/docs/concepts/inline-auth/)
    fn can_come_along(&self) -> bool {
        false
    }

    /// What the login proves who it is with, where that can be sent along with a read.
    fn proof(&self) -> Option<Result<Proof, Fault>> {
        None
    }

    /// Why `proof` is not to be sent along: it was refused before.
    fn refusal(&self, proof: &Proof) -> Option<VaultError> {
        let _ = proof;
        None
    }

    /// Takes note that `proof` came along and was refused.
    fn note_refusal(&self, proof: &Proof, why: &VaultError) {
        let _ = (proof, why);
    }

    /// Adds to the fault of a login what is known of its `proof`.
    fn explain(&self, fault: Fault, proof: &Proof) -> Fault {
        let _ = proof;
        fault
    }

    /// Opens a session at `endpoint`.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::login`].
    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError>;

    /// Takes note that the token of `session` is dead, as its look-up says: one that was stored is used no more.
    fn lost(&self, session: &Session) {
        let _ = session;
    }
}

impl dyn Login {
    /// Looks at the credential without using it, and says what it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credential`](crate::ErrorKind::Credential), as the login would.
    pub fn inspect(&self) -> Result<Inspected, VaultError> {
        self.look().map_err(VaultError::of_credential)
    }
}

/// Where tokens come from. It decides what can be done when one ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A login that may be tried again after a refusal, for example with the JWT of a Kubernetes pod.
    Login,
    /// A login whose credential is not tried again after a refusal, for example `AppRole`.
    LoginOnce,
    /// A login that needs a person. The plan never asks for it; a caller may.
    Browser,
    /// A file with a token. A login is a new read of the file.
    TokenFile,
    /// A token handed in. It cannot be replaced.
    Token,
}

impl Origin {
    /// Whether a login makes its tokens. The others were made elsewhere, and may be renewed there.
    pub fn is_login(self) -> bool {
        !matches!(self, Self::Token | Self::TokenFile)
    }
}

/// What a credential is, without what makes it one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// All of it in words.
    pub said: String,
    /// The file that it is in, escaped.
    pub path: Option<String>,
    /// Whom a JWT is for, unverified.
    pub audience: Option<Vec<String>>,
    /// Who it says its bearer is, unverified.
    pub subject: Option<String>,
    /// In how many seconds it expires by the clock here, below zero once it has; `None` where it never does.
    pub expires_in: Option<i64>,
}

impl Endpoint {
    /// Looks at the credential of `login` without using it, once its file is there, which the wait waits for.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::login`], before anything is sent.
    pub fn inspect(&self, login: &dyn Login) -> Result<Inspected, VaultError> {
        login.look_at(self)
    }

    /// Opens a session.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credential`](crate::ErrorKind::Credential) where the file gives no token or JWT, before anything is sent;
    /// one that is not there yet, or empty, is waited for if the limits say so. Another kind where the login is refused,
    /// the server cannot be reached or is not ready after the tries of the limits, or something else answers.
    pub fn login(&self, login: &dyn Login) -> Result<Session, VaultError> {
        login.log_in(self)
    }

    /// What `read` gives, as soon as its file is there.
    fn await_credential<T>(&self, read: impl Fn() -> Result<T, Fault>) -> Result<T, VaultError> {
        self.step(&Step::Credential, |_| read())
    }
}
