//! Signatures: `jsonwebtoken` over `ring`.
//!
//! `jsonwebtoken` brings the forms of keys and signatures in JOSE, so that none of that is written by hand. Its own two
//! providers cannot be used: one has the timing fault of RUSTSEC-2023-0071, the other a second crypto library. Its
//! `decode` is not used, because it lets through what [`check`](super::check) and [`token`](super::token) refuse.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm as Jose, DecodingKey, DecodingKeyKind};
use ring::signature as primitive;

use crate::config::Algorithm;

/// Whether `signature`, in base64url, is that of `key` on `signed`.
pub fn is_of(key: &DecodingKey, algorithm: Algorithm, signed: &str, signature: &str) -> bool {
    static INSTALL: Once = Once::new();
    // It fails where there is one already, and nothing else in this process installs one.
    INSTALL.call_once(|| {
        let _ = PROVIDER.install_default();
    });
    jsonwebtoken::crypto::verify(signature, signed.as_bytes(), key, jose(algorithm)).unwrap_or(false)
}

fn jose(algorithm: Algorithm) -> Jose {
    match algorithm {
        Algorithm::RS256 => Jose::RS256,
        Algorithm::RS384 => Jose::RS384,
        Algorithm::RS512 => Jose::RS512,
        Algorithm::PS256 => Jose::PS256,
        Algorithm::PS384 => Jose::PS384,
        Algorithm::PS512 => Jose::PS512,
        Algorithm::ES256 => Jose::ES256,
        Algorithm::ES384 => Jose::ES384,
        Algorithm::EdDSA => Jose::EdDSA,
    }
}

/// Verifies, and signs nothing.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: |algorithm, key| Ok(Box::new(Check::new(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// The check of one algorithm with one key.
struct Check {
    algorithm: Jose,
    how: How,
    key: DecodingKey,
}

enum How {
    Rsa(&'static primitive::RsaParameters),
    Other(&'static dyn primitive::VerificationAlgorithm),
}

impl Check {
    fn new(algorithm: Jose, key: &DecodingKey) -> Result<Self, Error> {
        let how = match algorithm {
            Jose::RS256 => How::Rsa(&primitive::RSA_PKCS1_2048_8192_SHA256),
            Jose::RS384 => How::Rsa(&primitive::RSA_PKCS1_2048_8192_SHA384),
            Jose::RS512 => How::Rsa(&primitive::RSA_PKCS1_2048_8192_SHA512),
            Jose::PS256 => How::Rsa(&primitive::RSA_PSS_2048_8192_SHA256),
            Jose::PS384 => How::Rsa(&primitive::RSA_PSS_2048_8192_SHA384),
            Jose::PS512 => How::Rsa(&primitive::RSA_PSS_2048_8192_SHA512),
            Jose::ES256 => How::Other(&primitive::ECDSA_P256_SHA256_FIXED),
            Jose::ES384 => How::Other(&primitive::ECDSA_P384_SHA384_FIXED),
            Jose::EdDSA => How::Other(&primitive::ED25519),
            _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
        };
        if key.family() != algorithm.family() {
            return Err(new_error(ErrorKind::InvalidAlgorithm));
        }
        Ok(Self { algorithm, how, key: key.clone() })
    }
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, signed: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (&self.how, self.key.kind()) {
            (How::Rsa(how), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                primitive::RsaPublicKeyComponents { n, e }.verify(how, signed, signature)
            }
            (How::Other(how), DecodingKeyKind::SecretOrDer(point)) => {
                primitive::UnparsedPublicKey::new(*how, point).verify(signed, signature)
            }
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Jose {
        self.algorithm
    }
}
