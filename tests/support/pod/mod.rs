//! A kubelet for one pod: makes its volumes, runs its init containers in their order and then its container, each in a
//! root of its own, and gives back how each ended. What it does not know it refuses, so that no field of a manifest is
//! passed over.

pub(crate) mod cgroup;
mod container;
mod env;
pub(crate) mod manifests;
mod volumes;

use std::collections::BTreeMap;
use std::fs;

use nix::unistd::geteuid;
use serde_json::Value;
use vault_testkit::{missing, tools};

pub(crate) use self::container::Ended;
use self::container::{Container, Mount};
use self::manifests::Manifests;
use self::volumes::Volumes;

/// ConfigMaps that are in the cluster beside those of the manifests.
pub(crate) type ConfigMaps = BTreeMap<&'static str, Value>;

/// The fields of a pod that are heeded; services, restarts and probes are not there.
const POD: [&str; 8] = [
    "automountServiceAccountToken",
    "containers",
    "enableServiceLinks",
    "initContainers",
    "restartPolicy",
    "securityContext",
    "serviceAccountName",
    "volumes",
];

/// Those of a container.
const CONTAINER: [&str; 11] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "name",
    "readinessProbe",
    "resources",
    "securityContext",
    "terminationMessagePolicy",
    "volumeMounts",
];

/// What became of a pod.
#[derive(Debug)]
pub(crate) struct Pod {
    /// The containers that ran, in order.
    pub(crate) ended: Vec<Ended>,
    /// Why the next one was not made.
    pub(crate) refused: Option<String>,
}

impl Pod {
    /// The container that the pod is there for.
    pub(crate) fn last(&self) -> &Ended {
        assert_eq!(self.refused, None, "{self:?}");
        self.ended.last().expect("a container")
    }
}

/// Whether this machine can run pods.
pub(crate) fn possible() -> bool {
    (geteuid().is_root() || missing("the rights of root"))
        && (container::program_image().join("vault-exec").exists() || missing("target/image; `just image` makes it"))
        && (tools().join("bin/readers").exists() || missing("the kubelet's parser (see tests/install-tools)"))
}

/// Runs the pod of these manifests, up to its first container that fails.
pub(crate) fn run(manifests: &Manifests, cluster: &ConfigMaps) -> Pod {
    let (workload, pod) = (manifests.workload(), &manifests.pod()["spec"]);
    let namespace = text(&workload["metadata"]["namespace"]);
    let config_map = |name: &str| manifests.config_map(name).or_else(|| cluster.get(name));
    let mut result = Pod { ended: Vec::new(), refused: None };
    let volumes = match Volumes::made(pod, namespace, &config_map) {
        Ok(volumes) => volumes,
        Err(refusal) => return Pod { refused: Some(refusal), ..result },
    };
    known(pod, "pod", &POD);
    for spec in list(&pod["initContainers"]).iter().chain(list(&pod["containers"])) {
        let ended = env::resolved(spec, &volumes, &config_map).and_then(|env| ran(spec, pod, &volumes, env));
        match ended {
            Ok(ended) => result.ended.push(ended),
            Err(refusal) => result.refused = Some(refusal),
        }
        if result.refused.is_some() || result.ended.last().is_some_and(|it| it.code != 0) {
            break;
        }
    }
    result
}

fn ran(spec: &Value, pod: &Value, volumes: &Volumes, env: BTreeMap<String, String>) -> Result<Ended, String> {
    known(spec, "container", &CONTAINER);
    let (name, security) = (text(&spec["name"]), &spec["securityContext"]);
    let (mut mounts, entrypoint) = container::image(text(&spec["image"]));
    mounts.extend(container::devices());
    mounts.extend(list(&spec["volumeMounts"]).iter().map(|it| {
        let how = if it["readOnly"] == true { "ro" } else { "rw" };
        Mount::new(how, volumes.path(text(&it["name"])), text(&it["mountPath"]))
    }));
    let words = |value: &Value| list(value).iter().map(|it| text(it).to_owned()).collect::<Vec<_>>();
    let command = if spec["command"].is_null() { entrypoint } else { words(&spec["command"]) };
    let user = user(pod);
    if user[0] == 0 && pod["securityContext"]["runAsNonRoot"] == true {
        return Err("container has runAsNonRoot and image will run as root".to_owned());
    }
    let folder = volumes.folder(&format!("container-{name}"));
    let mut ended = Container {
        sandbox: volumes.sandbox(),
        folder: &folder,
        mounts,
        termination_log: "/dev/termination-log".to_owned(),
        read_only: security["readOnlyRootFilesystem"] == true,
        memory: ["requests", "limits"].map(|it| volumes::bytes(text(&spec["resources"][it]["memory"]))),
        user,
        no_new_privileges: security["allowPrivilegeEscalation"] == false,
        env,
        command: [command, words(&spec["args"])].concat(),
    }
    .run(name)?;
    let falls_back = spec["terminationMessagePolicy"] == "FallbackToLogsOnError";
    if falls_back && ended.message.is_empty() && ended.code != 0 {
        ended.message.clone_from(&ended.stderr);
    }
    let _ = fs::remove_dir_all(&folder);
    Ok(ended)
}

/// User and group; the image of the program names these itself.
fn user(pod: &Value) -> [u64; 2] {
    ["runAsUser", "runAsGroup"].map(|field| pod["securityContext"][field].as_u64().unwrap_or(65532))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn known(object: &Value, what: &str, fields: &[&str]) {
    let unknown: Vec<_> =
        object.as_object().expect("an object").keys().filter(|it| !fields.contains(&it.as_str())).collect();
    assert!(unknown.is_empty(), "the kubelet of the tests does not know these fields of a {what}: {unknown:?}");
}
