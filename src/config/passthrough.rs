//! What is looked at where `VAULT_ADDR` is unset: whether that is likely to be a mistake.

use super::setting;
use super::source::list;
use crate::process::environ::Environ;
use crate::secrets::{self, Problem};
use vault_client::settings::{NearMiss, Reader};

/// A run without Vault.
pub struct Passthrough {
    /// What deserves a warning.
    pub warnings: Vec<String>,
    /// Required variables that COMMAND's environment has not.
    pub missing: Vec<Problem>,
    /// Why there is no address.
    pub because: &'static str,
    /// What to do about variables that are missing.
    pub remedy: &'static str,
}

/// Settings that nobody makes for a laptop; the last one is the official clients'.
const FOR_VAULT: &[&str] = &["VAULT_PATH", "VAULT_ROLE", "VAULT_ROLE_ID", "VAULT_AGENT_ADDR", "BAO_AGENT_ADDR"];

/// Whether an empty `BAO_ADDR` hides the address, as in the official clients.
pub(super) fn is_hidden(environ: &Environ) -> bool {
    is_set(environ, "VAULT_ADDR")
}

fn is_set(environ: &Environ, name: &str) -> bool {
    environ.get(name).is_some_and(|value| !value.trim_ascii().is_empty())
}

/// With `demand`, the required variables are looked for.
pub(super) fn read(reader: &mut Reader, environ: &Environ, demand: bool) -> Passthrough {
    let (because, mend, remedy) = if is_hidden(environ) {
        ("BAO_ADDR is empty and hides VAULT_ADDR", "unset BAO_ADDR", "unset BAO_ADDR, or set the variables themselves")
    } else {
        ("VAULT_ADDR is unset", "set VAULT_ADDR", "set VAULT_ADDR or the variables themselves")
    };
    // The one misspelling that starts an application without its secrets.
    let of_address = |it: &&NearMiss| ["VAULT_ADDR", "BAO_ADDR"].map(Some).contains(&it.meant.as_deref());
    let mut warnings: Vec<_> = reader.near_misses().iter().filter(of_address).map(NearMiss::warning).collect();
    if is_set(environ, "KUBERNETES_SERVICE_HOST") {
        let set: Vec<_> = FOR_VAULT.iter().copied().filter(|name| is_set(environ, name)).collect();
        if !set.is_empty() {
            let are = if set.len() == 1 { "is" } else { "are" };
            warnings.push(format!(
                "nothing is read from Vault, because {because}, though {} {are} set; {mend}, or \
                 VAULT_REQUIRED=true to make this an error",
                set.join(" and ")
            ));
        }
    }
    let mut required = if demand { list(reader, &setting::REQUIRED_KEYS) } else { Vec::new() };
    required.retain(|name| environ.get(name).is_none());
    let there = environ.variables().filter_map(|(name, _)| std::str::from_utf8(name).ok());
    let missing = secrets::missing(&required, there);
    Passthrough { warnings, missing, because, remedy }
}
