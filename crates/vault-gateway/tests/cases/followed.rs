//! `docs/gateway.md` as its reader follows it: a first configuration, and the rights of a login.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use vault_testkit::openbao::{self, spawn_bound};
use vault_testkit::server::{Kind, on};
use vault_testkit::{eventually, missing, scratch, unique};

use super::documents::page;
use crate::support::Corner;
use crate::support::gateway::{Gateway, program};

/// The folder of the page's example.
const FOLDER: &str = "/tmp/vault-gateway";

/// The text below a heading, up to the next one.
fn below<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, behind) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    behind.split("\n## ").next().unwrap_or_default()
}

/// The fenced blocks of a text, without the indentation of their list.
fn blocks(text: &str) -> Vec<String> {
    let plain = |block: &str| {
        let lines: Vec<_> = block.lines().skip(1).map(|line| line.strip_prefix("   ").unwrap_or(line)).collect();
        lines.join("\n").trim_end().to_owned()
    };
    text.split("```").skip(1).step_by(2).map(plain).collect()
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell in this folder that finds `bao`.
fn shell(script: &str, folder: &Path, bao: &Path) -> Command {
    let mut command = Command::new("sh");
    let path = format!("{}:/usr/bin:/bin", bao.parent().expect("it is in a folder").display());
    command.arg("-euc").arg(script).env_clear().env("PATH", path).env("HOME", folder);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_first_configuration_serves_a_secret() {
    let Some(bao) = openbao::program() else {
        missing("OpenBao in target/tools");
        return;
    };
    let folder = scratch(&unique());
    let shown = folder.display().to_string();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let here = |text: &str| text.replace(FOLDER, &shown).replace("127.0.0.1:8200", &free.to_string());
    let page = page();
    let written = blocks(below(&page, "### A first configuration of your own"));
    let [server, set_up, config, start, call, check] = &written[..] else { panic!("{written:#?}") };

    let (made, dev) = server.split_once('\n').expect("two commands");
    assert_eq!(made, format!("mkdir -m 700 {FOLDER}"));
    let dev = format!("exec {dev} -dev-listen-address={free}");
    let mut command = shell(&dev, &folder, bao);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Killed(spawn_bound(command));
    let status = format!("VAULT_ADDR=http://{free} bao status");
    eventually("OpenBao answers", || shell(&status, &folder, bao).output().expect("it runs").status.success());
    said(&shell(&here(set_up), &folder, bao).output().expect("it runs"));

    let config = here(config).replace("127.0.0.1:8443", "127.0.0.1:0").replace("127.0.0.1:9090", "127.0.0.1:0");
    fs::write(folder.join("gateway.toml"), config).expect("a file");
    assert_eq!(*start, format!("VAULT_ADDR=http://127.0.0.1:8200 vault-gateway --config {FOLDER}/gateway.toml"));
    assert_eq!(check, "vault-gateway --config gateway.toml --check");
    let mut command = program(&format!("http://{free}"));
    command.arg("--config").arg(folder.join("gateway.toml"));
    let gateway = Gateway::spawn(command);
    eventually("the gateway is ready", || gateway.operate("/ready").status == 200);

    // The same shell goes on: it knows its function still.
    let function = set_up.lines().find(|line| line.starts_with("base64url()")).expect("a function");
    let call = format!("{function}\n{}", call.replace("127.0.0.1:8443", &gateway.listen.to_string()));
    let ask = |script: &str| said(&shell(script, &folder, bao).output().expect("it runs"));
    let answer: Value = serde_json::from_str(&ask(&call)).expect("JSON");
    assert_eq!(
        (&answer["data"], &answer["version"]),
        (&json!({"host": "db.shop.svc", "port": "5432"}), &json!(1)),
        "{answer}"
    );
    let denied: Value = serde_json::from_str(&ask(&call.replace("reader", "writer"))).expect("JSON");
    assert_eq!(denied["status"], 403, "{denied}");
}

/// The rows of the table of rights: the word, and for each part of the API the capabilities of a policy.
fn rights(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let rows = below(page, "## What the login may do at Vault").lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let right = |right: &str| {
            let (part, capabilities) = right.split_once(": ").expect("PART: CAPABILITIES");
            (part.to_owned(), capabilities.replace(", ", "\", \""))
        };
        (cells[1].clone(), cells[2].split("; ").map(right).collect())
    };
    rows.map(row).collect()
}

/// Words of `ALLOW`, what they must be enough for, its headers and its body.
type Call<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<&'a Value>);

#[test]
fn the_rights_of_the_page_are_enough_for_each_action() {
    on(Kind::OpenBao, "the_rights_of_the_page_are_enough_for_each_action", |server| {
        let corner = Corner::of(server);
        let mut tables = corner.tables();
        tables.tenant.push_str("prefix = \"team-a\"\n");
        let gateway = corner.start(&tables);
        let (token, rights) = (corner.token("admin"), rights(&page()));
        let (versions, to) = (json!({"versions": [1]}), json!({"to": 1}));
        let data = json!({"host": "db"});
        let json = "application/json";
        let calls: [Call; 15] = [
            ("read", "GET /vault/secrets/PATH", &[], None),
            ("read", "GET /vault/secrets/PATH?version=1", &[("Cache-Control", "no-cache")], None),
            ("write", "PUT /vault/secrets/PATH", &[], Some(&data)),
            ("write", "PUT /vault/secrets/PATH", &[("If-Match", "*")], Some(&data)),
            ("write", "PUT /vault/secrets/PATH-2", &[("If-None-Match", "*")], Some(&data)),
            ("write", "PATCH /vault/secrets/PATH", &[("Content-Type", "application/merge-patch+json")], Some(&data)),
            ("delete", "DELETE /vault/secrets/PATH", &[], None),
            ("delete", "DELETE /vault/secrets/PATH", &[("If-Match", "*")], None),
            ("delete", "DELETE /vault/secrets/PATH?versions=1", &[], None),
            ("list", "GET /vault/list", &[], None),
            ("history", "GET /vault/versions/PATH", &[], None),
            ("restore", "POST /vault/versions/PATH/undelete", &[], Some(&versions)),
            ("destroy", "POST /vault/versions/PATH/destroy", &[], Some(&versions)),
            ("restore write", "POST /vault/versions/PATH/rollback", &[("Content-Type", json)], Some(&to)),
            ("destroy", "POST /vault/token/renew", &[], None),
        ];
        for (n, (words, request, headers, body)) in calls.into_iter().enumerate() {
            let path = format!("secret-{n}");
            corner.put(&format!("team-a/{path}"), &data);
            let of_words = rights.iter().filter(|(word, _)| words.split(' ').any(|it| it == word));
            let rules = of_words.flat_map(|(_, rights)| rights).map(|(part, capabilities)| {
                format!("path \"{}/{part}/team-a/*\" {{ capabilities = [\"{capabilities}\"] }}\n", corner.name)
            });
            // Where two rules of a policy have one path, their capabilities are added.
            server.write_policy("", &corner.name, &rules.collect::<String>());
            let body = body.map(Value::to_string);
            let reply = gateway.send(&request.replace("PATH", &path), &token, headers, body.as_deref());
            assert!(reply.status < 300, "{words}: {request} {headers:?}: {} {}", reply.status, reply.text);
        }
    });
}
