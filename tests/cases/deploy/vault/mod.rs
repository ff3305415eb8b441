//! `deploy/vault`: what it sets up on a real server, seen from a pod.

mod approle;
mod cert;
mod clients;
mod configuration;
mod gateway;
mod issuer;
mod jwt;
mod method;
mod methods;
mod oidc;
mod refused;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Kind, Listener, Server, on};
use vault_testkit::{openbao, unique};

use super::{deploy, tool};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

pub(super) const FILES: &[&str] = &[
    "vault/approle.tf",
    "vault/cert.tf",
    "vault/gateway.sh",
    "vault/jwt.tf",
    "vault/kubernetes.tf",
    "vault/main.tf",
    "vault/methods/approle.sh",
    "vault/methods/cert.sh",
    "vault/methods/jwt.sh",
    "vault/methods/kubernetes.sh",
    "vault/methods/oidc.sh",
    "vault/oidc.tf",
    "vault/setup.sh",
];

const RULE: &str = r#"path "kv/data/shop/prod" { capabilities = ["read"] }"#;

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/terraform.py");

/// The files with this extension.
fn with(extension: &str) -> impl Iterator<Item = &'static str> {
    FILES.iter().copied().filter(move |it| Path::new(it).extension() == Some(extension.as_ref()))
}

/// What it makes, in its order.
const MADE: [&str; 5] =
    ["mount kv", "policy shop", "auth method kubernetes", "configuration of kubernetes", "role shop"];

/// What is told about the program's settings, but for the namespace in the first line.
const TOLD: [&str; 2] = [
    "settings of the program: VAULT_AUTH_METHOD=kubernetes VAULT_AUTH_MOUNT=kubernetes VAULT_ROLE=shop \
     VAULT_MOUNT_POINT=kv VAULT_PATH=shop/prod",
    "the pod's JWT, with the audience vault, is a projected volume: docs/kubernetes.md",
];

/// A namespace of the real server in which nothing is set up, and a folder.
struct Site<'a> {
    server: &'a Server,
    namespace: String,
    folder: TempDir,
}

impl<'a> Site<'a> {
    fn new(server: &'a Server) -> Self {
        let namespace = unique();
        server.must("POST", &format!("sys/namespaces/{namespace}"), &json!({}));
        let folder = tempfile::tempdir().unwrap();
        // The stand-in for the Kubernetes API looks at neither.
        fs::write(folder.path().join("ca.pem"), "none").unwrap();
        fs::write(folder.path().join("reviewer"), "reviewer").unwrap();
        symlink(openbao::program().unwrap(), folder.path().join("bao")).unwrap();
        Self { server, namespace, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the script as an administrator who has `bao` on PATH and is logged in, with these variables changed.
    fn setup(&self, shell: &str, changes: &[(&str, &str)]) -> Output {
        let config = self.server.must("GET", "auth/kubernetes/config", &Value::Null);
        let mut command = script(shell, self.server, self.folder.path());
        command.env("VAULT_NAMESPACE", &self.namespace).env("VAULT_TOKEN", self.server.root_token());
        command.env("K8S_HOST", config["data"]["kubernetes_host"].as_str().unwrap());
        command.env("K8S_CA_CERT_FILE", self.file("ca.pem")).env("K8S_REVIEWER_JWT_FILE", self.file("reviewer"));
        command.envs(changes.iter().copied()).output().unwrap()
    }

    /// The same, which has to say this of each thing but the configuration: what is in its JWT cannot be seen.
    fn setup_says(&self, shell: &str, [mount, policy, auth, role]: [&str; 4]) {
        let news = [mount, policy, auth, "reviewer JWT written", role];
        let lines: Vec<_> = MADE.iter().zip(news).map(|(it, news)| format!("{it}: {news}\n")).collect();
        let [settings, jwt] = TOLD;
        let told = format!("{}{settings} VAULT_NAMESPACE={}\n{jwt}\n", lines.concat(), self.namespace);
        assert_eq!(said(&self.setup(shell, &[])), (0, told, String::new()), "{shell}");
    }

    fn read(&self, path: &str) -> Value {
        self.server.must_in(&self.namespace, "GET", path, &Value::Null)["data"].take()
    }

    /// All that was set up.
    fn state(&self) -> [Value; 5] {
        ["sys/mounts/kv", "sys/policies/acl/shop", "sys/auth/kubernetes", CONFIG, ROLE].map(|path| self.read(path))
    }

    fn write_policy(&self, rules: &str) {
        self.server.write_policy(&self.namespace, "shop", rules);
    }

    fn write_secret(&self, path: &str, data: &Value) {
        self.server.await_writes(&self.namespace, "kv");
        self.server.must_in(&self.namespace, "POST", &format!("kv/data/{path}"), &json!({"data": data}));
    }

    /// A pod of the service account that the role is for.
    fn pod(&self) -> Scenario<'static> {
        let scenario = Scenario::offline().at(&self.server.addr(Listener::Plain)).jwt(&shop());
        scenario.env("VAULT_NAMESPACE", &self.namespace).env("VAULT_ROLE", "shop").env("VAULT_PATH", "shop/prod")
    }

    /// A token that may do everything, but at this path only this.
    fn all_but(&self, path: &str, capability: &str) -> String {
        let all = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#;
        let rules = format!("{all}\npath \"{path}\" {{ capabilities = [\"{capability}\"] }}");
        self.server.write_policy(&self.namespace, "almost-all", &rules);
        self.server.create_token(&self.namespace, &json!({"policies": ["almost-all"]}))
    }

    fn live_tokens(&self) -> usize {
        self.server.live_tokens(&self.namespace, "shop")
    }
}

const CONFIG: &str = "auth/kubernetes/config";
const ROLE: &str = "auth/kubernetes/role/shop";

/// The script, with this folder before the others in PATH.
fn script(shell: &str, server: &Server, folder: &Path) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.args(shell.split(' ')).arg(deploy("vault/setup.sh")).env_clear().env("HOME", folder);
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.display())).env("VAULT_ADDR", server.addr(Listener::Plain));
    command
}

fn shop() -> Jwt {
    Jwt { service_account: "shop".into(), namespace: "shop".into(), audience: json!(["vault"]), ..Jwt::default() }
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A set-up namespace with a secret at `shop/prod` and one beside it.
fn set_up(server: &Server) -> Site<'_> {
    let site = Site::new(server);
    site.setup_says("sh", ["made"; 4]);
    site.write_secret("shop/prod", &json!({"API_KEY": "of-prod"}));
    site.write_secret("shop/test", &json!({"API_KEY": "of-test"}));
    site
}

#[test]
fn each_file_is_accepted_by_its_tool() {
    // It reads the files that it is split into.
    tool("shellcheck", |it| it.args(["--external-sources", "--check-sourced"]).arg(deploy("vault/setup.sh")));
    let text = fs::read_to_string(deploy("vault/setup.sh")).unwrap();
    for file in FILES.iter().filter_map(|it| it.strip_prefix("vault/methods/")) {
        assert!(text.contains(&format!("# shellcheck source=SCRIPTDIR/methods/{file}\n")), "{file}");
    }
    // Where it is not on the machine, no package registry has it.
    let terraform = |it: &mut Command| it.env("TF_CLI_CONFIG_FILE", "/dev/null").arg("version").output().is_ok();
    if terraform(&mut Command::new("terraform")) {
        for file in with("tf") {
            tool("terraform", |it| it.env("TF_CLI_CONFIG_FILE", "/dev/null").args(["fmt", "-check"]).arg(deploy(file)));
        }
    }
    for method in method::METHODS {
        plan(&method.terraform());
    }
}

/// What `main.tf` and the files beside it have their provider make, by type and name, once it fits the provider's schema.
fn plan(variables: &[(&str, &str)]) -> Option<Value> {
    let variables = variables.iter().map(|(name, value)| format!("{name}={value}"));
    let output = tool(super::installed("python3"), |it| it.arg(READER).arg(deploy("vault")).args(variables))?;
    Some(serde_json::from_slice(&output).unwrap())
}

#[test]
fn each_shell_sets_up_the_same_and_a_second_run_changes_nothing() {
    on(Kind::OpenBao, "each_shell_sets_up_the_same_and_a_second_run_changes_nothing", |server| {
        for shell in ["dash", "bash", "busybox sh"] {
            let site = Site::new(server);
            site.setup_says(shell, ["made"; 4]);
            let state = site.state();
            site.setup_says(shell, ["already there"; 4]);
            assert_eq!(site.state(), state, "{shell}");

            let [mount, policy, auth, config, role] = state;
            assert_eq!((&mount["type"], &mount["options"]), (&json!("kv"), &json!({"version": "2"})));
            assert_eq!(policy["policy"].as_str().unwrap().trim_end(), RULE);
            assert_eq!(auth["type"], "kubernetes");
            assert_eq!(
                (&config["kubernetes_ca_cert"], &config["token_reviewer_jwt_set"]),
                (&json!("none"), &json!(true))
            );
            assert_eq!(role, expected_role());
        }
    });
}

fn expected_role() -> Value {
    json!({
        "alias_name_source": "serviceaccount_uid", "audience": "vault", "bound_service_account_names": ["shop"],
        "bound_service_account_namespace_selector": "", "bound_service_account_namespaces": ["shop"],
        "token_bound_cidrs": [], "token_explicit_max_ttl": 0, "token_max_ttl": 180, "token_no_default_policy": false,
        "token_num_uses": 0, "token_period": 0, "token_policies": ["shop"], "token_strictly_bind_ip": false,
        "token_ttl": 180, "token_type": "service",
    })
}

#[test]
fn what_was_changed_by_hand_is_put_right() {
    on(Kind::OpenBao, "what_was_changed_by_hand_is_put_right", |server| {
        let site = Site::new(server);
        site.setup_says("sh", ["made"; 4]);
        site.write_policy(r#"path "kv/data/shop/test" { capabilities = ["read"] }"#);
        server.must_in(&site.namespace, "POST", ROLE, &json!({"token_type": "batch", "audience": "other"}));
        site.setup_says("sh", ["already there", "changed", "already there", "changed"]);
        assert_eq!(site.read("sys/policies/acl/shop")["policy"].as_str().unwrap().trim_end(), RULE);
        assert_eq!(site.read(ROLE), expected_role());
    });
}

/// A write of a role keeps what it does not name.
#[test]
fn nothing_of_an_earlier_role_stays() {
    on(Kind::OpenBao, "nothing_of_an_earlier_role_stays", |server| {
        let site = Site::new(server);
        server.must_in(&site.namespace, "POST", "sys/auth/kubernetes", &json!({"type": "kubernetes"}));
        let earlier = json!({
            "bound_service_account_names": "*", "bound_service_account_namespace_selector": "{}",
            "bound_service_account_namespaces": "*", "alias_name_source": "serviceaccount_name",
            "token_bound_cidrs": "192.0.2.0/24", "token_explicit_max_ttl": "768h", "token_num_uses": 1,
            "token_no_default_policy": true, "token_period": "768h", "token_policies": "root", "ttl": "1h",
        });
        server.must_in(&site.namespace, "POST", ROLE, &earlier);
        site.setup_says("sh", ["made", "made", "already there", "changed"]);
        assert_eq!(site.read(ROLE), expected_role());
        server.must_in(&site.namespace, "POST", ROLE, &json!({"token_strictly_bind_ip": true}));
        site.setup_says("sh", ["already there", "already there", "already there", "changed"]);
        assert_eq!(site.read(ROLE), expected_role());
    });
}

#[test]
fn the_service_account_gets_the_secret_and_leaves_no_token() {
    on(Kind::OpenBao, "the_service_account_gets_the_secret_and_leaves_no_token", |server| {
        let site = set_up(server);
        site.pod().run().expect(Expect::started().env([("API_KEY", "of-prod")]));
        site.pod().options(["--check"]).run().expect(Expect::done().any_stdout());
        assert_eq!(site.live_tokens(), 0);
    });
}

#[test]
fn another_path_another_account_and_another_audience_are_denied() {
    on(Kind::OpenBao, "another_path_another_account_and_another_audience_are_denied", |server| {
        let site = set_up(server);
        let read = |path: &str| {
            let message = format!("vault at {{addr}}: the read of kv/{path} was answered with 403: {{any}}");
            site.pod().env("VAULT_PATH", path).run().expect_failure(77, &message);
        };
        read("shop/test");
        read("shop/prod/below");
        let login = |jwt: Jwt, reason: &str| {
            let message = format!("vault at {{addr}}: {{any}}: {reason}; {{any}}");
            site.pod().jwt(&jwt).run().expect_failure(77, &message);
        };
        login(Jwt { service_account: "app".into(), ..shop() }, "service account name not authorized");
        login(Jwt { namespace: "default".into(), ..shop() }, "namespace not authorized");
        login(Jwt { audience: json!(["other"]), ..shop() }, "invalid audience (aud) claim{any}");
        assert_eq!(site.live_tokens(), 0);
    });
}

/// Why the role leaves the policy `default` to its tokens.
#[test]
fn without_the_default_policy_the_token_could_not_be_revoked() {
    on(Kind::OpenBao, "without_the_default_policy_the_token_could_not_be_revoked", |server| {
        let site = set_up(server);
        server.must_in(&site.namespace, "POST", ROLE, &json!({"token_no_default_policy": true}));
        let lines = ["WARN  {any}", "INFO  {any}"];
        site.pod().run().expect(Expect::started().env([("API_KEY", "of-prod")]).stderr(lines));
        assert_eq!(site.live_tokens(), 1);
    });
}

#[test]
fn slashes_around_names_do_not_count() {
    on(Kind::OpenBao, "slashes_around_names_do_not_count", |server| {
        let site = Site::new(server);
        let slashes = [
            ("VAULT_ROLE", "/shop"),
            ("VAULT_PATH", "/shop/prod/"),
            ("VAULT_MOUNT_POINT", "//kv/"),
            ("VAULT_K8S_AUTH_MOUNT_POINT", "kubernetes//"),
        ];
        assert_eq!(said(&site.setup("sh", &slashes)).0, 0);
        site.setup_says("sh", ["already there"; 4]);
    });
}
