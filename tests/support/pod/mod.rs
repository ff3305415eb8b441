//! A kubelet for one pod: makes its volumes, runs its init containers in their order and then its container, each in a
//! root of its own, and gives back how each ended. A sidecar runs beside those behind it, and ends after them. What it
//! does not know it refuses, so that no field of a manifest is passed over.

pub(crate) mod cgroup;
mod container;
mod env;
pub(crate) mod manifests;
mod probe;
mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use serde_json::Value;
use vault_testkit::{missing, tools};

pub(crate) use self::container::Ended;
use self::container::{Begun, Container, Mount};
use self::manifests::Manifests;
use self::volumes::Volumes;

/// ConfigMaps that are in the cluster beside those of the manifests.
pub(crate) type ConfigMaps = BTreeMap<&'static str, Value>;

/// The fields of a pod that are heeded; services and restarts are not there, and of the probes the startup probe of a
/// sidecar alone.
const POD: [&str; 9] = [
    "automountServiceAccountToken",
    "containers",
    "enableServiceLinks",
    "initContainers",
    "restartPolicy",
    "securityContext",
    "serviceAccountName",
    "shareProcessNamespace",
    "volumes",
];

/// Those of a container.
const CONTAINER: [&str; 12] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "terminationMessagePolicy",
    "volumeMounts",
];

/// Those that a sidecar has beside them.
const SIDECAR: [&str; 2] = ["restartPolicy", "startupProbe"];

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

/// A pod whose container has been started.
pub(crate) struct Running {
    sidecars: Vec<Begun>,
    container: Begun,
    ended: Vec<Ended>,
    volumes: Volumes,
}

impl Running {
    /// Where a file of a volume is, for this test.
    pub(crate) fn file(&self, volume: &str, name: &str) -> PathBuf {
        self.volumes.path_from_outside(volume).join(name)
    }

    /// Waits until the pod's container has written this on standard output.
    pub(crate) fn await_output(&self, text: &str) {
        self.container.await_text(0, text);
    }

    /// Waits until a sidecar has said this in its log.
    pub(crate) fn await_log(&self, sidecar: &str, text: &str) {
        self.sidecars.iter().find(|it| it.name == sidecar).expect("a sidecar").await_text(1, text);
    }

    /// Sends the pod's container a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.container.signal(signal);
    }

    /// Ends the pod as its deletion does: TERM to the container, and to the sidecars when that has ended.
    pub(crate) fn delete(self) -> Pod {
        self.container.signal(Signal::SIGTERM);
        self.finish()
    }

    /// Waits for the end of the container, and ends the sidecars, the last one first.
    fn finish(self) -> Pod {
        let Self { sidecars, container, mut ended, volumes: _volumes } = self;
        let container = container.finish();
        let mut of_sidecars = Vec::new();
        for sidecar in sidecars.into_iter().rev() {
            sidecar.signal(Signal::SIGTERM);
            of_sidecars.extend(sidecar.finish());
        }
        ended.extend(of_sidecars.into_iter().rev());
        let refused = container.map(|container| ended.push(container)).err();
        Pod { ended, refused }
    }
}

/// Runs the pod of these manifests, up to its first container that fails.
pub(crate) fn run(manifests: &Manifests, cluster: &ConfigMaps) -> Pod {
    start(manifests, cluster).map_or_else(|ended| ended, Running::finish)
}

/// Starts the pod of these manifests.
///
/// # Errors
///
/// What became of it where its container is not started.
pub(crate) fn start(manifests: &Manifests, cluster: &ConfigMaps) -> Result<Running, Pod> {
    let (workload, pod) = (manifests.workload(), &manifests.pod()["spec"]);
    let namespace = text(&workload["metadata"]["namespace"]);
    let config_map = |name: &str| manifests.config_map(name).or_else(|| cluster.get(name));
    let volumes = Volumes::made(pod, namespace, &config_map)
        .map_err(|refusal| Pod { ended: Vec::new(), refused: Some(refusal) })?;
    known(pod, "pod", &POD);
    let begin =
        |spec: &Value| env::resolved(spec, &volumes, &config_map).and_then(|env| begun(spec, pod, &volumes, env));
    let (mut sidecars, mut ended) = (Vec::new(), Vec::new());
    for spec in list(&pod["initContainers"]) {
        let mut container = match begin(spec) {
            Ok(container) => container,
            Err(refusal) => return Err(Pod { ended, refused: Some(refusal) }),
        };
        if spec["restartPolicy"] == "Always" && probe::has_started(spec, &mut container) {
            sidecars.push(container);
            continue;
        }
        let refused = container.finish().map(|it| ended.push(it)).err();
        if refused.is_some() || ended.last().is_some_and(|it| it.code != 0) {
            return Err(Pod { ended, refused });
        }
    }
    let [spec] = list(&pod["containers"]) else { panic!("not one container") };
    match begin(spec) {
        Ok(container) => Ok(Running { sidecars, container, ended, volumes }),
        Err(refusal) => Err(Pod { ended, refused: Some(refusal) }),
    }
}

fn begun(spec: &Value, pod: &Value, volumes: &Volumes, env: BTreeMap<String, String>) -> Result<Begun, String> {
    let of_sidecar: &[_] = if spec["restartPolicy"] == "Always" { &SIDECAR } else { &[] };
    known(spec, "container", &[&CONTAINER, of_sidecar].concat());
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
    let container = Container {
        name,
        sandbox: volumes.sandbox(),
        processes: volumes::processes(pod),
        folder: volumes.folder(&format!("container-{name}")),
        mounts,
        termination_log: "/dev/termination-log".to_owned(),
        read_only: security["readOnlyRootFilesystem"] == true,
        memory: ["requests", "limits"].map(|it| volumes::bytes(text(&spec["resources"][it]["memory"]))),
        user,
        no_new_privileges: security["allowPrivilegeEscalation"] == false,
        env,
        command: [command, words(&spec["args"])].concat(),
        falls_back: spec["terminationMessagePolicy"] == "FallbackToLogsOnError",
    };
    Ok(container.begin())
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
