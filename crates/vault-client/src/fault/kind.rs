//! What an error is about.

/// What an error is about. Who handles errors by kind needs no text of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No way to log in was found.
    NotDetected,
    /// A setting cannot be used.
    Settings,
    /// The file with the token or JWT gives no credential.
    Credential,
    /// The server cannot be reached, or gave no complete answer in time.
    Unreachable,
    /// The TLS connection failed.
    Tls,
    /// What answers is not Vault.
    NotVault,
    /// The server answers and is not ready: sealed, starting, without a leader.
    NotReady,
    /// The server denies it: a policy, a login that is refused.
    Denied,
    /// The server refuses the request as it is: a mount, a role or a namespace that is not there or not of this kind.
    Rejected,
    /// There is no such path, version or key; or it was deleted or destroyed.
    NotFound,
    /// Somebody else has written in between: the check-and-set version is another.
    Conflict,
    /// A rate limit.
    RateLimited,
    /// A value has another shape than the caller's type, or a key is missing.
    Shape,
    /// The caller's [`Cancel`](crate::Cancel) ended it.
    Cancelled,
    /// The client was closed.
    Closed,
    /// The login of a person in a browser failed.
    Oidc,
    /// A call of the operating system failed.
    System,
}
