//! What a server says when it ends a TLS connection ([RFC 8446, 6](https://www.rfc-editor.org/rfc/rfc8446#section-6)).

use std::borrow::Cow;
use std::fmt;

use rustls::AlertDescription;

/// An alert of a server. Its text is number and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsAlert(pub(crate) AlertDescription);

impl TlsAlert {
    /// Its number.
    pub fn number(self) -> u8 {
        self.0.into()
    }

    /// Its name in the [registry](https://www.iana.org/assignments/tls-parameters), if it has one. Logs of other programs
    /// have that name too.
    pub fn name(self) -> Option<&'static str> {
        name(self.0)
    }

    /// What it says of a client certificate; number and name if it says nothing exact.
    pub fn of_client_certificate(self) -> Cow<'static, str> {
        use AlertDescription as Alert;
        Cow::Borrowed(match self.0 {
            Alert::UnknownCA => "an authority that it does not know issued it",
            Alert::CertificateExpired => "it has expired, or is not valid yet",
            Alert::CertificateRevoked => "it is revoked",
            Alert::UnsupportedCertificate => "it is of a kind that it does not take",
            Alert::AccessDenied => "it is not allowed in",
            Alert::DecryptError => "its signature does not hold",
            _ => return Cow::Owned(self.to_string()),
        })
    }
}

impl fmt::Display for TlsAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alert {}", self.number())?;
        self.name().map_or(Ok(()), |name| write!(f, ", {name}"))
    }
}

fn name(alert: AlertDescription) -> Option<&'static str> {
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
