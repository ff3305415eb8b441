//! What `kubectl kustomize` makes of a folder, as JSON.

use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use vault_testkit::{missing, tools};

const PYTHON: &str = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin.read())), sys.stdout)";

/// The resources of a folder.
pub(crate) struct Manifests {
    pub(crate) yaml: String,
    resources: Vec<Value>,
}

impl Manifests {
    /// `None` where a tool is missing.
    pub(crate) fn rendered(folder: &Path) -> Option<Self> {
        let yaml = text(&Command::new("kubectl").arg("kustomize").arg(folder).output().ok().or_else(|| {
            missing("kubectl");
            None
        })?);
        let resources = parsed(&yaml)?.as_array().expect("a list").clone();
        Some(Self { yaml, resources })
    }

    /// What an overlay with these fields makes of the repository's `deploy/kubernetes`, which they call `{deploy}`.
    pub(crate) fn overlaid(overlay: &Value) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        // Kustomize takes no absolute paths: up to the root, and down again.
        let own = folder.path().canonicalize().expect("a path");
        let up = "../".repeat(own.components().count() - 1);
        let deploy = format!("{up}{}/deploy/kubernetes", env!("CARGO_MANIFEST_DIR").trim_start_matches('/'));
        let overlay = overlay.to_string().replace("{deploy}", &deploy);
        std::fs::write(folder.path().join("kustomization.yaml"), overlay).expect("a file is written");
        Self::rendered(folder.path())
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.resources.iter().filter(|it| it["kind"] == kind).collect()
    }

    /// The one Deployment, Job or CronJob.
    pub(crate) fn workload(&self) -> &Value {
        let workloads: Vec<_> = ["Deployment", "Job", "CronJob"].into_iter().flat_map(|kind| self.all(kind)).collect();
        assert_eq!(workloads.len(), 1, "{}", self.yaml);
        workloads[0]
    }

    /// Its pods.
    pub(crate) fn pod(&self) -> &Value {
        let workload = self.workload();
        let spec =
            if workload["kind"] == "CronJob" { &workload["spec"]["jobTemplate"]["spec"] } else { &workload["spec"] };
        &spec["template"]
    }

    /// A ConfigMap's data.
    pub(crate) fn config_map(&self, name: &str) -> Option<&Value> {
        self.all("ConfigMap").into_iter().find(|it| it["metadata"]["name"] == name).map(|it| &it["data"])
    }
}

/// A YAML file with any number of documents, as a list; `None` where the parser is missing.
pub(crate) fn parsed(yaml: &str) -> Option<Value> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(yaml.as_bytes()).expect("a file is written");
    file.rewind().expect("a file");
    let mut python = Command::new(tools().join("bin/python3"));
    let output = python.args(["-c", PYTHON]).stdin(file).output().ok().filter(|it| it.status.success());
    if output.is_none() {
        missing("PyYAML, which comes with kubernetes-validate");
    }
    Some(output.map_or(json!(null), |it| serde_json::from_slice(&it.stdout).expect("JSON"))).filter(|it| !it.is_null())
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}
