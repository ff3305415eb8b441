//! What a caller can do about a refusal.

use crate::problem::Kind;

/// What to do about a refusal of this kind, for people.
pub fn of(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "Get a new token from the identity provider, and send it as a bearer token.",
        Kind::Denied => "Ask who runs the service for a rule. Trying again does not help.",
        Kind::UpstreamDenied => "Ask who runs Vault for a policy of the tenant.",
        Kind::UpstreamIdentity => "Tell who runs the service: the login of the tenant has to be corrected.",
        Kind::NotFound => "Look at the path: mount and data/ are not part of it. The secret may have been deleted.",
        Kind::Method => "Use a method that Allow names.",
        Kind::Path => "Correct the path, the query or the headers; detail says which.",
        Kind::Body => "Send one JSON object as the operation describes it.",
        Kind::MediaType => "Set Content-Type to the media type of the operation, and send no Content-Encoding.",
        Kind::TooLarge => "Send less. The status is 431 where the head is too large.",
        Kind::Schema => "Correct the places that errors names.",
        Kind::Conflict => "Read the secret again, and send the request again.",
        Kind::PreconditionFailed => "Read the secret again, and decide on the version that is there.",
        Kind::PreconditionRequired => {
            "Send If-Match with the version that is there, or If-None-Match: * for a new secret."
        }
        Kind::RateLimited => "Wait as long as Retry-After says, and send less often.",
        Kind::Busy | Kind::Unavailable => "Send it again after Retry-After.",
        Kind::UpstreamInvalid => "Tell who runs the service: what is at Vault's address or mount has to be corrected.",
        Kind::Timeout => "Send it again later.",
        Kind::OutcomeUnknown => "Read first: it may have been done.",
        Kind::Internal => "Tell who runs the service, with the id of the request.",
    }
}
