//! What the server says when it ends a connection ([RFC 8446, 6](https://www.rfc-editor.org/rfc/rfc8446#section-6)).

use std::borrow::Cow;

use rustls::AlertDescription;

use super::{Sentence, plain, too_old};
use crate::http::tls::client::Asked;

const OUR_CERTIFICATE: &str = "set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY to a certificate that it accepts";

/// What `alert` comes to on a connection on which a client certificate was `asked` for, or not.
pub fn sentence(alert: AlertDescription, asked: Asked) -> Sentence {
    use AlertDescription as Alert;
    match alert {
        Alert::ProtocolVersion => too_old(),
        Alert::InsufficientSecurity => plain(
            "the server demands stronger TLS ciphers or keys than are supported",
            "let it offer TLS 1.2 with ECDHE, or TLS 1.3",
        ),
        Alert::UnrecognisedName => plain(
            "the server has no certificate for the name that it was asked for",
            "use a name in VAULT_ADDR or VAULT_TLS_SERVER_NAME that it serves",
        ),
        // What TLS 1.2 says of a client certificate, and every version of the rest, before it asks for one.
        Alert::HandshakeFailure if asked == Asked::No => plain(
            "the server finds no TLS version, cipher or signature that both sides support",
            "let it offer TLS 1.2 with ECDHE, or TLS 1.3, and a certificate for a key on P-256 or P-384, Ed25519, or RSA of \
             2048 bits or more (not P-521, not RSA-PSS)",
        ),
        // Of the signature that comes with a certificate.
        Alert::DecryptError if asked != Asked::Shown => ended(alert),
        // A server has no certificate to judge but the client's.
        Alert::HandshakeFailure
        | Alert::CertificateRequired
        | Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::CertificateUnobtainable
        | Alert::BadCertificateStatusResponse
        | Alert::BadCertificateHashValue
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError => of_client_certificate(alert, asked),
        other => ended(other),
    }
}

fn of_client_certificate(alert: AlertDescription, asked: Asked) -> Sentence {
    use AlertDescription as Alert;
    match asked {
        Asked::No => ended(alert),
        Asked::NoneToShow => plain("the server demands a client certificate", OUR_CERTIFICATE),
        Asked::NotWithThisKey => plain(
            "the server demands a client certificate, and takes no signature that the key in VAULT_CLIENT_KEY can make",
            "issue the client certificate for a key of another kind",
        ),
        Asked::Shown => {
            let why = match alert {
                Alert::UnknownCA => "an authority that it does not know issued it",
                Alert::CertificateExpired => "it has expired, or is not valid yet",
                Alert::CertificateRevoked => "it is revoked",
                Alert::UnsupportedCertificate => "it is of a kind that it does not take",
                Alert::AccessDenied => "it is not allowed in",
                Alert::DecryptError => "its signature does not hold",
                _ => return (refused(alert, None), Cow::Borrowed(OUR_CERTIFICATE)),
            };
            (refused(alert, Some(why)), Cow::Borrowed(OUR_CERTIFICATE))
        }
    }
}

fn refused(alert: AlertDescription, why: Option<&str>) -> Cow<'static, str> {
    let why = why.map_or_else(|| described(alert), str::to_owned);
    Cow::Owned(format!("the server refuses the client certificate of VAULT_CLIENT_CERT: {why}"))
}

fn ended(alert: AlertDescription) -> Sentence {
    (
        Cow::Owned(format!("the server refuses the TLS connection ({})", described(alert))),
        Cow::Borrowed("look at the server's log"),
    )
}

/// Number and name.
fn described(alert: AlertDescription) -> String {
    let number = u8::from(alert);
    name(alert).map_or_else(|| format!("alert {number}"), |name| format!("alert {number}, {name}"))
}

/// The name in the [registry](https://www.iana.org/assignments/tls-parameters), under which it is found in other
/// programs' logs.
pub(super) fn name(alert: AlertDescription) -> Option<&'static str> {
    use AlertDescription as Alert;
    Some(match alert {
        Alert::CloseNotify => "close_notify",
        Alert::UnexpectedMessage => "unexpected_message",
        Alert::BadRecordMac => "bad_record_mac",
        Alert::DecryptionFailed => "decryption_failed",
        Alert::RecordOverflow => "record_overflow",
        Alert::DecompressionFailure => "decompression_failure",
        Alert::HandshakeFailure => "handshake_failure",
        Alert::NoCertificate => "no_certificate",
        Alert::BadCertificate => "bad_certificate",
        Alert::UnsupportedCertificate => "unsupported_certificate",
        Alert::CertificateRevoked => "certificate_revoked",
        Alert::CertificateExpired => "certificate_expired",
        Alert::CertificateUnknown => "certificate_unknown",
        Alert::IllegalParameter => "illegal_parameter",
        Alert::UnknownCA => "unknown_ca",
        Alert::AccessDenied => "access_denied",
        Alert::DecodeError => "decode_error",
        Alert::DecryptError => "decrypt_error",
        Alert::ExportRestriction => "export_restriction",
        Alert::ProtocolVersion => "protocol_version",
        Alert::InsufficientSecurity => "insufficient_security",
        Alert::InternalError => "internal_error",
        Alert::InappropriateFallback => "inappropriate_fallback",
        Alert::UserCanceled => "user_canceled",
        Alert::NoRenegotiation => "no_renegotiation",
        Alert::MissingExtension => "missing_extension",
        Alert::UnsupportedExtension => "unsupported_extension",
        Alert::CertificateUnobtainable => "certificate_unobtainable",
        Alert::UnrecognisedName => "unrecognized_name",
        Alert::BadCertificateStatusResponse => "bad_certificate_status_response",
        Alert::BadCertificateHashValue => "bad_certificate_hash_value",
        Alert::UnknownPSKIdentity => "unknown_psk_identity",
        Alert::CertificateRequired => "certificate_required",
        Alert::NoApplicationProtocol => "no_application_protocol",
        Alert::EncryptedClientHelloRequired => "ech_required",
        _ => return None,
    })
}
