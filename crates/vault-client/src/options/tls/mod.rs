//! Whom to trust and who we are on a TLS connection: PEM in, checked material out.

mod pem;

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

pub use pem::{Found, Half, Unfit, Wanted, roots};

/// What a TLS connection needs to know.
#[derive(Clone)]
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
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<CertifiedKey>);
