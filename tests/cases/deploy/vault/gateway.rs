//! `FOR=gateway`: a role with which the gateway can do, below a prefix, what its rules may allow, and nothing else.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Kind, Server, on};

use super::{Site, deploy, said};

const HEADER: &str = "sys/config/auditing/request-headers/x-correlation-id";

/// What is printed for each thing, in its order.
const MADE: [&str; 6] = [
    "mount kv",
    "policy vault-gateway",
    "auth method kubernetes",
    "configuration of kubernetes",
    "role vault-gateway",
    "audit header x-correlation-id",
];

const ALL: &str = "read,write,delete,list,history,restore,destroy";

/// A namespace of its own; the header is the whole server's, so that there is one test at a time.
struct Gateway<'a> {
    site: Site<'a>,
    _alone: MutexGuard<'static, ()>,
}

impl<'a> Gateway<'a> {
    fn new(server: &'a Server) -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { site: Site::new(server), _alone: alone }
    }

    /// What the script comes to for the tenant with the prefix `team-a`, with these variables changed.
    fn setup(&self, shell: &str, changes: &[(&str, &str)]) -> (i32, String, String) {
        let own = [("FOR", "gateway"), ("VAULT_PATH", "team-a")];
        said(&self.site.setup(shell, &[&own, changes].concat()))
    }

    /// The same, which has to go well; its lines.
    fn make(&self, shell: &str, changes: &[(&str, &str)]) -> Vec<String> {
        let (code, stdout, stderr) = self.setup(shell, changes);
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        stdout.lines().map(str::to_owned).collect()
    }

    /// The policy, a rule an element.
    fn rules(&self) -> Vec<String> {
        let policy = self.site.read("sys/policies/acl/vault-gateway");
        policy["policy"].as_str().unwrap().lines().map(str::to_owned).collect()
    }

    /// The token of a pod of this service account, or the status of the refusal.
    fn login(&self, service_account: &str, namespace: &str) -> Result<String, u16> {
        let [service_account, namespace] = [service_account, namespace].map(str::to_owned);
        let jwt = Jwt { service_account, namespace, audience: json!(["vault"]), ..Jwt::default() };
        let login = json!({"role": "vault-gateway", "jwt": jwt.encode()});
        let answer = self.site.post("auth/kubernetes/login", &login);
        if answer.status != 200 {
            return Err(answer.status);
        }
        Ok(answer.json()["auth"]["client_token"].as_str().unwrap().to_owned())
    }

    /// Whether this token may do this.
    fn may(&self, token: &str, method: &str, path: &str) -> bool {
        let body = match path.split('/').nth(1) {
            _ if !matches!(method, "POST") => None,
            Some("data") => Some(json!({"data": {"KEY": "value"}})),
            _ => Some(json!({"versions": [1]})),
        };
        let answer = self.site.call(method, path, Some(token), body.as_ref());
        assert!([200, 204, 403].contains(&answer.status), "{method} {path}: {answer:?}");
        answer.status != 403
    }
}

#[test]
fn each_shell_sets_up_a_tenant_and_another_run_changes_nothing() {
    on(Kind::OpenBao, "each_shell_sets_up_a_tenant_and_another_run_changes_nothing", |server| {
        for shell in ["dash", "bash", "busybox sh"] {
            let gateway = Gateway::new(server);
            server.admin("DELETE", HEADER, &Value::Null);
            let told = [
                format!(
                    "settings of the tenant: mount = \"kv\", prefix = \"team-a\", auth_method = \"kubernetes\", \
                     auth_mount = \"kubernetes\", role = \"vault-gateway\", namespace = \"{}\"",
                    gateway.site.namespace
                ),
                "the pod's JWT, with the audience vault, is a projected volume: docs/kubernetes.md".to_owned(),
            ];
            for news in ["made", "already there"] {
                let line = |part: &&str| match *part {
                    "configuration of kubernetes" => format!("{part}: reviewer JWT written"),
                    part => format!("{part}: {news}"),
                };
                let expected: Vec<_> = MADE.iter().map(line).chain(told.clone()).collect();
                assert_eq!(gateway.make(shell, &[]), expected, "{shell}");
            }
            let role = gateway.site.read("auth/kubernetes/role/vault-gateway");
            let bound = ["bound_service_account_names", "bound_service_account_namespaces", "token_policies"];
            assert_eq!(bound.map(|it| role[it].clone()), [(); 3].map(|()| json!(["vault-gateway"])));
            assert_eq!(
                (&role["token_ttl"], &role["token_max_ttl"], &role["audience"]),
                (&json!(3600), &json!(3600), &json!("vault"))
            );
            let rules = [
                r#"path "kv/data/team-a/*" { capabilities = ["read"] }"#,
                r#"path "kv/metadata/team-a/*" { capabilities = ["list"] }"#,
            ];
            assert_eq!(gateway.rules(), rules);
        }
    });
}

/// Each word of `ALLOW` is enough for what the gateway sends when a rule allows it.
#[test]
fn the_gateway_can_do_what_is_allowed_below_the_prefix_and_nothing_else() {
    on(Kind::OpenBao, "the_gateway_can_do_what_is_allowed_below_the_prefix_and_nothing_else", |server| {
        let gateway = Gateway::new(server);
        gateway.make("sh", &[]);
        for path in ["team-a/app", "team-ab/app", "other"] {
            gateway.site.write_secret(path, &json!({"KEY": "value"}));
        }
        let calls = [
            ("GET", "kv/data/team-a/app", "read write delete restore"),
            ("POST", "kv/data/team-a/app", "write"),
            ("POST", "kv/data/team-a/new", "write"),
            ("GET", "kv/metadata/team-a?list=true", "list"),
            ("GET", "kv/metadata/team-a/app", "history"),
            ("POST", "kv/delete/team-a/app", "delete"),
            ("POST", "kv/undelete/team-a/app", "restore"),
            ("DELETE", "kv/data/team-a/app", "delete"),
            ("POST", "kv/destroy/team-a/app", "destroy"),
            ("POST", "kv/metadata/team-a/app", ""),
            ("DELETE", "kv/metadata/team-a/app", ""),
            ("GET", "kv/data/team-ab/app", ""),
            ("POST", "kv/data/team-a", ""),
            ("GET", "kv/data/other", ""),
            ("GET", "kv/metadata?list=true", ""),
            ("GET", "kv/config", ""),
            ("GET", "sys/policies/acl/vault-gateway", ""),
        ];
        for words in ALL.split(',').chain(["read,list", ALL]) {
            gateway.make("sh", &[("ALLOW", words)]);
            let token = gateway.login("vault-gateway", "vault-gateway").unwrap();
            for (method, path, needs) in calls {
                // The last call may have deleted it, or destroyed it.
                let data = json!({"data": {"KEY": "value"}});
                server.must_in(&gateway.site.namespace, "POST", "kv/data/team-a/app", &data);
                let expected = words.split(',').any(|word| needs.split(' ').any(|it| it == word));
                assert_eq!(gateway.may(&token, method, path), expected, "{words}: {method} {path}");
            }
            assert!(
                gateway.may(&token, "POST", "auth/token/renew-self")
                    && gateway.may(&token, "POST", "auth/token/revoke-self")
            );
        }
        let others = [("shop", "vault-gateway"), ("vault-gateway", "shop")];
        for (service_account, namespace) in others {
            assert_eq!(gateway.login(service_account, namespace), Err(403), "{service_account} {namespace}");
        }
    });
}

/// docs/gateway.md lists them, for whoever writes the policy by hand.
#[test]
fn each_word_gives_the_rights_that_the_page_lists() {
    on(Kind::OpenBao, "each_word_gives_the_rights_that_the_page_lists", |server| {
        let gateway = Gateway::new(server);
        let rows = rights();
        assert_eq!(rows.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>().join(","), ALL);
        for (word, mut rules) in rows {
            gateway.make("sh", &[("ALLOW", &word)]);
            let mut written = gateway.rules();
            written.sort_unstable();
            rules.sort_unstable();
            assert_eq!(written, rules, "{word}");
        }
    });
}

/// The rows of the page's table: a word of `ALLOW`, and the rules of a policy for it.
fn rights() -> Vec<(String, Vec<String>)> {
    let page = fs::read_to_string(deploy("../docs/gateway.md")).unwrap();
    let heading = "| word of `ALLOW` | what the login may do | why it may read |";
    let rows = page.lines().skip_while(|line| *line != heading).skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let rule = |part: &str| {
            let (part, capabilities) = part.split_once(": ").unwrap();
            format!(r#"path "kv/{part}/team-a/*" {{ capabilities = ["{}"] }}"#, capabilities.replace(", ", r#"", ""#))
        };
        (cells[1].clone(), cells[2].split("; ").map(rule).collect())
    };
    rows.map(row).collect()
}

#[test]
fn a_slash_is_the_whole_mount() {
    on(Kind::OpenBao, "a_slash_is_the_whole_mount", |server| {
        let gateway = Gateway::new(server);
        let lines = gateway.make("sh", &[("VAULT_PATH", "/"), ("VAULT_MOUNT_POINT", "team-a")]);
        assert!(lines.iter().any(|line| line.contains("mount = \"team-a\", prefix = \"\",")), "{lines:?}");
        let rules = [
            r#"path "team-a/data/*" { capabilities = ["read"] }"#,
            r#"path "team-a/metadata/*" { capabilities = ["list"] }"#,
        ];
        assert_eq!(gateway.rules(), rules);
    });
}

#[test]
fn a_policy_follows_its_settings_and_that_of_a_program_is_left_alone() {
    on(Kind::OpenBao, "a_policy_follows_its_settings_and_that_of_a_program_is_left_alone", |server| {
        let gateway = Gateway::new(server);
        gateway.make("sh", &[("ALLOW", ALL)]);
        assert_eq!(gateway.rules().len(), 5);
        let lines = gateway.make("sh", &[("ALLOW", "destroy")]);
        assert_eq!(lines[1], "policy vault-gateway: changed");
        assert_eq!(gateway.rules(), [r#"path "kv/destroy/team-a/*" { capabilities = ["update"] }"#]);

        let line =
            "setup.sh: policy vault-gateway: there, with other rules than this script's; REPLACE=1 overwrites them\n";
        let of_a_program = [("FOR", "program"), ("VAULT_ROLE", "vault-gateway"), ("VAULT_PATH", "shop/prod")];
        let (code, _, stderr) = gateway.setup("sh", &of_a_program);
        assert_eq!((code, stderr.as_str()), (1, line));
        let foreign = r#"path "kv/data/team-a/*" { capabilities = ["read", "sudo"] }"#;
        server.write_policy(&gateway.site.namespace, "vault-gateway", foreign);
        let (code, _, stderr) = gateway.setup("sh", &[]);
        assert_eq!((code, stderr.as_str()), (1, line));
        assert_eq!(gateway.rules(), [foreign]);
    });
}

#[test]
fn the_header_is_put_right_and_whoever_may_not_is_told_what_is_left_to_do() {
    on(Kind::OpenBao, "the_header_is_put_right_and_whoever_may_not_is_told_what_is_left_to_do", |server| {
        let gateway = Gateway::new(server);
        server.must("POST", HEADER, &json!({"hmac": true}));
        assert_eq!(gateway.make("sh", &[])[5], "audit header x-correlation-id: changed");
        let seen = server.must("GET", HEADER, &Value::Null);
        assert_eq!(seen["data"]["x-correlation-id"], json!({"hmac": false}));

        // An administrator of this namespace alone.
        let token = gateway.site.all_but("sys/nothing", "deny");
        let line = format!(
            "audit header x-correlation-id: not written, this token may not; in the root namespace: bao write {HEADER} \
             hmac=false"
        );
        assert_eq!(gateway.make("sh", &[("VAULT_TOKEN", &token)])[5], line);
    });
}

#[test]
fn settings_of_a_tenant_that_cannot_be_meant_are_refused() {
    on(Kind::OpenBao, "settings_of_a_tenant_that_cannot_be_meant_are_refused", |server| {
        let gateway = Gateway::new(server);
        let words = "words of read, write, delete, list, history, restore, destroy, with commas between";
        let method = "with FOR=gateway it is kubernetes or cert, with which a service can log in again at any time";
        let plain = "only letters, digits and / _ . - stand for themselves in a policy";
        for (setting, value, line) in [
            ("FOR", "gateways", "gateways is unknown; it is program or gateway"),
            ("ALLOW", "read,", words),
            ("ALLOW", ",read", words),
            ("ALLOW", "read, list", words),
            ("ALLOW", "refresh", words),
            ("ALLOW", "*", words),
            ("METHOD", "oidc", method),
            ("METHOD", "approle", method),
            ("METHOD", "jwt-github", method),
            ("VAULT_PATH", "", "with FOR=gateway it is needed, the prefix; / is the whole mount"),
            ("VAULT_PATH", "team-a/*", plain),
            ("VAULT_PATH", "//", "a part of it is empty, . or ..; write it without these"),
            ("VAULT_PATH", "data/team-a", "write it without data/, which is part of the API and not of the path"),
        ] {
            let expected = (1, String::new(), format!("setup.sh: {setting}: {line}\n"));
            assert_eq!(gateway.setup("sh", &[(setting, value)]), expected, "{value}");
        }
    });
}
