//! The manifests in the documents are valid in the versions of Kubernetes that they are written for.

use std::fs;
use std::process::Command;

use vault_testkit::{missing, tools};

use super::{blocks, documents};

#[test]
fn the_manifests_in_the_documents_are_valid_where_they_are_said_to_be() {
    let validate = tools().join("bin/kubernetes-validate");
    if !validate.exists() && !missing("kubernetes-validate in target/tools") {
        return;
    }
    let all = blocks(&documents(), &["yaml", "yml"]);
    let manifests: Vec<_> = all.iter().filter(|block| block.text.contains("apiVersion:")).collect();
    assert!(manifests.iter().any(|block| block.document == "README.md"), "the one that everybody sees first");
    let folder = tempfile::tempdir().unwrap();
    for manifest in manifests {
        let file = folder.path().join("manifest.yaml");
        fs::write(&file, &manifest.text).unwrap();
        let versions: &[&str] =
            if manifest.text.contains("fileKeyRef") { &["1.35.0", "1.37.0"] } else { &["1.34.0", "1.37.0"] };
        for version in versions {
            let output = Command::new(&validate).args(["--version", version, "--strict"]).arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}: {version}: {said}\n{}", manifest.document, manifest.text);
        }
    }
}
