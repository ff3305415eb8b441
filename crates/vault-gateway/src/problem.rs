//! What a refusal says: a problem document. [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)

use std::borrow::Cow;

use serde::Serialize;

/// What a refusal is about. Its word ends the document's `type`: `urn:vault-gateway:not-found`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The token is missing or refused.
    Unauthorized,
    /// No rule allows it, or the caller's tenant is none of ours.
    Denied,
    /// The policies of Vault refuse this path to the tenant's token.
    UpstreamDenied,
    /// Vault refuses the tenant's login.
    UpstreamIdentity,
    /// There is no such route, secret or version.
    NotFound,
    /// The route has no such method.
    Method,
    /// The path or the query cannot be used.
    Path,
    /// The body is not what the route takes.
    Body,
    /// The body's media type is not what the route takes.
    MediaType,
    /// The head or the body is too large.
    TooLarge,
    /// The body breaks the rules of structure.
    Schema,
    /// Others wrote in between.
    Conflict,
    /// A condition of the request is not met.
    PreconditionFailed,
    /// The secret or the mount demands a condition.
    PreconditionRequired,
    /// The caller sends too much.
    RateLimited,
    /// The gateway has too much to do.
    Busy,
    /// Vault cannot be asked now.
    Unavailable,
    /// What answers is not Vault.
    UpstreamInvalid,
    /// There is no answer in time.
    Timeout,
    /// The same, after a write was sent: whether it was done is not known.
    OutcomeUnknown,
    /// A fault of the gateway.
    Internal,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Unauthorized,
        Self::Denied,
        Self::UpstreamDenied,
        Self::UpstreamIdentity,
        Self::NotFound,
        Self::Method,
        Self::Path,
        Self::Body,
        Self::MediaType,
        Self::TooLarge,
        Self::Schema,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::PreconditionRequired,
        Self::RateLimited,
        Self::Busy,
        Self::Unavailable,
        Self::UpstreamInvalid,
        Self::Timeout,
        Self::OutcomeUnknown,
        Self::Internal,
    ];

    /// Word, status and title: the one table.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Unauthorized => ("unauthorized", 401, "The token is missing or refused"),
            Self::Denied => ("denied", 403, "No rule allows it"),
            Self::UpstreamDenied => ("upstream-denied", 403, "Vault refuses this path to the tenant"),
            Self::UpstreamIdentity => ("upstream-identity", 503, "Vault refuses the tenant's login"),
            Self::NotFound => ("not-found", 404, "Nothing is there"),
            Self::Method => ("method", 405, "The route has no such method"),
            Self::Path => ("path", 400, "The path, the query or a header cannot be used"),
            Self::Body => ("body", 400, "The body cannot be used"),
            Self::MediaType => ("media-type", 415, "The media type is another one"),
            Self::TooLarge => ("too-large", 413, "The request is too large"),
            Self::Schema => ("schema", 422, "The body breaks the rules of structure"),
            Self::Conflict => ("conflict", 409, "Others wrote in between"),
            Self::PreconditionFailed => ("precondition-failed", 412, "The condition is not met"),
            Self::PreconditionRequired => ("precondition-required", 428, "A condition is required"),
            Self::RateLimited => ("rate-limited", 429, "Too many requests of this caller"),
            Self::Busy => ("busy", 503, "The gateway has too much to do"),
            Self::Unavailable => ("unavailable", 503, "Vault cannot be asked now"),
            Self::UpstreamInvalid => ("upstream-invalid", 502, "What answers is not Vault"),
            Self::Timeout => ("timeout", 504, "There is no answer in time"),
            Self::OutcomeUnknown => ("outcome-unknown", 504, "It is not known whether it was done"),
            Self::Internal => ("internal", 500, "A fault of the gateway"),
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// The status that it has as a rule.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// Its title, the same for every refusal of this kind.
    pub fn title(self) -> &'static str {
        self.row().2
    }
}

/// A refusal. No text in it comes from Vault, from a token or from a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub kind: Kind,
    /// The status; that of the kind as a rule.
    pub status: u16,
    /// What to do about it, one sentence.
    pub detail: Cow<'static, str>,
    /// After how many seconds another try may go well.
    pub retry_after: Option<u64>,
    /// The methods that the route has, for 405.
    pub allow: Option<&'static str>,
    /// The version that is there, for who may read it.
    pub version: Option<u64>,
    /// What breaks the rules of structure.
    pub errors: Vec<Breach>,
    /// Vault's id of the request, for the audit log.
    pub vault_request_id: Option<String>,
}

/// A place of a body that breaks the rules of structure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// Where, as a JSON Pointer. [RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)
    pub pointer: String,
    /// The keyword of JSON Schema that it breaks, or the name of the limit.
    pub keyword: String,
}

impl Problem {
    /// A refusal of this kind.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            status: kind.status(),
            detail: detail.into(),
            retry_after: None,
            allow: None,
            version: None,
            errors: Vec::new(),
            vault_request_id: None,
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same, with the seconds after which another try may go well.
    #[must_use]
    pub fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}
