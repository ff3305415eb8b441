//! Why the login of a person came to nothing, where that is not the server's refusal.

use std::fmt;
use std::time::Duration;

use super::ErrorKind;
use crate::time::Seconds;

/// Why the login of a person came to nothing. No text in it holds a code, a nonce or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoPerson {
    /// The server gives no URL: the role does not allow this redirect URI, or is none for a browser.
    NoUrl {
        /// The redirect URI that was asked for, as it may be shown.
        redirect_uri: String,
    },
    /// The role sends the browser back to the program, which listens nowhere.
    NotListening,
    /// The server gives a URL that is not opened, for this reason.
    BadUrl(&'static str),
    /// The provider has sent the browser back with an error.
    Refused {
        /// The error's name, escaped and cut.
        error: String,
        /// What the provider says of it, escaped and cut; empty where it says nothing.
        description: String,
    },
    /// Nobody has completed it within this time.
    TooLate(Duration),
    /// It needs a person, and there is nobody to ask.
    NobodyToAsk,
    /// Nothing can listen for the browser.
    NotBound {
        /// Where.
        at: String,
        /// The system's own words.
        reason: String,
    },
    /// The folder of cached tokens cannot be used.
    Cache {
        /// The folder, or the file in it, as it may be shown.
        path: String,
        /// Why not.
        flaw: String,
    },
}

impl NoPerson {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::NoUrl { .. } | Self::NotListening => ErrorKind::Rejected,
            Self::BadUrl(_) | Self::Refused { .. } | Self::TooLate(_) | Self::NobodyToAsk => ErrorKind::Oidc,
            Self::NotBound { .. } | Self::Cache { .. } => ErrorKind::System,
        }
    }
}

impl fmt::Display for NoPerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUrl { redirect_uri } => write!(
                f,
                "the server gives no URL for it: the role does not allow the redirect URI {redirect_uri}, or is of type jwt"
            ),
            Self::NotListening => f.write_str("the role sends the browser back here, where nothing listens"),
            Self::BadUrl(why) => write!(f, "the server gives a URL that is not opened: {why}"),
            Self::Refused { error, description } if description.is_empty() => {
                write!(f, "the provider answered {error}")
            }
            Self::Refused { error, description } => write!(f, "the provider answered {error} ({description})"),
            Self::TooLate(limit) => write!(f, "nobody has completed it within {}", Seconds(*limit)),
            Self::NobodyToAsk => f.write_str("it needs a person in a browser, and nobody is there to ask"),
            Self::NotBound { at, reason } => write!(f, "nothing can listen at {at}: {reason}"),
            Self::Cache { path, flaw } => write!(f, "the cached token in {path} cannot be used: {flaw}"),
        }
    }
}
