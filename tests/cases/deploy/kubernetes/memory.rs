//! What a start takes of memory, and whether the limits of the manifests hold it.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::on_both;
use vault_testkit::server::Server;

use super::{Vault, overlay, patch};
use crate::cases::deploy::deploy;
use crate::support::pod::Ended;
use crate::support::pod::manifests::Manifests;

on_both!(
    a_small_secret_takes_no_more_than_is_requested,
    the_largest_secrets_that_a_server_stores_stay_within_the_limits,
    a_secret_that_is_all_structure_is_refused_within_the_limits,
);

/// What a server takes by default of one entry, `max_entry_size` of its Raft storage, less what it stores beside.
const STORED: usize = (1 << 20) - 2048;

/// How many pairs of strings OpenBao takes by default, `max_request_json_strings` of its listener.
const PAIRS: usize = 490;

/// A list of this many numbers, which takes two bytes for each.
fn numbers(count: usize) -> Value {
    serde_json::from_str(&format!("[{}1]", "1,".repeat(count - 1))).unwrap()
}

/// As many pairs as that, of that size together.
pub(in crate::cases::deploy) fn pairs() -> Value {
    let pair = |number| (format!("KEY_{number:03}"), json!("v".repeat(STORED / PAIRS - 16)));
    Value::Object((0..PAIRS).map(pair).collect())
}

/// Secrets of that size, each of another shape.
pub(super) fn largest() -> [(&'static str, Value); 4] {
    [
        ("one value", json!({"API_KEY": "k", "DATABASE_URL": "v".repeat(STORED - 64)})),
        // Each takes four bytes in a file for a shell.
        ("quotes", json!({"API_KEY": "k", "DATABASE_URL": "'".repeat(STORED - 64)})),
        ("pairs", pairs()),
        ("numbers", json!({"API_KEY": "k", "DATABASE_URL": numbers(95_000)})),
    ]
}

fn a_small_secret_takes_no_more_than_is_requested(server: &Server) {
    let vault = Vault::prepared(server);
    for way in ["env-file-sourced", "env-file-key", "wrapper"] {
        let Some(pod) = vault.run(way, &[]) else { return };
        for container in &pod.ended {
            shown("small", way, container);
            // The application's own memory is in it where a shell or a test's program is the application.
            if way == "wrapper" || container.name != "shop" {
                assert!(container.memory <= container.requested, "{way}: {pod:?}");
                assert!(container.memory <= promised(&row(&container.name))[0], "{way}: {}", container.memory);
            }
        }
    }
}

fn the_largest_secrets_that_a_server_stores_stay_within_the_limits(server: &Server) {
    let vault = Vault::prepared(server);
    // All of it is written.
    let every_key = patch("ConfigMap", &json!([{"op": "remove", "path": "/data/VAULT_KEYS"}]));
    for (shape, data) in largest() {
        server.must_in(&vault.namespace, "POST", "kv/data/shop/prod", &json!({"data": data}));
        // The application's shell takes a file of any size; the kernel no variable of more than 128 KiB.
        let ways: &[&str] = if shape == "pairs" { &["env-file-sourced", "wrapper"] } else { &["env-file-sourced"] };
        for way in ways {
            let Some(pod) = vault.run(way, std::slice::from_ref(&every_key)) else { return };
            let program = if *way == "wrapper" { pod.last() } else { &pod.ended[0] };
            shown(shape, way, program);
            assert!(program.stderr.contains("; token revoked"), "{shape}, {way}: {pod:?}");
            assert!(program.memory + program.limited / 4 <= program.limited, "{shape}, {way}: {}", program.memory);
            assert!(program.memory <= promised(&row(&program.name))[1], "{shape}, {way}: {}", program.memory);
        }
    }
}

pub(super) fn shown(shape: &str, way: &str, container: &Ended) {
    println!("memory: {shape}, {way}, {}: {} KiB", container.name, container.memory >> 10);
}

/// How the row of a container begins.
fn row(container: &str) -> String {
    format!("| `{container}`")
}

/// What docs/kubernetes.md says that a container takes: with a small secret, with the largest; what it requests and what
/// it may take. In bytes.
///
/// `row` is how the row begins.
pub(super) fn promised(row: &str) -> [u64; 4] {
    let page = fs::read_to_string(deploy("../docs/kubernetes.md")).unwrap();
    let found = page.lines().find(|line| line.starts_with(row) && line.ends_with("MiB |"));
    let cells = found.unwrap_or_else(|| panic!("no row for {row}")).trim_matches('|').split('|').skip(1);
    let bytes = |cell: &str| cell.trim().strip_suffix(" MiB").and_then(|it| it.parse::<u64>().ok()).unwrap() << 20;
    cells.map(bytes).collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn the_page_has_the_requests_and_the_limits_of_the_manifests() {
    for folder in ["env-file-key", "env-file-sourced", "wrapper", "job", "sidecar"] {
        let Some(rendered) = Manifests::overlaid(&overlay(folder, &[])) else { return };
        let spec = &rendered.pod()["spec"];
        for container in ["initContainers", "containers"].iter().flat_map(|it| spec[it].as_array().unwrap()) {
            let said = promised(&row(container["name"].as_str().unwrap()));
            let memory = |field: &str| container["resources"][field]["memory"].as_str().unwrap().to_owned();
            let mebibytes = |bytes: u64| format!("{}Mi", bytes >> 20);
            assert_eq!([memory("requests"), memory("limits")], [mebibytes(said[2]), mebibytes(said[3])], "{folder}");
        }
    }
}

/// Nobody needs one; a hostile writer can make one.
fn a_secret_that_is_all_structure_is_refused_within_the_limits(server: &Server) {
    let vault = Vault::prepared(server);
    let data = json!({"API_KEY": "k", "DATABASE_URL": numbers(STORED / 2 - 32)});
    server.must_in(&vault.namespace, "POST", "kv/data/shop/prod", &json!({"data": data}));
    for way in ["env-file-sourced", "wrapper"] {
        let Some(pod) = vault.run(way, &[]) else { return };
        let program = pod.last();
        shown("structure", way, program);
        // Not 137, which is what the kernel does to what takes too much.
        assert!(program.code == 76 && !program.message.is_empty(), "{way}: {pod:?}");
        assert!(program.memory <= 6 << 20, "{way}: {}", program.memory);
    }
}
