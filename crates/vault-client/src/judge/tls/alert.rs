//! What the server says when it ends a connection ([RFC 8446, 6](https://www.rfc-editor.org/rfc/rfc8446#section-6)).

use rustls::AlertDescription;

use super::TlsFault;
use crate::fault::TlsAlert;
use crate::http::tls::client::Asked;

/// What `alert` comes to on a connection on which a client certificate was `asked` for, or not.
pub fn fault(alert: AlertDescription, asked: Asked) -> TlsFault {
    use AlertDescription as Alert;
    match alert {
        Alert::ProtocolVersion => TlsFault::TooOld,
        Alert::InsufficientSecurity => TlsFault::InsufficientSecurity,
        Alert::UnrecognisedName => TlsFault::UnrecognisedName,
        // What TLS 1.2 says of a client certificate, and every version of the rest, before it asks for one.
        Alert::HandshakeFailure if asked == Asked::No => TlsFault::NothingInCommon,
        // Of the signature that comes with a certificate.
        Alert::DecryptError if asked != Asked::Shown => TlsFault::Refused(TlsAlert(alert)),
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
        | Alert::DecryptError => match asked {
            Asked::No => TlsFault::Refused(TlsAlert(alert)),
            Asked::NoneToShow => TlsFault::ClientCertificateRequired,
            Asked::NotWithThisKey => TlsFault::ClientKeyUnsuitable,
            Asked::Shown => TlsFault::ClientCertificateRefused(TlsAlert(alert)),
        },
        other => TlsFault::Refused(TlsAlert(other)),
    }
}
