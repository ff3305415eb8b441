//! Who signs the JWTs of these tests, and a server with the two documents that a Vault asks such an issuer for.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use super::Site;

/// An issuer with one key.
pub(super) struct Issuer {
    key: KeyPair,
    url: String,
}

impl Issuer {
    /// The one that all tests have; its server lives as long as they do.
    pub(super) fn shared() -> &'static Self {
        static ISSUER: LazyLock<Issuer> = LazyLock::new(Issuer::start);
        &ISSUER
    }

    fn start() -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let discovery = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/keys"), "response_types_supported": ["code"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA"],
            "device_authorization_endpoint": format!("{url}/device"),
        });
        let public = URL_SAFE_NO_PAD.encode(key.der_bytes());
        let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "one", "x": public}]});
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One that goes away meanwhile is no fault of the others.
                let _ = answer(&stream, &discovery, &keys);
            }
        });
        Self { key, url }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A file of this site's folder with the public key.
    pub(super) fn keys_file(&self, site: &Site) -> String {
        fs::write(site.file("keys.pem"), self.key.public_key_pem()).unwrap();
        site.file("keys.pem").display().to_string()
    }

    /// A JWT with these claims, which is valid for five minutes.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut all = json!({"iss": self.url, "aud": "vault", "sub": "job", "iat": now, "nbf": now, "exp": now + 300});
        for (name, value) in claims.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "typ": "JWT", "kid": "one"})), part(&all));
        let signature = self.key.sign(signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn answer(mut stream: &TcpStream, discovery: &Value, keys: &Value) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, body) = match first.split(' ').nth(1) {
        Some("/.well-known/openid-configuration") => ("200 OK", discovery.to_string()),
        Some("/keys") => ("200 OK", keys.to_string()),
        _ => ("404 Not Found", "{}".to_owned()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())
}
