//! What went wrong, as data. A fault's text is its cause; what to do about it depends on who asks, and is theirs to say.

mod alert;
mod answered;
mod credential;
mod jwt;
mod kind;
mod oidc;
mod setting;
mod text;
mod tls;

use std::time::Duration;

use crate::refused::Refused;
use crate::time::Limit;
pub use alert::TlsAlert;
pub use answered::{Answered, Why};
pub use credential::{Document, NoCredential, Unusable, Wanted};
pub use jwt::{Claims, JwtClaims};
pub use kind::ErrorKind;
pub use oidc::NoPerson;
pub use setting::{FaultKind, SettingFault, SettingFaults};
pub use tls::{CertificateFault, ServerName, TlsFault};

/// What an answer comes to that is not the one wanted, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub what: What,
    /// Whether trying again can help.
    pub retry: Retry,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The server's id of the request, where the answer has one.
    pub request_id: Option<String>,
}

/// Whether trying again can help, and how that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the same question gets the same answer.
    Never,
    /// Only by somebody's act, which a wait waits for.
    InWait,
    /// Yes, after the usual pause; it is one of the tries of [`Limits::retries`](crate::Limits::retries).
    Soon,
    /// The same, after at least this pause, which the server asked for.
    After(Duration),
    /// Yes, as a rule within a second: after short pauses, at least this one, and only then as [`Retry::Soon`].
    Quick(Duration),
    /// Perhaps: the cause can be one that passes or one that stays. Tried twice more at most.
    Again,
    /// Yes, the server lives and asks for patience: after growing pauses, at least this one, until the budget ends.
    Patience(Duration),
}

/// What happened. No text in it holds a secret; a server's own words are escaped, cut and free of every secret known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// There is no complete answer.
    Unreachable {
        /// Why not.
        why: Unreachable,
        /// What leads to the server.
        way: Way,
    },
    /// The answer was there, and the limit was over before all of it was read.
    Unread {
        /// The limit.
        limit: Limit,
        /// How long it was.
        length: Duration,
    },
    /// The caller's [`Cancel`](crate::Cancel) ended it.
    Cancelled,
    /// A call that this process may not make.
    Forbidden(Refused),
    /// Something that this process may not have more of, in the system's own words.
    Exhausted(String),
    /// The TLS connection failed.
    Tls(Box<TlsFault>),
    /// What answers is not Vault.
    NotVault(NotVault),
    /// An answer of more keys and values than are read.
    TooManyNodes,
    /// The server sends the request on. It is not followed, because the token would go with it.
    Redirected {
        /// The status.
        status: u16,
        /// Host and port that it leads to; `None` where it names no host.
        to: Option<String>,
        /// Where that is.
        onward: Onward,
    },
    /// The server is not initialised.
    NotInitialised,
    /// The server is sealed.
    Sealed {
        /// How many keys have been given.
        given: u64,
        /// How many are needed; 0 where it does not say.
        needed: u64,
    },
    /// Vault refuses the request, or cannot fulfil it now.
    Answered(Box<Answered>),
    /// A login's answer has no token in it, as one that needs MFA.
    WithoutToken,
    /// The answer is a wrapped token.
    Wrapped {
        /// Whether a control group has each request approved first.
        /// [Control groups](https://developer.hashicorp.com/vault/docs/enterprise/control-groups)
        control_group: bool,
    },
    /// The server does not take a login along with a read, or cannot serve this role so.
    NotInline {
        /// The status that says so.
        status: u16,
    },
    /// The wrapping token is used up, expired or unknown.
    SpentWrapping,
    /// The wrapping token does not hold the credential that it was given out as.
    OtherWrapping {
        /// What it was given out as.
        wanted: Wanted,
        /// The path of the request that made it, in the server's words.
        path: String,
    },
    /// The data come without a version, as those of a KV version 1 mount.
    Version1,
    /// There is no such path, or no such version at it.
    Absent {
        /// The version that was asked for, if one was.
        version: Option<u64>,
        /// The server's words, if any.
        said: String,
    },
    /// There is no such mount, or it is of another engine.
    NoMount {
        /// The server's words.
        said: String,
    },
    /// The version was deleted.
    Deleted {
        /// Its number.
        number: u64,
        /// When, RFC 3339.
        at: Option<String>,
    },
    /// The version was destroyed.
    Destroyed {
        /// Its number.
        number: u64,
    },
    /// The version holds no data: `null` was written.
    Null {
        /// Its number.
        number: u64,
    },
    /// The file with the token or JWT gives none.
    NoCredential(Box<NoCredential>),
    /// The login of a person came to nothing.
    NoPerson(Box<NoPerson>),
    /// Settings are missing or cannot be used.
    Settings(SettingFaults),
    /// The client was closed before.
    Closed,
    /// The token is dead, and so was the one before it: the next login is made later.
    DeadAgain,
    /// This happened after a part of the request was sent: whether it was done is not known.
    Unsure(Box<Self>),
    /// Versions count from 1 on; 0 is none.
    NoVersion,
    /// The mount's name cannot be sent.
    Mount(Unsendable),
    /// The path cannot be sent.
    Path(Unsendable),
    /// This, which is sent as a header, holds what none can carry.
    NoHeader(&'static str),
    /// A secret was written to a mount of KV version 1, which has stored it below `data/`, without a version.
    StoredInVersion1,
    /// Data have another shape than they have to.
    Shape(Shape),
}

/// Why a mount's name or a path cannot be sent: the server would clean it, or refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// A segment is empty, `.` or `..`.
    Segment,
    /// A control character is in it.
    Control,
}

/// How data differ from what they have to be. Nothing of a value is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// This key is missing.
    Missing(String),
    /// The text under this key is empty, or all white space.
    Blank(String),
    /// A value has another type than the program expects.
    OtherType,
    /// This key stands twice.
    Twice(String),
    /// What is to be written cannot be made JSON.
    NoJson,
    /// What is to be written is no object.
    NoObject,
}

/// What leads to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// The network, without a proxy.
    Network,
    /// A proxy, which is nearer than the server.
    Proxy,
    /// A unix socket on this machine.
    Socket,
}

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreachable {
    /// A limit was over before.
    Late {
        /// The limit.
        limit: Limit,
        /// How long it was.
        length: Duration,
    },
    /// The host's name does not resolve.
    Unresolved {
        /// The name.
        host: String,
        /// The resolver's own words.
        reason: String,
    },
    /// Something here forbids the connection.
    NotPermitted,
    /// No file is at the unix socket's path.
    NoSocket,
    /// Nothing listens there.
    ConnectionRefused,
    /// The peer ended the connection.
    ConnectionReset,
    /// The connection ended in the middle of the answer.
    CutShort,
    /// No network leads to it.
    NoRoute,
    /// The proxy does not connect, for this reason.
    Proxy(String),
    /// Another thread's login did not end before the limit.
    NoTokenInTime,
    /// Another error of the system, in its own words.
    Other(String),
}

/// Why what answers is not Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotVault {
    /// The body is encoded so, which was not asked for.
    Encoded(String),
    /// The body is longer than so many MiB.
    TooLong(u64),
    /// The headers are too many, or too long.
    Headers,
    /// The answer is no valid HTTP.
    NotHttp,
    /// The HTTP client's own words.
    Failed(String),
    /// The answer looks like none of Vault's.
    Foreign(Box<Outline>),
    /// The same, for what is wrong with its body.
    Malformed(Box<Outline>, String),
}

/// What an answer looks like, without a byte of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its status.
    pub status: u16,
    /// Its content type; empty where it has none.
    pub content_type: String,
    /// Length of its body.
    pub bytes: usize,
}

/// Where a redirect leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// A node that does not lead sends the request on as it came, as one does for some seconds while none leads. A single
    /// node that was restarted does so too for a moment, to itself.
    /// [HA](https://openbao.org/docs/concepts/ha/#client-redirection)
    ToTheLeader,
    /// To the same host, in TLS.
    ToHttps,
    /// To the same path elsewhere, by somebody who is no standby.
    Moved,
    /// Anywhere else.
    Elsewhere,
}

impl Fault {
    /// One that is tried again as `retry` says.
    pub(crate) fn new(what: What, retry: Retry) -> Self {
        Self { what, retry, status: None, request_id: None }
    }

    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        self.what.kind()
    }
}

/// One that is final.
impl From<What> for Fault {
    fn from(what: What) -> Self {
        Self::new(what, Retry::Never)
    }
}

impl What {
    /// What it is about: the one table of kinds.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::Unread { .. } => ErrorKind::Unreachable,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Forbidden(_) | Self::Exhausted(_) => ErrorKind::System,
            Self::Tls(fault) if fault.is_of_the_system() => ErrorKind::System,
            Self::Tls(_) => ErrorKind::Tls,
            Self::Redirected { onward: Onward::ToTheLeader, .. } | Self::NotInitialised | Self::Sealed { .. } => {
                ErrorKind::NotReady
            }
            Self::NotVault(_) | Self::TooManyNodes | Self::Redirected { .. } => ErrorKind::NotVault,
            Self::Answered(answered) => answered.why.kind(),
            Self::WithoutToken
            | Self::Wrapped { .. }
            | Self::SpentWrapping
            | Self::OtherWrapping { .. }
            | Self::DeadAgain => ErrorKind::Denied,
            Self::NoMount { .. }
            | Self::NoVersion
            | Self::NotInline { .. }
            | Self::Version1
            | Self::StoredInVersion1
            | Self::Mount(_)
            | Self::Path(_)
            | Self::NoHeader(_) => ErrorKind::Rejected,
            Self::Absent { .. } | Self::Deleted { .. } | Self::Destroyed { .. } | Self::Null { .. } => {
                ErrorKind::NotFound
            }
            Self::NoCredential(_) => ErrorKind::Credential,
            Self::NoPerson(why) => why.kind(),
            Self::Settings(faults) => faults.kind(),
            Self::Closed => ErrorKind::Closed,
            Self::Unsure(what) => what.kind(),
            Self::Shape(_) => ErrorKind::Shape,
        }
    }

    /// The version that it is about.
    pub(crate) fn version(&self) -> Option<u64> {
        match self {
            Self::Deleted { number, .. } | Self::Destroyed { number } | Self::Null { number } => Some(*number),
            Self::Answered(answered) => answered.found,
            _ => None,
        }
    }
}
