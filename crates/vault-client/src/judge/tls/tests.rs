//! Every error of the TLS library has its sentence, and none is missing from the lists here.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::{
    AlertDescription, CertRevocationListError, CertificateError, ContentType, EncryptedClientHelloError, HandshakeType,
    InconsistentKeys, OtherError,
};

use super::*;
use crate::http::tls::client::Asked;
use rustls::pki_types::{ServerName, UnixTime};

/// The source file of a crate as cargo has it here; `None` where there is none, which fails in CI.
fn source(package: &str, file: &str) -> Option<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--locked", "--offline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let found = || {
        let output = cargo.output().ok().filter(|output| output.status.success())?;
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let packages = metadata["packages"].as_array()?;
        let manifest = packages.iter().find(|it| it["name"] == package)?["manifest_path"].as_str()?;
        std::fs::read_to_string(PathBuf::from(manifest).with_file_name("src").join(file)).ok()
    };
    let text = { found }();
    if text.is_none() {
        assert!(std::env::var_os("CI").is_none_or(|value| value.is_empty()), "the source of {package} is not there");
        eprintln!("skipped: the source of {package} is not there");
    }
    text
}

/// The names of an enum's variants: the words that a line at its first level begins with.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{")).expect("the enum");
    let mut depth = 0_i32;
    let mut found = BTreeSet::new();
    for line in body.lines() {
        let line = line.trim();
        let word: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
        if depth == 0 && line.starts_with('}') {
            break;
        }
        let code = if line.starts_with("//") || line.starts_with('#') { "" } else { line };
        if depth == 0 && code.starts_with(|c: char| c.is_ascii_uppercase()) {
            found.insert(word);
        }
        let count = |set: &[char]| i32::try_from(line.matches(set).count()).unwrap();
        depth += count(&['{', '(', '[']) - count(&['}', ')', ']']);
    }
    found
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

fn errors() -> Vec<(&'static str, Error)> {
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

fn messages() -> Vec<(&'static str, InvalidMessage)> {
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

fn incompatible() -> Vec<(&'static str, PeerIncompatible)> {
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

fn misbehaved() -> Vec<(&'static str, PeerMisbehaved)> {
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
fn certificates() -> Vec<(&'static str, CertificateError)> {
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
fn of_webpki() -> Vec<(&'static str, webpki::Error)> {
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

fn alerts() -> Vec<(&'static str, AlertDescription)> {
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
fn all() -> Vec<(String, Failed)> {
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

#[test]
fn the_lists_are_those_of_the_library() {
    let names = |list: Vec<&'static str>| list.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let listed = |kind: &str| match kind {
        "Error" => names(errors().into_iter().map(|it| it.0).collect()),
        "InvalidMessage" => names(messages().into_iter().map(|it| it.0).collect()),
        "PeerIncompatible" => names(incompatible().into_iter().map(|it| it.0).collect()),
        "PeerMisbehaved" => names(misbehaved().into_iter().map(|it| it.0).collect()),
        _ => names(certificates().into_iter().map(|it| it.0).collect()),
    };
    let Some(errors) = source("rustls", "error.rs") else { return };
    for kind in ["Error", "InvalidMessage", "PeerIncompatible", "PeerMisbehaved", "CertificateError"] {
        let mut found = variants(&errors, kind);
        // It holds a type that is private.
        assert_eq!(found.remove("UnsupportedKeyExchangeAlgorithm"), kind == "InvalidMessage");
        assert_eq!(found, listed(kind), "{kind}");
    }
    let Some(enums) = source("rustls", "enums.rs") else { return };
    let mut found = variants(&enums, "AlertDescription");
    found.insert("Unknown".to_owned());
    assert_eq!(found, names(alerts().into_iter().map(|it| it.0).collect()));
    let (Some(webpki), Some(translation)) = (source("rustls-webpki", "error.rs"), source("rustls", "webpki/mod.rs"))
    else {
        return;
    };
    // What rustls itself names, in the function that does so.
    let (_, body) = translation.split_once("fn pki_error(").expect("the function");
    let (body, _) = body.split_once("CertificateError::Other").expect("its last arm");
    let words: BTreeSet<&str> = body.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let mut found = variants(&webpki, "Error");
    found.retain(|name| !words.contains(name.as_str()));
    assert_eq!(found, names(of_webpki().into_iter().map(|it| it.0).collect()));
}

#[test]
fn every_error_has_a_plain_sentence() {
    let scrubber = Scrubber::default();
    let mut shown = Vec::new();
    for (name, failed) in all() {
        let fault = fault(&failed, &scrubber);
        let said = fault.to_string();
        let code = if name.starts_with("FailedTo") { ErrorKind::System } else { ErrorKind::Tls };
        assert_eq!((fault.kind, fault.retry, fault.status), (code, Retry::Never, None), "{name}");
        let own = name.rsplit([':', ' ']).next().unwrap();
        assert!(!said.contains(own) && !said.contains(['{', '}', '[']), "{name}: {said}");
        shown.push(format!("{name}: {said}"));
    }
    insta::assert_snapshot!("tls_sentences", shown.join("\n"));
}
