//! TLS faults as data. Each error of [`rustls::Error`] has its own, or that of its kind; `canned` has all of them, and the
//! tests hold that list against the library's source. Nothing is tried again: certificates and ciphers do not change
//! within a start-up.

mod alert;
mod algorithm;
#[cfg(any(test, feature = "canned"))]
mod canned;
mod certificate;
mod name;

use rustls::{Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::fault::{CertificateFault, Fault, TlsFault, What};
use crate::http::tls::client::Failed;
use crate::text::Scrubber;

/// What a failed connection comes to. The TLS library's own words are for the observer alone.
pub fn fault(failed: &Failed, scrubber: &Scrubber) -> Fault {
    What::Tls(Box::new(of(failed, scrubber))).into()
}

fn of(failed: &Failed, scrubber: &Scrubber) -> TlsFault {
    match &failed.error {
        Error::InvalidCertificate(error) => certificate::fault(error, failed.no_authority, scrubber),
        Error::AlertReceived(alert) => alert::fault(*alert, failed.asked),
        Error::InvalidMessage(message) => of_message(*message),
        Error::PeerIncompatible(reason) => of_incompatible(reason),
        Error::PeerMisbehaved(reason) => of_misbehaved(reason),
        Error::NoCertificatesPresented => TlsFault::NoCertificate,
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError
        | Error::PeerSentOversizedRecord
        | Error::NoApplicationProtocol => TlsFault::Misbehaved,
        Error::FailedToGetRandomBytes => TlsFault::NoRandomNumbers,
        Error::FailedToGetCurrentTime => TlsFault::NoClock,
        // What no setting of this client leads to (ECH, revocation lists, small fragments, a server's keys), what the
        // library has no word for, and what a later one adds.
        _ => TlsFault::Other,
    }
}

fn of_message(message: InvalidMessage) -> TlsFault {
    use InvalidMessage as Invalid;
    match message {
        // What another protocol begins with is no record.
        Invalid::InvalidContentType | Invalid::UnknownProtocolVersion => TlsFault::NotTls,
        Invalid::CertificatePayloadTooLarge | Invalid::HandshakePayloadTooLarge => TlsFault::TooManyCertificates,
        Invalid::UnsupportedCompression
        | Invalid::UnsupportedCurveType
        | Invalid::UnsupportedKeyExchangeAlgorithm(_)
        | Invalid::InvalidDhParams
        | Invalid::MissingKeyExchange => TlsFault::TooOld,
        _ => TlsFault::Misbehaved,
    }
}

fn of_incompatible(reason: &PeerIncompatible) -> TlsFault {
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
        | Peer::UncompressedEcPointsRequired => TlsFault::TooOld,
        Peer::NoCertificateRequestSignatureSchemesInCommon => TlsFault::NoClientSignature,
        Peer::IncorrectCertificateTypeExtension | Peer::UnsolicitedCertificateTypeExtension => TlsFault::RawPublicKey,
        _ => TlsFault::Misbehaved,
    }
}

fn of_misbehaved(reason: &PeerMisbehaved) -> TlsFault {
    match reason {
        PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported => TlsFault::Downgrade,
        PeerMisbehaved::SignedKxWithWrongAlgorithm | PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme => {
            TlsFault::UnsupportedKey
        }
        _ => TlsFault::Misbehaved,
    }
}

#[cfg(test)]
mod tests;
