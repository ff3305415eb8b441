//! The one judge of what an answer, or the lack of one, comes to: exit code, sentence, and whether to try again.

mod login;
mod read;
mod redirect;
mod said;
mod secret;
mod status;
mod text;
mod tls;

use std::io;
use std::time::Duration;

use nix::errno::Errno;

use crate::error::{ErrorKind, Fault, Refused, Retry};
use crate::http::tls::client::Failed;
use crate::http::{Answer, Encoded, NoAnswer, Unresolved};
use crate::json;
use crate::step::Step;
use crate::text::{Scrubber, escaped, shown};
use crate::time::{Ended, Limit, Seconds};
pub use read::{doubled, rule};
pub use tls::{CertificateFault, ServerName, TlsAlert, TlsFault};

/// A request, as far as its answer is judged by it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The step that it belongs to.
    pub step: &'a Step,
    /// The base URL.
    pub at: &'a str,
    /// What stands behind `/v1/`.
    pub path: &'a str,
    /// The namespace that it is sent in, if any.
    pub namespace: Option<&'a str>,
    /// What is known to be secret.
    pub scrubber: &'a Scrubber,
}

const NOT_VAULT: &str = "check that VAULT_ADDR points at Vault itself and that no proxy answers in its place";
const CUT_SHORT: &str = "the connection was closed before the answer was complete";
const UNREACHABLE: &str = "check VAULT_ADDR, and that the service is up and reachable from here";

fn unreachable(cause: String) -> Fault {
    Fault {
        kind: ErrorKind::Unreachable,
        cause,
        remedy: UNREACHABLE.into(),
        retry: Retry::Soon,
        status: None,
        tls: None,
    }
}

fn cancelled() -> Fault {
    let cause = "the call was cancelled before the answer was complete".into();
    Fault { kind: ErrorKind::Cancelled, cause, remedy: String::new(), retry: Retry::Soon, status: None, tls: None }
}

/// A call that this process may not make, and will not be allowed at another try.
fn forbidden(refused: Refused) -> Fault {
    let cause = refused.to_string();
    Fault {
        kind: ErrorKind::System,
        cause,
        remedy: Refused::REMEDY.into(),
        retry: Retry::Never,
        status: None,
        tls: None,
    }
}

fn not_vault(cause: String) -> Fault {
    Fault { kind: ErrorKind::NotVault, cause, remedy: NOT_VAULT.into(), retry: Retry::Never, status: None, tls: None }
}

/// Judges a call that gave no complete answer.
pub fn of_transport(none: &NoAnswer, scrubber: &Scrubber) -> Fault {
    let fault = of_error(&none.error, (none.limit, none.length), scrubber);
    // A refusal of the proxy names it by itself.
    let named = matches!(none.error, ureq::Error::ConnectProxyFailed(_));
    if none.through_proxy && fault.kind == ErrorKind::Unreachable && !named {
        return Fault {
            remedy: "check VAULT_PROXY_ADDR, which everything goes through, then VAULT_ADDR".into(),
            ..fault
        };
    }
    fault
}

fn of_error(error: &ureq::Error, limit: Late, scrubber: &Scrubber) -> Fault {
    let clean = |text: &str| scrubber.clean(&[text]);
    match error {
        ureq::Error::Io(error) => of_io(error, limit, scrubber),
        ureq::Error::Other(error) if error.is::<Encoded>() => not_vault(clean(&error.to_string())),
        // The end of the connection where a chunk's length should stand.
        ureq::Error::BodyStalled => unreachable(CUT_SHORT.into()),
        ureq::Error::BodyExceedsLimit(limit) => not_vault(format!("an answer of more than {} MiB", limit >> 20)),
        ureq::Error::LargeResponseHeader(..) => not_vault("an answer with too many or too long headers".into()),
        ureq::Error::ConnectProxyFailed(reason) => Fault {
            remedy: "check VAULT_PROXY_ADDR, and that the proxy lets CONNECT through to Vault".into(),
            ..unreachable(format!("the proxy did not connect ({})", clean(reason)))
        },
        // The texts of these can quote the answer.
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => not_vault("an answer that is no valid HTTP".into()),
        other => not_vault(format!("the request failed ({})", clean(&other.to_string()))),
    }
}

fn of_io(error: &io::Error, limit: Late, scrubber: &Scrubber) -> Fault {
    let inner = error.get_ref();
    if let Some(failed) = inner.and_then(|e| e.downcast_ref::<Failed>()) {
        return tls::fault(failed, scrubber);
    }
    if let Some(error) = inner.and_then(|e| e.downcast_ref::<ureq::Error>()) {
        return of_error(error, limit, scrubber);
    }
    if let Some(unresolved) = inner.and_then(|e| e.downcast_ref::<Unresolved>()) {
        let remedy = "check VAULT_ADDR, and the DNS of this host or pod".into();
        return Fault { remedy, ..unreachable(escaped(&unresolved.to_string())) };
    }
    match inner.and_then(|e| e.downcast_ref::<Ended>()) {
        Some(Ended::Refused(refused)) => return forbidden(*refused),
        Some(Ended::Cancelled) => return cancelled(),
        Some(Ended::Deadline) => return late(limit),
        None => {}
    }
    if let Some(refused) = inner.and_then(|e| e.downcast_ref::<Refused>()) {
        return forbidden(*refused);
    }
    // What this process may not have more of is no fault of the server's.
    let exhausted = [Errno::EMFILE, Errno::ENFILE, Errno::EAGAIN, Errno::ENOMEM, Errno::ENOBUFS];
    if error.raw_os_error().is_some_and(|errno| exhausted.contains(&Errno::from_raw(errno))) {
        let remedy = "raise the limit of the container (descriptors, processes, memory)".into();
        return Fault { kind: ErrorKind::System, remedy, ..unreachable(escaped(&error.to_string())) };
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        let remedy = "a firewall, a network policy or the container's seccomp profile forbids it".into();
        return Fault { remedy, ..unreachable("connecting is not permitted".into()) };
    }
    unreachable(match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            "connection reset".into()
        }
        io::ErrorKind::UnexpectedEof => CUT_SHORT.into(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "no route to it".into(),
        _ => scrubber.clean(&[&error.to_string()]),
    })
}

/// The limit that is over, and how long it was.
type Late = (Limit, Duration);

fn late((limit, length): Late) -> Fault {
    let length = Seconds(length);
    unreachable(match limit {
        Limit::Whole | Limit::Deadline => format!("no complete answer in the {length} left of VAULT_STARTUP_TIMEOUT"),
        Limit::Request => format!("no complete answer within {length} (VAULT_TIMEOUT)"),
        Limit::Wait | Limit::Own => format!("no complete answer within {length}"),
    })
}

/// Judges a complete answer whose body could not be read as the step needs it.
pub fn of_body(asked: &Asked, answer: &Answer, fault: &json::Fault) -> Fault {
    if answer.ends_with_connection && matches!(fault, json::Fault::Syntax { cut_short: true, .. }) {
        return unreachable(CUT_SHORT.into());
    }
    if *fault == json::Fault::Interrupted {
        let remedy = "raise the time limit, or the CPU limit of the container";
        return Fault { remedy: remedy.into(), ..late((answer.call.limit, answer.call.length)) };
    }
    if *fault == json::Fault::TooMany {
        let remedy = format!("split the secret if it is this large, else {NOT_VAULT}");
        let cause = format!("an answer of more than {} keys and values", json::MAX_NODES);
        return Fault { status: Some(answer.status), remedy, ..not_vault(cause) };
    }
    let known = match (fault, answer.document()) {
        (json::Fault::Shape { .. }, Ok(said)) => read::of_another_shape(asked, &said),
        _ => None,
    };
    let judged = known.unwrap_or_else(|| {
        // It can name a key of the answer.
        let what = asked.scrubber.clean(&[&fault.to_string()]);
        not_vault(format!("{}: {what}", outline(answer, asked.scrubber)))
    });
    Fault { status: Some(answer.status), ..judged }
}

/// Whether a login was refused because the JWT is too young for the server's clock.
pub fn is_too_early(fault: &Fault) -> bool {
    fault.status.and_then(|status| text::meaning(status, &fault.cause)) == Some(text::Meaning::NotYetValid)
}

/// Whether a renewal was refused because the token can be renewed no more, which comes with 500.
pub fn is_past_maximum(fault: &Fault) -> bool {
    fault.status.and_then(|status| text::meaning(status, &fault.cause)) == Some(text::Meaning::PastMaximum)
}

/// Judges a complete answer with another status than the step wants.
pub fn of_status(asked: &Asked, answer: &Answer) -> Fault {
    let mut fault = status::judge(asked, answer);
    let refused = matches!(fault.kind, ErrorKind::Denied | ErrorKind::Rejected | ErrorKind::NotFound);
    if let (true, Step::Login { .. } | Step::Read { .. }, Some(namespace)) = (refused, asked.step, asked.namespace) {
        fault.remedy = format!("{}; VAULT_NAMESPACE is {}", fault.remedy, shown(namespace));
    }
    Fault { status: Some(answer.status), ..fault }
}

/// What an answer looks like, without a byte of its body.
fn outline(answer: &Answer, scrubber: &Scrubber) -> String {
    let kind = scrubber.clean(&[if answer.content_type.raw().is_empty() {
        "no content type"
    } else {
        answer.content_type.raw()
    }]);
    format!("an answer that is not Vault's (status {}, {kind}, {} bytes)", answer.status, answer.body.len())
}

#[cfg(test)]
mod tests;
