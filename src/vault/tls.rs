//! Whom to trust and who we are on a TLS connection: PEM in, checked material out, and TLS faults as sentences.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::error::{Code, Fault, Retry};
use crate::text::Scrubber;

/// What a TLS connection needs to know.
pub struct Tls {
    /// The certificates that are trusted; none given: the roots built into the program.
    pub roots: Option<Vec<CertificateDer<'static>>>,
    /// The certificate and key shown to a server that asks for them.
    pub identity: Option<Identity>,
    /// The name the server's certificate must carry, where that is not the URL's host.
    pub server_name: Option<String>,
    /// False switches every check of the server's certificate off.
    pub verify: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { roots: None, identity: None, server_name: None, verify: true }
    }
}

/// A client certificate with its chain, and the key that belongs to it.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKey<'static>,
}

impl Identity {
    /// Reads both from PEM and checks that they belong together.
    ///
    /// # Errors
    ///
    /// Which of the two is at fault and how, without a byte of them: no PEM, damaged, of a kind that is not supported, or not
    /// a pair.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain = certificates(certificate)?;
        let none = || "the key holds no private key in PEM".to_owned();
        let der = PrivateKeyDer::from_pem_slice(key).map_err(|_| none())?;
        let key = PrivateKey::from_pem(key).map_err(|_| none())?;
        // ureq panics on a pair that does not match.
        match CertifiedKey::from_der(chain.clone(), der, &rustls::crypto::ring::default_provider()) {
            Ok(_) => Ok(Self { chain, key }),
            Err(rustls::Error::InconsistentKeys(_)) => Err("the key does not belong to the certificate".into()),
            Err(_) => Err("the certificate or the key is damaged, or of a kind that is not supported".into()),
        }
    }
}

/// The certificates in `pem`, of which at least one must be usable as a root. What else stands there is passed over,
/// as OpenSSL does.
///
/// # Errors
///
/// That there is no certificate in it, or none that can be a root.
pub fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = certificates(pem)?;
    let usable = |c: &CertificateDer<'static>| rustls::RootCertStore::empty().add(c.clone()).is_ok();
    if certificates.iter().any(usable) { Ok(certificates) } else { Err("no certificate in it can be read".into()) }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).flatten().collect();
    if found.is_empty() { Err("no certificate in PEM in it".into()) } else { Ok(found) }
}

impl Tls {
    /// The same for `ureq`.
    pub(super) fn to_ureq(&self) -> TlsConfig {
        let to_ureq = |c: &CertificateDer| Certificate::from_der(c).to_owned();
        let roots = match &self.roots {
            Some(roots) => RootCerts::new_with_certs(&roots.iter().map(to_ureq).collect::<Vec<_>>()),
            None => RootCerts::WebPki,
        };
        let identity = self.identity.as_ref().map(|identity| {
            ClientCert::new_with_certs(&identity.chain.iter().map(to_ureq).collect::<Vec<_>>(), identity.key.to_owned())
        });
        TlsConfig::builder()
            .provider(ureq::tls::TlsProvider::Rustls)
            .root_certs(roots)
            .client_cert(identity)
            .use_sni(true)
            .disable_verification(!self.verify)
            .build()
    }
}

/// What a failed handshake comes to. Nothing of it is tried again: certificates do not change within a start-up.
pub(super) fn fault(error: &rustls::Error, scrubber: &Scrubber) -> Fault {
    let (cause, remedy) = match error {
        rustls::Error::InvalidCertificate(error) => certificate_fault(error, scrubber),
        rustls::Error::NoCertificatesPresented => {
            ("the server presents no certificate".into(), "give it one, or correct VAULT_ADDR")
        }
        rustls::Error::AlertReceived(alert) => {
            (format!("the server refuses the TLS connection ({alert:?})"), after_alert(*alert))
        }
        rustls::Error::InvalidMessage(_) => {
            ("the port does not speak TLS".into(), "write http:// in VAULT_ADDR if that is meant, or correct the port")
        }
        rustls::Error::PeerIncompatible(_) => (
            "the server speaks only TLS versions or ciphers that are too old".into(),
            "let it offer TLS 1.2 with ECDHE, or TLS 1.3",
        ),
        error => (format!("the TLS handshake failed ({error})"), "check what stands between here and the server"),
    };
    Fault { code: Code::Config, cause, remedy: remedy.into(), retry: Retry::Never, status: None }
}

/// What an alert asks for; [RFC 8446, 6.2](https://www.rfc-editor.org/rfc/rfc8446#section-6.2). A server of TLS 1.2 that
/// misses a client certificate says no more than that the handshake failed.
fn after_alert(alert: AlertDescription) -> &'static str {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::HandshakeFailure => "set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY to a certificate that it accepts",
        Alert::ProtocolVersion | Alert::InsufficientSecurity => "let it offer TLS 1.2 with ECDHE, or TLS 1.3",
        Alert::UnrecognisedName => "use a name in VAULT_ADDR or VAULT_TLS_SERVER_NAME that it serves",
        _ => "look at the server's log",
    }
}

fn certificate_fault(error: &CertificateError, scrubber: &Scrubber) -> (String, &'static str) {
    use rustls::pki_types::UnixTime;
    let date = |time: &UnixTime| {
        let seconds = std::time::Duration::from_secs(time.as_secs());
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + seconds).to_string()
    };
    match error {
        CertificateError::ExpiredContext { time, not_after } => (
            format!("the server's certificate expired at {} (the clock here says {})", date(not_after), date(time)),
            "renew it, or correct the clock",
        ),
        CertificateError::NotValidYetContext { time, not_before } => (
            format!("the server's certificate begins at {} (the clock here says {})", date(not_before), date(time)),
            "correct the clock, or wait",
        ),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() {
                "no subjectAltName".into()
            } else {
                scrubber.clean(&[&presented.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", ")])
            };
            (
                format!("the server's certificate is not for {} but for {names}", expected.to_str()),
                "use that name in VAULT_ADDR, or set VAULT_TLS_SERVER_NAME to it",
            )
        }
        CertificateError::UnknownIssuer => (
            "the server's certificate comes from an unknown authority".into(),
            "set VAULT_CACERT to the certificate of the authority that issued it",
        ),
        CertificateError::BadSignature => (
            "the server's certificate carries a signature that does not fit the trusted authority".into(),
            "set VAULT_CACERT to the authority's present certificate (same name, other key)",
        ),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => (
            "the server's certificate is itself an authority's, which is refused here though curl accepts it".into(),
            "issue a server certificate with basicConstraints CA:FALSE",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            "the server's certificate is not made for servers".into(),
            "issue one with the extended key usage serverAuth",
        ),
        other => (format!("the server's certificate cannot be used ({other})"), "issue another one"),
    }
}

/// The name in `DnsName("vault")` or `IpAddress(127.0.0.1)`, as rustls puts it.
fn bare(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(presented);
    inner.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_and_certificate() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["vault".to_owned()]).unwrap();
        (made.signing_key.serialize_pem(), made.cert.pem())
    }

    #[test]
    fn one_usable_certificate_among_garbage_is_enough_and_none_is_an_error() {
        let (_, good) = key_and_certificate();
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(roots(format!("# comment\n{damaged}{good}").as_bytes()).map(|c| c.len()), Ok(2));
        assert_eq!(roots(damaged.as_bytes()), Err("no certificate in it can be read".into()));
        assert_eq!(roots(b"\0\xff"), Err("no certificate in PEM in it".into()));
        assert_eq!(roots(b""), Err("no certificate in PEM in it".into()));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let ((key, certificate), (other, _)) = (key_and_certificate(), key_and_certificate());
        let read = |key: &str| Identity::from_pem(certificate.as_bytes(), key.as_bytes()).map(|i| i.chain.len());
        assert_eq!(read(&key), Ok(1));
        assert_eq!(read(&other), Err("the key does not belong to the certificate".into()));
        assert_eq!(read("nothing"), Err("the key holds no private key in PEM".into()));
    }
}
