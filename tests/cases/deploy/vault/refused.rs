//! What `deploy/vault/setup.sh` refuses to do.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;
use vault_testkit::server::{Kind, Listener, Server, on, skip};
use vault_testkit::{missing, openbao, tally};

use super::{READER, ROLE, RULE, Site, deploy, expected_role, said, script, with};
use crate::support::vault_client;

/// Settings that are refused, each with the variable of `main.tf` that is for the same, and the line.
const REFUSED: &[(&str, &str, &[&str], &str)] = &[
    (
        "VAULT_ROLE",
        "role",
        &["Shop", "ROOT", "shop/prod"],
        "no upper case, which the name of a policy cannot have, and",
    ),
    ("VAULT_ROLE", "role", &["root", "default", "-shop"], "{value} would not be a policy of this application's own"),
    ("VAULT_PATH", "path", &["data/shop", "data/shop/prod"], "write it without data/, "),
    ("VAULT_PATH", "path", &["shop/+", "shop/\"", "a b"], "only letters, digits and / _ . - stand for themselves in a"),
    ("VAULT_PATH", "path", &["shop//prod", "..", "shop/./a"], "a part of it is empty, . or ..; write it without"),
    ("VAULT_MOUNT_POINT", "mount", &["kv*", "k+"], "only letters, digits and / _ . - stand for themselves in a"),
    ("VAULT_K8S_AUTH_MOUNT_POINT", "auth_mount", &["auth/kubernetes"], "write it without auth/, "),
    ("K8S_NAMESPACE", "namespace", NO_NAMES, "not a name of Kubernetes': lower case letters, digits, . and -"),
    (
        "K8S_SERVICE_ACCOUNT",
        "service_account",
        NO_NAMES,
        "not a name of Kubernetes': lower case letters, digits, . and -",
    ),
    (
        "K8S_AUDIENCE",
        "audience",
        &["a,b", "@/etc/passwd", "a b", "*"],
        "one audience, without @ in front, comma, space",
    ),
    ("TOKEN_TYPE", "token_type", &["batch,service", "Batch", "renewable"], "service, batch or default"),
    ("K8S_HOST", "kubernetes_host", &["vault", "@file", "-", "ftp://a"], "a URL begins with https:// or http://"),
    ("K8S_HOST", "kubernetes_host", &["https://a b", "https://", "https://a,b"], "a URL without space, comma or *"),
];

const NO_NAMES: &[&str] = &["*", "a,b", "@file", "-", "a b", "Shop", ".", "shop_a"];

#[test]
fn a_setting_that_would_mean_more_than_it_says_is_refused() {
    on(Kind::OpenBao, "a_setting_that_would_mean_more_than_it_says_is_refused", |server| {
        let site = Site::new(server);
        for (setting, _, values, line) in REFUSED {
            for value in *values {
                let (code, stdout, stderr) = said(&site.setup("sh", &[(setting, value)]));
                assert_eq!((code, stdout.as_str()), (1, ""), "{setting}={value}: {stderr}");
                let line = format!("setup.sh: {setting}: {}", line.replace("{value}", value));
                assert!(stderr.starts_with(&line) && stderr.lines().count() == 1, "{setting}={value}: {stderr}");
            }
        }
        site.setup_says("sh", ["made"; 4]);
    });
}

/// It is what an administrator tries first.
#[test]
fn help_is_printed_and_arguments_are_refused_and_neither_asks_a_server() {
    let asked = |arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.arg(deploy("vault/setup.sh")).args(arguments).env_clear().env("PATH", "/usr/bin:/bin");
        // A client that would be seen.
        command.env("CLI", "/bin/false");
        said(&command.output().unwrap())
    };
    let (code, help, stderr) = asked(&["--help"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(asked(&["-h"]), (0, help.clone(), String::new()));
    let line = "setup.sh: it takes no arguments; settings are environment variables, which --help lists\n";
    for arguments in [&["shop"][..], &["--dry-run"], &[""], &["--help", "shop"], &["VAULT_ROLE=shop"]] {
        assert_eq!(asked(arguments), (64, String::new(), line.to_owned()), "{arguments:?}");
    }

    // Each variable that the script reads, with its default.
    let scripts = with("sh");
    let text: String = scripts.map(|it| fs::read_to_string(deploy(it)).unwrap()).collect();
    let mut read = BTreeMap::new();
    for part in text.split("${").skip(1) {
        let name: String = part.chars().take_while(|it| it.is_ascii_uppercase() || *it == '_' || *it == '8').collect();
        let default = part[name.len()..].strip_prefix(":-").and_then(|it| it.split('}').next());
        let default = default.filter(|it| !it.starts_with('$'));
        if !name.is_empty() {
            let known = read.entry(name).or_insert(default);
            *known = known.or(default);
        }
    }
    assert!(read.len() > 10, "{read:?}");
    for (name, default) in read {
        let row = help.lines().find(|line| line.split_whitespace().next() == Some(&name));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the help:\n{help}"));
        let shown = row.rsplit_once('[').unwrap_or_else(|| panic!("no default: {row}")).1;
        assert!(default.is_none_or(|it| shown.strip_suffix(']').is_some_and(|shown| shown.ends_with(it))), "{row}");
    }
}

#[test]
fn terraform_refuses_the_same_settings() {
    let python = super::super::installed("python3");
    if !python.exists() {
        missing("target/tools/bin/python3");
        return;
    }
    let read = |variable: &str, value: &str| {
        let mut reader = Command::new(&python);
        reader.arg(READER).arg(deploy("vault")).arg(format!("{variable}={value}"));
        let (code, _, stderr) = said(&reader.output().unwrap());
        (code, stderr.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>())
    };
    // The script takes away the slashes around a name.
    let slashes = ["path", "mount", "auth_mount"].map(|it| (it, &["/shop", "shop/"][..]));
    let refused = REFUSED.iter().map(|(_, variable, values, _)| (*variable, *values)).chain(slashes);
    for (variable, value) in refused.flat_map(|(variable, values)| values.iter().map(move |it| (variable, it))) {
        assert_eq!(read(variable, value), (1, vec![variable.to_owned()]), "{variable}={value}");
    }
    let of_logins = [
        ("method", "userpass"),
        ("wrap_ttl", "3ms"),
        ("jwt_repository", "acme/*"),
        ("jwt_project", "acme"),
        ("jwt_ref", "main,next"),
        ("jwt_audience", "*"),
        ("jwt_issuer", "gitlab.com"),
    ];
    for (variable, value) in of_logins {
        assert_eq!(read(variable, value), (1, vec![variable.to_owned()]), "{variable}={value}");
    }
    // What is needed, and what would let in anybody.
    let needed = [
        ("jwt-github", vec!["jwt_repository is needed"]),
        ("jwt-gitlab", vec!["jwt_project is needed"]),
        ("cert", vec!["cert_ca is needed"]),
        (
            "oidc",
            vec![
                "oidc_issuer, oidc_client_id and oidc_client_secret are needed.",
                "oidc_claims say who may log in; oidc_anyone lets in all whom the provider knows.",
            ],
        ),
    ];
    for (method, lines) in needed {
        assert_eq!(read("method", method), (1, lines.into_iter().map(str::to_owned).collect()), "{method}");
    }
    for (variable, value) in [("role", "shop-2"), ("path", "shop/..prod"), ("audience", "https://vault.example")] {
        assert_eq!(read(variable, value), (0, vec![]), "{variable}={value}");
    }
}

#[test]
fn the_policy_of_another_is_replaced_on_demand_only() {
    on(Kind::OpenBao, "the_policy_of_another_is_replaced_on_demand_only", |server| {
        let site = Site::new(server);
        site.setup_says("sh", ["made"; 4]);
        let others = [
            r#"path "kv/*" { capabilities = ["read"] }"#.to_owned(),
            r#"path "kv/data/shop/prod" { capabilities = ["read", "update"] }"#.to_owned(),
            format!("{RULE}\n{RULE}"),
            format!("# Ours.\n{RULE}"),
        ];
        for rules in others {
            site.write_policy(&rules);
            let (code, stdout, stderr) = said(&site.setup("sh", &[]));
            let line = "setup.sh: policy shop: there, with other rules than this script's; REPLACE=1 overwrites them\n";
            assert_eq!((code, stdout.lines().count(), stderr.as_str()), (1, 1, line), "{rules}");
            assert_eq!(site.read("sys/policies/acl/shop")["policy"], rules);
        }
        let (code, stdout, stderr) = said(&site.setup("sh", &[("REPLACE", "1")]));
        assert_eq!((code, stdout.lines().nth(1), stderr.as_str()), (0, Some("policy shop: changed"), ""));
        site.setup_says("sh", ["already there"; 4]);
    });
}

/// Each of these reads is denied to somebody who may do all else.
#[test]
fn what_may_not_be_read_is_not_called_made() {
    on(Kind::OpenBao, "what_may_not_be_read_is_not_called_made", |server| {
        let site = Site::new(server);
        for (lines, path) in ["sys/mounts/kv", "sys/policies/acl/shop", "sys/auth/kubernetes"].iter().enumerate() {
            let token = site.all_but(path, "update");
            let (code, stdout, stderr) = said(&site.setup("sh", &[("VAULT_TOKEN", &token)]));
            assert_eq!((code, stdout.lines().count()), (1, lines), "{path}: {stderr}");
            let line = format!("setup.sh: Error reading {path}: ");
            assert!(stderr.starts_with(&line) && stderr.lines().count() == 1, "{path}: {stderr}");
        }
    });
}

#[test]
fn the_format_that_an_administrator_likes_changes_nothing() {
    on(Kind::OpenBao, "the_format_that_an_administrator_likes_changes_nothing", |server| {
        let site = Site::new(server);
        let formats = [("BAO_FORMAT", "json"), ("VAULT_FORMAT", "yaml")];
        assert_eq!(said(&site.setup("sh", &formats)).0, 0);
        let (code, stdout, _) = said(&site.setup("sh", &formats));
        assert_eq!((code, stdout.matches(": already there\n").count()), (0, 4), "{stdout}");
        assert_eq!(site.read(ROLE), expected_role());
    });
}

#[test]
fn a_trace_of_the_script_shows_no_token() {
    on(Kind::OpenBao, "a_trace_of_the_script_shows_no_token", |server| {
        let (code, _, trace) = said(&Site::new(server).setup("sh -x", &[]));
        assert_eq!(code, 0, "{trace}");
        assert!(trace.contains("token lookup") && !trace.contains(server.root_token()), "{trace}");
    });
}

#[test]
fn what_it_cannot_do_ends_it_with_a_line() {
    on(Kind::OpenBao, "what_it_cannot_do_ends_it_with_a_line", |server| {
        let site = Site::new(server);
        let fails = |changes: &[(&str, &str)], line: &str| {
            let (code, stdout, stderr) = said(&site.setup("sh", changes));
            assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
            assert!(stderr.starts_with(&format!("setup.sh: {line}")) && stderr.lines().count() == 1, "{stderr}");
        };
        fails(&[("VAULT_TOKEN", "")], "no token that works, set VAULT_TOKEN: Error looking up token: ");
        fails(&[("PATH", "/usr/bin:/bin")], "neither bao nor vault is on PATH\n");
        fails(&[("VAULT_MOUNT_POINT", "cubbyhole")], "mount cubbyhole is not KV version 2\n");
        fails(&[("K8S_CA_CERT_FILE", "/nowhere")], "/nowhere cannot be read\n");
        fails(&[("K8S_REVIEWER_JWT_FILE", "/nowhere")], "/nowhere cannot be read\n");
        for setting in ["VAULT_ROLE", "VAULT_PATH", "VAULT_MOUNT_POINT", "VAULT_K8S_AUTH_MOUNT_POINT"] {
            for value in ["/", "shop//prod", "shop/./prod", "..", "/../shop"] {
                let line = format!("{setting}: a part of it is empty, . or ..; write it without these\n");
                fails(&[(setting, value)], &line);
            }
            let line = format!("{setting}: only letters, digits and / _ . - stand for themselves in a policy\n");
            fails(&[(setting, "shop/*")], &line);
        }
        for path in ["data/shop/prod", "/data/shop"] {
            fails(&[("VAULT_PATH", path)], "VAULT_PATH: write it without data/, ");
        }
        fails(
            &[("VAULT_PATH", "shop/prod,shop/shared")],
            "VAULT_PATH: one path, without comma; another path is another rule in ",
        );
        // Standard input, to the client.
        fails(&[("K8S_AUDIENCE", "-")], "K8S_AUDIENCE: one audience, ");
        fails(&[("VAULT_ADDR", "http://127.0.0.1:1")], "vault at http://127.0.0.1:1: not reached: ");
        let line = "vault at https://127.0.0.1:8200, the client's default without VAULT_ADDR: not reached: ";
        fails(&[("VAULT_ADDR", "")], line);

        // What cannot be seen is not taken for what is not there.
        let token = server.create_token(&site.namespace, &json!({"policies": ["default"]}));
        fails(&[("VAULT_TOKEN", &token)], "Error reading sys/mounts/kv: ");
    });
}

#[test]
fn a_server_that_takes_no_requests_is_told_with_its_address() {
    let test = "a_server_that_takes_no_requests_is_told_with_its_address";
    let Some(server) = Server::fresh(Kind::OpenBao) else { return skip(test) };
    let folder = tempfile::tempdir().unwrap();
    symlink(openbao::program().unwrap(), folder.path().join("bao")).unwrap();
    let clients = ["bao"].into_iter().chain(vault_client::install(folder.path()).map(|()| "vault"));
    let clients: Vec<_> = clients.collect();
    let told = |cause: &str| {
        let line = format!("setup.sh: vault at {}: {cause}\n", server.addr(Listener::Plain));
        for client in &clients {
            let output = script("sh", &server, folder.path()).env("CLI", client).output().unwrap();
            assert_eq!(said(&output), (1, String::new(), line.clone()), "{client}");
        }
    };
    told("not initialised; run `operator init` on it");
    server.initialise();
    told("sealed; unseal it");
    tally::note("openbao", test);
}
