//! Keeps a small Vault running with a sample secret and a Kubernetes role, and prints what to paste to
//! use it.

use std::error::Error;
use std::path::Path;

use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

#[allow(dead_code, reason = "the tests use more of it")]
mod embedded_vault;

use embedded_vault::EmbeddedVault;
use embedded_vault::jwt::Jwt;

const POLICY: &str = r#"path "kv/data/myapp/*" { capabilities = ["read"] }"#;

fn main() -> Result<(), Box<dyn Error>> {
    let ends = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Before there are threads, so that they inherit it.
    ends.thread_block()?;
    let (vault, root) = EmbeddedVault::start_unsealed(&[]);
    let address = vault.http_addr();
    let put = |path: &str, body: Value| -> Result<(), ureq::Error> {
        let request = ureq::post(format!("{address}/v1/{path}")).header("X-Vault-Token", &root);
        request.send(body.to_string()).map(drop)
    };
    put("sys/mounts/kv", json!({"type": "kv", "options": {"version": "2"}}))?;
    put("kv/data/myapp/prod", json!({"data": {"DATABASE_URL": "postgres://app:s3cret@db/app", "WORKERS": 4}}))?;
    put("sys/policies/acl/myapp", json!({"policy": POLICY}))?;
    put("sys/auth/kubernetes", json!({"type": "kubernetes"}))?;
    put("auth/kubernetes/config", json!({"kubernetes_host": address, "kubernetes_ca_cert": "x"}))?;
    put(
        "auth/kubernetes/role/myapp",
        json!({
            "bound_service_account_names": "app", "bound_service_account_namespaces": "default",
            "token_policies": "myapp",
        }),
    )?;

    let folder = tempfile::tempdir()?;
    let jwt = folder.path().join("token");
    std::fs::write(&jwt, Jwt::default().encode())?;
    println!("{}", instructions(&address, &jwt));

    // The server's own threads do the work; returning instead of dying removes the folder.
    ends.wait()?;
    Ok(())
}

fn instructions(address: &str, jwt: &Path) -> String {
    format!(
        "A Vault for trying things; nothing in it is secret, and it ends with Ctrl-C.\n\n\
         export VAULT_ADDR={address}\n\
         export VAULT_PATH=myapp/prod\n\
         export VAULT_ROLE=myapp\n\
         export VAULT_AUTH_METHOD=kubernetes\n\
         export VAULT_K8S_TOKEN_PATH={}\n\n\
         vault-exec -- env",
        jwt.display()
    )
}
