//! The environment of a container, as the kubelet puts it together; `fileKeyRef` is read by the kubelet's own parser.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::volumes::Volumes;
use super::{known, list, text};
use crate::support::readers::Reader;

/// What every container has, from the runtime and from the service of the Kubernetes API.
const ALWAYS: [(&str, &str); 4] = [
    ("HOSTNAME", "shop-0"),
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ("KUBERNETES_SERVICE_PORT", "443"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
];

/// An error tells why the container cannot be made.
pub(super) fn resolved<'a>(
    container: &Value,
    volumes: &Volumes,
    config_map: &dyn Fn(&str) -> Option<&'a Value>,
) -> Result<BTreeMap<String, String>, String> {
    let mut env: BTreeMap<_, _> = ALWAYS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for source in list(&container["envFrom"]) {
        known(source, "source of variables", &["configMapRef"]);
        let name = text(&source["configMapRef"]["name"]);
        let data = config_map(name).ok_or_else(|| format!("configmap {name:?} not found"))?;
        let pairs = data.as_object().expect("an object").iter();
        env.extend(pairs.map(|(name, value)| (name.clone(), text(value).to_owned())));
    }
    for variable in list(&container["env"]) {
        known(variable, "variable", &["name", "value", "valueFrom"]);
        let value = if variable["valueFrom"].is_null() {
            Some(text(&variable["value"]).to_owned())
        } else {
            known(&variable["valueFrom"], "variable", &["fileKeyRef"]);
            from_file(&variable["valueFrom"]["fileKeyRef"], volumes)?
        };
        env.extend(value.map(|value| (text(&variable["name"]).to_owned(), value)));
    }
    Ok(env)
}

/// `None`: it is not there, and need not be.
fn from_file(wanted: &Value, volumes: &Volumes) -> Result<Option<String>, String> {
    let (path, key) = (text(&wanted["path"]), text(&wanted["key"]));
    let content = fs::read(volumes.path_from_outside(text(&wanted["volumeName"])).join(path));
    let found = content.map_err(|error| error.to_string()).and_then(|it| Reader::Kubelet.read(&it, &[key.to_owned()]));
    match found.map_err(|_| "couldn't parse env file".to_owned())?.remove(key) {
        Some(value) => Ok(Some(value)),
        None if wanted["optional"] == true => Ok(None),
        None => Err(format!("environment variable key {key:?} not found in file {path:?}")),
    }
}
