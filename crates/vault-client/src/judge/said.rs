//! What a server says beside a status.

use super::Asked;
use super::text::{self, Meaning};
use crate::error::{ErrorKind, Fault, Retry};
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
    /// Subject, status and texts.
    pub cause: String,
}

impl Said {
    pub(super) fn of(asked: &Asked, answer: &Answer) -> Self {
        // Vault's own errors have this shape; a proxy's have not.
        let document = answer.document().ok().filter(|it| it.get("errors").is_some() || it.get("data").is_some());
        let texts = document.as_ref().map(|it| asked.scrubber.clean(&it.strings("errors"))).unwrap_or_default();
        let reason = if texts.is_empty() { String::new() } else { format!(": {texts}") };
        let cause = format!("{} was answered with {}{reason}", asked.step.subject(), answer.status);
        Self { document, status: answer.status, meaning: text::meaning(answer.status, &texts), texts, cause }
    }

    /// A fault that is final.
    pub(super) fn refused(self, kind: ErrorKind, remedy: impl Into<String>) -> Fault {
        Fault { kind, cause: self.cause, remedy: remedy.into(), retry: Retry::Never, status: None, tls: None }
    }

    /// A fault that may pass.
    pub(super) fn not_ready(self, remedy: impl Into<String>, retry: Retry) -> Fault {
        Fault { retry, ..self.refused(ErrorKind::NotReady, remedy) }
    }
}
