//! `deploy/systemd/approle`: a unit that starts with a wrapped secret id, and the one that asks for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use vault_testkit::http::Call;
use vault_testkit::openbao;
use vault_testkit::server::{Kind, Listener, Server, on};

use super::super::{deploy, for_good};
use super::Unit;
use crate::support::vault_client;

const SHOP: &str = "systemd/approle/shop.service";
const SECRET_ID: &str = "systemd/approle/shop-secret-id.service";

/// A namespace in which `deploy/vault/setup.sh` has set up AppRole.
fn set_up(server: &Server, namespace: &str, folder: &Path) {
    server.must("POST", &format!("sys/namespaces/{namespace}"), &json!({}));
    let mut setup = Command::new("sh");
    setup.arg(deploy("vault/setup.sh")).env_clear().env("PATH", "/usr/bin:/bin").env("METHOD", "approle");
    setup.env("CLI", openbao::program().unwrap()).env("HOME", folder).env("VAULT_TOKEN", server.root_token());
    setup.env("VAULT_ADDR", server.addr(Listener::Plain)).env("VAULT_NAMESPACE", namespace);
    let output = setup.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Runs the commands of the unit as it says, with the token of its comment.
#[test]
fn the_secret_id_is_left_wrapped_and_each_start_gets_another() {
    on(Kind::OpenBao, "the_secret_id_is_left_wrapped_and_each_start_gets_another", |server| {
        let (unit, shop) = (Unit::read(SECRET_ID), Unit::read(SHOP));
        let text = fs::read_to_string(deploy(SECRET_ID)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("#   bao ")).unwrap();
        let (folder, namespace) = (tempfile::tempdir().unwrap(), vault_testkit::unique());
        set_up(server, &namespace, folder.path());
        let other = vault_client::install(folder.path()).map(|()| folder.path().join("vault"));
        for client in [Some(openbao::program().unwrap().clone()), other].into_iter().flatten() {
            let bao = |token: Option<&str>| {
                let mut command = Command::new(&client);
                command.env_clear().env("VAULT_ADDR", server.addr(Listener::Plain)).env("HOME", folder.path());
                command.env("VAULT_NAMESPACE", &namespace).envs(token.map(|it| ("VAULT_TOKEN", it)));
                command
            };
            let made = bao(Some(server.root_token())).args(line.split(' ')).output().unwrap();
            assert!(made.status.success(), "{made:?}");
            let (credential, _) = unit.one("LoadCredential").split_once(':').unwrap();
            let folders = ["credentials", "run/shop-secret-id"].map(|it| folder.path().join(it));
            for it in &folders {
                fs::create_dir_all(it).unwrap();
            }
            fs::write(folders[0].join(credential), &made.stdout).unwrap();

            let here = |command: &str| {
                let run = format!("{}/run/", folder.path().display());
                command.replace("/usr/bin/bao", &client.display().to_string()).replace("/run/", &run)
            };
            let home = unit.environment()["HOME"].replace("%d", &folders[0].display().to_string());
            let start = || {
                for command in [unit.one("ExecStartPre"), unit.one("ExecStart")] {
                    let mut shell = Command::new("sh");
                    shell.args(["-c", &format!("umask {}\n{}", unit.one("UMask"), here(command))]).env_clear();
                    shell.env("PATH", "/usr/bin:/bin").env("HOME", &home).env("VAULT_NAMESPACE", &namespace);
                    let output = shell.env("VAULT_ADDR", server.addr(Listener::Plain)).output().unwrap();
                    assert!(output.status.success() && output.stdout.is_empty(), "{command}: {output:?}");
                }
                let file = here(shop.one("LoadCredential").split_once(':').unwrap().1);
                assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
                fs::read_to_string(file).unwrap().trim_end().to_owned()
            };
            let (first, second) = (start(), start());
            assert_ne!(first, second);
            for wrapped in [first, second] {
                let looked = server.must_in(&namespace, "POST", "sys/wrapping/lookup", &json!({"token": wrapped}));
                assert_eq!(looked["data"]["creation_path"], "auth/approle/role/shop/secret-id");
                let unwrap = Call {
                    token: Some(wrapped),
                    namespace: Some(namespace.clone()),
                    ..Call::new("POST", "sys/wrapping/unwrap")
                };
                let secret_id = &server.send(&unwrap).json()["data"]["secret_id"];
                let role_id = server.must_in(&namespace, "GET", "auth/approle/role/shop/role-id", &json!(null));
                let login = json!({"role_id": role_id["data"]["role_id"], "secret_id": secret_id});
                server.must_in(&namespace, "POST", "auth/approle/login", &login);
            }
        }
    });
}

#[test]
fn the_application_waits_for_its_secret_id_and_a_refused_one_is_not_tried_again() {
    let (shop, other) = (Unit::read(SHOP), Unit::read(SECRET_ID));
    assert_eq!(shop.one("Requires"), "shop-secret-id.service");
    assert!(shop.all("After").contains(&"shop-secret-id.service"));
    // Else no later start would get another.
    assert_eq!((other.one("Type"), other.all("RemainAfterExit")), ("oneshot", vec![]));
    assert_eq!(shop.one("Restart"), "on-failure");
    assert_eq!(shop.one("RestartPreventExitStatus").split(' ').collect::<Vec<_>>(), for_good());
    let settings = shop.environment();
    let login = ["VAULT_AUTH_METHOD", "VAULT_APPROLE_SECRET_ID_FILE", "VAULT_UNWRAP", "VAULT_REQUIRED"];
    assert_eq!(login.map(|it| settings[it]), ["approle", "%d/secret-id", "true", "true"]);
    assert!(settings["VAULT_APPROLE_ROLE_ID"].len() == 36, "an id");
}
