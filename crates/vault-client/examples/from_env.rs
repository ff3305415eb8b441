//! Reads a secret with the settings of the environment, and prints its keys. Values are never printed.
//!
//! ```sh
//! export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_ROLE=shop
//! cargo run --package vault-client --example from_env kv shop/prod
//! ```

use std::error::Error;
use std::process::ExitCode;

use vault_client::{VaultClient, VaultError};

fn main() -> ExitCode {
    match read() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("from_env: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [mount, path] = &arguments[..] else { return Err("usage: from_env MOUNT PATH".into()) };
    let vault = VaultClient::from_env()?;
    let result = print(&vault, mount, path);
    // Revokes the token of the login, after an error too. A program that ends does not wait for the drop of its client.
    vault.close();
    Ok(result?)
}

fn print(vault: &VaultClient, mount: &str, path: &str) -> Result<(), VaultError> {
    let secret = vault.kv_read(mount, path)?;
    println!("{mount}/{path}, version {}:", secret.metadata.version);
    for key in secret.data.keys() {
        println!("  {key}");
    }
    Ok(())
}
