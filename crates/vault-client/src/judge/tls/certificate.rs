//! A server's certificate that is refused.

use std::time::{Duration, UNIX_EPOCH};

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::{Sentence, algorithm, last_resort, name, plain};
use crate::text::Scrubber;

/// What `error` comes to. With `no_authority`, the certificates that are trusted are none of authorities.
pub fn sentence(error: &CertificateError, no_authority: bool, scrubber: &Scrubber) -> Sentence {
    use CertificateError as Bad;
    match error {
        Bad::ExpiredContext { time, not_after } => (
            format!("the server's certificate expired at {} (the clock here says {})", date(*not_after), date(*time))
                .into(),
            "renew it, or correct the clock".into(),
        ),
        Bad::NotValidYetContext { time, not_before } => (
            format!("the server's certificate begins at {} (the clock here says {})", date(*not_before), date(*time))
                .into(),
            "correct the clock, or wait".into(),
        ),
        Bad::NotValidForNameContext { expected, presented } => name::sentence(expected, presented, scrubber),
        Bad::NotValidForName => plain(
            "the server's certificate is for another name",
            "use its name in VAULT_ADDR, or set VAULT_TLS_SERVER_NAME to it",
        ),
        Bad::UnknownIssuer if no_authority => plain(
            "the server's certificate comes from an unknown authority, and no certificate that is trusted here is an authority's",
            "set VAULT_CACERT to the certificate of the authority that issued it",
        ),
        Bad::UnknownIssuer => plain(
            "the server's certificate comes from an unknown authority",
            "set VAULT_CACERT to the certificate of the authority that issued it",
        ),
        Bad::BadSignature => plain(
            "the server's certificate carries a signature that does not fit the trusted authority",
            "set VAULT_CACERT to the authority's present certificate (same name, other key); RSA below 2048 bits is not \
             supported either",
        ),
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => plain(
            "the server's certificate is not made for servers",
            "issue one with the extended key usage serverAuth",
        ),
        Bad::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            signed(&format!("with {}, which", algorithm::of_signature(signature_algorithm_id)))
        }
        Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { signature_algorithm_id, public_key_algorithm_id } => {
            let (signature, key) =
                (algorithm::of_signature(signature_algorithm_id), algorithm::of_key(public_key_algorithm_id));
            signed(&format!("with {signature} by a key of the kind {key}, which"))
        }
        Bad::BadEncoding => damaged(),
        // So rustls calls a time that ends before it begins.
        Bad::Expired => plain("the server's certificate ends before it begins", "issue another one"),
        Bad::NotValidYet => plain("the server's certificate is not valid yet", "correct the clock, or wait"),
        Bad::UnhandledCriticalExtension => critical_extension(),
        Bad::Revoked => plain("the server's certificate is revoked", "issue another one"),
        Bad::UnknownRevocationStatus
        | Bad::ExpiredRevocationList
        | Bad::ExpiredRevocationListContext { .. }
        | Bad::InvalidOcspResponse => {
            plain("whether the server's certificate is revoked cannot be told", "renew the authority's revocation list")
        }
        Bad::ApplicationVerificationFailure => plain("the server's certificate is refused", "issue another one"),
        Bad::Other(other) => match other.0.downcast_ref() {
            Some(error) => of_webpki(error),
            None => last_resort(),
        },
        // The deprecated one without the algorithm, and those of a later rustls.
        other => without_algorithm(other),
    }
}

#[expect(deprecated, reason = "rustls still has it")]
fn without_algorithm(error: &CertificateError) -> Sentence {
    match error {
        CertificateError::UnsupportedSignatureAlgorithm => signed("in a way that"),
        _ => unusable(),
    }
}

fn unusable() -> Sentence {
    plain("the server's certificate cannot be used", "issue another one")
}

fn signed(how: &str) -> Sentence {
    (
        format!("the server's certificate, or one between it and the authority, is signed {how} is not supported").into(),
        "let an authority sign it whose key is on P-256 or P-384, with SHA-256 or SHA-384, or is Ed25519, or RSA of 2048 bits \
         or more"
            .into(),
    )
}

fn damaged() -> Sentence {
    plain("the server's certificate, or one between it and the authority, is damaged", "issue another one")
}

fn critical_extension() -> Sentence {
    plain(
        "the server's certificate carries a critical extension that is not supported",
        "issue one without it, or with it marked as not critical",
    )
}

fn constraints() -> Sentence {
    plain(
        "the name constraints of the server's authority are damaged, or of a kind that is not supported",
        "let an authority issue it whose constraints are DNS names or IP addresses",
    )
}

/// Those that rustls has no name for and hands on as they are.
fn of_webpki(error: &webpki::Error) -> Sentence {
    use webpki::Error as Bad;
    match error {
        Bad::CaUsedAsEndEntity => plain(
            "the server's certificate is itself an authority's, which is refused here though curl accepts it",
            "issue a server certificate with basicConstraints CA:FALSE",
        ),
        Bad::EndEntityUsedAsCa => plain(
            "the server's certificate was issued by one that is no authority's",
            "let an authority issue it, whose certificate has basicConstraints CA:TRUE",
        ),
        Bad::PathLenConstraintViolated => plain(
            "more authorities stand between the server's certificate and the trusted one than that one permits",
            "let one issue it that is nearer to the trusted one, or raise its pathlen",
        ),
        Bad::NameConstraintViolation => plain(
            "the server's authority may not issue certificates for the names in the server's certificate",
            "let another one issue it, or widen the authority's nameConstraints",
        ),
        Bad::InvalidNetworkMaskConstraint | Bad::MalformedNameConstraint => constraints(),
        Bad::UnsupportedCertVersion => plain(
            "the server's certificate, or one between it and the authority, is not X.509 version 3",
            "issue one of version 3, with a subjectAltName",
        ),
        Bad::UnsupportedCriticalExtension => critical_extension(),
        Bad::EmptyEkuExtension => plain(
            "the server's certificate has an extended key usage that is empty",
            "issue one with the extended key usage serverAuth",
        ),
        Bad::InvalidSerialNumber => plain(
            "the server's certificate has a serial number that is negative, or longer than 20 bytes",
            "issue one with another serial number",
        ),
        Bad::MaximumPathDepthExceeded
        | Bad::MaximumPathBuildCallsExceeded
        | Bad::MaximumSignatureChecksExceeded
        | Bad::MaximumNameConstraintComparisonsExceeded => plain(
            "the server sends more certificates or constraints than are followed",
            "let it send its own and those between it and the authority, and no others",
        ),
        Bad::CertDistrusted => plain("the server's authority is known to be compromised", "let another one issue it"),
        Bad::BadDer
        | Bad::BadDerTime
        | Bad::ExtensionValueInvalid
        | Bad::MalformedDnsIdentifier
        | Bad::MalformedExtensions
        | Bad::SignatureAlgorithmMismatch
        | Bad::TrailingData(_) => damaged(),
        // rustls has names for the others, or they are of revocation lists, which are not asked for.
        _ => unusable(),
    }
}

fn date(time: UnixTime) -> String {
    let since = Duration::from_secs(time.as_secs());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}
