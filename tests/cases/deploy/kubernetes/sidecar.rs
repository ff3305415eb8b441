//! The sidecar: beside an application that reads its files again, by itself or at a signal.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vault_testkit::server::Server;
use vault_testkit::{eventually, missing, on_both, tools};

use super::memory::{largest, promised, shown};
use super::{Vault, cluster, overlay, patch, secret};
use crate::cases::deploy::{deploy, tool};
use crate::support::pod::manifests::Manifests;
use crate::support::pod::{self, Running};
use crate::support::system::free_port;

on_both!(
    the_files_are_there_before_the_application_and_a_rotation_reaches_them,
    the_application_gets_the_signal_and_reads_the_rotated_value,
    the_application_reaches_nothing_of_the_sidecar_in_the_shared_namespace,
    a_first_write_that_fails_starts_no_application,
    the_largest_secrets_stay_within_the_limits_while_they_are_replaced,
);

const SIDECAR: &str = "/spec/template/spec/initContainers/0";
const COMMAND: &str = "/spec/template/spec/containers/0/command";

/// What the tests change of the manifest: each pod has a port of its own, since all have the network of this machine,
/// and reads the secret every second.
fn patched(command: &[&str]) -> Value {
    let port = free_port();
    let operations = json!([
        {"op": "test", "path": format!("{SIDECAR}/args/5"), "value": "60s"},
        {"op": "replace", "path": format!("{SIDECAR}/args/5"), "value": "1s"},
        {"op": "test", "path": format!("{SIDECAR}/args/7"), "value": "[::]:8081"},
        {"op": "replace", "path": format!("{SIDECAR}/args/7"), "value": format!("[::]:{port}")},
        {"op": "replace", "path": format!("{SIDECAR}/ports/0/containerPort"), "value": port},
        {"op": "replace", "path": COMMAND, "value": command},
    ]);
    patch("Deployment", &operations)
}

/// The pod of a folder, with an application that prints what the file holds, at the start and at each HUP.
fn started(vault: &Vault, folder: &str) -> Option<Running> {
    let patch = patched(&["/shop", "--follow=/secrets/DATABASE_URL"]);
    let manifests = pod::possible().then(|| vault.manifests(folder, &[patch]))??;
    Some(pod::start(&manifests, &cluster()).unwrap_or_else(|ended| panic!("{ended:?}")))
}

/// Gives the secret another value, and returns it.
fn rotate(vault: &Vault) -> String {
    let new = "postgres://shop:rotated@db/shop".to_owned();
    let data = json!({"API_KEY": secret()["API_KEY"], "DATABASE_URL": new});
    vault.server.must_in(&vault.namespace, "POST", "kv/data/shop/prod", &json!({"data": data}));
    new
}

fn the_files_are_there_before_the_application_and_a_rotation_reaches_them(server: &Server) {
    let vault = Vault::prepared(server);
    let Some(running) = started(&vault, "sidecar") else { return };
    running.await_output(&format!("start: {:?}\n", secret()["DATABASE_URL"]));
    assert_eq!(server.live_tokens(&vault.namespace, "shop"), 1);
    let new = rotate(&vault);
    let file = running.file("secrets", "..data/DATABASE_URL");
    eventually("the file is the new one", || fs::read_to_string(&file).is_ok_and(|it| it == new));
    // The application reads it through its own mount.
    running.signal(Signal::SIGHUP);
    running.await_output(&format!("HUP: {new:?}\n"));
    let pod = running.delete();
    assert_eq!(
        pod.ended.iter().map(|it| (it.name.as_str(), it.code)).collect::<Vec<_>>(),
        [("vault-exec", 0), ("shop", 0)]
    );
    let sidecar = &pod.ended[0];
    assert!(sidecar.stderr.ends_with("SIGTERM: ended by it; /secrets stays; token revoked\n"), "{pod:?}");
    shown("small", "sidecar", sidecar);
    assert!(sidecar.memory <= promised(ROW)[0], "{} KiB", sidecar.memory >> 10);
    assert!(!pod.last().given.keys().any(|name| name.starts_with("VAULT_")), "the application has no way to Vault");
    vault.expect_no_trace(&pod);
}

fn the_application_gets_the_signal_and_reads_the_rotated_value(server: &Server) {
    let vault = Vault::prepared(server);
    let Some(running) = started(&vault, "sidecar-notify") else { return };
    running.await_output(&format!("start: {:?}\n", secret()["DATABASE_URL"]));
    let new = rotate(&vault);
    running.await_output(&format!("HUP: {new:?}\n"));
    running.await_log("vault-exec", "notify HUP:shop: sent to 1 process");
    let pod = running.delete();
    assert_eq!(pod.ended.iter().map(|it| it.code).collect::<Vec<_>>(), [0, 0], "{pod:?}");
    vault.expect_no_trace(&pod);
}

/// What the comment in the manifest says of the shared namespace.
fn the_application_reaches_nothing_of_the_sidecar_in_the_shared_namespace(server: &Server) {
    let vault = Vault::prepared(server);
    // `sleep` is a process of the same user that does not close itself.
    let script = "sleep 60 & trap 'kill $!; exit' TERM; while [ \"$(cat /proc/$!/comm)\" != sleep ]; do :; done
        for name in vault-exec sleep; do for folder in /proc/[0-9]*; do
            [ \"$(cat $folder/comm)\" = $name ] || continue
            cat $folder/environ >/dev/null 2>&1 && echo $name: environ || echo $name: no environ
            ls $folder/root/ >/dev/null 2>&1 && echo $name: files || echo $name: no files
        done; done; echo done; wait";
    let patch = patched(&["/bin/sh", "-c", script]);
    let Some(manifests) = pod::possible().then(|| vault.manifests("sidecar-notify", &[patch])).flatten() else {
        return;
    };
    let running = pod::start(&manifests, &cluster()).unwrap_or_else(|ended| panic!("{ended:?}"));
    let closed = "vault-exec: no environ\nvault-exec: no files\n";
    running.await_output(&format!("{closed}sleep: environ\nsleep: files\ndone\n"));
    vault.expect_no_trace(&running.delete());
}

fn a_first_write_that_fails_starts_no_application(server: &Server) {
    let vault = Vault::prepared(server);
    let patched = patched(&["/shop"]);
    let missing_key = json!([{"op": "replace", "path": "/data/VAULT_KEYS", "value": "DATABASE_URL,SMTP_HOST"}]);
    let Some(pod) = vault.run("sidecar", &[patched, patch("ConfigMap", &missing_key)]) else { return };
    assert_eq!(pod.ended.iter().map(|it| (it.name.as_str(), it.code)).collect::<Vec<_>>(), [("vault-exec", 66)]);
    assert!(pod.last().message.contains("missing key: SMTP_HOST"), "{pod:?}");
    vault.expect_no_trace(&pod);
}

/// The row of docs/kubernetes.md.
const ROW: &str = "| `vault-exec`, as a sidecar |";

fn the_largest_secrets_stay_within_the_limits_while_they_are_replaced(server: &Server) {
    let vault = Vault::prepared(server);
    let every_key = patch("ConfigMap", &json!([{"op": "remove", "path": "/data/VAULT_KEYS"}]));
    for (shape, mut data) in largest() {
        data["API_KEY"] = json!("one");
        let write =
            |data: &Value| server.must_in(&vault.namespace, "POST", "kv/data/shop/prod", &json!({"data": data}));
        write(&data);
        let patch = patched(&["/shop", "--follow=/secrets/API_KEY"]);
        let manifests = pod::possible().then(|| vault.manifests("sidecar", &[patch, every_key.clone()])).flatten();
        let Some(manifests) = manifests else { return };
        let running = pod::start(&manifests, &cluster()).unwrap_or_else(|ended| panic!("{ended:?}"));
        running.await_output("start: \"one\"\n");
        data["API_KEY"] = json!("another");
        write(&data);
        let file = running.file("secrets", "..data/API_KEY");
        eventually("the files are the new ones", || fs::read_to_string(&file).is_ok_and(|it| it == "another"));
        let pod = running.delete();
        let sidecar = &pod.ended[0];
        shown(shape, "sidecar", sidecar);
        assert!(sidecar.memory + sidecar.limited / 4 <= sidecar.limited, "{shape}: {}", sidecar.memory);
        assert!(sidecar.memory <= promised(ROW)[1], "{shape}: {}", sidecar.memory);
    }
}

/// The probe lets a start end by itself.
#[test]
fn the_startup_probe_outlasts_the_start() {
    let Some(rendered) = Manifests::overlaid(&overlay("sidecar", &[])) else { return };
    let sidecar = &rendered.pod()["spec"]["initContainers"][0];
    let probe = &sidecar["startupProbe"];
    let seconds = probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
    // VAULT_STARTUP_TIMEOUT, and the revoke that has a second of its own.
    assert!(rendered.all("ConfigMap")[0]["data"]["VAULT_STARTUP_TIMEOUT"].is_null() && seconds > 121, "{seconds}");
    assert_eq!(sidecar["restartPolicy"], "Always");
    assert!(sidecar["livenessProbe"].is_null(), "the comment in the manifest says why");
}

#[test]
fn the_metrics_are_for_prometheus_alone() {
    for folder in ["sidecar", "sidecar-notify"] {
        let Some(rendered) = Manifests::overlaid(&overlay(folder, &[])) else { return };
        let policies = rendered.all("NetworkPolicy");
        let policy = policies.iter().find(|it| it["metadata"]["name"] == "vault-exec-metrics").expect("a policy");
        assert_eq!(policy["metadata"]["namespace"], rendered.workload()["metadata"]["namespace"]);
        let (spec, pod) = (&policy["spec"], rendered.pod());
        let selected = spec["podSelector"]["matchLabels"].as_object().unwrap();
        assert!(selected.iter().all(|(name, value)| pod["metadata"]["labels"][name] == *value));
        assert_eq!(spec["policyTypes"], json!(["Ingress"]));
        let [application, metrics] = &spec["ingress"].as_array().unwrap()[..] else { panic!("two rules") };
        let container = &pod["spec"]["containers"][0];
        assert_eq!(
            application,
            &json!({"ports": [{"protocol": "TCP", "port": container["readinessProbe"]["tcpSocket"]["port"]}]})
        );
        let port = &pod["spec"]["initContainers"][0]["ports"][0];
        assert_eq!(metrics["ports"], json!([{"protocol": "TCP", "port": port["containerPort"]}]));
        let [from] = &metrics["from"].as_array().unwrap()[..] else { panic!("one peer") };
        let label = |selector: &str, label: &str| from[selector]["matchLabels"][label].clone();
        assert_eq!(label("namespaceSelector", "kubernetes.io/metadata.name"), "monitoring");
        assert_eq!(label("podSelector", "app.kubernetes.io/name"), "prometheus");
    }
}

/// It is not a resource of Kubernetes: the operator's own types judge it, and it fits the pods.
#[test]
fn the_pod_monitor_is_one_and_selects_the_sidecar() {
    let readers = tools().join("bin/readers");
    if !readers.exists() && !missing("the types of the Prometheus operator (see tests/install-tools)") {
        return;
    }
    let file = deploy("kubernetes/pod-monitor/pod-monitor.yaml");
    let Some(read) = tool(readers, |it| it.arg("pod-monitor").arg(&file)) else { return };
    let monitor: Value = serde_json::from_slice(&read).unwrap();
    let Some(own) = Manifests::rendered(&deploy("kubernetes/pod-monitor")) else { return };
    for folder in ["sidecar", "sidecar-notify"] {
        let Some(rendered) = Manifests::overlaid(&overlay(folder, &[])) else { return };
        let pod = rendered.pod();
        let selected = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
        assert!(selected.iter().all(|(name, value)| pod["metadata"]["labels"][name] == *value));
        let [endpoint] = &monitor["spec"]["podMetricsEndpoints"].as_array().unwrap()[..] else {
            panic!("one endpoint")
        };
        assert_eq!(endpoint["port"], pod["spec"]["initContainers"][0]["ports"][0]["name"]);
        assert_eq!(endpoint["path"], "/metrics");
        // It looks for pods in its own namespace.
        let namespace = &rendered.workload()["metadata"]["namespace"];
        assert_eq!(own.all("PodMonitor")[0]["metadata"]["namespace"], *namespace);
    }
}
