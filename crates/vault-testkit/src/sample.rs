//! What the examples show: one secret, one policy, one Kubernetes role, and the JWT of a pod that may use it.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::embedded::EmbeddedVault;
use crate::jwt::Jwt;

/// A running Vault with the sample in it.
pub struct Sample {
    /// The server.
    pub vault: EmbeddedVault,
    /// The pod's JWT, in a folder that goes with the sample.
    pub jwt: PathBuf,
    root: String,
    _folder: tempfile::TempDir,
}

impl Sample {
    /// Starts it.
    pub fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let (vault, root) = EmbeddedVault::start_unsealed(&[]);
        let folder = tempfile::tempdir()?;
        let jwt = folder.path().join("token");
        std::fs::write(&jwt, Jwt::default().encode())?;
        let sample = Self { vault, jwt, root, _folder: folder };
        let database = "postgres://app:s3cret@db/app";
        let policy = r#"path "kv/data/myapp/*" { capabilities = ["read"] }"#;
        let role = json!({
            "bound_service_account_names": "app", "bound_service_account_namespaces": "default",
            "token_policies": "myapp",
        });
        for (path, body) in [
            ("sys/mounts/kv", json!({"type": "kv", "options": {"version": "2"}})),
            ("kv/data/myapp/prod", json!({"data": {"DATABASE_URL": database, "API_KEY": "k-4711-0815", "WORKERS": 4}})),
            ("sys/policies/acl/myapp", json!({"policy": policy})),
            ("sys/auth/kubernetes", json!({"type": "kubernetes"})),
            ("auth/kubernetes/config", json!({"kubernetes_host": "https://kubernetes", "kubernetes_ca_cert": "x"})),
            ("auth/kubernetes/role/myapp", role),
        ] {
            sample.put(path, &body)?;
        }
        Ok(sample)
    }

    /// Sends `body` to `path` with the root token.
    pub fn put(&self, path: &str, body: &Value) -> Result<(), ureq::Error> {
        let request = ureq::post(format!("{}/v1/{path}", self.vault.http_addr())).header("X-Vault-Token", &self.root);
        request.send(body.to_string()).map(drop)
    }

    /// The settings that a pod's manifest would carry.
    pub fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("VAULT_ADDR", self.vault.http_addr()),
            ("VAULT_PATH", "myapp/prod".into()),
            ("VAULT_ROLE", "myapp".into()),
            ("VAULT_AUTH_METHOD", "kubernetes".into()),
            ("VAULT_K8S_TOKEN_PATH", self.jwt.display().to_string()),
        ]
    }
}
