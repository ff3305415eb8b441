//! The history of a secret: writes that do not overwrite each other, versions that go and come back.
//!
//! PATH must be one that was never written. Nothing of it is left at the end.
//!
//! ```sh
//! export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_ROLE=shop
//! cargo run --package vault-client --example history kv shop/history
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use vault_client::{Cas, ErrorKind, Kv, VaultClient, VaultError};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("history: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [mount, path] = &arguments[..] else { return Err("usage: history MOUNT PATH".into()) };
    let vault = VaultClient::from_env()?;
    let kv = vault.kv(mount);
    let result = writes(&kv, path).and_then(|()| versions(&kv, path));
    vault.close();
    Ok(result?)
}

/// Writes on top of a version that is known, so that no other writer's version is lost.
fn writes(kv: &Kv, path: &str) -> Result<(), VaultError> {
    let first = kv.write(path, &BTreeMap::from([("user", "shop"), ("password", "first")]), Cas::New)?;
    println!("write: version {}", first.version);
    let second = kv.write(path, &BTreeMap::from([("user", "shop"), ("password", "second")]), Cas::At(1))?;
    println!("write on top of version 1: version {}", second.version);
    // The latest version is 2 now, as if somebody else had written it.
    match kv.write(path, &BTreeMap::from([("password", "third")]), Cas::At(1)) {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let found = error.version().map_or("not known".to_owned(), |version| version.to_string());
            println!("write on top of version 1 again: a conflict, the latest version is {found}");
        }
        written => println!("write on top of version 1 again: version {}", written?.version),
    }
    // A patch changes the keys that it names. A key that is null in it is taken out.
    let patched = kv.patch(path, &BTreeMap::from([("password", None), ("token", Some("fourth"))]), Cas::At(2))?;
    println!("patch: version {}, with the keys {}", patched.version, keys(kv, path)?);
    Ok(())
}

/// Takes versions away, and brings them back.
fn versions(kv: &Kv, path: &str) -> Result<(), VaultError> {
    kv.delete(path)?;
    match kv.read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => println!("delete: the latest version is deleted"),
        read => println!("delete: version {} is still there", read?.metadata.version),
    }
    kv.undelete(path, &[3])?;
    println!("undelete: version 3 is back, with the keys {}", keys(kv, path)?);
    let rolled = kv.rollback(path, 1)?;
    println!("rollback to version 1: version {}, with the keys {}", rolled.version, keys(kv, path)?);
    kv.destroy(path, &[2])?;
    let metadata = kv.metadata(path)?;
    println!("metadata: the latest version is {}", metadata.current_version);
    for version in &metadata.versions {
        println!("  version {}{}", version.version, if version.destroyed { ", destroyed" } else { "" });
    }
    kv.delete_all(path)?;
    println!("delete_all: nothing is left");
    Ok(())
}

fn keys(kv: &Kv, path: &str) -> Result<String, VaultError> {
    let secret = kv.read(path)?;
    Ok(secret.data.keys().collect::<Vec<_>>().join(", "))
}
