//! Why a TLS connection failed, as data. The text of a fault is its cause alone.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use rustls::pki_types;

use super::TlsAlert;

/// Why a TLS connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// The server's certificate is not accepted.
    Certificate(CertificateFault),
    /// The server presents no certificate.
    NoCertificate,
    /// The server presents more certificates, or larger ones, than are taken.
    TooManyCertificates,
    /// The server sends a bare public key in place of a certificate
    /// ([RFC 7250](https://www.rfc-editor.org/rfc/rfc7250)).
    RawPublicKey,
    /// The server signs the handshake with a key of a kind that is not supported.
    UnsupportedKey,
    /// The server demands a client certificate, and there is none to show.
    ClientCertificateRequired,
    /// The server demands a client certificate, and takes no signature that the client's key can make.
    ClientKeyUnsuitable,
    /// The server takes no signature of a client certificate that is supported, whatever the key.
    NoClientSignature,
    /// The server refuses the client certificate. [`TlsAlert::of_client_certificate`] says why.
    ClientCertificateRefused(TlsAlert),
    /// What answers speaks another protocol.
    NotTls,
    /// The server offers only versions or ciphers that are too old.
    TooOld,
    /// The server demands stronger ciphers or keys than are supported.
    InsufficientSecurity,
    /// No version, cipher or signature is supported by both sides, says the server.
    NothingInCommon,
    /// The server has no certificate for the name that it was asked for.
    UnrecognisedName,
    /// Somebody in between forces an older version on both sides.
    Downgrade,
    /// The server ended the connection with an alert that is of no other variant.
    Refused(TlsAlert),
    /// The server sends what the protocol does not allow.
    Misbehaved,
    /// The operating system gives no random numbers.
    NoRandomNumbers,
    /// The clock of the system cannot be read.
    NoClock,
    /// Something that has no word of its own.
    Other,
}

impl TlsFault {
    /// Whether the operating system is at fault, and not the server or a setting.
    pub fn is_of_the_system(&self) -> bool {
        matches!(self, Self::NoRandomNumbers | Self::NoClock)
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate(fault) => return fault.fmt(f),
            Self::NoCertificate => "the server presents no certificate",
            Self::TooManyCertificates => "the server sends more certificates than are taken",
            Self::RawPublicKey => "the server wants bare public keys in place of certificates",
            Self::UnsupportedKey => "the server signs with a key of a kind that is not supported",
            Self::ClientCertificateRequired => "the server demands a client certificate",
            Self::ClientKeyUnsuitable => {
                "the server demands a client certificate, and takes no signature that the client's key can make"
            }
            Self::NoClientSignature => "the server takes no signature of a client certificate that is supported here",
            Self::ClientCertificateRefused(alert) => {
                return write!(f, "the server refuses the client certificate: {}", alert.of_client_certificate());
            }
            Self::NotTls => "the port does not speak TLS",
            Self::TooOld => "the server speaks only TLS versions or ciphers that are too old",
            Self::InsufficientSecurity => "the server demands stronger TLS ciphers or keys than are supported",
            Self::NothingInCommon => "the server finds no TLS version, cipher or signature that both sides support",
            Self::UnrecognisedName => "the server has no certificate for the name that it was asked for",
            Self::Downgrade => "somebody between here and the server forces an older TLS version on both",
            Self::Refused(alert) => return write!(f, "the server refuses the TLS connection ({alert})"),
            Self::Misbehaved => "the server breaks the rules of TLS",
            Self::NoRandomNumbers => "the system gives no random numbers for TLS",
            Self::NoClock => "the system's clock cannot be read",
            Self::Other => "the TLS connection failed",
        })
    }
}

/// Why a server's certificate is not accepted. What a server or its certificate says is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It has expired.
    Expired {
        /// Its last second.
        not_after: SystemTime,
        /// What the clock says.
        now: SystemTime,
    },
    /// It is not valid yet.
    NotYetValid {
        /// Its first second.
        not_before: SystemTime,
        /// What the clock says.
        now: SystemTime,
    },
    /// It is not valid yet, and when it will be is not known.
    NotYetValidUndated,
    /// Its last second is before its first.
    EndsBeforeItBegins,
    /// It has no subjectAltName. The common name does not count.
    NoSubjectAltName {
        /// The name that it should carry.
        expected: ServerName,
    },
    /// Its subjectAltName has neither a DNS name nor an IP address.
    NoServerName {
        /// The name that it should carry.
        expected: ServerName,
    },
    /// It carries a name that is meant for the server, and that does not count.
    NearMiss {
        /// The name that it should carry.
        expected: ServerName,
        /// The name that it carries.
        name: String,
        /// Why that does not count.
        why: &'static str,
    },
    /// It carries other names.
    OtherNames {
        /// The name that it should carry.
        expected: ServerName,
        /// The names that it carries, separated by commas; a long list is cut.
        names: String,
        /// Whether each of them is a wildcard.
        wildcards: bool,
    },
    /// It is for another name, and which one is not known.
    OtherName,
    /// No authority that is trusted issued it.
    UnknownIssuer {
        /// Whether none of the certificates that are trusted is an authority's.
        no_authority: bool,
    },
    /// Its signature is not that of the trusted authority of this name.
    BadSignature,
    /// It, or one between it and the authority, is signed with an algorithm that is not supported.
    UnsupportedSignature {
        /// The name of the algorithm, or its number, if it is known.
        signature: Option<String>,
        /// The kind of key that signed, or its curve, if it is known.
        key: Option<String>,
    },
    /// Its extended key usage does not have serverAuth.
    NotForServers,
    /// Its extended key usage is empty.
    EmptyExtendedKeyUsage,
    /// It has a critical extension that is not supported.
    CriticalExtension,
    /// It is an authority's own (`CA:TRUE`).
    IsAuthority,
    /// The certificate that issued it is no authority's (`CA:FALSE`).
    IssuerIsNoAuthority,
    /// The trusted authority's pathlen does not permit so many authorities below it.
    PathTooLong,
    /// The nameConstraints of an authority do not permit its names.
    NameConstraints,
    /// The nameConstraints of an authority cannot be read, or are of a kind that is not supported.
    UnsupportedNameConstraints,
    /// The server sends more certificates or constraints than are followed.
    TooManyConstraints,
    /// It, or one between it and the authority, is not X.509 version 3.
    NotVersion3,
    /// Its serial number is negative, or longer than 20 bytes.
    SerialNumber,
    /// It, or one between it and the authority, cannot be read.
    Damaged,
    /// It is revoked.
    Revoked,
    /// Whether it is revoked cannot be told.
    RevocationUnknown,
    /// Its authority is known to be compromised.
    Distrusted,
    /// It is refused for a reason that is not known.
    Refused,
    /// It cannot be used for a reason that has no word of its own.
    Unusable,
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired { not_after, now } => return dated(f, "expired", *not_after, *now),
            Self::NotYetValid { not_before, now } => return dated(f, "begins", *not_before, *now),
            Self::NotYetValidUndated => "the server's certificate is not valid yet",
            Self::EndsBeforeItBegins => "the server's certificate ends before it begins",
            Self::NoSubjectAltName { .. } => {
                "the server's certificate has no subjectAltName, and its common name does not count"
            }
            Self::NoServerName { .. } => "the server's certificate carries neither a DNS name nor an IP address",
            Self::NearMiss { expected, name, why } => {
                return write!(f, "the server's certificate for {name} is not for {expected}: {why}");
            }
            Self::OtherNames { expected, names, .. } => {
                return write!(f, "the server's certificate is not for {expected} but for {names}");
            }
            Self::OtherName => "the server's certificate is for another name",
            Self::UnknownIssuer { no_authority: false } => "the server's certificate comes from an unknown authority",
            Self::UnknownIssuer { no_authority: true } => {
                "the server's certificate comes from an unknown authority, and no certificate that is trusted here is an \
                 authority's"
            }
            Self::BadSignature => {
                "the server's certificate carries a signature that does not fit the trusted authority"
            }
            Self::UnsupportedSignature { signature, key } => return signed(f, signature.as_deref(), key.as_deref()),
            Self::NotForServers => "the server's certificate is not made for servers",
            Self::EmptyExtendedKeyUsage => "the server's certificate has an extended key usage that is empty",
            Self::CriticalExtension => {
                "the server's certificate carries a critical extension that is not supported"
            }
            Self::IsAuthority => {
                "the server's certificate is itself an authority's, which is refused here though curl accepts it"
            }
            Self::IssuerIsNoAuthority => "the server's certificate was issued by one that is no authority's",
            Self::PathTooLong => {
                "more authorities stand between the server's certificate and the trusted one than that one permits"
            }
            Self::NameConstraints => {
                "the server's authority may not issue certificates for the names in the server's certificate"
            }
            Self::UnsupportedNameConstraints => {
                "the name constraints of the server's authority are damaged, or of a kind that is not supported"
            }
            Self::TooManyConstraints => "the server sends more certificates or constraints than are followed",
            Self::NotVersion3 => {
                "the server's certificate, or one between it and the authority, is not X.509 version 3"
            }
            Self::SerialNumber => {
                "the server's certificate has a serial number that is negative, or longer than 20 bytes"
            }
            Self::Damaged => "the server's certificate, or one between it and the authority, is damaged",
            Self::Revoked => "the server's certificate is revoked",
            Self::RevocationUnknown => "whether the server's certificate is revoked cannot be told",
            Self::Distrusted => "the server's authority is known to be compromised",
            Self::Refused => "the server's certificate is refused",
            Self::Unusable => "the server's certificate cannot be used",
        })
    }
}

fn dated(f: &mut fmt::Formatter<'_>, what: &str, at: SystemTime, now: SystemTime) -> fmt::Result {
    let (at, now) = (humantime::format_rfc3339_seconds(at), humantime::format_rfc3339_seconds(now));
    write!(f, "the server's certificate {what} at {at} (the clock here says {now})")
}

fn signed(f: &mut fmt::Formatter<'_>, signature: Option<&str>, key: Option<&str>) -> fmt::Result {
    f.write_str("the server's certificate, or one between it and the authority, is signed ")?;
    match (signature, key) {
        (Some(signature), Some(key)) => write!(f, "with {signature} by a key of the kind {key}, which")?,
        (Some(signature), None) => write!(f, "with {signature}, which")?,
        (None, _) => f.write_str("in a way that")?,
    }
    f.write_str(" is not supported")
}

/// The name of a server, as its certificate has to carry it in its subjectAltName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

impl From<&pki_types::ServerName<'_>> for ServerName {
    fn from(name: &pki_types::ServerName<'_>) -> Self {
        match name {
            pki_types::ServerName::IpAddress(address) => Self::Ip((*address).into()),
            other => Self::Dns(other.to_str().into_owned()),
        }
    }
}
