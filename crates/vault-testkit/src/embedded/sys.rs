//! `sys/`: initialising and sealing, namespaces, mounts and policies.

use std::time::SystemTime;

use humantime::format_rfc3339_nanos;
use serde_json::{Value, json};

use super::kubernetes::Kubernetes;
use super::kv::{Kv1, Kv2};
use super::policy;
use super::quota::Quota;
use super::reply::{Answer, Reply, one_error};
use super::vault::{Mount, Policy, Request, Target, Vault, random_id, random_text};
use crate::clock::unix_now;

const VERSION: &str = "2.7.2";

/// What is answered in every state and without a token.
pub(crate) fn before_the_seal(vault: &mut Vault, request: &Request, path: &str) -> Option<Answer> {
    let operation = request.operation();
    if matches!(path, "sys/health" | "sys/init") && request.namespace.is_some() {
        return Some(Err(Reply::error(400, "operation unavailable in namespaces")));
    }
    Some(match (path, operation) {
        ("sys/seal-status", "read") => Ok(Reply::plain(200, seal_status(vault))),
        ("sys/health", "read") => Ok(health(vault)),
        ("sys/init", "read") => Ok(Reply::plain(200, json!({"initialized": vault.key.is_some()}))),
        ("sys/init", "update") => init(vault),
        ("sys/unseal", "update") => request.json().and_then(|body| unseal(vault, &body)),
        _ => return None,
    })
}

fn seal_status(vault: &Vault) -> Value {
    let shares = u8::from(vault.key.is_some());
    let mut status = json!({
        "type": "shamir", "initialized": vault.key.is_some(), "sealed": !vault.unsealed, "t": shares,
        "n": shares,
        "progress": 0, "nonce": "", "recovery_seal": false, "version": VERSION,
        "commit_date": "2026-10-26T20:32:27Z", "migration": false, "storage_type": "inmem",
    });
    name_cluster(vault, &mut status);
    status
}

fn name_cluster(vault: &Vault, status: &mut Value) {
    if vault.unsealed {
        status["cluster_name"] = json!("vault-cluster-embedded");
        status["cluster_id"] = json!("00000000-0000-4000-8000-000000000000");
    }
}

fn health(vault: &Vault) -> Reply {
    let mode = if vault.unsealed { "disabled" } else { "unknown" };
    let mut health = json!({
        "initialized": vault.key.is_some(), "sealed": !vault.unsealed, "standby": !vault.unsealed,
        "replication_performance_mode": mode, "replication_dr_mode": mode,
        "server_time_utc": unix_now(), "version": VERSION,
    });
    name_cluster(vault, &mut health);
    let status = match (&vault.key, vault.unsealed) {
        (None, _) => 501,
        (_, false) => 503,
        _ => 200,
    };
    Reply::plain(status, health)
}

fn init(vault: &mut Vault) -> Answer {
    if vault.key.is_some() {
        return Err(Reply::error(400, "Vault is already initialized"));
    }
    let root = vault.initialise_unsealed();
    vault.unsealed = false;
    let key = &vault.key;
    Ok(Reply::plain(200, json!({"keys": [key], "keys_base64": [key], "root_token": root})))
}

fn unseal(vault: &mut Vault, body: &Value) -> Answer {
    let Some(right) = &vault.key else {
        return Err(Reply::error(400, "Vault is not initialized"));
    };
    match body["key"].as_str() {
        None => {
            let text = "'key' must be specified in request body as JSON, or 'reset' set to true";
            return Err(Reply::error(400, text));
        }
        Some(key) if key != right => {
            return Err(Reply::error(400, "invalid key: key is shorter than minimum 16 bytes"));
        }
        Some(_) => vault.unsealed = true,
    }
    Ok(Reply::plain(200, seal_status(vault)))
}

/// The rest, for a token that may do it.
pub(crate) fn handle(vault: &mut Vault, target: &Target, path: &str) -> Answer {
    let (area, name) = path.split_once('/').unwrap_or((path, ""));
    let name = name.trim_end_matches('/');
    match (area, target.operation()) {
        ("seal", "update") => vault.unsealed = false,
        ("namespaces", "update") => {
            let name = format!("{}{name}/", target.namespace);
            vault.namespaces.insert(name.clone());
            return Ok(Reply::data(json!({
                "custom_metadata": {}, "id": random_text(6), "locked": false, "path": name, "tainted": false,
                "uuid": random_id(),
            })));
        }
        ("mounts", "update") => mount(vault, target, &format!("{name}/"))?,
        ("auth", "update") => mount(vault, target, &format!("auth/{name}/"))?,
        ("mounts", "delete") => drop(vault.mounts.remove(&format!("{}{name}/", target.namespace))),
        ("auth", "delete") => drop(vault.mounts.remove(&format!("{}auth/{name}/", target.namespace))),
        ("quotas", "update") => vault.quota = Some(Quota::new(target.body["rate"].as_u64().unwrap_or(u64::MAX))),
        ("quotas", "delete") => vault.quota = None,
        ("policies", operation) => {
            let name = name.strip_prefix("acl/").unwrap_or(name);
            return policies(vault, target, name, operation);
        }
        _ => return Err(Reply::error(404, one_error("unsupported path"))),
    }
    Ok(Reply::empty(204))
}

fn mount(vault: &mut Vault, target: &Target, path: &str) -> Result<(), Reply> {
    let full = format!("{}{path}", target.namespace);
    if vault.mounts.contains_key(&full) {
        let text = format!("path is already in use at {}", path.trim_start_matches("auth/"));
        return Err(Reply::error(400, text));
    }
    let mount = match (target.text("type"), target.body["options"]["version"].as_str()) {
        ("kv", Some("2")) | ("kv-v2", _) => Mount::Kv2(Kv2::default()),
        ("kv", _) => Mount::Kv1(Kv1::default()),
        ("kubernetes", _) if path.starts_with("auth/") => Mount::Kubernetes(Kubernetes::default()),
        (unknown, _) => {
            return Err(Reply::error(400, format!("plugin not found in the catalog: {unknown}")));
        }
    };
    vault.mounts.insert(full, mount);
    Ok(())
}

fn policies(vault: &mut Vault, target: &Target, name: &str, operation: &str) -> Answer {
    let full = format!("{}{name}", target.namespace);
    match operation {
        "update" => {
            let text = target.text("policy");
            if text.is_empty() {
                return Err(Reply::error(400, "'policy' parameter not supplied or empty"));
            }
            let rules = policy::parse(text);
            let rules = rules.map_err(|error| Reply::error(400, format!("failed to parse policy: {error}")))?;
            let version = vault.policies.get(&full).map_or(1, |before| before.version + 1);
            let policy = Policy { text: text.to_owned(), rules, version, modified: SystemTime::now() };
            vault.policies.insert(full, policy);
            Ok(Reply::empty(204))
        }
        "read" => {
            let policy = vault.policies.get(&full).ok_or_else(Reply::not_found)?;
            Ok(Reply::data(json!({
                "allow_slashes_in_identity_templates": false, "allow_wildcards_in_identity_templates": false,
                "cas_required": false, "modified": format_rfc3339_nanos(policy.modified).to_string(),
                "name": name, "policy": policy.text,
                "version": policy.version,
            })))
        }
        _ => {
            vault.policies.remove(&full);
            Ok(Reply::empty(204))
        }
    }
}

/// `sys/internal/ui/mounts/<path>`: which mount is that? Answers whoever may do anything there, and costs
/// no use of the token.
pub(crate) fn preflight(vault: &Vault, target: &Target, path: &str) -> Answer {
    if target.operation() != "read" {
        return Err(Reply::error(405, "unsupported operation"));
    }
    let id = target.request.token.as_deref().unwrap_or_default();
    let token = vault.tokens.find(id).ok_or_else(Reply::forbidden)?;
    let full = format!("{}{}/", target.namespace, path.trim_end_matches('/'));
    let found = vault.mounts.iter().filter(|(mount, _)| full.starts_with(*mount)).max_by_key(|it| it.0.len());
    let visible = found.filter(|(mount, _)| token.is_root() || policy::touches(&vault.rules(token), mount.as_str()));
    let Some((mount, kind)) = visible else {
        let text = "preflight capability check returned 403, please ensure client's policies grant access to path";
        return Err(Reply::error(403, format!("{text} \"{}/\"", path.trim_end_matches('/'))));
    };
    let (kind, options) = match kind {
        Mount::Kv1(_) => ("kv", json!({"version": "1"})),
        Mount::Kv2(_) => ("kv", json!({"version": "2"})),
        Mount::Kubernetes(_) => ("kubernetes", Value::Null),
    };
    Ok(Reply::data(json!({
        "accessor": format!("{kind}_embedded"), "deprecation_status": "supported", "description": "",
        "config": {"default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0},
        "external_entropy_access": false, "local": false, "options": options,
        "path": mount.strip_prefix(&target.namespace), "plugin_version": "",
        "running_plugin_version": format!("v{VERSION}+builtin.bao"), "running_sha256": "", "seal_wrap": false,
        "type": kind, "uuid": random_id(),
    })))
}
