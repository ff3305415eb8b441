//! What an operator reads of a client's error: cause, and what to do about it.

use vault_client::{Step, VaultError};

/// The whole sentence.
pub fn sentence(error: &VaultError) -> String {
    let (fault, effort) = (error.fault(), error.effort());
    match error.step() {
        Some(Step::Credential) | None => format!("{fault}{effort}"),
        Some(_) => format!("vault at {}: {}{fault}{effort}", error.at(), error.during()),
    }
}

/// The sentence without its remedy, and the remedy.
pub fn parts(error: &VaultError) -> (String, Option<String>) {
    (error.to_string(), Some(error.fault().remedy.clone()))
}
