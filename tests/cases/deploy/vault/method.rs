//! What `deploy/vault` makes for each login: twice the same, the same by Terraform, and nothing of others is lost.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::certs::certs;
use vault_testkit::http::{Answer, Call};
use vault_testkit::server::{Kind, Listener, on};

use super::issuer::Issuer;
use super::{RULE, Site, plan, said};
use crate::support::vault_client;

/// A value of `METHOD`.
pub(super) struct Method {
    /// The value, and the auth method's mount where none is named.
    pub(super) name: &'static str,
    /// The auth method's type.
    type_: &'static str,
    /// The role, below the mount.
    role: &'static str,
    /// What is printed for each thing that is made, but for mount, policy and auth method, which are the same for all.
    made: &'static [&'static str],
    /// Variables of Terraform's beside `method`.
    variables: &'static [(&'static str, &'static str)],
    /// The resources of Terraform's that stand for the configuration and for the role.
    resources: &'static [&'static str],
}

const CLAIMS: &str = r#"{"groups": "shop"}"#;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "kubernetes",
        type_: "kubernetes",
        role: "role/shop",
        made: &["configuration of kubernetes", "role shop"],
        variables: &[],
        resources: &["kubernetes_auth_backend_config.kubernetes", "kubernetes_auth_backend_role.shop"],
    },
    Method {
        name: "approle",
        type_: "approle",
        role: "role/shop",
        made: &["role shop", "policy shop-secret-id"],
        variables: &[],
        resources: &["approle_auth_backend_role.shop"],
    },
    Method {
        name: "jwt-github",
        type_: "jwt",
        role: "role/shop",
        made: &["configuration of jwt-github", "role shop"],
        variables: &[("jwt_repository", "acme/shop"), ("jwt_issuer", "{issuer}")],
        resources: &["jwt_auth_backend.github", "jwt_auth_backend_role.github"],
    },
    Method {
        name: "jwt-gitlab",
        type_: "jwt",
        role: "role/shop",
        made: &["configuration of jwt-gitlab", "role shop"],
        variables: &[("jwt_project", "acme/web/shop"), ("jwt_issuer", "{issuer}")],
        resources: &["jwt_auth_backend.gitlab", "jwt_auth_backend_role.gitlab"],
    },
    Method {
        name: "cert",
        type_: "cert",
        role: "certs/shop",
        made: &["role shop"],
        variables: &[("cert_ca", "{ca}")],
        resources: &["cert_auth_backend_role.shop"],
    },
    Method {
        name: "oidc",
        type_: "oidc",
        role: "role/shop",
        made: &["configuration of oidc", "role shop"],
        variables: &[
            ("oidc_issuer", "{issuer}"),
            ("oidc_client_id", "vault"),
            ("oidc_client_secret", "s3cret-of-vault"),
            ("oidc_claims", CLAIMS),
        ],
        resources: &["jwt_auth_backend.oidc", "jwt_auth_backend_role.oidc"],
    },
];

impl Method {
    pub(super) fn named(name: &str) -> &'static Self {
        METHODS.iter().find(|it| it.name == name).expect("a method")
    }

    /// The variables that have Terraform make the same.
    pub(super) fn terraform(&self) -> Vec<(&'static str, &'static str)> {
        let mut variables = vec![("method", self.name)];
        variables.extend(self.variables.iter().copied().map(|(name, value)| match value {
            "{issuer}" => (name, Issuer::shared().url()),
            "{ca}" => (name, certs().ca.certificate.as_str()),
            value => (name, value),
        }));
        variables
    }

    /// The variables of the script, but for those of Kubernetes, which are set always.
    pub(super) fn settings(&self, site: &Site) -> Vec<(&'static str, String)> {
        let issuer = || Issuer::shared().url().to_owned();
        let mut settings = match self.name {
            "jwt-github" => vec![("JWT_REPOSITORY", "acme/shop".into()), ("JWT_ISSUER", issuer())],
            "jwt-gitlab" => vec![("JWT_PROJECT", "acme/web/shop".into()), ("JWT_ISSUER", issuer())],
            "cert" => vec![("CERT_CA_FILE", certs().ca.certificate_file.display().to_string())],
            "oidc" => {
                fs::write(site.file("client-secret"), "s3cret-of-vault\n").unwrap();
                let secret = site.file("client-secret").display().to_string();
                vec![
                    ("OIDC_ISSUER", issuer()),
                    ("OIDC_CLIENT_ID", "vault".into()),
                    ("OIDC_CLIENT_SECRET_FILE", secret),
                    ("OIDC_CLAIMS", "groups=shop".into()),
                ]
            }
            _ => vec![],
        };
        settings.push(("METHOD", self.name.to_owned()));
        settings
    }

    fn at(&self, path: &str) -> String {
        format!("auth/{}/{path}", self.name)
    }

    fn has_configuration(&self) -> bool {
        self.made.iter().any(|it| it.starts_with("configuration"))
    }
}

impl Site<'_> {
    /// Runs the script for a method, which has to go well; the lines that it prints.
    pub(super) fn make(&self, shell: &str, method: &Method, changes: &[(&str, &str)]) -> Vec<String> {
        let settings = method.settings(self);
        let mut all: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(changes);
        let (code, stdout, stderr) = said(&self.setup(shell, &all));
        assert_eq!((code, stderr.as_str()), (0, ""), "{}: {stdout}", method.name);
        assert!(!stdout.contains("s3cret"), "{stdout}");
        stdout.lines().map(str::to_owned).collect()
    }

    /// The script for a method, which has to fail; its line.
    pub(super) fn refuses(&self, method: &Method, changes: &[(&str, &str)]) -> String {
        let settings = method.settings(self);
        let mut all: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(changes);
        let (code, stdout, stderr) = said(&self.setup("sh", &all));
        assert_eq!((code, stderr.lines().count()), (1, 1), "{}: {stdout}{stderr}", method.name);
        stderr.trim_end().to_owned()
    }

    /// Writes a role as it is, with these fields changed.
    fn alter(&self, path: &str, changes: &Value) {
        let mut role = self.read(path);
        let fields = role.as_object_mut().unwrap();
        fields.retain(|name, value| !value.is_null() && name != "local_secret_ids");
        fields.extend(changes.as_object().unwrap().clone());
        self.server.must_in(&self.namespace, "POST", path, &role);
    }

    /// The policy, the auth method, its configuration where it has one, and the role.
    fn state_of(&self, method: &Method) -> Vec<Value> {
        let mut paths = vec!["sys/policies/acl/shop".to_owned(), format!("sys/auth/{}", method.name)];
        paths.extend(method.has_configuration().then(|| method.at("config")));
        paths.push(method.at(method.role));
        paths.iter().map(|path| self.read(path)).collect()
    }

    /// A request without anything but this body.
    pub(super) fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, None, Some(body))
    }

    pub(super) fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        let call = Call {
            token: token.map(str::to_owned),
            namespace: Some(self.namespace.clone()),
            body: body.map(Value::to_string),
            ..Call::new(method, path)
        };
        call.send(&self.server.addr(Listener::Plain))
    }

    /// The secret that the program is for, and one beside it.
    pub(super) fn write_secrets(&self) {
        self.write_secret("shop/prod", &json!({"API_KEY": "of-prod"}));
        self.write_secret("shop/test", &json!({"API_KEY": "of-test"}));
    }

    /// The token of this login reads its one secret and nothing else, lasts so long, and is revoked.
    pub(super) fn reads_its_secret_alone(&self, login: &Answer, seconds: u64) {
        assert_eq!(login.status, 200, "{}", login.text);
        let auth = &login.json()["auth"];
        assert_eq!(auth["lease_duration"], seconds, "{auth}");
        assert_eq!(auth["token_policies"], json!(["default", "shop"]), "{auth}");
        let token = auth["client_token"].as_str().unwrap();
        let status = |method: &str, path: &str| {
            let body = (method == "POST").then(|| json!({"data": {}}));
            self.call(method, path, Some(token), body.as_ref()).status
        };
        let read = self.call("GET", "kv/data/shop/prod", Some(token), None);
        assert_eq!(read.json()["data"]["data"], json!({"API_KEY": "of-prod"}), "{read:?}");
        let denied = [
            ("GET", "kv/data/shop/test"),
            ("GET", "kv/data/shop/prod/below"),
            ("GET", "kv/metadata/shop/prod"),
            ("GET", "kv/metadata/shop?list=true"),
            ("POST", "kv/data/shop/prod"),
            ("DELETE", "kv/data/shop/prod"),
            ("GET", "sys/policies/acl/shop"),
            ("GET", "sys/auth"),
            ("POST", "auth/token/create"),
        ];
        for (method, path) in denied {
            assert_eq!(status(method, path), 403, "{method} {path}");
        }
        assert_eq!(status("POST", "auth/token/revoke-self"), 204);
        assert_eq!(self.live_tokens(), 0);
    }
}

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
                let settings = format!(
                    "settings of the program: VAULT_AUTH_METHOD={client} VAULT_AUTH_MOUNT={} VAULT_ROLE=shop \
                     VAULT_MOUNT_POINT=kv VAULT_PATH=shop/prod",
                    method.name
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
                    let plain = |value: &Value| match value {
                        Value::String(text) => json!(text.trim_end()),
                        Value::Null => json!([]),
                        value => value.clone(),
                    };
                    assert_eq!(plain(&made[&field]), plain(&value), "{name}.{field}");
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
