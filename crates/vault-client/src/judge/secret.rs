//! Operations on secrets that were refused, beside reads.

use super::read;
use super::said::Said;
use super::text::Meaning;
use crate::fault::{Fault, Retry, Why};
use crate::step::Verb;

/// What a refusal of `verb` with 400, 404, 405 or 415 comes to.
/// [KV version 2](https://openbao.org/api-docs/secret/kv/kv-v2/)
pub(super) fn refused(verb: Verb, said: Said) -> Fault {
    match (said.status, said.meaning) {
        (_, Some(Meaning::OtherVersion)) => said.refused(Why::OtherVersion),
        (404, Some(Meaning::NoNamespace)) => said.refused(Why::NoNamespace),
        // A PATCH of what was deleted answers with the version's metadata, one of what never was without a word.
        (404, _) if verb != Verb::Config => read::absent(None, said).into(),
        _ => said.refused(Why::Refused),
    }
}

/// What a 500 comes to that says no more than the server's own words: some of them are final.
pub(super) fn broken(said: Said, retry: Retry) -> Fault {
    match said.meaning {
        // A PATCH of a secret whose latest version holds null.
        Some(Meaning::NoResource) => read::absent(None, said).into(),
        Some(Meaning::TooLarge) => said.refused(Why::TooLarge),
        _ => said.comes_to(Why::NotReady, retry),
    }
}
