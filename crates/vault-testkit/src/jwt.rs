//! Service-account JWTs: well-formed, with a signature that nothing checks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
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
