//! The one judge of what an answer, or the lack of one, comes to: what happened, and whether to try again.

mod inline;
mod login;
mod read;
mod redirect;
mod said;
mod secret;
mod status;
mod text;
mod tls;

use std::io;

use nix::errno::Errno;

use crate::fault::{Answered, Fault, NotVault, Outline, Retry, Unreachable, Way, What, Why};
use crate::http::tls::client::Failed;
use crate::http::{Answer, Encoded, NoAnswer, Unresolved};
use crate::json;
use crate::refused::Refused;
use crate::step::Step;
use crate::text::{Scrubber, escaped};
use crate::time::Ended;
pub use inline::Judged;

/// How a text begins that tells of a login that came along with a read. Some refusals have it and no header.
/// (`internal/vault/request_handling.go` of `OpenBao`)
const INLINE_FAILED: &str = "failed to perform inline authentication: ";

/// A request, as far as its answer is judged by it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The step that it belongs to.
    pub step: &'a Step,
    /// The base URL.
    pub at: &'a str,
    /// What stands behind `/v1/`.
    pub path: &'a str,
    /// What is known to be secret.
    pub scrubber: &'a Scrubber,
}

impl From<NotVault> for Fault {
    fn from(why: NotVault) -> Self {
        What::NotVault(why).into()
    }
}

/// Judges a call that gave no complete answer.
pub fn of_transport(none: &NoAnswer, scrubber: &Scrubber) -> Fault {
    of_error(&none.error, none, scrubber)
}

fn unreachable(why: Unreachable, none: &NoAnswer) -> Fault {
    Fault::new(What::Unreachable { why, way: none.way }, Retry::Soon)
}

fn of_error(error: &ureq::Error, none: &NoAnswer, scrubber: &Scrubber) -> Fault {
    let clean = |text: &str| scrubber.clean(&[text]);
    match error {
        ureq::Error::Io(error) => of_io(error, none, scrubber),
        ureq::Error::Other(other) => match other.downcast_ref() {
            Some(Encoded(encoding)) => NotVault::Encoded(clean(encoding)).into(),
            None => NotVault::Failed(clean(&error.to_string())).into(),
        },
        // The end of the connection where a chunk's length should stand.
        ureq::Error::BodyStalled => unreachable(Unreachable::CutShort, none),
        ureq::Error::BodyExceedsLimit(limit) => NotVault::TooLong(limit >> 20).into(),
        ureq::Error::LargeResponseHeader(..) => NotVault::Headers.into(),
        ureq::Error::ConnectProxyFailed(reason) => unreachable(Unreachable::Proxy(clean(reason)), none),
        // The texts of these can quote the answer.
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => NotVault::NotHttp.into(),
        other => NotVault::Failed(clean(&other.to_string())).into(),
    }
}

fn of_io(error: &io::Error, none: &NoAnswer, scrubber: &Scrubber) -> Fault {
    let inner = error.get_ref();
    if let Some(failed) = inner.and_then(|e| e.downcast_ref::<Failed>()) {
        return tls::fault(failed, scrubber);
    }
    if let Some(error) = inner.and_then(|e| e.downcast_ref::<ureq::Error>()) {
        return of_error(error, none, scrubber);
    }
    if let Some(Unresolved { host, reason }) = inner.and_then(|e| e.downcast_ref()) {
        return unreachable(Unreachable::Unresolved { host: escaped(host), reason: escaped(reason) }, none);
    }
    match inner.and_then(|e| e.downcast_ref::<Ended>()) {
        // A call that this process may not make will not be allowed at another try.
        Some(Ended::Refused(refused)) => return What::Forbidden(*refused).into(),
        Some(Ended::Cancelled) => return Fault::new(What::Cancelled, Retry::Soon),
        Some(Ended::Deadline) => {
            return unreachable(Unreachable::Late { limit: none.limit, length: none.length }, none);
        }
        None => {}
    }
    if let Some(refused) = inner.and_then(|e| e.downcast_ref::<Refused>()) {
        return What::Forbidden(*refused).into();
    }
    // What this process may not have more of is no fault of the server's.
    let exhausted = [Errno::EMFILE, Errno::ENFILE, Errno::EAGAIN, Errno::ENOMEM, Errno::ENOBUFS];
    if error.raw_os_error().is_some_and(|errno| exhausted.contains(&Errno::from_raw(errno))) {
        return Fault::new(What::Exhausted(escaped(&error.to_string())), Retry::Soon);
    }
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => Unreachable::NotPermitted,
        // Of all that is waited for, only a unix socket is a file.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unreachable::NoSocket,
        io::ErrorKind::ConnectionRefused => Unreachable::ConnectionRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            Unreachable::ConnectionReset
        }
        io::ErrorKind::UnexpectedEof => Unreachable::CutShort,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Unreachable::NoRoute,
        _ => Unreachable::Other(scrubber.clean(&[&error.to_string()])),
    };
    unreachable(why, none)
}

/// Judges a complete answer whose body could not be read as the step needs it.
pub fn of_body(asked: &Asked, answer: &Answer, fault: &json::Malformed) -> Fault {
    let judged = match fault {
        json::Malformed::Syntax { cut_short: true, .. } if answer.ends_with_connection => {
            let what = What::Unreachable { why: Unreachable::CutShort, way: Way::Network };
            return Fault::new(what, Retry::Soon);
        }
        json::Malformed::Interrupted => {
            let what = What::Unread { limit: answer.call.limit, length: answer.call.length };
            return Fault::new(what, Retry::Soon);
        }
        json::Malformed::TooMany => What::TooManyNodes,
        _ => {
            let said = if let json::Malformed::Shape { .. } = fault { answer.document().ok() } else { None };
            said.and_then(|said| read::of_another_shape(asked, &said)).unwrap_or_else(|| {
                // It can name a key of the answer.
                let what = asked.scrubber.clean(&[&fault.to_string()]);
                What::NotVault(NotVault::Malformed(Box::new(outline(answer, asked.scrubber)), what))
            })
        }
    };
    Fault { status: Some(answer.status), ..judged.into() }
}

/// Whether a login was refused because the JWT is too young for the server's clock.
pub fn is_too_early(answered: &Answered) -> bool {
    text::meaning(answered.status, &answered.said) == Some(text::Meaning::NotYetValid)
}

/// Whether a renewal was refused because the token can be renewed no more, which comes with 500.
pub fn is_past_maximum(fault: &Fault) -> bool {
    means(fault, text::Meaning::PastMaximum)
}

/// Whether a person has not completed the login yet.
pub fn is_pending(fault: &Fault) -> bool {
    means(fault, text::Meaning::Pending)
}

/// The same, where it is asked for too often.
pub fn is_too_often(fault: &Fault) -> bool {
    means(fault, text::Meaning::TooOften)
}

/// What `fault` is where a person has proved who they are before: a refusal in words that nobody knows is about that proof.
pub fn of_person(fault: Fault) -> Fault {
    let what = match fault.what {
        What::Answered(answered)
            if answered.status == 400
                && answered.why == Why::Refused
                && text::meaning(answered.status, &answered.said).is_none() =>
        {
            What::Answered(Box::new(Answered { why: Why::Denied, ..*answered }))
        }
        other => other,
    };
    Fault { what, ..fault }
}

fn means(fault: &Fault, meaning: text::Meaning) -> bool {
    let What::Answered(answered) = &fault.what else { return false };
    text::meaning(answered.status, &answered.said) == Some(meaning)
}

/// Judges a complete answer with another status than the step wants.
pub fn of_status(asked: &Asked, answer: &Answer) -> Fault {
    Fault { status: Some(answer.status), ..status::judge(asked, answer) }
}

/// What an answer is about whose request has brought its login along.
pub fn of_inline(asked: &Asked, answer: &Answer) -> Judged {
    inline::of(asked, answer)
}

/// What an answer looks like.
fn outline(answer: &Answer, scrubber: &Scrubber) -> Outline {
    let content_type = scrubber.clean(&[&answer.content_type]);
    Outline { status: answer.status, content_type, bytes: answer.body.len() }
}

#[cfg(test)]
mod tests;
