//! Why a file gives no token or JWT.

use std::fmt;

use crate::credential::Unreadable;

/// A file that gives no credential. Nothing of its content is quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCredential {
    /// What it should hold.
    pub wanted: Wanted,
    /// Its path, as it may be shown.
    pub path: String,
    /// Whether the path looks like a credential itself.
    pub misplaced: bool,
    /// Why it gives none.
    pub why: Unusable,
}

/// What a file should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A token.
    Token,
    /// The JWT of a pod's service account.
    PodJwt,
    /// A JWT of another issuer.
    Jwt,
    /// A secret id.
    SecretId,
}

impl Wanted {
    /// The word for it in messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::PodJwt | Self::Jwt => "JWT",
            Self::SecretId => "secret id",
        }
    }
}

/// Why a file is no credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nor is the target of a link, as in a volume of Kubernetes.
    #[error("not found")]
    Missing,
    /// There is nothing in it.
    #[error("empty")]
    Empty,
    /// Its mode forbids it.
    #[error("no permission to read it")]
    Forbidden,
    /// It holds JSON.
    #[error("{0}")]
    Json(Document),
    /// It holds something else than a JWT.
    #[error("not a JWT")]
    NoJwt,
    /// It holds a JWT, where a wrapping token is wanted.
    #[error("holds a JWT, which is no wrapping token")]
    NotWrapped,
    /// Another cause.
    #[error("{0}")]
    Other(String),
}

/// What a JSON document in the place of a token is, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Document {
    /// The answer with a wrapped token, or what an agent writes of it.
    #[error("holds a wrapped token in JSON")]
    Wrapped,
    /// What an agent writes with `dh_type`.
    #[error("holds a token that an agent has encrypted")]
    Encrypted,
    /// The answer to a login.
    #[error("holds the answer to a login in JSON")]
    Login,
    /// A `TokenRequest`, or another object of Kubernetes.
    #[error("holds an object of Kubernetes in JSON")]
    Kubernetes,
    /// Anything else.
    #[error("holds JSON and no token")]
    Unknown,
}

impl fmt::Display for NoCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} file {}: {}", self.wanted.words(), self.path, self.why)
    }
}

impl From<Unreadable> for Unusable {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NotFound => Self::Missing,
            Unreadable::NoPermission => Self::Forbidden,
            other => Self::Other(other.to_string()),
        }
    }
}
