//! Ways to come by a token. A further one is a file here and a variant of [`Method`].

mod kubernetes;
mod token;

use std::path::PathBuf;

use super::Client;
use super::fault::Step;
use super::retry::GivenUp;
use super::token::Session;
use crate::error::Error;
use crate::secret::Secret;
use crate::text;
use token::NoCredential;
pub(crate) use token::json_is;

/// How to come by a token.
pub enum Method {
    /// One that was handed in.
    Token(TokenSource),
    /// A login with the pod's service-account JWT.
    Kubernetes(Kubernetes),
}

/// Where a token that was handed in is.
pub enum TokenSource {
    /// Here.
    Given(Secret),
    /// In this file.
    File(PathBuf),
}

/// A login with the service-account JWT of a pod.
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

impl Method {
    /// The method's name, as `VAULT_AUTH_METHOD` has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Kubernetes(_) => "kubernetes",
        }
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

impl Method {
    /// Looks at the credential without using it, and says what it is.
    ///
    /// # Errors
    ///
    /// [`Error::Credential`], as the login would.
    pub fn inspect(&self) -> Result<Inspected, Error> {
        Ok(self.look()?)
    }

    fn look(&self) -> Result<Inspected, NoCredential> {
        match self {
            Self::Token(TokenSource::Given(_)) => {
                Ok(Inspected { said: "a token is handed in".into(), ..Inspected::default() })
            }
            Self::Token(source @ TokenSource::File(path)) => {
                token::read(source)?;
                let path = text::os(path);
                Ok(Inspected { said: format!("token file {path}"), path: Some(path), ..Inspected::default() })
            }
            Self::Kubernetes(method) => kubernetes::inspect(method),
        }
    }
}

impl Client {
    /// The same as [`Method::inspect`], once the file is there, which the wait of the policy waits for.
    ///
    /// # Errors
    ///
    /// As [`Client::login`], before anything is sent.
    pub fn inspect(&self, method: &Method) -> Result<Inspected, Error> {
        self.await_credential(|| method.look())
    }

    /// Opens a session.
    ///
    /// # Errors
    ///
    /// [`Error::Credential`] where the file gives no token or JWT, before anything is sent; one that is not there yet, or
    /// empty, is waited for if the policy says so. [`Error::Vault`] where the login is refused, Vault cannot be reached or
    /// is not ready after the tries of the policy, or something else answers; [`Code`](crate::error::Code) tells them
    /// apart. [`Error::Signal`] where a signal has arrived.
    pub fn login(&self, method: &Method) -> Result<Session<'_>, Error> {
        match method {
            Method::Token(source) => Ok(Session::handed_in(self, self.await_credential(|| token::read(source))?)),
            Method::Kubernetes(kubernetes) => self.login_kubernetes(kubernetes),
        }
    }

    /// What `read` gives, as soon as its file is there.
    fn await_credential<T>(&self, read: impl Fn() -> Result<T, NoCredential>) -> Result<T, Error> {
        let mut last = None;
        let given = self.policy.run(Step::Credential, &*self.waiter, || {
            read().map_err(|none| {
                let fault = none.fault();
                last = Some(none);
                fault
            })
        });
        given.map_err(|given_up| match (given_up, last) {
            (GivenUp::Signal(signal), _) => Error::Signal(signal),
            (GivenUp::Fault(_, effort), Some(none)) => none.after(effort),
            (GivenUp::Fault(..), None) => unreachable!("a fault is noted"),
        })
    }
}
