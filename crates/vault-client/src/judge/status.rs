//! Statuses: what each comes to, with the words that come with it.

use std::time::Duration;

use super::said::Said;
use super::text::Meaning;
use super::{Asked, login, outline, read, redirect, secret};
use crate::fault::{Fault, NotVault, Retry, What, Why};
use crate::http::Answer;
use crate::step::Step;

pub(super) fn judge(asked: &Asked, answer: &Answer) -> Fault {
    let said = Said::of(asked, answer);
    let wish = answer.retry_after;
    let soon = wish.map_or(Retry::Soon, Retry::After);
    let quick = Retry::Quick(wish.unwrap_or_default());
    match (answer.status, said.meaning, asked.step) {
        (300..400, ..) => redirect::judge(asked, answer),
        (_, Some(Meaning::Upgrading), _) => said.comes_to(Why::Upgrading, quick),
        (_, Some(Meaning::ReadOnly), _) | (412, ..) => said.comes_to(Why::Behind, quick),
        // OpenBao's answer to an index that a node has not reached; a quota says what it is.
        (429, _, step) if said.document.is_some() && said.texts.is_empty() && !matches!(step, Step::Status) => {
            said.comes_to(Why::Behind, quick)
        }
        (429, ..) => said.comes_to(Why::RateLimited, Retry::Patience(wish.unwrap_or(Duration::ZERO))),
        (_, Some(Meaning::SealedNamespace), _) => said.comes_to(Why::NamespaceSealed, soon),
        (_, Some(Meaning::LockedNamespace), _) => said.comes_to(Why::NamespaceLocked, soon),
        (_, Some(Meaning::NeedsMfa), Step::Login { .. }) => What::WithoutToken.into(),
        (400.., Some(meaning), Step::Login { method, .. }) if login::is_final(*method, meaning) => {
            login::refused(*method, said, soon)
        }
        (500, _, Step::Secret { .. }) => secret::broken(said, soon),
        (408 | 500 | 502..600, ..) => said.comes_to(Why::NotReady, soon),
        (413 | 414 | 431, ..) => said.refused(Why::TooLong),
        (401 | 403, _, step) => denied(step, said),
        (400, ..) if answer.body.starts_with(b"Client sent an HTTP request to an HTTPS server") => {
            said.refused(Why::NeedsTls)
        }
        (400 | 404 | 405, _, Step::Login { method, .. }) if by_vault(&said, answer) => {
            login::refused(*method, said, soon)
        }
        (400, Some(Meaning::SpentWrapping), Step::Wrapping | Step::Unwrap) => What::SpentWrapping.into(),
        (400 | 404 | 405, _, Step::Read { version, .. }) if by_vault(&said, answer) => read::refused(*version, said),
        (400 | 404 | 405 | 415, _, Step::Secret { verb, .. }) if by_vault(&said, answer) => {
            secret::refused(*verb, said)
        }
        (404, _, Step::Status)
        | (400 | 404, _, Step::LookUp | Step::Preflight | Step::Renew | Step::Revoke | Step::Wrapping | Step::Unwrap)
            if said.document.is_some() =>
        {
            said.refused(Why::Refused)
        }
        (300..600, ..) if said.document.as_ref().is_some_and(|it| it.has("errors")) => said.refused(Why::Unexpected),
        _ => NotVault::Foreign(Box::new(outline(answer, asked.scrubber))).into(),
    }
}

/// Whether a refusal is Vault's: in JSON, or as its HTTP layer refuses some requests before Vault sees them, in plain text
/// or without a word.
fn by_vault(said: &Said, answer: &Answer) -> bool {
    let in_plain_text = answer.status == 400 && answer.content_type.raw().starts_with("text/plain");
    said.document.is_some() || answer.body.is_empty() || in_plain_text
}

fn denied(step: &Step, said: Said) -> Fault {
    match (said.meaning, step) {
        (Some(Meaning::DeadToken), _) => said.refused(Why::DeadToken),
        (Some(Meaning::ByPolicy), Step::LookUp) => said.refused(Why::NoLookUp),
        (_, Step::Login { method, .. }) => login::denied(*method, said),
        _ => said.refused(Why::Denied),
    }
}
