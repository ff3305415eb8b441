//! What a server says beside a status.

use super::text::{self, Meaning};
use super::{Asked, INLINE_FAILED};
use crate::fault::{Answered, Fault, Retry, What, Why};
use crate::http::Answer;
use crate::json::Object;

/// An answer, as far as a refusal is told by it.
pub(super) struct Said {
    /// The document, where it is one of Vault's.
    pub document: Option<Object>,
    pub status: u16,
    /// Its error texts as one, fit for a line.
    pub texts: String,
    pub meaning: Option<Meaning>,
}

impl Said {
    pub(super) fn of(asked: &Asked, answer: &Answer) -> Self {
        // Vault's own errors have this shape; a proxy's have not.
        let document = answer.document().ok().filter(|it| it.get("errors").is_some() || it.get("data").is_some());
        let texts = document.as_ref().map(|it| asked.scrubber.clean(&it.strings("errors"))).unwrap_or_default();
        // Inline or not, a login is refused in the same words.
        let texts = texts.strip_prefix(INLINE_FAILED).map(str::to_owned).unwrap_or(texts);
        Self { document, status: answer.status, meaning: text::meaning(answer.status, &texts), texts }
    }

    /// What it comes to.
    pub(super) fn comes_to(self, why: Why, retry: Retry) -> Fault {
        let answered = Answered { status: self.status, said: self.texts, why, found: None, jwt: None };
        Fault::new(What::Answered(Box::new(answered)), retry)
    }

    /// The same, where that is final.
    pub(super) fn refused(self, why: Why) -> Fault {
        self.comes_to(why, Retry::Never)
    }
}
