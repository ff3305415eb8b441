//! The causes of faults, as sentences.

use std::fmt;
use std::time::Duration;

use super::ErrorKind;
use super::{Answered, Fault, NotVault, Onward, Outline, Shape, Unreachable, Unsendable, What};
use crate::json;
use crate::step::Step;
use crate::time::{Limit, Seconds};

impl Fault {
    /// The cause, told of `step`: with its subject, or its place, where the cause alone does not say what it speaks of.
    pub fn told(&self, step: &Step) -> String {
        let is_placed = self.kind() == ErrorKind::NotFound || matches!(self.what, What::NoMount { .. });
        if let Some(place) = step.place().filter(|_| is_placed) {
            return match &self.what {
                What::NoMount { said } => format!("nothing at {place}{}", Bracketed(said)),
                What::Absent { version, said } => format!("{} at {place}{}", nothing(*version), Bracketed(said)),
                what => format!("{place} {what}"),
            };
        }
        match self.what.verb() {
            Some(verb) => format!("{}{verb}{}", step.subject(), self.what),
            None => self.what.to_string(),
        }
    }
}

impl What {
    /// What stands between the subject of a step and the cause; `None` where the cause is a sentence by itself.
    pub(crate) fn verb(&self) -> Option<&'static str> {
        match self {
            Self::Answered(_) | Self::Redirected { .. } | Self::Wrapped { .. } | Self::WithoutToken => Some(" was "),
            Self::NotVault(NotVault::Foreign(_)) => Some(" got "),
            Self::Version1 => Some(" "),
            _ => None,
        }
    }
}

/// The cause alone.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { why, .. } => why.fmt(f),
            Self::Unread { limit, length } => late(*limit, *length, f),
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::Forbidden(refused) => refused.fmt(f),
            Self::Exhausted(words) => f.write_str(words),
            Self::Tls(fault) => fault.fmt(f),
            Self::NotVault(why) => why.fmt(f),
            Self::TooManyNodes => write!(f, "an answer of more than {} keys and values", json::MAX_NODES),
            Self::Redirected { status, to, onward } => {
                let to = match onward {
                    Onward::ToHttps => "https on the same host",
                    _ => to.as_deref().unwrap_or("another path"),
                };
                write!(f, "redirected to {to} ({status})")
            }
            Self::NotInitialised => f.write_str("not initialised"),
            Self::Sealed { needed: 0, .. } => f.write_str("sealed"),
            Self::Sealed { given, needed } => write!(f, "sealed ({given} of {needed} keys given)"),
            Self::Answered(answered) => answered.fmt(f),
            Self::WithoutToken => f.write_str("answered without a token, as one that needs MFA is"),
            Self::Wrapped { .. } => f.write_str("answered with a wrapped token instead"),
            Self::NotInline { status } => {
                write!(f, "the server does not take it along with the read (answered with {status})")
            }
            Self::SpentWrapping => f.write_str("the wrapping token is used up, expired or unknown to the server"),
            Self::OtherWrapping { wanted, path } => {
                write!(f, "the wrapping token holds no {}: it was made by {path}", wanted.words())
            }
            Self::Version1 => f.write_str("gave data without a version, as a KV version 1 mount does"),
            Self::Absent { version, said } => write!(f, "{} there{}", nothing(*version), Bracketed(said)),
            Self::NoMount { said } => write!(f, "there is no such mount{}", Bracketed(said)),
            Self::NoVersion => f.write_str("version 0 is none; they count from 1 on"),
            Self::Deleted { number, at: None } => write!(f, "version {number} was deleted"),
            Self::Deleted { number, at: Some(at) } => write!(f, "version {number} was deleted at {at}"),
            Self::Destroyed { number } => write!(f, "version {number} was destroyed"),
            Self::Null { number } => write!(f, "version {number} holds nothing: null was written"),
            Self::NoCredential(none) => none.fmt(f),
            Self::NoPerson(why) => why.fmt(f),
            Self::Settings(faults) => faults.fmt(f),
            Self::Closed => f.write_str("the client is closed"),
            Self::DeadAgain => {
                f.write_str("the token is dead, and so was the one before it; the next login is made later")
            }
            Self::Unsure(what) => write!(f, "{what}; whether it was done is not known"),
            Self::Mount(why) => write!(f, "the mount {}", why.words()),
            Self::Path(why) => write!(f, "the path {}", why.words()),
            Self::NoHeader(what) => write!(f, "the {what} holds what no header can carry"),
            Self::StoredInVersion1 => {
                f.write_str("the mount is KV version 1: it has stored the secret below data/, without a version")
            }
            Self::Shape(shape) => shape.fmt(f),
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { limit, length } => late(*limit, *length, f),
            Self::Unresolved { host, reason } => write!(f, "{host} does not resolve ({reason})"),
            Self::NotPermitted => f.write_str("connecting is not permitted"),
            Self::NoSocket => f.write_str("no such socket"),
            Self::ConnectionRefused => f.write_str("connection refused"),
            Self::ConnectionReset => f.write_str("connection reset"),
            Self::CutShort => f.write_str("the connection was closed before the answer was complete"),
            Self::NoRoute => f.write_str("no route to it"),
            Self::Proxy(reason) => write!(f, "the proxy did not connect ({reason})"),
            Self::NoTokenInTime => f.write_str("no token within the time limit"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl Unsendable {
    fn words(self) -> &'static str {
        match self {
            Self::Segment => "has a segment that is empty, . or ..",
            Self::Control => "holds a control character",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "the key {} is missing", crate::text::quoted(key)),
            Self::Blank(key) => write!(f, "the text under {} is empty or white space alone", crate::text::quoted(key)),
            Self::OtherType => f.write_str("a value has another type than the program expects"),
            Self::Twice(key) => write!(f, "the key {key} stands twice in it"),
            Self::NoJson => f.write_str("what is to be written cannot be made JSON"),
            Self::NoObject => f.write_str("what is to be written is no object with keys and values"),
        }
    }
}

impl fmt::Display for NotVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoded(encoding) => write!(f, "an answer encoded as {encoding}"),
            Self::TooLong(limit) => write!(f, "an answer of more than {limit} MiB"),
            Self::Headers => f.write_str("an answer with too many or too long headers"),
            Self::NotHttp => f.write_str("an answer that is no valid HTTP"),
            Self::Failed(words) => write!(f, "the request failed ({words})"),
            Self::Foreign(outline) => outline.fmt(f),
            Self::Malformed(outline, what) => write!(f, "{outline}: {what}"),
        }
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content_type, bytes } = self;
        let kind = if content_type.is_empty() { "no content type" } else { content_type };
        write!(f, "an answer that is not Vault's (status {status}, {kind}, {bytes} bytes)")
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, said, found, .. } = self;
        let colon = if said.is_empty() { "" } else { ": " };
        write!(f, "answered with {status}{colon}{said}")?;
        found.map_or(Ok(()), |found| write!(f, "; the latest version is {found}"))
    }
}

fn late(limit: Limit, length: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let length = Seconds(length);
    match limit {
        Limit::Whole | Limit::Deadline => write!(f, "no complete answer in the {length} left"),
        Limit::Request | Limit::Wait | Limit::Own => write!(f, "no complete answer within {length}"),
    }
}

/// What is not there.
fn nothing(version: Option<u64>) -> String {
    version.map_or_else(|| "nothing".to_owned(), |version| format!("no version {version}"))
}

/// A text in brackets behind a space; nothing where it is empty.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}
