//! What can be told without running anything.

use std::collections::BTreeSet;
use std::fs;
use std::io::Seek as _;
use std::process::Command;

use serde_json::{Value, json};
use vault_testkit::{missing, tools};

use super::{FILES, PODS, overlay};
use crate::cases::deploy::{deploy, for_good};
use crate::support::pod::manifests::{Manifests, parsed};

/// The schemas; `fileKeyRef` is on from the second one on.
pub(in crate::cases::deploy) const VERSIONS: [&str; 4] = ["1.34.0", "1.35.0", "1.36.0", "1.37.0"];

/// What is no resource of Kubernetes itself, so that its schemas do not have it. The types of the Prometheus operator judge
/// it, strictly, through `tests/readers`.
const CUSTOM: [&str; 1] = ["kubernetes/pod-monitor"];

/// The folders that can be rendered, from `deploy/`; `None` where they cannot be told, for want of a parser.
fn folders() -> Option<Vec<&'static str>> {
    let mut folders = Vec::new();
    for folder in FILES.iter().filter_map(|file| file.strip_suffix("/kustomization.yaml")) {
        folders.extend((kustomization(folder)?["kind"] == "Kustomization").then_some(folder));
    }
    Some(folders)
}

fn kustomization(folder: &str) -> Option<Value> {
    let text = fs::read_to_string(deploy(folder).join("kustomization.yaml")).unwrap();
    parsed(&text).map(|documents| documents[0].clone())
}

/// The files that kustomize reads for a folder.
pub(in crate::cases::deploy) fn read_for(folder: &str, files: &mut BTreeSet<String>) {
    files.insert(format!("{folder}/kustomization.yaml"));
    let kustomization = kustomization(folder).unwrap();
    let texts = |field: &str| -> Vec<String> {
        let list = kustomization[field].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|it| it.as_str().or(it["path"].as_str()).map(str::to_owned)).collect()
    };
    let generators = kustomization["configMapGenerator"].as_array().cloned().unwrap_or_default();
    let generated = generators.iter().flat_map(|it| it["files"].as_array().cloned().unwrap_or_default());
    let generated = generated.map(|it| it.as_str().unwrap().to_owned());
    for name in ["resources", "components", "patches"].into_iter().flat_map(texts).chain(generated) {
        let path = deploy(folder).join(name).canonicalize().unwrap();
        let path = path.strip_prefix(deploy("").canonicalize().unwrap()).unwrap().to_str().unwrap().to_owned();
        if deploy(&path).is_dir() {
            read_for(&path, files);
        } else {
            files.insert(path);
        }
    }
}

#[test]
fn every_file_is_rendered_and_what_comes_out_is_valid_from_1_34_to_1_37() {
    let validate = tools().join("bin/kubernetes-validate");
    if !validate.exists() && !missing("kubernetes-validate in target/tools") {
        return;
    }
    let Some(folders) = folders() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (mut read, mut files) = (BTreeSet::new(), Vec::new());
    for (number, name) in folders.into_iter().enumerate() {
        read_for(name, &mut read);
        let Some(rendered) = Manifests::rendered(&deploy(name)) else { return };
        if CUSTOM.contains(&name) {
            continue;
        }
        let file = folder.path().join(number.to_string());
        fs::write(&file, &rendered.yaml).unwrap();
        files.push((file, rendered.yaml.contains("fileKeyRef")));
    }
    assert_eq!(read, FILES.iter().map(|file| (*file).to_owned()).collect());
    for version in VERSIONS {
        let judged = files.iter().filter(|(_, by_key)| !by_key || version != VERSIONS[0]).map(|(file, _)| file);
        let mut command = Command::new(&validate);
        command.args(["--kubernetes-version", version, "--strict"]).args(judged);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn every_folder_with_a_pod_is_among_those_that_are_run() {
    let Some(folders) = folders() else { return };
    let mut with_pods = Vec::new();
    for folder in folders {
        let Some(rendered) = Manifests::rendered(&deploy(folder)) else { return };
        let pods = ["Deployment", "Job", "CronJob"].into_iter().flat_map(|kind| rendered.all(kind)).count();
        with_pods.extend((pods > 0).then(|| folder.strip_prefix("kubernetes/").unwrap()));
    }
    assert_eq!(with_pods, PODS);
}

#[test]
fn every_pod_is_admitted_where_the_standard_restricted_is_enforced() {
    let admission = tools().join("bin/pod-security");
    if !admission.exists() && !missing("pod-security in target/tools") {
        return;
    }
    for folder in PODS {
        let Some(rendered) = Manifests::overlaid(&overlay(folder, &[])) else { return };
        let spec = &rendered.pod()["spec"];
        let mut template = tempfile::tempfile().unwrap();
        serde_json::to_writer(&template, rendered.pod()).unwrap();
        template.rewind().unwrap();
        let output = Command::new(&admission).stdin(template).output().unwrap();
        assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
        // What goes beyond the standard.
        assert_eq!(spec["automountServiceAccountToken"], false, "{folder}");
        let containers = ["initContainers", "containers"].iter().flat_map(|it| spec[it].as_array().unwrap());
        for container in containers {
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{folder}");
        }
    }
}

#[test]
fn the_network_policy_selects_every_pod_and_lets_it_reach_dns_and_vault_only() {
    for folder in PODS {
        let Some(rendered) = Manifests::overlaid(&overlay(folder, &[])) else { return };
        let policies = rendered.all("NetworkPolicy");
        let policy = policies.iter().find(|it| it["metadata"]["name"] == "vault-exec").expect("a policy");
        assert_eq!(policy["metadata"]["namespace"], rendered.workload()["metadata"]["namespace"]);
        let selected = policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
        let labels = &rendered.pod()["metadata"]["labels"];
        assert!(selected.iter().all(|(name, value)| labels[name] == *value), "{folder}");
        assert_eq!(policy["spec"]["policyTypes"], json!(["Egress"]));
        let rules = policy["spec"]["egress"].as_array().unwrap();
        let ports = rules.iter().flat_map(|rule| rule["ports"].as_array().unwrap());
        assert_eq!(ports.map(|it| it["port"].as_u64().unwrap()).collect::<Vec<_>>(), [53, 53, 8200]);
    }
}

/// In the order that the API server asks for. Denied may be the Kubernetes API that Vault did not reach, which passes.
#[test]
fn a_job_ends_at_once_with_what_only_a_person_can_mend() {
    let Some(rendered) = Manifests::rendered(&deploy("kubernetes/job")) else { return };
    let rule = &rendered.workload()["spec"]["podFailurePolicy"]["rules"][1];
    assert_eq!(rule["action"], "FailJob");
    let codes: Vec<_> = rule["onExitCodes"]["values"].as_array().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(codes, for_good().into_iter().filter(|code| *code != "77").collect::<Vec<_>>());
    assert!(codes.is_sorted_by_key(|code| code.parse::<u8>().unwrap()), "{codes:?}");
    let (last, others) = codes.split_last().unwrap();
    let page = fs::read_to_string(deploy("../docs/kubernetes.md")).unwrap();
    assert!(page.contains(&format!("In a Job, {} and {last} end it at once", others.join(", "))), "{codes:?}");
}

#[test]
fn a_check_is_asked_once() {
    for check in ["overlays/check", "overlays/check-env-file"] {
        let Some(rendered) = Manifests::rendered(&deploy("kubernetes").join(check)) else { return };
        assert_eq!(rendered.workload()["spec"]["backoffLimit"], 0, "{check}");
    }
}

/// The one remedy against whoever writes the secret that does not depend on a list of names.
#[test]
fn every_way_names_the_keys_that_the_secret_may_set_and_lets_it_overwrite_nothing() {
    for folder in PODS {
        let Some(rendered) = Manifests::overlaid(&overlay(folder, &[])) else { return };
        let settings = &rendered.all("ConfigMap")[0]["data"];
        assert!(settings["VAULT_KEYS"].as_str().is_some_and(|it| it.starts_with("DATABASE_URL,API_KEY")), "{folder}");
        assert_eq!(settings["VAULT_ON_CONFLICT"], "error", "{folder}");
        // Where there is no Vault there are no secrets.
        assert_eq!(settings["VAULT_REQUIRED"] == "true", !settings["VAULT_ADDR"].is_null(), "{folder}");
    }
}
