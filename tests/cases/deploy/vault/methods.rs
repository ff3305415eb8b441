//! What `deploy/vault` makes for each login: twice the same, the same by Terraform, and nothing of others is lost.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::server::{Kind, on};

use super::issuer::Issuer;
use super::method::{METHODS, Method};
use super::{RULE, Site, plan, said};
use crate::support::vault_client;

#[test]
fn each_method_is_set_up_by_each_shell_and_another_run_changes_nothing() {
    on(Kind::OpenBao, "each_method_is_set_up_by_each_shell_and_another_run_changes_nothing", |server| {
        for method in METHODS {
            let parts = [&["mount kv", "policy shop"][..], &[&format!("auth method {}", method.name)], method.made];
            let parts = parts.concat();
            let site = Site::new(server);
            let says = |shell: &str, first: bool| {
                let lines = site.make(shell, method, &[]);
                let news = |part: &str| match part {
                    "configuration of kubernetes" => "reviewer JWT written",
                    "configuration of oidc" => "client secret written",
                    part if part.starts_with("configuration") && !first => "there, left as it is",
                    _ if first => "made",
                    _ => "already there",
                };
                let expected: Vec<_> = parts.iter().map(|part| format!("{part}: {}", news(part))).collect();
                assert_eq!(lines[..parts.len()], expected, "{} {shell}", method.name);
                let client = if method.type_ == "jwt" { "jwt" } else { method.name };
                // A role id says which role it is.
                let role = if method.name == "approle" { "" } else { " VAULT_ROLE=shop" };
                let settings = format!(
                    "settings of the program: VAULT_AUTH_METHOD={client} VAULT_AUTH_MOUNT={}{role} \
                     VAULT_MOUNT_POINT=kv VAULT_PATH=shop/prod VAULT_NAMESPACE={}",
                    method.name, site.namespace
                );
                assert_eq!(lines[parts.len()], settings);
                assert!(lines.len() > parts.len() + 1, "{lines:?}");
            };
            says("busybox sh", true);
            let state = site.state_of(method);
            assert_eq!(state[0]["policy"].as_str().unwrap().trim_end(), RULE);
            assert_eq!(state[1]["type"], method.type_);
            for shell in ["dash", "bash"] {
                says(shell, false);
                assert_eq!(site.state_of(method), state, "{} {shell}", method.name);
            }
        }
    });
}

/// What a token of each login can do and how long it lasts, and no more.
#[test]
fn each_role_bounds_its_tokens() {
    on(Kind::OpenBao, "each_role_bounds_its_tokens", |server| {
        for method in &METHODS[1..] {
            let site = Site::new(server);
            site.make("sh", method, &[]);
            let path = method.at(method.role);
            let bounds = |ttl: u64, type_: &str, cidrs: Value| {
                json!({
                    "token_bound_cidrs": cidrs, "token_explicit_max_ttl": 0, "token_max_ttl": ttl,
                    "token_no_default_policy": false, "token_num_uses": 0, "token_period": 0,
                    "token_policies": ["shop"], "token_strictly_bind_ip": false, "token_ttl": ttl, "token_type": type_,
                })
            };
            let seen = || {
                let role = site.read(&path);
                let fields = role.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("token_"));
                let mut fields: serde_json::Map<_, _> = fields.map(|(name, it)| (name.clone(), it.clone())).collect();
                fields.remove("token_policies_template_claims");
                Value::Object(fields)
            };
            let ttl = if method.name == "oidc" { 8 * 60 * 60 } else { 180 };
            assert_eq!(seen(), bounds(ttl, "service", json!([])), "{}", method.name);

            let more = json!({
                "token_explicit_max_ttl": "768h", "token_no_default_policy": true, "token_num_uses": 9,
                "token_period": "768h", "token_policies": "root,shop", "token_ttl": "9h", "token_max_ttl": "9h",
                "token_strictly_bind_ip": true,
            });
            site.alter(&path, &more);
            let changes = [("TOKEN_TYPE", "batch"), ("TOKEN_TTL", "5m"), ("BOUND_CIDRS", "192.0.2.0/24,2001:db8::/32")];
            let lines = site.make("sh", method, &changes);
            assert!(lines.contains(&"role shop: changed".to_owned()), "{lines:?}");
            assert_eq!(seen(), bounds(300, "batch", json!(["192.0.2.0/24", "2001:db8::/32"])), "{}", method.name);
        }
    });
}

/// What was set there by somebody and is no business of the script's.
#[test]
fn what_else_a_role_has_is_kept() {
    on(Kind::OpenBao, "what_else_a_role_has_is_kept", |server| {
        let kept = [
            ("approle", json!({})),
            (
                "jwt-github",
                json!({"bound_subject": "repo:acme/shop:ref:refs/heads/main", "claim_mappings": {"actor": "a"}}),
            ),
            ("jwt-gitlab", json!({"claim_mappings": {"user_login": "u", "ref": "r"}, "max_age": 60})),
            (
                "cert",
                json!({"display_name": "the, \"shop\"", "allowed_organizational_units": ["web"], "ocsp_enabled": true}),
            ),
            ("oidc", json!({"oidc_disable_confirmation": true, "claim_mappings": {"name": "n"}, "max_age": 60})),
        ];
        for (name, fields) in kept {
            let (site, method) = (Site::new(server), Method::named(name));
            site.make("sh", method, &[]);
            let path = method.at(method.role);
            site.alter(&path, &fields);
            let before = site.read(&path);
            site.make("sh", method, &[("TOKEN_TTL", "4m")]);
            let mut expected = before.clone();
            (expected["token_ttl"], expected["token_max_ttl"]) = (json!(240), json!(240));
            assert_eq!(site.read(&path), expected, "{name}");
            for (field, value) in fields.as_object().unwrap() {
                assert_eq!(&before[field], value, "{name}: {field}");
            }
        }
    });
}

/// As HashiCorp's has `alias_metadata` in roles, and whatever a later server may have in the configuration.
#[test]
fn what_a_server_has_that_this_one_has_not_is_kept() {
    on(Kind::OpenBao, "what_a_server_has_that_this_one_has_not_is_kept", |server| {
        // What Kubernetes has is in a test of its own.
        for method in &METHODS[1..] {
            let site = Site::new(server);
            site.make("sh", method, &[]);
            let folder = site.file("vault-alone");
            fs::create_dir(&folder).unwrap();
            if vault_client::install(&folder).is_none() {
                return;
            }
            let mut beside = json!({});
            beside[method.at(method.role)] = json!({"resets": {"alias_metadata": {"team": "a, \"b\" }"}}});
            if method.has_configuration() {
                beside[method.at("config")] = json!({"resets": {"of_a_later_server": ["a, \"b\"", "}"]}});
            }
            let state = folder.join("state.json");
            fs::write(&state, beside.to_string()).unwrap();
            let path = format!("{}:/usr/bin:/bin", folder.display());
            let keys = Issuer::shared().keys_file(&site);
            let mut changes = vec![("PATH", path.as_str()), ("VAULT_STAND_IN", state.to_str().unwrap())];
            changes.extend([("TOKEN_TTL", "4m"), ("JWT_PUBKEYS_FILE", keys.as_str())]);
            let lines = site.make("sh", method, &changes);
            assert!(lines.contains(&"role shop: changed".to_owned()), "{lines:?}");
            let now: Value = serde_json::from_str(&fs::read_to_string(&state).unwrap()).unwrap();
            assert_eq!(now, beside, "{}", method.name);
        }
    });
}

#[test]
fn terraform_would_make_the_same() {
    on(Kind::OpenBao, "terraform_would_make_the_same", |server| {
        for method in METHODS {
            let Some(plan) = plan(&method.terraform()) else { return };
            let site = Site::new(server);
            site.make("sh", method, &[]);
            let mount = site.read("sys/mounts/kv");
            let [policy, auth, rest @ ..] = &site.state_of(method)[..] else { panic!("too little") };
            let mut pairs = vec![("mount.kv".to_owned(), &mount), ("policy.shop".to_owned(), policy)];
            pairs.extend(method.resources.iter().map(|it| (*it).to_owned()).zip(rest));
            let mut names: Vec<_> = pairs.iter().map(|(name, _)| format!("vault_{name}")).collect();
            let extra = match method.name {
                "approle" => Some(("policy.secret_id", site.read("sys/policies/acl/shop-secret-id"))),
                _ => None,
            };
            if let Some((name, made)) = &extra {
                names.push(format!("vault_{name}"));
                pairs.push(((*name).to_owned(), made));
            }
            let own = format!("vault_auth_backend.{}", method.name);
            if plan.get(&own).is_some() {
                assert_eq!((&plan[&own]["type"], &plan[&own]["path"]), (&auth["type"], &json!(method.name)));
                names.push(own);
            }
            for (name, made) in pairs {
                let mut arguments = plan[format!("vault_{name}")].as_object().unwrap().clone();
                // Where it is, what cannot be read back, and what the test gives the script another value for.
                let apart = ["path", "backend", "role_name", "name", "kubernetes_host", "oidc_client_secret"];
                arguments.retain(|name, value| !apart.contains(&name.as_str()) && !value.is_null());
                if name.starts_with("jwt_auth_backend.") {
                    assert_eq!(arguments.remove("type"), Some(auth["type"].clone()));
                }
                assert!(!arguments.is_empty(), "{name}");
                for (field, value) in arguments {
                    let trimmed = |value: &Value| match value {
                        Value::String(text) => json!(text.trim_end()),
                        Value::Null => json!([]),
                        value => value.clone(),
                    };
                    assert_eq!(trimmed(&made[&field]), trimmed(&value), "{name}.{field}");
                }
            }
            // Nothing is made that was not looked at.
            let mut planned: Vec<_> = plan.as_object().unwrap().keys().cloned().collect();
            planned.sort();
            names.sort();
            assert_eq!(planned, names, "{}", method.name);
        }
    });
}

#[test]
fn the_mount_of_another_type_and_a_file_that_is_not_there_end_it() {
    on(Kind::OpenBao, "the_mount_of_another_type_and_a_file_that_is_not_there_end_it", |server| {
        let site = Site::new(server);
        for method in METHODS {
            let other = if method.type_ == "cert" { "approle" } else { "cert" };
            let mount = format!("of-{}", method.name);
            server.must_in(&site.namespace, "POST", &format!("sys/auth/{mount}"), &json!({"type": other}));
            let names = [("VAULT_AUTH_MOUNT", mount.as_str())];
            let line = format!("setup.sh: auth method {mount} is not of the type {}", method.type_);
            assert_eq!(site.refuses(method, &names), line);
        }
        let alone = site.file("setup.sh");
        fs::copy(super::deploy("vault/setup.sh"), &alone).unwrap();
        let output = std::process::Command::new("sh").arg(&alone).output().unwrap();
        let file = site.file("methods/kubernetes.sh");
        let line = format!("setup.sh: {} is not there; copy the folder methods along with this file\n", file.display());
        assert_eq!(said(&output), (1, String::new(), line));
    });
}
