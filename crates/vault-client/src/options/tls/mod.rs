//! Whom to trust and who we are on a TLS connection: PEM in, checked material out.

mod leaf;
mod pem;

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

pub use leaf::Leaf;
pub use pem::{Found, Half, Unfit, Wanted, roots};

/// What a TLS connection needs to know.
#[derive(Clone, PartialEq, Eq)]
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

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (roots, identity) = (self.roots.as_ref().map(Vec::len), self.identity.is_some());
        f.debug_struct("Tls")
            .field("roots", &roots)
            .field("identity", &identity)
            .field("server_name", &self.server_name)
            .field("verify", &self.verify)
            .finish()
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self { roots: None, identity: None, server_name: None, verify: true }
    }
}

/// Two are the same where their certificates are: a key is another where its certificate is.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.cert == other.0.cert
    }
}

impl Eq for Identity {}

/// A client certificate with its chain, and the key that belongs to it.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<CertifiedKey>);

impl Identity {
    /// What its certificate says of itself.
    pub(crate) fn leaf(&self) -> Option<Leaf> {
        Leaf::of(self.0.cert.first()?)
    }
}
