//! The client's side of TLS, set up once: trust, identity, and what the server wanted of the latter.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::options::Tls;

/// What a server wanted of a client certificate, on one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// It did not ask for one.
    #[default]
    No,
    /// It asked, and there is none to show.
    NoneToShow,
    /// It asked, and takes no signature that the key can make.
    NotWithThisKey,
    /// It asked, and got ours.
    Shown,
}

/// A TLS connection that failed, with what its cause alone does not say.
#[derive(Debug)]
pub struct Failed {
    /// The cause.
    pub error: rustls::Error,
    /// What the server wanted of a client certificate until then.
    pub asked: Asked,
    /// Whether none of the trusted certificates is an authority's.
    pub no_authority: bool,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the TLS connection failed")
    }
}

impl std::error::Error for Failed {}

/// What the TLS connections of a lane share. One is opened after the other.
pub struct Client {
    config: Arc<ClientConfig>,
    shows: Arc<Shows>,
    roots: Arc<[CertificateDer<'static>]>,
}

impl Client {
    /// Sets up what `tls` says.
    pub fn new(tls: &Tls) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has ciphers for both versions");
        let builder = if tls.verify {
            builder.with_root_certificates(store(tls.roots.as_deref()))
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked))
        };
        let identity = tls.identity.as_ref().map(|identity| Arc::clone(&identity.0));
        let shows = Arc::new(Shows { identity, asked: Mutex::default() });
        let config = Arc::new(builder.with_client_cert_resolver(Arc::clone(&shows) as _));
        Self { config, shows, roots: tls.roots.clone().unwrap_or_default().into() }
    }

    /// The same for another lane: what is shared stays so, and what the server asks is kept apart.
    pub fn for_lane(&self) -> Self {
        let shows = Arc::new(Shows { identity: self.shows.identity.clone(), asked: Mutex::default() });
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::clone(&shows) as _;
        Self { config: Arc::new(config), shows, roots: self.roots.clone() }
    }

    /// Begins a connection to a server whose certificate must carry `name`.
    ///
    /// # Errors
    ///
    /// [`Failed`]: there are no random numbers, or no time.
    pub fn connect(&self, name: ServerName<'static>) -> Result<ClientConnection, Failed> {
        self.shows.note(Asked::No);
        ClientConnection::new(Arc::clone(&self.config), name).map_err(|error| self.failed(error))
    }

    /// What `error` ended, of the connection that was begun last.
    pub fn failed(&self, error: rustls::Error) -> Failed {
        let no_authority = !self.roots.is_empty() && self.roots.iter().all(issued_by_an_authority);
        Failed { error, asked: self.shows.asked(), no_authority }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// The given roots, or those built in. One that is damaged is left out, as OpenSSL does.
fn store(roots: Option<&[CertificateDer<'static>]>) -> RootCertStore {
    let Some(roots) = roots else {
        return RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    store
}

/// Whether a certificate is one that authorities issue for servers and clients (`CA:FALSE`). webpki has no question for
/// that, but another answer for each: of a chain that ends with it, only its own use can be at fault, or its issuer.
fn issued_by_an_authority(certificate: &CertificateDer<'static>) -> bool {
    use webpki::Error as Is;
    let Ok(leaf) = webpki::EndEntityCert::try_from(certificate) else { return false };
    let for_servers = webpki::KeyUsage::server_auth();
    let judged = leaf.verify_for_usage(&[], &[], &[], UnixTime::now(), for_servers, None, None);
    matches!(judged.err(), Some(Is::UnknownIssuer | Is::EmptyEkuExtension | Is::RequiredEkuNotFoundContext(_)))
}

/// Shows the client certificate to who asks for one, and remembers that it was asked for.
struct Shows {
    identity: Option<Arc<CertifiedKey>>,
    asked: Mutex<Asked>,
}

impl Shows {
    fn note(&self, asked: Asked) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    fn asked(&self) -> Asked {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.note(match &self.identity {
            None => Asked::NoneToShow,
            Some(identity) if identity.key.choose_scheme(schemes).is_none() => Asked::NotWithThisKey,
            Some(_) => Asked::Shown,
        });
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}

impl fmt::Debug for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shows")
    }
}

/// `VAULT_SKIP_VERIFY`: takes any certificate, and any signature of the handshake with it.
#[derive(Debug)]
struct Unchecked;

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// More than can be checked.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as Scheme;
        vec![
            Scheme::ECDSA_NISTP256_SHA256,
            Scheme::ECDSA_NISTP384_SHA384,
            Scheme::ECDSA_NISTP521_SHA512,
            Scheme::ED25519,
            Scheme::ED448,
            Scheme::RSA_PSS_SHA256,
            Scheme::RSA_PSS_SHA384,
            Scheme::RSA_PSS_SHA512,
            Scheme::RSA_PKCS1_SHA256,
            Scheme::RSA_PKCS1_SHA384,
            Scheme::RSA_PKCS1_SHA512,
            Scheme::RSA_PKCS1_SHA1,
        ]
    }
}
