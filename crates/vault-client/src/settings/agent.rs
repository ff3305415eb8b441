//! The settings of an agent whose own token is a secret in Vault, beside those of the client.

use super::{Reader, Setting, SettingFault, Source, Table, setting};
use crate::secret::Secret;

/// The mount.
const PATH_PREFIX: Setting = Setting::new("VAULT_AGENT_PATH_PREFIX", "Mount of the agents' tokens, KV version 2.");

/// The deployment.
const DEPLOYMENT: Setting = Setting::new("DEPLOYMENT_HASH", "Deployment that the agent belongs to.").default("default");

/// The token without Vault.
const STATIC: Setting =
    Setting::new("AGENT_TOKEN", "Token of the agent without Vault, and until it was read first.").credential();

const TABLE: Table = Table { rows: &[&setting::ADDR, &PATH_PREFIX, &DEPLOYMENT, &STATIC], foreign: |_| None };

/// What the environment says of the agent.
pub struct Agent {
    /// Whether there is a Vault.
    pub has_vault: bool,
    /// The mount of the agents' tokens; empty where it is missing.
    pub mount: String,
    /// The deployment.
    pub deployment: String,
    /// The token without Vault.
    pub token: Option<Secret>,
    /// What is missing, or cannot be used.
    pub faults: Vec<SettingFault>,
}

impl Agent {
    /// Reads them from `source`.
    pub fn read(source: &dyn Source) -> Self {
        let mut reader = Reader::new(source, &TABLE);
        let has_vault = reader.find(&setting::ADDR).is_some();
        let mount = reader.find(&PATH_PREFIX).map(|found| found.text).unwrap_or_default();
        if has_vault {
            reader.demand(&PATH_PREFIX, "set it to the mount of the agents' tokens, e.g. status_panel");
        }
        let deployment = reader.value(&DEPLOYMENT, |text| match text {
            text if text.contains('/') => Err("holds a /, which would be another path; write the deployment alone"),
            text => Ok(text.to_owned()),
        });
        let token = reader.find(&STATIC).map(|found| Secret::new(found.text));
        if token.is_none() && !has_vault {
            reader.demand(&STATIC, "set it to the agent's token, or VAULT_ADDRESS to where Vault is");
        }
        Self { has_vault, mount, deployment, token, faults: reader.faults }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Layer;
    use super::*;

    fn faults(given: &[(&'static Setting, &'static str)]) -> Vec<String> {
        let mut layer = Layer::default();
        for (setting, text) in given {
            layer.give(setting, setting.name, *text);
        }
        Agent::read(&layer).faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_agent_needs_a_token_or_vault_and_the_mount() {
        let address = (&setting::ADDR, "http://127.0.0.1:8200");
        assert_eq!(faults(&[(&STATIC, "s")]), [] as [&str; 0]);
        assert_eq!(faults(&[address, (&PATH_PREFIX, "status_panel")]), [] as [&str; 0]);
        assert_eq!(
            faults(&[address, (&DEPLOYMENT, "a/b")]),
            [
                "VAULT_AGENT_PATH_PREFIX: unset; set it to the mount of the agents' tokens, e.g. status_panel",
                "DEPLOYMENT_HASH = \"a/b\": holds a /, which would be another path; write the deployment alone",
            ]
        );
        assert_eq!(
            faults(&[]),
            ["AGENT_TOKEN: unset; set it to the agent's token, or VAULT_ADDRESS to where Vault is"]
        );
    }
}
