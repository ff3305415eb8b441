//! Each pod, run as a kubelet would, against both servers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_testkit::on_both;
use vault_testkit::server::Server;

use super::{Vault, cluster, overlay, patch, secret};
use crate::cases::deploy::deploy;
use crate::support::pod::manifests::Manifests;
use crate::support::pod::{self, Ended, Pod};

on_both!(
    every_way_starts_the_application_with_the_variables_of_the_secret,
    a_check_tells_that_a_start_would_go_well,
    each_check_ends_with_the_code_of_its_own_way_and_says_why_in_its_log,
    whoever_writes_the_secret_sets_what_the_settings_name_and_nothing_else,
    what_the_manifest_sets_itself_is_not_overwritten,
    a_required_key_that_is_missing_is_what_kubectl_describe_shows,
    a_token_for_another_audience_is_denied,
);

/// What the application's environment has beyond what the manifest gives it.
fn added(ended: &Ended) -> BTreeMap<String, String> {
    let child = ended.child();
    let mut seen: BTreeMap<_, _> = child
        .sorted_env()
        .iter()
        .map(|entry| entry.split_once('=').expect("NAME=value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in ended.given.iter().filter(|(name, _)| !secret().contains_key(*name)) {
        assert_eq!(seen.remove(name).as_ref(), Some(value), "{name}");
    }
    seen
}

fn every_way_starts_the_application_with_the_variables_of_the_secret(server: &Server) {
    let vault = Vault::prepared(server);
    let ways = [
        ("wrapper", ["/shop", "--port", "8080"].as_slice()),
        ("env-file-key", &["/shop", "--port", "8080"]),
        ("env-file-sourced", &["/shop", "--port", "8080"]),
        ("job", &["/shop", "report"]),
        ("cronjob", &["/shop", "report"]),
        ("overlays/shop", &["/shop", "--port", "8080"]),
    ];
    for (folder, argv) in ways {
        let Some(pod) = vault.run(folder, &[]) else { return };
        let child = pod.last().child();
        assert_eq!(child.argv, argv.iter().map(|it| it.as_bytes()).collect::<Vec<_>>(), "{folder}");
        let mut added = added(pod.last());
        if folder == "env-file-sourced" {
            // From the shell.
            assert_eq!(added.remove("PWD").as_deref(), Some("/"));
        }
        assert_eq!(added, secret(), "{folder}");
        assert_eq!(child.pid, 1, "{folder}");
        for (line, value) in
            [("Uid", "65532\t65532\t65532\t65532"), ("CapEff", "0000000000000000"), ("NoNewPrivs", "1")]
        {
            assert_eq!(child.status[line], value, "{folder}");
        }
        assert_eq!(pod.ended.iter().filter(|it| it.stderr.contains("; token revoked")).count(), 1, "{pod:?}");
        assert!(pod.ended.iter().all(|it| it.message.is_empty()), "{pod:?}");
        assert!(pod.ended.iter().all(|it| it.memory <= it.requested), "{pod:?}");
        vault.expect_no_trace(&pod);
    }
}

fn a_check_tells_that_a_start_would_go_well(server: &Server) {
    let vault = Vault::prepared(server);
    for folder in ["overlays/check", "overlays/check-env-file"] {
        let Some(pod) = vault.run(folder, &[]) else { return };
        let report = String::from_utf8(pod.last().stdout.clone()).unwrap();
        assert_eq!(pod.last().code, 0, "{folder}: {pod:?}");
        assert!(report.contains("DATABASE_URL") && !report.contains("postgres"), "{report}");
        vault.expect_no_trace(&pod);
    }
}

fn each_check_ends_with_the_code_of_its_own_way_and_says_why_in_its_log(server: &Server) {
    let vault = Vault::prepared(server);
    let data = json!({"API_KEY": "it's", "DATABASE_URL": "postgres://db/shop"});
    server.must_in(&vault.namespace, "POST", "kv/data/shop/prod", &json!({"data": data}));
    for (check, way, code) in [("overlays/check", "wrapper", 0), ("overlays/check-env-file", "env-file-key", 65)] {
        let Some(start) = vault.run(way, &[]) else { return };
        assert_eq!(start.last().code, code, "{start:?}");
        let pod = vault.run(check, &[]).unwrap();
        let report = String::from_utf8(pod.last().stdout.clone()).unwrap();
        assert_eq!((pod.last().code, pod.last().message.as_str()), (code, ""), "{pod:?}");
        assert_eq!(report.contains("a single quote"), code != 0, "{report}");
    }
}

/// Writes these keys into the secret beside its own.
fn write_beside(vault: &Vault, beside: &Value) {
    let mut data = json!(secret());
    data.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    vault.server.must_in(&vault.namespace, "POST", "kv/data/shop/prod", &json!({"data": data}));
}

fn whoever_writes_the_secret_sets_what_the_settings_name_and_nothing_else(server: &Server) {
    let vault = Vault::prepared(server);
    let beside = json!({
        "AUTH_REQUIRED": "false", "LD_PRELOAD": "/tmp/x.so", "OF_A_PROGRAM_THAT_NOBODY_LISTED": "--exec=id",
    });
    write_beside(&vault, &beside);
    let required = json!([{
        "op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "AUTH_REQUIRED", "value": "true"}],
    }]);
    for (folder, patches) in
        [("wrapper", vec![patch("Deployment", &required)]), ("env-file-key", vec![]), ("env-file-sourced", vec![])]
    {
        let Some(pod) = vault.run(folder, &patches) else { return };
        let mut added = added(pod.last());
        added.remove("PWD");
        assert_eq!(added, secret(), "{folder}");
    }
}

fn what_the_manifest_sets_itself_is_not_overwritten(server: &Server) {
    let vault = Vault::prepared(server);
    let of_its_own = json!([{
        "op": "add", "path": "/spec/template/spec/containers/0/env", "value": [{"name": "API_KEY", "value": "mine"}],
    }]);
    let Some(pod) = vault.run("wrapper", &[patch("Deployment", &of_its_own)]) else { return };
    assert_eq!(pod.last().code, 65, "{pod:?}");
    assert!(pod.last().message.contains("already in the environment: API_KEY"), "{pod:?}");
    vault.expect_no_trace(&pod);
}

fn a_required_key_that_is_missing_is_what_kubectl_describe_shows(server: &Server) {
    let vault = Vault::prepared(server);
    let Some(pod) = vault.run("overlays/failing", &[]) else { return };
    assert_eq!(pod.last().code, 66, "{pod:?}");
    let shown = format!("Message:      {}\n\n      Exit Code:    66\n", pod.last().message.trim_end());
    let page = std::fs::read_to_string(deploy("../docs/kubernetes.md")).unwrap();
    assert!(page.contains(&shown), "{shown}");
    vault.expect_no_trace(&pod);

    let manifests = vault.manifests("overlays/failing", &[]).unwrap();
    let rule = &manifests.workload()["spec"]["podFailurePolicy"]["rules"][1];
    assert!(rule["onExitCodes"]["values"].as_array().unwrap().contains(&json!(66)), "{rule}");
    assert_eq!(rule["onExitCodes"]["containerName"], pod.last().name);
}

fn a_token_for_another_audience_is_denied(server: &Server) {
    let vault = Vault::prepared(server);
    let path = "/spec/template/spec/volumes/1/projected/sources/0/serviceAccountToken/audience";
    let other = patch("Deployment", &json!([{"op": "replace", "path": path, "value": "elsewhere"}]));
    let Some(pod) = vault.run("wrapper", &[other]) else { return };
    assert_eq!(pod.last().code, 77, "{pod:?}");
    assert!(pod.last().message.contains("audience"), "{pod:?}");
    vault.expect_no_trace(&pod);
}

/// What takes Vault out of the settings.
fn unset() -> Value {
    json!([{"op": "remove", "path": "/data/VAULT_ADDR"}, {"op": "remove", "path": "/data/VAULT_REQUIRED"}])
}

/// Without `optional`, the kubelet misses what is not in the file.
#[test]
fn without_vault_the_kubelet_misses_only_what_is_not_optional() {
    let strict = overlay("env-file-key", &[patch("ConfigMap", &unset())]);
    let run =
        |overlay| pod::possible().then(|| Manifests::overlaid(overlay)).flatten().map(|it| pod::run(&it, &cluster()));
    let Some(pod) = run(&strict) else { return };
    let refusal = "environment variable key \"DATABASE_URL\" not found in file \"app.env\"";
    assert_eq!((pod.refused.as_deref(), pod.ended.len()), (Some(refusal), 1), "{pod:?}");

    // And there is no Vault whose CA could be in the cluster.
    let local = Manifests::overlaid(&overlay("overlays/local", &[])).unwrap();
    let pod = pod::run(&local, &BTreeMap::new());
    assert_eq!(added(pod.last()), BTreeMap::new());
    let log = &pod.ended[0].stderr;
    assert!(log.ends_with("VAULT_ADDR is unset: /secrets/app.env created, without variables\n"), "{log}");
}

/// The wrapper where there is no Vault, with more of its Deployment changed.
fn without_vault(operations: &Value) -> Option<Pod> {
    let overlay = overlay("wrapper", &[patch("ConfigMap", &unset()), patch("Deployment", operations)]);
    let manifests = pod::possible().then(|| Manifests::overlaid(&overlay))??;
    Some(pod::run(&manifests, &cluster()))
}

#[test]
fn an_init_container_that_is_started_again_finds_the_program_in_its_place() {
    let containers = "/spec/template/spec/initContainers";
    let again = json!([
        {"op": "copy", "from": format!("{containers}/0"), "path": format!("{containers}/1")},
        {"op": "replace", "path": format!("{containers}/1/name"), "value": "again"},
    ]);
    let Some(pod) = without_vault(&again) else { return };
    assert_eq!(pod.ended.len(), 3, "{pod:?}");
    assert_eq!(added(pod.last()), BTreeMap::new());
}

/// The kubelet of the tests gives a container no more than its manifest does; otherwise the other tests would show
/// nothing.
#[test]
fn a_container_can_write_where_the_manifest_lets_it_and_nowhere_else() {
    let script = "export LC_ALL=C; for file in /new /vault-exec/new /var/run/vault/new /dev/termination-log; do \
        touch $file 2>&1; done; cat /var/run/vault/token >/dev/null; id -u; id -G";
    let command = "/spec/template/spec/containers/0/command";
    let Some(pod) = without_vault(&json!([{"op": "replace", "path": command, "value": ["/bin/sh", "-c", script]}]))
    else {
        return;
    };
    let said = String::from_utf8_lossy(&pod.last().stdout);
    let refused = ["/new", "/vault-exec/new", "/var/run/vault/new"]
        .map(|file| format!("touch: cannot touch '{file}': Read-only file system\n"));
    assert_eq!(said, format!("{}65532\n65532\n", refused.concat()), "{pod:?}");
}

/// No runtime mounts a volume over a file, and the program's own image has one of that name.
#[test]
fn the_program_is_not_installed_over_itself() {
    let mount = "/spec/template/spec/initContainers/0/volumeMounts/0/mountPath";
    let Some(pod) = without_vault(&json!([{"op": "replace", "path": mount, "value": "/vault-exec"}])) else { return };
    assert!(pod.refused.as_ref().is_some_and(|it| it.contains("/vault-exec': File exists")), "{pod:?}");
}

/// What does not fit is told where an operator looks.
#[test]
fn a_volume_that_is_too_small_is_told() {
    let limit = "/spec/template/spec/volumes/0/emptyDir/sizeLimit";
    let Some(pod) = without_vault(&json!([{"op": "replace", "path": limit, "value": "1Mi"}])) else { return };
    assert_eq!((pod.last().name.as_str(), pod.last().code), ("install", 74), "{pod:?}");
    assert!(pod.last().message.contains("No space left on device"), "{pod:?}");
}
