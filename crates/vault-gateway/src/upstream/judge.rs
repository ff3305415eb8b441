//! What a fault of Vault's is to a caller: the one table. No text of Vault's gets into a problem.

use std::borrow::Cow;
use std::time::Duration;

use vault_client::fault::{Unreachable, Why};
use vault_client::retry::uniform;
use vault_client::{ErrorKind, Fault, Retry, Step, Verb, What};

use super::identity::State;
use crate::cache::Failure;
use crate::problem::{Kind, Problem};

/// Without a word of the fault's about it, another try is advised after so many seconds, drawn at random: callers shall
/// not all come back at once.
const LATER: std::ops::RangeInclusive<u64> = 1..=5;

/// A pause that a server asks for is passed on up to this many seconds.
const LONGEST: u64 = 3600;

/// The server's words that no type of the client's stands for: the only place that matches them.
const KNOWN: &[(&str, Said)] = &[
    // OpenBao, internal/builtin/logical/kv/path_data.go, validateCheckAndSetOption; the same in HashiCorp Vault.
    ("check-and-set parameter required", Said::NeedsVersion),
    // OpenBao, the limit of strings, keys and memory of a request's JSON.
    // https://openbao.org/docs/configuration/listener/tcp/#max_request_json_memory
    ("refused JSON input due to high complexity", Said::TooComplex),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    NeedsVersion,
    TooComplex,
}

/// What was asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The mount of the tenant.
    pub mount: &'a str,
    /// The path as the caller gave it; empty where there is none.
    pub path: &'a str,
}

/// What a fault comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// For the caller, and for the cache.
    pub failure: Failure,
    /// For the tenant; `None` where it says nothing of it.
    pub state: Option<State>,
}

/// Judges what `step` failed with. `is_dead` is whether the life of the token in hand is over.
pub(super) fn judge(step: Option<&Step>, fault: &Fault, asked: Asked, is_dead: bool) -> Judged {
    let (kind, detail) = verdict(step, fault, is_dead);
    let detail = if kind == Kind::NotFound { absent(asked) } else { detail.into() };
    let mut problem = Problem::new(kind, detail);
    problem.vault_request_id.clone_from(&fault.request_id);
    match (kind, &fault.what) {
        (Kind::Conflict, What::Answered(answered)) => problem.version = answered.found,
        // A conditional write goes on top of it.
        (Kind::NotFound, What::Deleted { number, .. } | What::Destroyed { number } | What::Null { number }) => {
            problem.version = Some(*number);
        }
        (Kind::Unavailable, _) => problem = problem.after(pause(fault.retry)),
        _ => {}
    }
    let away = matches!(fault.kind(), ErrorKind::Unreachable | ErrorKind::NotReady);
    let state = match kind {
        Kind::UpstreamIdentity => Some(State::Denied),
        // What the gateway has ended itself says nothing of Vault.
        _ if is_own(fault) => None,
        Kind::Unavailable | Kind::Timeout | Kind::OutcomeUnknown => Some(State::Unavailable),
        Kind::UpstreamInvalid if fault.kind() == ErrorKind::NotVault => Some(State::Unavailable),
        _ => Some(State::Ok),
    };
    Judged { failure: Failure { problem, away, denied: kind == Kind::UpstreamDenied }, state }
}

/// The table.
fn verdict(step: Option<&Step>, fault: &Fault, is_dead: bool) -> (Kind, &'static str) {
    let of_login = is_of_login(step);
    if (matches!(fault.what, What::Unsure(_)) && !of_login) || may_be_done(step, fault) {
        return (Kind::OutcomeUnknown, "the write was sent and not answered; read before you write again");
    }
    if matches!(fault.what, What::DeadAgain) || (of_login && refuses_the_login(fault)) {
        return (Kind::UpstreamIdentity, "Vault refuses the login of the tenant; its operator has to correct it");
    }
    match fault.kind() {
        ErrorKind::NotDetected | ErrorKind::Settings | ErrorKind::Credential | ErrorKind::Oidc => {
            (Kind::UpstreamIdentity, "the tenant has no credential for Vault; its operator has to give one")
        }
        ErrorKind::Denied if is_dead || why(fault) == Some(Why::DeadToken) => {
            (Kind::UpstreamIdentity, "the token of the tenant is dead; its operator has to give another")
        }
        ErrorKind::Denied => {
            (Kind::UpstreamDenied, "Vault's policies refuse this path to the tenant; ask the operator of the gateway")
        }
        ErrorKind::NotFound => (Kind::NotFound, ""),
        ErrorKind::Conflict => (Kind::Conflict, "the latest version is another one; read it and write on top of it"),
        ErrorKind::Rejected => rejected(step, fault),
        ErrorKind::Shape if is_change(step) => (Kind::Body, "the body is no JSON object; send one"),
        ErrorKind::Shape => (Kind::UpstreamInvalid, "the secret cannot be read as it was written; write it again"),
        ErrorKind::Unreachable if is_late(&fault.what) => (Kind::Timeout, "Vault gave no answer in time; try again"),
        ErrorKind::Unreachable | ErrorKind::Tls => (Kind::Unavailable, "Vault cannot be reached; try again later"),
        ErrorKind::NotReady => (Kind::Unavailable, "Vault is not ready; try again later"),
        ErrorKind::RateLimited => (Kind::Unavailable, "Vault has too much to do; try again later"),
        ErrorKind::NotVault => (Kind::UpstreamInvalid, "the answer is not Vault's; look at the address and at proxies"),
        ErrorKind::Cancelled | ErrorKind::Closed => (Kind::Unavailable, "the request was given up; try again"),
        ErrorKind::System => (Kind::Unavailable, "the gateway lacks descriptors or threads; try again later"),
        _ => (Kind::Internal, "the fault is not known; look into the log"),
    }
}

/// What Vault cannot take as it is.
fn rejected(step: Option<&Step>, fault: &Fault) -> (Kind, &'static str) {
    match (&fault.what, why(fault), said(fault)) {
        (.., Some(Said::NeedsVersion)) => (
            Kind::PreconditionRequired,
            "each write has to name its version; send If-Match, or If-None-Match: * for a new secret",
        ),
        (.., Some(Said::TooComplex)) => (Kind::Schema, "the body has too many strings for Vault; send fewer"),
        (_, Some(Why::TooLong | Why::TooLarge), _) => (Kind::TooLarge, "the body is too large for Vault; send less"),
        (What::Path(_), ..) | (_, Some(Why::Malformed), _) => {
            (Kind::Path, "Vault does not take this path; use another")
        }
        (What::NoVersion, ..) => (Kind::Path, "versions begin at 1; name one that is there"),
        (What::NoMount { .. } | What::Version1 | What::StoredInVersion1 | What::Mount(_), ..) => {
            (Kind::UpstreamInvalid, "the tenant's mount is not one of KV version 2; its operator has to correct it")
        }
        (_, Some(Why::NoNamespace), _) => {
            (Kind::UpstreamInvalid, "the tenant's namespace is not there; its operator has to correct it")
        }
        _ if is_change(step) => (Kind::Body, "Vault does not take this request; send another"),
        _ => (Kind::UpstreamInvalid, "Vault does not take this request; look into its log"),
    }
}

/// Whether a step is one of the login or of its token, and not of a path.
pub(super) fn is_of_login(step: Option<&Step>) -> bool {
    !matches!(step, Some(Step::Read { .. } | Step::Secret { .. } | Step::Preflight | Step::Status))
}

/// Whether this fault of a login says that it is refused, and not that Vault could not be asked.
pub(super) fn refuses_the_login(fault: &Fault) -> bool {
    use ErrorKind::{Conflict, Credential, Denied, NotDetected, NotFound, Oidc, Rejected, Settings, Shape};
    let refusals = [Conflict, Credential, Denied, NotDetected, NotFound, Oidc, Rejected, Settings, Shape];
    refusals.contains(&fault.kind())
}

/// Whether the gateway has ended it itself, or could not begin it.
fn is_own(fault: &Fault) -> bool {
    matches!(fault.kind(), ErrorKind::Cancelled | ErrorKind::Closed | ErrorKind::System)
}

/// Whether the step changes something.
fn is_change(step: Option<&Step>) -> bool {
    let Some(Step::Secret { verb, .. }) = step else { return false };
    !matches!(verb, Verb::Metadata | Verb::List | Verb::Config)
}

/// Whether a change may have been done of which the client does not say so, because it can be sent twice.
fn may_be_done(step: Option<&Step>, fault: &Fault) -> bool {
    let is_idempotent = matches!(step, Some(Step::Secret { verb: Verb::Delete | Verb::Undelete | Verb::Destroy, .. }));
    let was_cut = matches!(
        &fault.what,
        What::Unread { .. }
            | What::Unreachable {
                why: Unreachable::Late { .. } | Unreachable::ConnectionReset | Unreachable::CutShort,
                ..
            }
    );
    // A proxy that got no answer says nothing of what Vault has done.
    is_idempotent && (was_cut || matches!(fault.status, Some(408 | 502 | 504)))
}

/// Whether a limit was over before the answer was there.
fn is_late(what: &What) -> bool {
    matches!(
        what,
        What::Unread { .. } | What::Unreachable { why: Unreachable::Late { .. } | Unreachable::NoTokenInTime, .. }
    )
}

fn why(fault: &Fault) -> Option<Why> {
    match &fault.what {
        What::Answered(answered) => Some(answered.why),
        _ => None,
    }
}

fn said(fault: &Fault) -> Option<Said> {
    let What::Answered(answered) = &fault.what else { return None };
    KNOWN.iter().find(|(text, _)| answered.said.contains(text)).map(|(_, said)| *said)
}

/// What is told of what is not there.
fn absent(asked: Asked) -> Cow<'static, str> {
    let is_below = |folder: &str| asked.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    if is_below("data") || is_below(asked.mount) {
        "nothing is at this path; leave mount and data/ out".into()
    } else {
        "nothing is at this path or version, or it was deleted".into()
    }
}

/// The seconds after which another try may go well.
fn pause(retry: Retry) -> u64 {
    match retry {
        Retry::After(pause) | Retry::Quick(pause) | Retry::Patience(pause) if !pause.is_zero() => {
            let whole = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            whole.min(LONGEST)
        }
        _ => (LATER.start() + Duration::from_secs(*LATER.end()).mul_f64(uniform()).as_secs()).min(*LATER.end()),
    }
}

#[cfg(test)]
mod tests;
