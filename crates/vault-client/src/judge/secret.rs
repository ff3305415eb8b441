//! Operations on secrets that were refused, beside reads.

use super::said::Said;
use super::text::Meaning;
use crate::error::{ErrorKind, Fault, Retry};
use crate::step::Verb;

/// What a refusal of `verb` with 400, 404 or 405 comes to.
/// [KV version 2](https://openbao.org/api-docs/secret/kv/kv-v2/)
pub(super) fn refused(verb: Verb, said: Said) -> Fault {
    let kind = match (said.status, said.meaning) {
        (_, Some(Meaning::OtherVersion)) => ErrorKind::Conflict,
        (404, Some(Meaning::NoNamespace)) => ErrorKind::Rejected,
        // A PATCH of what was deleted answers with the version's metadata, one of what never was without a word.
        (404, _) if verb != Verb::Config => ErrorKind::NotFound,
        _ => ErrorKind::Rejected,
    };
    said.refused(kind, "")
}

/// What a 500 comes to that says no more than the server's own words: some of them are final.
pub(super) fn broken(said: Said, retry: Retry) -> Fault {
    match said.meaning {
        // A PATCH of a secret whose latest version holds null.
        Some(Meaning::NoResource) => said.refused(ErrorKind::NotFound, ""),
        Some(Meaning::TooLarge) => said.refused(ErrorKind::Rejected, ""),
        _ => said.not_ready("look at the server's log: it may be starting, sealed or without a leader", retry),
    }
}
