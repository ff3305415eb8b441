//! An issuer whose key is made here.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

/// An issuer with one key.
pub(crate) struct Issuer {
    url: String,
    key: KeyPair,
    /// The key's name.
    pub kid: String,
}

impl Issuer {
    pub fn new(url: &str) -> Self {
        Self::with_kid(url, "first")
    }

    pub fn with_kid(url: &str, kid: &str) -> Self {
        Self { url: url.to_owned(), key: KeyPair::generate_for(&PKCS_ED25519).expect("a key"), kid: kid.to_owned() }
    }

    /// Its key set.
    pub fn keys(&self) -> String {
        json!({"keys": [self.key()]}).to_string()
    }

    /// Its key, as a JWK. [RFC 8037](https://www.rfc-editor.org/rfc/rfc8037#section-2)
    pub fn key(&self) -> Value {
        let public = URL_SAFE_NO_PAD.encode(self.key.der_bytes());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": public})
    }

    /// A token with these claims. Where they are not given, `sub` is `ci`, `aud` is `vault-gateway`, and it is valid for
    /// five minutes from now on. A claim that is null is left out.
    pub fn token(&self, claims: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
        let mut all = json!({"iss": self.url, "sub": "ci", "aud": "vault-gateway", "iat": now, "exp": now + 300});
        let members = all.as_object_mut().expect("an object");
        members.extend(claims.as_object().expect("claims are an object").clone());
        members.retain(|_, value| !value.is_null());
        self.sign(&json!({"alg": "EdDSA", "kid": self.kid, "typ": "JWT"}), &all)
    }

    /// A token with this header and these claims alone.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
