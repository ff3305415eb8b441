//! A server's certificate that is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::{CertificateFault, TlsFault, algorithm, name};
use crate::text::Scrubber;

/// What `error` comes to. With `no_authority`, the certificates that are trusted are none of authorities.
pub fn fault(error: &CertificateError, no_authority: bool, scrubber: &Scrubber) -> TlsFault {
    use CertificateError as Bad;
    TlsFault::Certificate(match error {
        Bad::ExpiredContext { time, not_after } => {
            CertificateFault::Expired { not_after: date(*not_after), now: date(*time) }
        }
        Bad::NotValidYetContext { time, not_before } => {
            CertificateFault::NotYetValid { not_before: date(*not_before), now: date(*time) }
        }
        Bad::NotValidForNameContext { expected, presented } => name::fault(expected, presented, scrubber),
        Bad::NotValidForName => CertificateFault::OtherName,
        Bad::UnknownIssuer => CertificateFault::UnknownIssuer { no_authority },
        Bad::BadSignature => CertificateFault::BadSignature,
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => CertificateFault::NotForServers,
        Bad::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            CertificateFault::UnsupportedSignature {
                signature: Some(algorithm::of_signature(signature_algorithm_id)),
                key: None,
            }
        }
        Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { signature_algorithm_id, public_key_algorithm_id } => {
            CertificateFault::UnsupportedSignature {
                signature: Some(algorithm::of_signature(signature_algorithm_id)),
                key: Some(algorithm::of_key(public_key_algorithm_id)),
            }
        }
        Bad::BadEncoding => CertificateFault::Damaged,
        // So rustls calls a time that ends before it begins.
        Bad::Expired => CertificateFault::EndsBeforeItBegins,
        Bad::NotValidYet => CertificateFault::NotYetValidUndated,
        Bad::UnhandledCriticalExtension => CertificateFault::CriticalExtension,
        Bad::Revoked => CertificateFault::Revoked,
        Bad::UnknownRevocationStatus
        | Bad::ExpiredRevocationList
        | Bad::ExpiredRevocationListContext { .. }
        | Bad::InvalidOcspResponse => CertificateFault::RevocationUnknown,
        Bad::ApplicationVerificationFailure => CertificateFault::Refused,
        Bad::Other(other) => match other.0.downcast_ref() {
            Some(error) => of_webpki(error),
            None => return TlsFault::Other,
        },
        // The deprecated one without the algorithm, and those of a later rustls.
        other => without_algorithm(other),
    })
}

#[expect(deprecated, reason = "rustls still has it")]
fn without_algorithm(error: &CertificateError) -> CertificateFault {
    match error {
        CertificateError::UnsupportedSignatureAlgorithm => {
            CertificateFault::UnsupportedSignature { signature: None, key: None }
        }
        _ => CertificateFault::Unusable,
    }
}

/// Those that rustls has no name for and hands on as they are.
fn of_webpki(error: &webpki::Error) -> CertificateFault {
    use webpki::Error as Bad;
    match error {
        Bad::CaUsedAsEndEntity => CertificateFault::IsAuthority,
        Bad::EndEntityUsedAsCa => CertificateFault::IssuerIsNoAuthority,
        Bad::PathLenConstraintViolated => CertificateFault::PathTooLong,
        Bad::NameConstraintViolation => CertificateFault::NameConstraints,
        Bad::InvalidNetworkMaskConstraint | Bad::MalformedNameConstraint => {
            CertificateFault::UnsupportedNameConstraints
        }
        Bad::UnsupportedCertVersion => CertificateFault::NotVersion3,
        Bad::UnsupportedCriticalExtension => CertificateFault::CriticalExtension,
        Bad::EmptyEkuExtension => CertificateFault::EmptyExtendedKeyUsage,
        Bad::InvalidSerialNumber => CertificateFault::SerialNumber,
        Bad::MaximumPathDepthExceeded
        | Bad::MaximumPathBuildCallsExceeded
        | Bad::MaximumSignatureChecksExceeded
        | Bad::MaximumNameConstraintComparisonsExceeded => CertificateFault::TooManyConstraints,
        Bad::CertDistrusted => CertificateFault::Distrusted,
        Bad::BadDer
        | Bad::BadDerTime
        | Bad::ExtensionValueInvalid
        | Bad::MalformedDnsIdentifier
        | Bad::MalformedExtensions
        | Bad::SignatureAlgorithmMismatch
        | Bad::TrailingData(_) => CertificateFault::Damaged,
        // rustls has names for the others, or they are of revocation lists, which are not asked for.
        _ => CertificateFault::Unusable,
    }
}

fn date(time: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.as_secs())
}
