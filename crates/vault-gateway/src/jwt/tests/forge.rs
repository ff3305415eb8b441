//! Keys that are made here, and tokens that they sign.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::config::{Algorithm, Issuer, KeySource, TenantOf};

/// An issuer with discovery that takes everything that any may take.
pub fn issuer(url: &str) -> Issuer {
    use Algorithm as A;
    Issuer {
        url: url.to_owned(),
        jwks: KeySource::Discovery,
        ca: None,
        token_file: None,
        audience: vec!["vault-gateway".into(), "other-audience".into()],
        algorithms: vec![A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512, A::ES256, A::ES384, A::EdDSA],
        typ: vec!["jwt".into(), "at+jwt".into(), String::new()],
        tenant: TenantOf::Claim("tenant".into()),
        tenants: None,
    }
}

/// The same with its keys in a file.
pub fn issuer_of_file(url: &str, path: PathBuf) -> Issuer {
    Issuer { jwks: KeySource::File(path), ..issuer(url) }
}

/// Seconds from 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The keys of all tests.
pub struct Keys {
    /// 2,048 bits.
    pub rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p256_der: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

/// The keys of all tests.
pub static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let ec = |pkcs8: &[u8], how| EcdsaKeyPair::from_pkcs8(how, pkcs8, &random).unwrap();
    let pkcs8 = |how| EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
    let p256 = pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    let p384 = pkcs8(&signature::ECDSA_P384_SHA384_FIXED_SIGNING);
    let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    Keys {
        rsa: new_rsa(),
        p256: ec(p256.as_ref(), &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        p256_der: ec(p256.as_ref(), &signature::ECDSA_P256_SHA256_ASN1_SIGNING),
        p384: ec(p384.as_ref(), &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
    }
});

/// `ring` makes no RSA keys.
fn new_rsa() -> RsaKeyPair {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .expect("openssl runs");
    let key = PrivatePkcs8KeyDer::from_pem_slice(&made.stdout).expect("PEM");
    RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("a key")
}

/// In base64url.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The signature of the key that fits `alg`; `der`: that of P-256 in DER, which JOSE does not have.
pub fn sign(alg: &str, signed: &str) -> Vec<u8> {
    let random = SystemRandom::new();
    let rsa = |padding| {
        let mut signature = vec![0; KEYS.rsa.public().modulus_len()];
        KEYS.rsa.sign(padding, &random, signed.as_bytes(), &mut signature).unwrap();
        signature
    };
    let ec = |key: &EcdsaKeyPair| key.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec();
    match alg {
        "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
        "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
        "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
        "PS256" => rsa(&signature::RSA_PSS_SHA256),
        "PS384" => rsa(&signature::RSA_PSS_SHA384),
        "PS512" => rsa(&signature::RSA_PSS_SHA512),
        "ES256" => ec(&KEYS.p256),
        "ES384" => ec(&KEYS.p384),
        "der" => ec(&KEYS.p256_der),
        "EdDSA" => KEYS.ed.sign(signed.as_bytes()).as_ref().to_vec(),
        other => panic!("no key for {other}"),
    }
}

/// The public half of the key that fits `alg`, named `kid`.
pub fn jwk(kid: &str, alg: &str) -> Value {
    let point = |bytes: &[u8], crv: &str| {
        let (x, y) = bytes[1..].split_at(bytes.len() / 2);
        json!({"kid": kid, "kty": "EC", "crv": crv, "x": base64(x), "y": base64(y)})
    };
    match alg {
        "ES256" => point(KEYS.p256.public_key().as_ref(), "P-256"),
        "ES384" => point(KEYS.p384.public_key().as_ref(), "P-384"),
        "EdDSA" => json!({"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": base64(KEYS.ed.public_key())}),
        _ => {
            let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(KEYS.rsa.public());
            json!({"kid": kid, "kty": "RSA", "use": "sig", "n": base64(public.n), "e": base64(public.e)})
        }
    }
}

/// The object with these members changed; a member that is null is left out.
pub fn changed(mut object: Value, changes: &Value) -> Value {
    let members = object.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    object
}

/// Good claims of `url` with these changed.
pub fn claims(url: &str, changes: &Value) -> Value {
    let now = now();
    let claims = json!({
        "iss": url, "sub": "ci", "aud": ["vault-gateway"], "exp": now + 300, "nbf": now, "iat": now,
        "tenant": "team-a", "roles": ["reader"],
    });
    changed(claims, changes)
}

/// What is signed: both texts in base64url.
pub fn signed(header: &str, claims: &str) -> String {
    format!("{}.{}", base64(header), base64(claims))
}

/// A token with these texts, signed by the key that fits `alg`.
pub fn token_of(alg: &str, header: &str, claims: &str) -> String {
    let signed = signed(header, claims);
    let signature = base64(sign(alg, &signed));
    format!("{signed}.{signature}")
}

/// A good token of the key `kid` at `url`.
pub fn token(url: &str, alg: &str, kid: &str) -> String {
    let header = json!({"alg": alg, "typ": "JWT", "kid": kid});
    token_of(alg, &header.to_string(), &claims(url, &json!({})).to_string())
}
