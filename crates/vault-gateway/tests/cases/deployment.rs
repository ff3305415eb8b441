//! The files below `deploy/gateway`, each read and used by the program itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::json;
use vault_testkit::certs::certs;
use vault_testkit::openid::{OpenIdProvider, Settings};
use vault_testkit::scratch;
use vault_testkit::server::{Kind, Listener, on};
use vault_testkit::unique;

use crate::support::gateway::{Gateway, program};

/// What is to be replaced by what, or names with their values.
type Pairs = &'static [(&'static str, &'static str)];

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway").join(name)
}

/// A folder with the files that a configuration names, and the configuration, changed so that it names them.
fn placed(name: &str, changes: &[(&str, &str)]) -> PathBuf {
    let folder = scratch(&unique());
    let shown = folder.display().to_string();
    let pair = &certs().good;
    fs::copy(&pair.certificate_file, folder.join("tls.crt")).expect("a copy");
    fs::copy(&pair.key_file, folder.join("tls.key")).expect("a copy");
    fs::copy(&certs().ca.certificate_file, folder.join("ca.crt")).expect("a copy");
    fs::copy(deployed("config.schema.json"), folder.join("config.schema.json")).expect("a copy");
    for (file, text) in [("team-a", "hvs.a"), ("team-b", "hvs.b"), ("token", "a.b.c")] {
        fs::write(folder.join(file), text).expect("a file");
    }
    let text = fs::read_to_string(deployed(name)).expect("a configuration");
    let text = changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{name} has no {from}");
        text.replace(from, &to.replace("{folder}", &shown))
    });
    fs::write(folder.join("gateway.toml"), text).expect("a file");
    folder.join("gateway.toml")
}

/// Code and what is printed.
fn check(config: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = program("https://vault.example:8200");
    command.envs(environment.iter().copied()).arg("--config").arg(config).arg("--check");
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// What the pod has. Its service-account token is there as well.
const POD: Pairs = &[("VAULT_AUTH_METHOD", "kubernetes"), ("VAULT_K8S_TOKEN_PATH", "{folder}/token")];

#[test]
fn every_configuration_is_taken() {
    let on_a_machine: Pairs = &[("/run/credentials/vault-gateway.service", "{folder}")];
    let in_a_pod: Pairs = &[("\"/tls/", "\"{folder}/"), ("\"/var/run/kubernetes/", "\"{folder}/")];
    let rows: [(&str, Pairs, Pairs, &str); 3] = [
        ("gateway.toml", on_a_machine, &[], "2 tenants, 2 issuers"),
        ("kubernetes/gateway.toml", in_a_pod, POD, "2 tenants, 1 issuer"),
        ("compose/gateway.toml", &[], &[("VAULT_TOKEN", "gateway-for-trying-only")], "1 tenant, 1 issuer"),
    ];
    for (name, changes, environment, counted) in rows {
        let expected = (Some(0), format!("the configuration is good: {counted}\n"));
        let config = placed(name, changes);
        let folder = config.parent().expect("a folder").display().to_string();
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (*name, value.replace("{folder}", &folder))).collect();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(check(&config, &environment), expected, "{name}");
    }
}

/// The comments of the complete one show each key with its default, or with a value that it takes.
#[test]
fn every_key_that_stands_in_a_comment_is_taken_as_well() {
    let config = placed("gateway.toml", &[("/run/credentials/vault-gateway.service", "{folder}")]);
    let text = fs::read_to_string(&config).expect("a configuration");
    let is_key = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let mut keys = 0;
    let lines: Vec<_> = text
        .lines()
        .map(|line| match line.strip_prefix("# ").filter(|rest| is_key(rest)) {
            Some(rest) => {
                keys += 1;
                rest
            }
            None => line,
        })
        .collect();
    assert!(keys > 25, "{keys}");
    fs::write(&config, lines.join("\n")).expect("a file");
    let folder = config.parent().expect("a folder");
    for file in ["idp-ca.crt", "clients-ca.crt"] {
        fs::copy(folder.join("ca.crt"), folder.join(file)).expect("a copy");
    }
    fs::write(folder.join("idp-token"), "a.b.c").expect("a file");
    assert_eq!(check(&config, &[]), (Some(0), "the configuration is good: 2 tenants, 2 issuers\n".to_owned()));
}

/// The one of Compose, started: with a real server and a real provider in the place of its images.
#[test]
fn what_compose_starts_answers_the_calls_of_its_comment() {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    on(Kind::OpenBao, "what_compose_starts_answers_the_calls_of_its_comment", |server| {
        let name = unique();
        server.mount_kv("", &name, 2);
        server.write_secret("", &name, "team-a/apps/shop/config", &json!({"host": "db.shop.svc"}));
        let rules = ["data", "metadata"].map(|part| {
            format!(
                "path \"{name}/{part}/team-a/*\" {{ capabilities = [\"create\", \"list\", \"read\", \"update\"] }}\n"
            )
        });
        server.write_policy("", &name, &rules.concat());
        let token = server.create_token("", &json!({"policies": [name], "no_parent": true}));
        let mount = format!("mount = \"{name}\"");
        let config = placed(
            "compose/gateway.toml",
            &[
                ("0.0.0.0:8443", "127.0.0.1:0"),
                ("0.0.0.0:9090", "127.0.0.1:0"),
                ("http://127.0.0.1:5556/dex", provider.issuer()),
                ("mount = \"kv\"", &mount),
            ],
        );
        let mut command = program(&server.addr(Listener::Plain));
        command.env("VAULT_TOKEN", token).arg("--config").arg(config);
        let gateway = Gateway::spawn(command);
        vault_testkit::eventually("the gateway is ready", || gateway.operate("/ready").status == 200);
        let of = |email: &str| provider.mint(&json!({"aud": "vault-gateway", "email": email}));
        let (reader, writer) = (of("reader@example.com"), of("writer@example.com"));
        let path = "/vault/secrets/apps/shop/config";
        let read = gateway.ask(&format!("GET {path}"), &reader);
        assert_eq!((read.status, read.json()["data"].clone()), (200, json!({"host": "db.shop.svc"})));
        assert_eq!(gateway.put(&format!("PUT {path}"), &reader, &json!({})).problem(), "denied");
        assert_eq!(gateway.put(&format!("PUT {path}"), &writer, &json!({"host": "db"})).status, 200);
        assert_eq!(gateway.ask("GET /vault/list", &writer).json(), json!({"names": ["apps/"], "next": null}));
        assert_eq!(gateway.ask(&format!("GET {path}"), &of("nobody@example.com")).problem(), "denied");
    });
}
