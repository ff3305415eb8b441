//! Answers to a request that has brought its login along: which of the two the server has judged.

use super::text::{self, Meaning};
use super::{Asked, INLINE_FAILED, status};
use crate::fault::{Onward, What, Why};
use crate::http::Answer;

/// How a denial begins that comes from a policy. One that comes of no token at all has no such beginning.
/// (`internal/vault/request_handling.go` of `OpenBao`, by way of `go-multierror`)
const BY_A_POLICY: &str = "1 error occurred";

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The login that came along.
    Login,
    /// What was asked for.
    Request,
    /// Neither: the server takes no notice of the login, or cannot serve it so.
    Neither,
}

/// What `answer` to `asked` is about.
pub fn of(asked: &Asked, answer: &Answer) -> Judged {
    let said = answer.document().ok().and_then(|said| said.strings("errors").into_iter().next());
    let said = said.as_ref().map_or("", |said| said.as_str());
    let refusal = said.strip_prefix(INLINE_FAILED);
    match answer.status {
        200 | 204 => Judged::Request,
        // Something in between has added a token; a login takes no notice of one.
        status if refusal.is_some_and(|said| text::meaning(status, said) == Some(Meaning::Layered)) => Judged::Neither,
        _ if answer.inline_failed || refusal.is_some() => Judged::Login,
        403 if said.starts_with(BY_A_POLICY) => Judged::Request,
        404 | 408 | 412 | 429 | 502..=504 => Judged::Request,
        _ if passes(&status::judge(asked, answer).what) => Judged::Request,
        _ => Judged::Neither,
    }
}

/// Whether a server that knows of inline authentication answers so for a while, whoever asks.
fn passes(what: &What) -> bool {
    match what {
        What::Redirected { onward, .. } => *onward == Onward::ToTheLeader,
        What::Answered(answered) => matches!(answered.why, Why::Upgrading | Why::Behind),
        _ => false,
    }
}
