//! The Kubernetes auth method: configuration, roles, and the login that judges a JWT's claims.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reply::{Answer, Reply};
use super::token::{DEFAULT_TTL, Token, seconds};
use super::vault::{Target, random_id, strings};
use crate::clock::unix_now;
use crate::jwt::{self, FORGED};

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 60;

/// One mount of the method.
#[derive(Default)]
pub(crate) struct Kubernetes {
    configured: bool,
    /// As they were written, with lists made of comma-separated texts.
    roles: BTreeMap<String, Value>,
}

impl Kubernetes {
    pub(crate) fn handle(&mut self, target: &Target, path: &str) -> Answer {
        match (path.split_once('/').unwrap_or((path, "")), target.operation()) {
            (("config", ""), "update") => self.configured = true,
            (("role", name), "update") => {
                let role = role(self.roles.get(name), &target.body)?;
                self.roles.insert(name.to_owned(), role);
            }
            (("role", name), "read") => {
                return self.roles.get(name).cloned().map(Reply::data).ok_or_else(Reply::not_found);
            }
            (("role", name), "delete") => drop(self.roles.remove(name)),
            _ => return Err(Reply::error(405, "unsupported operation")),
        }
        Ok(Reply::empty(204))
    }

    /// The token that a login earns.
    pub(crate) fn login(&self, target: &Target) -> Result<Token, Reply> {
        let refused = |text: &str| Reply::error(403, text);
        let (name, jwt) = (target.text("role"), target.text("jwt"));
        if name.is_empty() {
            return Err(Reply::error(400, "missing role"));
        }
        if jwt.is_empty() {
            return Err(Reply::error(400, "missing jwt"));
        }
        let role = self.roles.get(name);
        let role = role.ok_or_else(|| Reply::error(400, format!("invalid role name \"{name}\"")))?;
        if !self.configured {
            return Err(Reply::error(500, "could not load backend configuration"));
        }
        let (header, claims, signature) = jwt::decode(jwt).ok_or_else(Reply::forbidden)?;
        let algorithms = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];
        if !algorithms.iter().any(|known| header["alg"] == *known) {
            return Err(Reply::forbidden());
        }
        if claims["exp"].as_u64().is_some_and(|expiry| expiry + LEEWAY < unix_now()) {
            return Err(refused("invalid expiration time (exp) claim: token is expired"));
        }
        let audience = role["audience"].as_str().unwrap_or_default();
        if !audience.is_empty() && !strings(&claims["aud"]).iter().any(|it| it == audience) {
            return Err(refused("invalid audience (aud) claim: audience claim does not match any expected audience"));
        }
        let account = &claims["kubernetes.io"];
        let (namespace, account) = (&account["namespace"], &account["serviceaccount"]);
        if !bound(&role["bound_service_account_names"], &account["name"]) {
            return Err(refused("service account name not authorized"));
        }
        if !bound(&role["bound_service_account_namespaces"], namespace) {
            return Err(refused("namespace not authorized"));
        }
        if signature == FORGED {
            return Err(Reply::forbidden());
        }
        let display = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let full = target.full();
        let mount = full.strip_prefix("auth/").unwrap_or(&full).trim_end_matches("/login").replace('/', "-");
        let name_shown = format!("{mount}-{}-{}", display(namespace), display(&account["name"]));
        let mut policies = strings(&role["token_policies"]);
        policies.push("default".to_owned());
        policies.sort();
        policies.dedup();
        let batch = role["token_type"] == "batch";
        Ok(Token {
            policies,
            batch,
            namespace: target.namespace.clone(),
            uses: role["token_num_uses"].as_u64().unwrap_or(0),
            meta: json!({
                "role": name, "service_account_name": account["name"], "service_account_namespace": namespace,
                "service_account_secret_name": "", "service_account_uid": account["uid"],
            }),
            entity: random_id(),
            ..Token::new(
                name_shown,
                &target.path,
                role["token_ttl"].as_u64().filter(|ttl| *ttl > 0).or(Some(DEFAULT_TTL)),
            )
        })
    }
}

/// Whether a role's list of names holds this one.
fn bound(names: &Value, name: &Value) -> bool {
    strings(names).iter().any(|it| it == "*" || name == it)
}

/// A role as it is kept and read back. What a later write does not mention stays.
fn role(before: Option<&Value>, body: &Value) -> Result<Value, Reply> {
    let mut role = before.cloned().unwrap_or_else(|| {
        json!({
            "alias_name_source": "serviceaccount_uid", "bound_service_account_names": [],
            "bound_service_account_namespace_selector": "", "bound_service_account_namespaces": [],
            "token_bound_cidrs": [], "token_explicit_max_ttl": 0, "token_max_ttl": 0,
            "token_no_default_policy": false, "token_num_uses": 0, "token_period": 0, "token_policies": [],
            "token_strictly_bind_ip": false, "token_ttl": 0, "token_type": "default",
        })
    });
    for (name, value) in body.as_object().into_iter().flatten() {
        role[name] = match name.as_str() {
            "bound_service_account_names" | "bound_service_account_namespaces" | "token_policies" => {
                json!(strings(value))
            }
            "token_ttl" => json!(seconds(value)?.unwrap_or(0)),
            _ => value.clone(),
        };
    }
    let unbound = |name: &str| role[name].as_array().is_none_or(Vec::is_empty);
    if unbound("bound_service_account_names") {
        return Err(Reply::error(400, "\"bound_service_account_names\" can not be empty"));
    }
    if unbound("bound_service_account_namespaces") {
        let text = "\"bound_service_account_namespaces\" can not be empty if \
                    \"bound_service_account_namespace_selector\" is not set";
        return Err(Reply::error(400, text));
    }
    if role["token_type"] == "batch" && role["token_num_uses"] != 0 {
        let text =
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count";
        return Err(Reply::error(400, text));
    }
    Ok(role)
}
