//! Statuses: what each comes to, with the words that come with it.

use std::time::Duration;

use super::said::Said;
use super::text::Meaning;
use super::{Asked, NOT_VAULT, login, not_vault, outline, read, redirect, secret};
use crate::error::{ErrorKind, Fault, Retry};
use crate::http::Answer;
use crate::step::Step;

pub(super) fn judge(asked: &Asked, answer: &Answer) -> Fault {
    let said = Said::of(asked, answer);
    let wish = answer.retry_after;
    let soon = wish.map_or(Retry::Soon, Retry::After);
    let quick = Retry::Quick(wish.unwrap_or_default());
    match (answer.status, said.meaning, asked.step) {
        (300..400, ..) => redirect::judge(asked, answer),
        (_, Some(Meaning::Upgrading), _) => {
            said.not_ready("the KV mount becomes one of version 2: try again when the server has done that", quick)
        }
        (_, Some(Meaning::ReadOnly), _) | (412, ..) => said.not_ready(BEHIND, quick),
        // OpenBao's answer to an index that a node has not reached; a quota says what it is.
        (429, _, step) if said.document.is_some() && said.texts.is_empty() && !matches!(step, Step::Status) => {
            said.not_ready(BEHIND, quick)
        }
        (429, ..) => said.not_ready(
            "a rate limit: raise the quota, or let VAULT_STARTUP_TIMEOUT allow for it",
            Retry::Patience(wish.unwrap_or(Duration::ZERO)),
        ),
        (_, Some(Meaning::SealedNamespace), _) => {
            said.not_ready(format!("unseal {}: the server is unsealed, the namespace is not", namespace(asked)), soon)
        }
        (_, Some(Meaning::LockedNamespace), _) => said.not_ready(format!("unlock {}", namespace(asked)), soon),
        (
            _,
            Some(Meaning::Unconfigured | Meaning::OtherMethod | Meaning::NoServiceAccount),
            Step::Login { mount, role },
        ) => login::refused(mount, role, said),
        (500, _, Step::Secret { .. }) => secret::broken(said, soon),
        (408 | 500 | 502..600, ..) => said.not_ready(not_ready(answer.status), soon),
        (413 | 414 | 431, ..) => said.refused(
            ErrorKind::Rejected,
            "the request is longer than Vault, or a proxy before it, takes: look at its limits, and at how long the \
             token or JWT, VAULT_PATH and VAULT_NAMESPACE are",
        ),
        (401 | 403, _, step) => denied(step, said),
        (400, ..) if answer.body.starts_with(b"Client sent an HTTP request to an HTTPS server") => {
            said.refused(ErrorKind::NotVault, "the port speaks TLS: write https:// in VAULT_ADDR")
        }
        (404, _, Step::Status) if said.document.is_some() => {
            said.refused(ErrorKind::Rejected, "check the path in VAULT_ADDR")
        }
        (400 | 404 | 405, _, Step::Login { mount, role }) if by_vault(&said, answer) => {
            login::refused(mount, role, said)
        }
        (400 | 404 | 405, _, Step::Read { mount, path, version, .. }) if by_vault(&said, answer) => {
            read::refused((mount, path, *version), said)
        }
        (400 | 404 | 405 | 415, _, Step::Secret { verb, .. }) if by_vault(&said, answer) => {
            secret::refused(*verb, said)
        }
        (404, _, Step::LookUp) if said.document.is_some() && asked.namespace.is_some() => {
            said.refused(ErrorKind::Rejected, format!("check {}", namespace(asked)))
        }
        (400 | 404, _, Step::LookUp | Step::Preflight | Step::Renew | Step::Revoke) if said.document.is_some() => {
            said.refused(ErrorKind::Rejected, NOT_VAULT)
        }
        (300..600, ..) if said.document.as_ref().is_some_and(|it| it.has("errors")) => {
            said.refused(ErrorKind::NotVault, NOT_VAULT)
        }
        _ => not_vault(format!("{} got {}", asked.step.subject(), outline(answer, asked.scrubber))),
    }
}

const BEHIND: &str = "the node has not caught up yet: try again, or address the active one";

/// Whether a refusal is Vault's: in JSON, or as its HTTP layer refuses some requests before Vault sees them, in plain text
/// or without a word.
fn by_vault(said: &Said, answer: &Answer) -> bool {
    let in_plain_text = answer.status == 400 && answer.content_type.raw().starts_with("text/plain");
    said.document.is_some() || answer.body.is_empty() || in_plain_text
}

/// The namespace that is asked in, for a remedy.
fn namespace(asked: &Asked) -> String {
    let named = asked.namespace.map(|it| format!("the namespace {} (VAULT_NAMESPACE)", crate::text::shown(it)));
    named.unwrap_or_else(|| "the namespace that is asked for (VAULT_NAMESPACE is unset)".into())
}

fn denied(step: &Step, said: Said) -> Fault {
    let remedy = match step {
        Step::Login { mount, role } => return login::denied(mount, role, said),
        Step::Read { mount, path, handed_in, .. } => read::denied(mount, path, *handed_in, said.meaning),
        Step::LookUp => "the token is wrong, expired or revoked, or may not look itself up: hand in another one".into(),
        Step::Secret { .. } => String::new(),
        Step::Status | Step::Credential | Step::Preflight | Step::Renew | Step::Revoke => {
            "check what stands between here and Vault".into()
        }
    };
    said.refused(ErrorKind::Denied, remedy)
}

fn not_ready(status: u16) -> &'static str {
    match status {
        502 | 504 => "the proxy in front of Vault got no answer from it: look there first",
        _ => "look at the server's log: it may be starting, sealed or without a leader",
    }
}
