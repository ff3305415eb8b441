//! What an answer of Vault's comes to that refuses a request.

use super::{ErrorKind, JwtClaims};

/// An answer of Vault's with another status than the request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Its error texts as one; empty without any.
    pub said: String,
    /// What it comes to.
    pub why: Why,
    /// The latest version, where another one was expected and it may be read.
    pub found: Option<u64>,
    /// What the JWT says of itself that was refused, where one was.
    pub jwt: Option<JwtClaims>,
}

/// What an answer of Vault's comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The KV mount becomes one of version 2 at this moment.
    Upgrading,
    /// The node has not caught up with what was written before, or cannot write yet.
    Behind,
    /// A rate limit.
    RateLimited,
    /// The namespace is sealed, while the server is not.
    NamespaceSealed,
    /// An administrator has locked the namespace's API.
    NamespaceLocked,
    /// The server, or a proxy before it, cannot answer now.
    NotReady,
    /// A denial with a reason, or of something else than a login.
    Denied,
    /// A login that is denied without a reason.
    Unexplained,
    /// The role needs a secret id, and none was sent.
    NoSecretId,
    /// The caller's address is not one that the role allows.
    OtherAddress,
    /// No client certificate has come to the server.
    NoCertificate,
    /// The mount cannot judge the JWT now: it does not get the keys of the issuer.
    NoKeys,
    /// The provider that a person logs in at cannot be asked now.
    NoProvider,
    /// The token is expired, revoked or another server's.
    DeadToken,
    /// The token lives, and its policies do not let it look itself up. Told of a look-up alone.
    NoLookUp,
    /// The JWT is not a service account's.
    NoServiceAccount,
    /// Nobody has configured the auth mount.
    Unconfigured,
    /// The auth mount is of another method.
    OtherMethod,
    /// There is no such namespace.
    NoNamespace,
    /// The request is longer than the server takes.
    TooLong,
    /// The storage takes no value of this size.
    TooLarge,
    /// Somebody else has written in between.
    OtherVersion,
    /// It was refused before Vault saw it, for the characters in it.
    Malformed,
    /// The request cannot be fulfilled as it is.
    Refused,
    /// The port speaks TLS, and was spoken to without.
    NeedsTls,
    /// No request of this kind is answered so by Vault.
    Unexpected,
}

impl Why {
    pub(super) fn kind(self) -> ErrorKind {
        match self {
            Self::RateLimited => ErrorKind::RateLimited,
            Self::OtherVersion => ErrorKind::Conflict,
            Self::Upgrading
            | Self::Behind
            | Self::NamespaceSealed
            | Self::NamespaceLocked
            | Self::NoKeys
            | Self::NoProvider
            | Self::NotReady => ErrorKind::NotReady,
            Self::Denied
            | Self::Unexplained
            | Self::DeadToken
            | Self::NoLookUp
            | Self::NoServiceAccount
            | Self::NoSecretId
            | Self::OtherAddress
            | Self::NoCertificate => ErrorKind::Denied,
            Self::Unconfigured
            | Self::OtherMethod
            | Self::NoNamespace
            | Self::TooLong
            | Self::TooLarge
            | Self::Malformed
            | Self::Refused => ErrorKind::Rejected,
            Self::NeedsTls | Self::Unexpected => ErrorKind::NotVault,
        }
    }
}
