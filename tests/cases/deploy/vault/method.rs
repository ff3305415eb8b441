//! The logins that `deploy/vault` sets up, each with its settings, and what a login is held to.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::certs::certs;
use vault_testkit::http::{Answer, Call};
use vault_testkit::server::Listener;

use super::issuer::Issuer;
use super::{Site, said};

/// A value of `METHOD`.
pub(super) struct Method {
    /// The value, and the auth method's mount where none is named.
    pub(super) name: &'static str,
    /// The auth method's type.
    pub(super) type_: &'static str,
    /// The role, below the mount.
    pub(super) role: &'static str,
    /// What is printed for each thing that is made, but for mount, policy and auth method, which are the same for all.
    pub(super) made: &'static [&'static str],
    /// Variables of Terraform's beside `method`.
    pub(super) variables: &'static [(&'static str, &'static str)],
    /// The resources of Terraform's that stand for the configuration and for the role.
    pub(super) resources: &'static [&'static str],
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

    pub(super) fn at(&self, path: &str) -> String {
        format!("auth/{}/{path}", self.name)
    }

    pub(super) fn has_configuration(&self) -> bool {
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
    pub(super) fn alter(&self, path: &str, changes: &Value) {
        let mut role = self.read(path);
        let fields = role.as_object_mut().unwrap();
        fields.retain(|name, value| !value.is_null() && name != "local_secret_ids");
        fields.extend(changes.as_object().unwrap().clone());
        self.server.must_in(&self.namespace, "POST", path, &role);
    }

    /// The policy, the auth method, its configuration where it has one, and the role.
    pub(super) fn state_of(&self, method: &Method) -> Vec<Value> {
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
