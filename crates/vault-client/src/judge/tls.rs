//! TLS faults as sentences. Each error of [`rustls::Error`] has its own, or that of its kind; `tests` has all of them, and
//! holds them against the library's source. None quotes a debug form. Nothing is tried again: certificates and ciphers do not change within a start-up.

mod alert;
mod algorithm;
mod certificate;
mod name;

use std::borrow::Cow;

use rustls::{Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::error::{ErrorKind, Fault, Retry};
use crate::http::tls::client::Failed;
use crate::text::Scrubber;

/// Cause and remedy.
type Sentence = (Cow<'static, str>, Cow<'static, str>);

fn plain(cause: &'static str, remedy: &'static str) -> Sentence {
    (Cow::Borrowed(cause), Cow::Borrowed(remedy))
}

/// What a failed connection comes to. The TLS library's own words are for the observer alone.
pub fn fault(failed: &Failed, scrubber: &Scrubber) -> Fault {
    let (cause, remedy) = sentence(failed, scrubber);
    let kind = match failed.error {
        Error::FailedToGetRandomBytes | Error::FailedToGetCurrentTime => ErrorKind::System,
        _ => ErrorKind::Tls,
    };
    Fault { kind, cause: cause.into_owned(), remedy: remedy.into_owned(), retry: Retry::Never, status: None }
}

fn sentence(failed: &Failed, scrubber: &Scrubber) -> Sentence {
    match &failed.error {
        Error::InvalidCertificate(error) => certificate::sentence(error, failed.no_authority, scrubber),
        Error::AlertReceived(alert) => alert::sentence(*alert, failed.asked),
        Error::InvalidMessage(message) => of_message(*message),
        Error::PeerIncompatible(reason) => of_incompatible(reason),
        Error::PeerMisbehaved(reason) => of_misbehaved(reason),
        Error::NoCertificatesPresented => {
            plain("the server presents no certificate", "give it one, or correct VAULT_ADDR")
        }
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError
        | Error::PeerSentOversizedRecord
        | Error::NoApplicationProtocol => against_the_rules(),
        Error::FailedToGetRandomBytes => plain(
            "the system gives no random numbers for TLS",
            "check the container's seccomp profile and /dev/urandom",
        ),
        Error::FailedToGetCurrentTime => plain("the system's clock cannot be read", "set it to a date after 1970"),
        // What no setting of this program leads to (ECH, revocation lists, small fragments, a server's keys), what the
        // library has no word for, and what a later one adds.
        _ => last_resort(),
    }
}

fn last_resort() -> Sentence {
    plain(
        "the TLS connection failed",
        "check what stands between here and the server; VAULT_LOG_LEVEL=debug tells more",
    )
}

fn against_the_rules() -> Sentence {
    plain(
        "the server breaks the rules of TLS",
        "check what ends TLS there, such as a proxy or a load balancer; VAULT_LOG_LEVEL=debug tells more",
    )
}

fn too_old() -> Sentence {
    plain(
        "the server speaks only TLS versions or ciphers that are too old",
        "let it offer TLS 1.2 with ECDHE, or TLS 1.3",
    )
}

fn unsupported_key() -> Sentence {
    plain(
        "the server signs with a key of a kind that is not supported",
        "issue its certificate for a key on P-256 or P-384, Ed25519, or RSA of 2048 bits or more",
    )
}

fn of_message(message: InvalidMessage) -> Sentence {
    use InvalidMessage as Invalid;
    match message {
        // What another protocol begins with is no record.
        Invalid::InvalidContentType | Invalid::UnknownProtocolVersion => {
            plain("the port does not speak TLS", "write http:// in VAULT_ADDR if that is meant, or correct the port")
        }
        Invalid::CertificatePayloadTooLarge | Invalid::HandshakePayloadTooLarge => plain(
            "the server sends more certificates than are taken",
            "let it send its own and those between it and the authority, and no others",
        ),
        Invalid::UnsupportedCompression
        | Invalid::UnsupportedCurveType
        | Invalid::UnsupportedKeyExchangeAlgorithm(_)
        | Invalid::InvalidDhParams
        | Invalid::MissingKeyExchange => too_old(),
        _ => against_the_rules(),
    }
}

fn of_incompatible(reason: &PeerIncompatible) -> Sentence {
    use PeerIncompatible as Peer;
    match reason {
        Peer::ServerDoesNotSupportTls12Or13
        | Peer::ServerTlsVersionIsDisabledByOurConfig
        | Peer::SupportedVersionsExtensionRequired
        | Peer::Tls12NotOffered
        | Peer::Tls12NotOfferedOrEnabled
        | Peer::NoCipherSuitesInCommon
        | Peer::NoKxGroupsInCommon
        | Peer::NoEcPointFormatsInCommon
        | Peer::NoSignatureSchemesInCommon
        | Peer::EcPointsExtensionRequired
        | Peer::ExtendedMasterSecretExtensionRequired
        | Peer::KeyShareExtensionRequired
        | Peer::NamedGroupsExtensionRequired
        | Peer::NullCompressionRequired
        | Peer::SignatureAlgorithmsExtensionRequired
        | Peer::UncompressedEcPointsRequired => too_old(),
        Peer::NoCertificateRequestSignatureSchemesInCommon => plain(
            "the server takes no signature of a client certificate that is supported here",
            "let it take ECDSA with P-256 or P-384, Ed25519 or RSA-PSS",
        ),
        Peer::IncorrectCertificateTypeExtension | Peer::UnsolicitedCertificateTypeExtension => {
            plain("the server wants bare public keys in place of certificates", "let it use X.509 certificates")
        }
        _ => against_the_rules(),
    }
}

fn of_misbehaved(reason: &PeerMisbehaved) -> Sentence {
    match reason {
        PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported => plain(
            "somebody between here and the server forces an older TLS version on both",
            "check what stands between here and the server",
        ),
        PeerMisbehaved::SignedKxWithWrongAlgorithm | PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme => {
            unsupported_key()
        }
        _ => against_the_rules(),
    }
}

#[cfg(test)]
mod tests;
