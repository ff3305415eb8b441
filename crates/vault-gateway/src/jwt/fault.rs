//! Why the keys of an issuer were not fetched.

use std::fmt;
use std::io;

use vault_client::credential::Unreadable;
use vault_client::text;

/// Why the keys of an issuer were not fetched. Its text has the cause and the remedy, and nothing that the issuer said.
#[derive(Debug)]
pub enum Fault {
    /// The URL is neither https nor http on this machine, or it is http and the issuer is not.
    Unsafe(Which),
    /// There was no answer.
    NoAnswer(Which, NoAnswer),
    /// The answer has this status; redirects are not followed.
    Status(Which, u16),
    /// The answer has this status, and the token was not shown there: the configuration does not name the place.
    Kept(Which, u16),
    /// The answer, or the file, is larger than the limit.
    TooLarge(Which),
    /// The answer, or the file, is not what it must be.
    NotThat(Which),
    /// The discovery document is one of another issuer.
    OtherIssuer,
    /// This file of the configuration cannot be used.
    File(&'static str, Unreadable),
    /// `ca` has no certificate.
    NoCertificate,
    /// `token_file` holds no token.
    NoToken,
    /// The task that fetches ended in a panic.
    Panic,
}

/// Which document of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The discovery document.
    Discovery,
    /// The keys.
    Keys,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// It took too long.
    Timeout,
    /// The name has no address.
    Name,
    /// The TLS connection failed.
    Tls,
    /// The system refused the connection, or it was cut.
    Io(io::ErrorKind),
    /// What came is no HTTP.
    Protocol,
}

impl From<&ureq::Error> for NoAnswer {
    fn from(error: &ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Timeout,
            ureq::Error::HostNotFound => Self::Name,
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Self::Tls,
            // rustls hides its errors in those of the system.
            ureq::Error::Io(error) if is_tls(error) => Self::Tls,
            ureq::Error::Io(error) => Self::Io(error.kind()),
            ureq::Error::ConnectionFailed => Self::Io(io::ErrorKind::NotConnected),
            _ => Self::Protocol,
        }
    }
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "the discovery document",
            Self::Keys => "the key set",
        })
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time; look at the network between here and the issuer"),
            Self::Name => f.write_str("the name has no address; correct the URL, or the name service"),
            Self::Tls => f.write_str("the TLS connection failed; correct `ca`, or the certificate of the issuer"),
            Self::Io(kind) => {
                write!(
                    f,
                    "the connection failed ({}); look at the issuer and the network",
                    text::escaped(&kind.to_string())
                )
            }
            Self::Protocol => f.write_str("the answer is no HTTP; correct the URL"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsafe(which) => {
                write!(
                    f,
                    "{which} would come over http; the URL must begin with https, or be one of this machine that `jwks` names"
                )
            }
            Self::NoAnswer(which, why) => write!(f, "{which}: {why}"),
            Self::Status(which, status @ 300..=399) => {
                write!(
                    f,
                    "{which}: status {status}, and redirects are not followed; write the URL it leads to in `jwks`"
                )
            }
            Self::Status(which, status @ (401 | 403)) => {
                write!(f, "{which}: status {status}; set `token_file`, or allow it for everybody")
            }
            Self::Kept(which, status) => {
                write!(
                    f,
                    "{which}: status {status}, and `token_file` is shown to the host of `url` alone; write the URL of \
                     {which} in `jwks`"
                )
            }
            Self::Status(which, status) => write!(f, "{which}: status {status}; correct `url` or `jwks`"),
            Self::TooLarge(which) => write!(f, "{which} is larger than 64 KiB; correct `url` or `jwks`"),
            Self::NotThat(Which::Discovery) => f.write_str(
                "the discovery document is no JSON object with `issuer` and `jwks_uri`; correct `url`, or set `jwks`",
            ),
            Self::NotThat(Which::Keys) => f.write_str("the key set is no JSON object with `keys`; correct `jwks`"),
            Self::OtherIssuer => f.write_str(
                "the discovery document is one of another issuer; `url` must equal its `issuer` byte for byte",
            ),
            Self::File(key, why) => write!(f, "the file of `{key}`: {why}; mend the file"),
            Self::NoCertificate => {
                f.write_str("the file of `ca` has no certificate of an authority in PEM; mend the file")
            }
            Self::NoToken => f.write_str("the file of `token_file` holds no token of one line; mend the file"),
            Self::Panic => f.write_str("a fault of the gateway"),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_with_a_remedy() {
        let which = Which::Keys;
        for fault in [
            Fault::Unsafe(which),
            Fault::NoAnswer(which, NoAnswer::Timeout),
            Fault::NoAnswer(which, NoAnswer::Io(io::ErrorKind::ConnectionRefused)),
            Fault::Status(which, 302),
            Fault::Status(which, 403),
            Fault::Status(which, 500),
            Fault::Kept(which, 401),
            Fault::TooLarge(which),
            Fault::NotThat(Which::Discovery),
            Fault::NotThat(which),
            Fault::OtherIssuer,
            Fault::File("ca", Unreadable::NotFound),
            Fault::NoCertificate,
            Fault::NoToken,
        ] {
            let text = fault.to_string();
            assert!(text.contains("; ") && !text.contains('\n') && text.starts_with("the "), "{text}");
        }
    }
}
