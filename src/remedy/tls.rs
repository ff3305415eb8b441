//! What to do about a TLS connection that failed, in the names of the settings.

use std::borrow::Cow;

use vault_client::{CertificateFault, ServerName, TlsFault};

const DIFFERENT_CLIENT_CERTIFICATE: &str =
    "set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY to a certificate that it accepts";
const NEWER: &str = "let it offer TLS 1.2 with ECDHE, or TLS 1.3";
const SHORTER_CHAIN: &str = "let it send its own and those between it and the authority, and no others";
const FOR_SERVERS: &str = "issue one with the extended key usage serverAuth";

/// The cause. It is the client's own where it names no setting.
pub fn cause(fault: &TlsFault) -> Cow<'static, str> {
    match fault {
        TlsFault::ClientKeyUnsuitable => Cow::Borrowed(
            "the server demands a client certificate, and takes no signature that the key in VAULT_CLIENT_KEY can make",
        ),
        TlsFault::ClientCertificateRefused(alert) => Cow::Owned(format!(
            "the server refuses the client certificate of VAULT_CLIENT_CERT: {}",
            alert.of_client_certificate()
        )),
        other => Cow::Owned(other.to_string()),
    }
}

/// What to do about it.
pub fn remedy(fault: &TlsFault) -> Cow<'static, str> {
    Cow::Borrowed(match fault {
        TlsFault::Certificate(fault) => return of_certificate(fault),
        TlsFault::NoCertificate => "give it one, or correct VAULT_ADDR",
        TlsFault::TooManyCertificates => SHORTER_CHAIN,
        TlsFault::RawPublicKey => "let it use X.509 certificates",
        TlsFault::UnsupportedKey => {
            "issue its certificate for a key on P-256 or P-384, Ed25519, or RSA of 2048 bits or more"
        }
        TlsFault::ClientCertificateRequired | TlsFault::ClientCertificateRefused(_) => DIFFERENT_CLIENT_CERTIFICATE,
        TlsFault::ClientKeyUnsuitable => "issue the client certificate for a key of another kind",
        TlsFault::NoClientSignature => "let it take ECDSA with P-256 or P-384, Ed25519 or RSA-PSS",
        TlsFault::NotTls => "write http:// in VAULT_ADDR if that is meant, or correct the port",
        TlsFault::TooOld | TlsFault::InsufficientSecurity => NEWER,
        TlsFault::NothingInCommon => {
            "let it offer TLS 1.2 with ECDHE, or TLS 1.3, and a certificate for a key on P-256 or P-384, Ed25519, or RSA of \
             2048 bits or more (not P-521, not RSA-PSS)"
        }
        TlsFault::UnrecognisedName => "use a name in VAULT_ADDR or VAULT_TLS_SERVER_NAME that it serves",
        TlsFault::Downgrade => "check what stands between here and the server",
        TlsFault::Refused(_) => "look at the server's log",
        TlsFault::Misbehaved => {
            "check what ends TLS there, such as a proxy or a load balancer; VAULT_LOG_LEVEL=debug tells more"
        }
        TlsFault::NoRandomNumbers => "check the container's seccomp profile and /dev/urandom",
        TlsFault::NoClock => "set it to a date after 1970",
        _ => "check what stands between here and the server; VAULT_LOG_LEVEL=debug tells more",
    })
}

fn of_certificate(fault: &CertificateFault) -> Cow<'static, str> {
    use CertificateFault as Bad;
    Cow::Borrowed(match fault {
        Bad::Expired { .. } => "renew it, or correct the clock",
        Bad::NotYetValid { .. } | Bad::NotYetValidUndated => "correct the clock, or wait",
        Bad::NoSubjectAltName { expected } | Bad::NoServerName { expected } | Bad::NearMiss { expected, .. } => {
            let kind = match expected {
                ServerName::Dns(_) => "DNS",
                ServerName::Ip(_) => "IP",
            };
            return Cow::Owned(format!("issue one with subjectAltName {kind}:{expected}"));
        }
        Bad::OtherNames { wildcards: true, .. } => {
            "use a name in VAULT_ADDR that it covers, or set VAULT_TLS_SERVER_NAME to one"
        }
        Bad::OtherNames { .. } => "use that name in VAULT_ADDR, or set VAULT_TLS_SERVER_NAME to it",
        Bad::OtherName => "use its name in VAULT_ADDR, or set VAULT_TLS_SERVER_NAME to it",
        Bad::UnknownIssuer { .. } => "set VAULT_CACERT to the certificate of the authority that issued it",
        Bad::BadSignature => {
            "set VAULT_CACERT to the authority's present certificate (same name, other key); RSA below 2048 bits is not \
             supported either"
        }
        Bad::UnsupportedSignature { .. } => {
            "let an authority sign it whose key is on P-256 or P-384, with SHA-256 or SHA-384, or is Ed25519, or RSA of 2048 \
             bits or more"
        }
        Bad::NotForServers | Bad::EmptyExtendedKeyUsage => FOR_SERVERS,
        Bad::CriticalExtension => "issue one without it, or with it marked as not critical",
        Bad::IsAuthority => "issue a server certificate with basicConstraints CA:FALSE",
        Bad::IssuerIsNoAuthority => "let an authority issue it, whose certificate has basicConstraints CA:TRUE",
        Bad::PathTooLong => "let one issue it that is nearer to the trusted one, or raise its pathlen",
        Bad::NameConstraints => "let another one issue it, or widen the authority's nameConstraints",
        Bad::UnsupportedNameConstraints => "let an authority issue it whose constraints are DNS names or IP addresses",
        Bad::TooManyConstraints => SHORTER_CHAIN,
        Bad::NotVersion3 => "issue one of version 3, with a subjectAltName",
        Bad::SerialNumber => "issue one with another serial number",
        Bad::RevocationUnknown => "renew the authority's revocation list",
        Bad::Distrusted => "let another one issue it",
        // Ends before it begins, damaged, revoked, refused or unusable.
        _ => "issue another one",
    })
}

#[cfg(test)]
mod tests;
