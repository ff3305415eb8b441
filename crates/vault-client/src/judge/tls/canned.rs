//! All errors of the TLS library, and what each comes to; for tests.

use std::sync::Arc;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{
    AlertDescription, CertRevocationListError, CertificateError, ContentType, EncryptedClientHelloError, Error,
    HandshakeType, InconsistentKeys, InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved,
};

use super::TlsFault;
use crate::http::tls::client::{Asked, Failed};
use crate::text::Scrubber;

impl TlsFault {
    /// What each error of the TLS library comes to, with the error's name.
    pub fn canned() -> Vec<(String, Self)> {
        let scrubber = Scrubber::default();
        all().into_iter().map(|(name, failed)| (name, super::of(&failed, &scrubber))).collect()
    }
}

/// Names and values of an enum's variants: those without fields, then the others.
macro_rules! each {
    ($kind:ident: $($plain:ident)*; $($name:ident $value:expr),* $(,)?) => {
        vec![$((stringify!($plain), $kind::$plain),)* $((stringify!($name), $value),)*]
    };
}

fn other() -> OtherError {
    OtherError(Arc::new(std::io::Error::other("CaUsedAsEndEntity { }")))
}

pub(super) fn errors() -> Vec<(&'static str, Error)> {
    each![Error:
        NoCertificatesPresented UnsupportedNameType DecryptError EncryptError FailedToGetCurrentTime
        FailedToGetRandomBytes HandshakeNotComplete PeerSentOversizedRecord NoApplicationProtocol BadMaxFragmentSize;
        InappropriateMessage Error::InappropriateMessage { expect_types: vec![], got_type: ContentType::Alert },
        InappropriateHandshakeMessage Error::InappropriateHandshakeMessage {
            expect_types: vec![], got_type: HandshakeType::Finished
        },
        InvalidEncryptedClientHello Error::InvalidEncryptedClientHello(EncryptedClientHelloError::SniRequired),
        InvalidMessage Error::InvalidMessage(InvalidMessage::InvalidCcs),
        PeerIncompatible Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
        PeerMisbehaved Error::PeerMisbehaved(PeerMisbehaved::IncorrectBinder),
        AlertReceived Error::AlertReceived(AlertDescription::InternalError),
        InvalidCertificate Error::InvalidCertificate(CertificateError::Revoked),
        InvalidCertRevocationList Error::InvalidCertRevocationList(CertRevocationListError::ParseError),
        General Error::General("General { }".into()),
        InconsistentKeys Error::InconsistentKeys(InconsistentKeys::Unknown),
        Other Error::Other(other()),
    ]
}

pub(super) fn messages() -> Vec<(&'static str, InvalidMessage)> {
    each![InvalidMessage:
        CertificatePayloadTooLarge HandshakePayloadTooLarge InvalidCcs InvalidContentType InvalidCertificateStatusType
        InvalidCertRequest InvalidDhParams InvalidEmptyPayload InvalidKeyUpdate InvalidServerName MessageTooLarge
        MessageTooShort MissingKeyExchange NoSignatureSchemes UnknownProtocolVersion UnsupportedCompression
        UnsupportedCurveType EmptyTicketValue IllegalEmptyValue PreSharedKeyIsNotFinalExtension
        UnknownHelloRetryRequestExtension UnknownCertificateExtension;
        MissingData InvalidMessage::MissingData("MissingData"),
        TrailingData InvalidMessage::TrailingData("TrailingData"),
        UnexpectedMessage InvalidMessage::UnexpectedMessage("UnexpectedMessage"),
        IllegalEmptyList InvalidMessage::IllegalEmptyList("IllegalEmptyList"),
        DuplicateExtension InvalidMessage::DuplicateExtension(7),
    ]
}

pub(super) fn incompatible() -> Vec<(&'static str, PeerIncompatible)> {
    each![PeerIncompatible:
        EcPointsExtensionRequired ExtendedMasterSecretExtensionRequired IncorrectCertificateTypeExtension
        KeyShareExtensionRequired NamedGroupsExtensionRequired NoCertificateRequestSignatureSchemesInCommon
        NoCipherSuitesInCommon NoEcPointFormatsInCommon NoKxGroupsInCommon NoSignatureSchemesInCommon
        NullCompressionRequired ServerDoesNotSupportTls12Or13 ServerSentHelloRetryRequestWithUnknownExtension
        ServerTlsVersionIsDisabledByOurConfig SignatureAlgorithmsExtensionRequired SupportedVersionsExtensionRequired
        Tls12NotOffered Tls12NotOfferedOrEnabled Tls13RequiredForQuic UncompressedEcPointsRequired
        UnsolicitedCertificateTypeExtension;
        ServerRejectedEncryptedClientHello PeerIncompatible::ServerRejectedEncryptedClientHello(None),
    ]
}

pub(super) fn misbehaved() -> Vec<(&'static str, PeerMisbehaved)> {
    each![PeerMisbehaved:
        AttemptedDowngradeToTls12WhenTls13IsSupported BadCertChainExtensions CipherSuiteDifferedOnRetry
        DisallowedEncryptedExtension DuplicateClientHelloExtensions DuplicateEncryptedExtensions
        DuplicateHelloRetryRequestExtensions DuplicateNewSessionTicketExtensions DuplicateServerHelloExtensions
        DuplicateServerNameTypes EarlyDataAttemptedInSecondClientHello EarlyDataExtensionWithoutResumption
        EarlyDataOfferedWithVariedCipherSuite EchAcceptanceVariedAfterRetry HandshakeHashVariedAfterRetry
        IllegalHelloRetryRequestWithEmptyCookie IllegalHelloRetryRequestWithNoChanges
        IllegalHelloRetryRequestWithOfferedGroup IllegalHelloRetryRequestWithUnofferedCipherSuite
        IllegalHelloRetryRequestWithUnofferedNamedGroup IllegalHelloRetryRequestWithUnsupportedVersion
        IllegalHelloRetryRequestWithWrongSessionId IllegalHelloRetryRequestWithInvalidEch
        IllegalMiddleboxChangeCipherSpec IllegalTlsInnerPlaintext IncorrectBinder InvalidCertCompression
        InvalidMaxEarlyDataSize InvalidKeyShare KeyEpochWithPendingFragment KeyUpdateReceivedInQuicConnection
        MessageInterleavedWithHandshakeMessage MissingBinderInPskExtension MissingKeyShare
        MissingPskExtensionInSecondClientHello MissingPskModesExtension MissingQuicTransportParameters
        OfferedDuplicateCertificateCompressions OfferedDuplicateKeyShares OfferedEarlyDataWithOldProtocolVersion
        OfferedEmptyApplicationProtocol OfferedIncorrectCompressions PskExtensionMustBeLast
        PskExtensionWithMismatchedIdsAndBinders RefusedToFollowHelloRetryRequest
        RejectedEarlyDataInterleavedWithHandshakeMessage ResumptionAttemptedWithVariedEms
        ResumptionOfferedWithVariedCipherSuite ResumptionOfferedWithVariedEms
        ResumptionOfferedWithIncompatibleCipherSuite SelectedDifferentCipherSuiteAfterRetry SelectedInvalidPsk
        SelectedTls12UsingTls13VersionExtension SelectedUnofferedApplicationProtocol SelectedUnofferedCertCompression
        SelectedUnofferedCipherSuite SelectedUnofferedCompression SelectedUnofferedKxGroup SelectedUnofferedPsk
        SelectedUnusableCipherSuiteForVersion ServerEchoedCompatibilitySessionId
        ServerHelloMustOfferUncompressedEcPoints ServerNameDifferedOnRetry ServerNameMustContainOneHostName
        SignedKxWithWrongAlgorithm SignedHandshakeWithUnadvertisedSigScheme TooManyEmptyFragments
        TooManyKeyUpdateRequests TooManyRenegotiationRequests TooManyWarningAlertsReceived TooMuchEarlyDataReceived
        UnexpectedCleartextExtension UnsolicitedCertExtension UnsolicitedEncryptedExtension UnsolicitedSctList
        UnsolicitedServerHelloExtension WrongGroupForKeyShare UnsolicitedEchExtension;
    ]
}

const NOW: UnixTime = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));

#[expect(deprecated, reason = "rustls still has one of them")]
pub(super) fn certificates() -> Vec<(&'static str, CertificateError)> {
    use CertificateError as Bad;
    let (id, key) = (b"\x06\x03\x2b\x65\x71".to_vec(), b"\x06\x03\x2b\x65\x70".to_vec());
    let expected = ServerName::try_from("vault").expect("a name");
    each![CertificateError:
        BadEncoding Expired NotValidYet Revoked UnhandledCriticalExtension UnknownIssuer UnknownRevocationStatus
        ExpiredRevocationList BadSignature UnsupportedSignatureAlgorithm NotValidForName InvalidPurpose
        InvalidOcspResponse ApplicationVerificationFailure;
        ExpiredContext Bad::ExpiredContext { time: NOW, not_after: NOW },
        NotValidYetContext Bad::NotValidYetContext { time: NOW, not_before: NOW },
        ExpiredRevocationListContext Bad::ExpiredRevocationListContext { time: NOW, next_update: NOW },
        UnsupportedSignatureAlgorithmContext Bad::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: id.clone(), supported_algorithms: vec![]
        },
        UnsupportedSignatureAlgorithmForPublicKeyContext Bad::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: id, public_key_algorithm_id: key
        },
        NotValidForNameContext Bad::NotValidForNameContext { expected, presented: vec!["DnsName(\"bao\")".into()] },
        InvalidPurposeContext Bad::InvalidPurposeContext {
            required: rustls::ExtendedKeyPurpose::ServerAuth, presented: vec![]
        },
        Other Bad::Other(other()),
    ]
}

/// Those that rustls hands on as they are. For the others it has names of its own.
pub(super) fn of_webpki() -> Vec<(&'static str, webpki::Error)> {
    use webpki::Error as Webpki;
    each![Webpki:
        CaUsedAsEndEntity CertDistrusted EmptyEkuExtension EndEntityUsedAsCa ExtensionValueInvalid InvalidCrlNumber
        InvalidNetworkMaskConstraint InvalidSerialNumber MalformedDnsIdentifier MalformedExtensions
        MalformedNameConstraint MaximumNameConstraintComparisonsExceeded MaximumPathBuildCallsExceeded
        MaximumPathDepthExceeded MaximumSignatureChecksExceeded NameConstraintViolation PathLenConstraintViolated
        SignatureAlgorithmMismatch UnsupportedCertVersion UnsupportedCriticalExtension
        UnsupportedCrlIssuingDistributionPoint UnsupportedCrlVersion UnsupportedDeltaCrl UnsupportedIndirectCrl
        UnsupportedNameType UnsupportedRevocationReason UnsupportedRevocationReasonsPartitioning;
    ]
}

pub(super) fn alerts() -> Vec<(&'static str, AlertDescription)> {
    each![AlertDescription:
        CloseNotify UnexpectedMessage BadRecordMac DecryptionFailed RecordOverflow DecompressionFailure HandshakeFailure
        NoCertificate BadCertificate UnsupportedCertificate CertificateRevoked CertificateExpired CertificateUnknown
        IllegalParameter UnknownCA AccessDenied DecodeError DecryptError ExportRestriction ProtocolVersion
        InsufficientSecurity InternalError InappropriateFallback UserCanceled NoRenegotiation MissingExtension
        UnsupportedExtension CertificateUnobtainable UnrecognisedName BadCertificateStatusResponse
        BadCertificateHashValue UnknownPSKIdentity CertificateRequired NoApplicationProtocol
        EncryptedClientHelloRequired;
        Unknown AlertDescription::Unknown(200),
    ]
}

/// Each of them by its names in rustls, outermost first.
pub(super) fn all() -> Vec<(String, Failed)> {
    let mut all = Vec::new();
    let mut add = |kind: &str, name: &str, error: Error, asked| {
        all.push((format!("{kind}{name}"), Failed { error, asked, no_authority: false }));
    };
    for (name, error) in errors() {
        add("", name, error, Asked::No);
    }
    for (name, message) in messages() {
        add("InvalidMessage::", name, message.into(), Asked::No);
    }
    for (name, reason) in incompatible() {
        add("PeerIncompatible::", name, reason.into(), Asked::No);
    }
    for (name, reason) in misbehaved() {
        add("PeerMisbehaved::", name, reason.into(), Asked::No);
    }
    for (name, error) in certificates() {
        add("CertificateError::", name, error.into(), Asked::No);
    }
    for (name, error) in of_webpki() {
        let error = CertificateError::Other(OtherError(Arc::new(error)));
        add("webpki::", name, error.into(), Asked::No);
    }
    for (asked, when) in [
        (Asked::No, "no client certificate asked for"),
        (Asked::NoneToShow, "none to show"),
        (Asked::NotWithThisKey, "not with this key"),
        (Asked::Shown, "shown"),
    ] {
        for (name, alert) in alerts() {
            add(&format!("alert, {when}: "), name, Error::AlertReceived(alert), asked);
        }
    }
    all
}
