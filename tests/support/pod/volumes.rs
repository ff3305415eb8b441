//! The volumes of a pod, in a mount namespace that its containers share, and the process namespace if they share one.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_testkit::jwt::Jwt;

use super::container::Processes;
use super::{known, list, text, user};

/// Mounts the volumes that are in memory, `FOLDER SIZE` each, and stays until its standard input ends.
const SCRIPT: &str = r#"
    while [ $# -gt 0 ]; do mount -t tmpfs -o mode=777,size="$2" tmpfs "$1"; shift 2; done
    echo ready
    exec cat
"#;

/// The volumes; dropping them removes them.
pub(super) struct Volumes {
    sandbox: Child,
    folder: TempDir,
}

impl Volumes {
    /// Makes all of them; an error tells what the kubelet would wait for.
    pub(super) fn made<'a>(
        pod: &Value,
        namespace: &str,
        config_map: &dyn Fn(&str) -> Option<&'a Value>,
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut in_memory = Vec::new();
        for volume in list(&pod["volumes"]) {
            let path = folder.path().join(text(&volume["name"]));
            fs::create_dir(&path).expect("a folder");
            if volume["emptyDir"].is_object() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("a mode");
                if volume["emptyDir"]["medium"] == "Memory" {
                    let size = volume["emptyDir"]["sizeLimit"].as_str().map_or(0, bytes);
                    in_memory.extend([path.to_str().expect("a text").to_owned(), size.to_string()]);
                }
            } else {
                known(volume, "volume", &["name", "projected"]);
                for source in list(&volume["projected"]["sources"]) {
                    project(source, &path, pod, namespace, config_map)?;
                }
            }
        }
        Ok(Self { sandbox: sandbox(&in_memory, processes(pod)), folder })
    }

    /// The process that holds the pod's mounts.
    pub(super) fn sandbox(&self) -> u32 {
        self.sandbox.id()
    }

    /// Where a volume is, for the containers.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where it is for the kubelet.
    pub(super) fn path_from_outside(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        Path::new(&format!("/proc/{}/root", self.sandbox())).join(path.strip_prefix("/").expect("a full path"))
    }

    /// A new folder beside them.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir(&folder).expect("a folder");
        folder
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        drop(self.sandbox.stdin.take());
        let _ = self.sandbox.wait();
    }
}

/// Whose processes the pod's containers see.
pub(super) fn processes(pod: &Value) -> Processes {
    if pod["shareProcessNamespace"] == true { Processes::Shared } else { Processes::Own }
}

fn sandbox(in_memory: &[String], processes: Processes) -> Child {
    let mut command = Command::new("unshare");
    if processes == Processes::Shared {
        // Its one child is then process 1 of the pod.
        command.args(["--pid", "--fork", "--kill-child"]);
    }
    command.args(["--mount", "sh", "-euc", SCRIPT, "sh"]).args(in_memory);
    let mut sandbox = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare runs");
    let mut line = String::new();
    let stdout = sandbox.stdout.as_mut().expect("a piped stream");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    sandbox
}

/// Writes what one source of a projected volume holds.
fn project<'a>(
    source: &Value,
    folder: &Path,
    pod: &Value,
    namespace: &str,
    config_map: &dyn Fn(&str) -> Option<&'a Value>,
) -> Result<(), String> {
    known(source, "source", &["configMap", "serviceAccountToken"]);
    if let Some(wanted) = source["serviceAccountToken"].as_object() {
        let jwt = Jwt {
            service_account: text(&pod["serviceAccountName"]).to_owned(),
            namespace: namespace.to_owned(),
            audience: json!([wanted["audience"]]),
            expires_in: wanted["expirationSeconds"].as_i64().expect("seconds"),
            ..Jwt::default()
        };
        let (file, [user, group]) = (folder.join(text(&wanted["path"])), user(pod));
        fs::write(&file, jwt.encode()).expect("a token is written");
        // Where all containers have the same user, it is that user's and nobody else's.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
        let id = |number: u64| Some(u32::try_from(number).expect("an id"));
        chown(&file, id(user), id(group)).expect("root gives files away");
    }
    let wanted = &source["configMap"];
    let Some(name) = wanted["name"].as_str() else {
        return Ok(());
    };
    let data = match config_map(name) {
        Some(data) => data,
        None if wanted["optional"] == true => return Ok(()),
        None => return Err(format!("configmap {name:?} not found")),
    };
    for item in list(&wanted["items"]) {
        let path = folder.join(text(&item["path"]));
        fs::write(path, text(&data[text(&item["key"])])).expect("a file is written");
    }
    Ok(())
}

/// A quantity such as `8Mi`.
pub(super) fn bytes(quantity: &str) -> u64 {
    let mebibytes = quantity.strip_suffix("Mi").and_then(|number| number.parse::<u64>().ok());
    mebibytes.unwrap_or_else(|| panic!("not in Mi: {quantity}")) << 20
}
