//! Logs a person in with a browser, and prints the keys of a secret. Values are never printed. The token is kept for the
//! next run, where it is good for an hour or more.
//!
//! ```sh
//! cargo run --package vault-client --example oidc https://vault.example:8200 engineers kv shop/prod
//! ```

use std::error::Error;
use std::process::ExitCode;

use vault_client::{Event, Listen, Observer, Oidc, VaultClient, VaultError};

fn main() -> ExitCode {
    match read() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oidc: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says what deserves a look, and nothing else.
struct Warnings;

impl Observer for Warnings {
    fn note(&self, event: &Event<'_>) {
        if let Event::Warning(warning) = event {
            eprintln!("oidc: warning: {warning}");
        }
    }
}

fn read() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (address, role, mount, path, auth_mount, listen) = match &arguments[..] {
        [address, role, mount, path] => (address, role, mount, path, "oidc", "localhost:8250"),
        [address, role, mount, path, auth_mount, listen] => {
            (address, role, mount, path, auth_mount.as_str(), listen.as_str())
        }
        _ => return Err("usage: oidc ADDRESS ROLE MOUNT PATH [AUTH_MOUNT LISTEN]".into()),
    };
    let login = Oidc {
        mount: auth_mount.into(),
        role: Some(role.into()),
        listen: Listen::parse(listen)?,
        // Whoever starts this can be asked, even where standard error is no terminal.
        interactive: true,
        ..Oidc::default()
    };
    let vault = VaultClient::builder().address(address).login(login).observer(Warnings).build()?;
    let result = print(&vault, mount, path);
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
