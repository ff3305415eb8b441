//! JWTs: those of service accounts, with a signature that nothing checks, and those of a key that is made here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use serde_json::{Value, json};

use crate::clock::unix_now;

/// What a pod's token says. The default is one that a role for `app` in `default` accepts.
#[derive(Clone)]
pub struct Jwt {
    /// `alg` of the header.
    pub algorithm: &'static str,
    /// The name of the service account.
    pub service_account: String,
    /// The Kubernetes namespace of the service account.
    pub namespace: String,
    /// `aud`: a list of texts.
    pub audience: Value,
    /// Seconds from now, below zero for the past.
    pub expires_in: i64,
    /// Stands for a signature of somebody else.
    pub forged: bool,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            algorithm: "RS256",
            service_account: "app".to_owned(),
            namespace: "default".to_owned(),
            audience: json!(["https://kubernetes.default.svc"]),
            expires_in: 3600,
            forged: false,
        }
    }
}

/// The signature of a forged JWT, told apart here and by whoever plays the Kubernetes API.
pub const FORGED: &str = "forged";

impl Jwt {
    /// The text that the kubelet would write.
    pub fn encode(&self) -> String {
        let Self { namespace, service_account: name, .. } = self;
        let now = unix_now();
        let claims = json!({
            "aud": self.audience, "exp": now.saturating_add_signed(self.expires_in),
            "iat": now.saturating_sub(7200),
            "iss": "https://kubernetes.default.svc",
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid(namespace, name)}},
        });
        let signature = URL_SAFE_NO_PAD.encode(if self.forged { FORGED } else { "signature" });
        format!("{}.{}.{signature}", part(&json!({"alg": self.algorithm, "typ": "JWT"})), part(&claims))
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A key that is made here and signs JWTs, for mounts that know their keys by heart.
pub struct Signer(KeyPair);

impl Default for Signer {
    fn default() -> Self {
        Self(KeyPair::generate_for(&PKCS_ED25519).expect("a key"))
    }
}

impl Signer {
    /// Its public half, PEM.
    pub fn public_key(&self) -> String {
        self.0.public_key_pem()
    }

    /// A JWT with these claims. Where they are not given, `iss` is `test`, `sub` is `ci`, `aud` is `vault`, and it is
    /// valid from now on for five minutes. A claim that is null is left out.
    pub fn sign(&self, claims: &Value) -> String {
        let now = unix_now();
        let mut all = json!({"iss": "test", "sub": "ci", "aud": "vault", "iat": now, "nbf": now, "exp": now + 300});
        let members = all.as_object_mut().expect("an object");
        members.extend(claims.as_object().expect("claims are an object").clone());
        members.retain(|_, value| !value.is_null());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "typ": "JWT"})), part(&all));
        let signature = self.0.sign(signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn uid(namespace: &str, name: &str) -> String {
    format!("uid-of-{namespace}-{name}")
}

/// Header, claims and signature of a JWT; `None` when it is not one.
pub fn decode(jwt: &str) -> Option<(Value, Value, String)> {
    let [header, claims, signature] = jwt.split('.').collect::<Vec<_>>()[..] else {
        return None;
    };
    let bytes = |part| URL_SAFE_NO_PAD.decode(part).ok();
    let json = |part| serde_json::from_slice(&bytes(part)?).ok();
    Some((json(header)?, json(claims)?, String::from_utf8(bytes(signature)?).ok()?))
}
