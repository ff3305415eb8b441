//! The key-value engines: version 1, and version 2 with its versions, deletion and destruction.

use std::collections::BTreeMap;
use std::time::SystemTime;

use humantime::format_rfc3339_nanos;
use serde_json::{Map, Value, json};

use super::reply::{Answer, Reply, one_error};
use super::token::DEFAULT_TTL;
use super::vault::Target;

const INVALID_PATH: &str = "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API \
                            endpoints to use. If using the OpenBao CLI, use 'bao kv get' for this operation.";

/// KV version 1.
#[derive(Default)]
pub(crate) struct Kv1(BTreeMap<String, Value>);

impl Kv1 {
    pub(crate) fn handle(&mut self, target: &Target, path: &str) -> Answer {
        match target.operation() {
            "read" => {
                let value = self.0.get(path).ok_or_else(Reply::not_found)?;
                let mut reply = Reply::data(value.clone());
                if let Some(body) = &mut reply.body {
                    body["lease_duration"] = json!(DEFAULT_TTL);
                }
                return Ok(reply);
            }
            "list" => return list(self.0.keys(), path),
            "update" if target.body.as_object().is_none_or(Map::is_empty) => {
                return Err(Reply::error(400, "missing data fields"));
            }
            "update" => drop(self.0.insert(path.to_owned(), target.body.clone())),
            _ => drop(self.0.remove(path)),
        }
        Ok(Reply::empty(204))
    }
}

/// KV version 2.
#[derive(Default)]
pub(crate) struct Kv2(BTreeMap<String, Secret>);

#[derive(Default)]
struct Secret {
    versions: Vec<Version>,
    custom_metadata: Value,
}

struct Version {
    data: Value,
    created: String,
    deleted: String,
    destroyed: bool,
}

impl Kv2 {
    pub(crate) fn handle(&mut self, target: &Target, path: &str) -> Answer {
        let Some((area, path)) = path.split_once('/') else {
            let text = "Non-listing operations on the root of a K/V v2 mount are not supported.";
            return Err(Reply::warning(404, if path.is_empty() { INVALID_PATH } else { text }));
        };
        match (area, target.operation()) {
            ("data", "read") => return self.read(target, path),
            ("data", "update") => return self.write(target, path),
            ("data", _) => {
                let latest = self.0.get(path).map_or(0, |secret| secret.versions.len());
                self.change(path, &[latest], delete);
            }
            ("delete", "update") => self.change(path, &versions(target)?, delete),
            ("undelete", "update") => {
                self.change(path, &versions(target)?, |version| version.deleted.clear());
            }
            ("destroy", "update") => self.change(path, &versions(target)?, |version| {
                version.destroyed = true;
                version.data = Value::Null;
            }),
            ("metadata", "list") => return list(self.0.keys(), path),
            ("metadata", "read") => {
                return self.0.get(path).map(Secret::metadata).ok_or_else(Reply::not_found);
            }
            ("metadata", "delete") => drop(self.0.remove(path)),
            ("metadata", _) => {
                let secret = self.0.entry(path.to_owned()).or_default();
                secret.custom_metadata = target.body["custom_metadata"].clone();
            }
            _ => return Err(Reply::warning(404, INVALID_PATH)),
        }
        Ok(Reply::empty(204))
    }

    fn read(&self, target: &Target, path: &str) -> Answer {
        let wanted: i64 = target.request.parameter("version").unwrap_or("0").parse().map_err(|_| {
            let text = "Field validation failed: error converting input for field \"version\": '' cannot parse \
                        value as 'int': strconv.ParseInt: invalid syntax";
            Reply::error(400, text)
        })?;
        if self.0.contains_key(path.trim_end_matches('/')) && path.ends_with('/') {
            return Err(Reply::error(500, one_error("could not find version data")));
        }
        let secret = self.0.get(path).ok_or_else(Reply::not_found)?;
        let number = usize::try_from(wanted).ok().filter(|number| *number > 0).unwrap_or(secret.versions.len());
        let version = number.checked_sub(1).and_then(|index| secret.versions.get(index));
        let version = version.ok_or_else(Reply::not_found)?;
        let gone = version.destroyed || !version.deleted.is_empty();
        let data = if gone { &Value::Null } else { &version.data };
        let status = if gone { 404 } else { 200 };
        Ok(Reply::envelope(
            status,
            "data",
            json!({"data": data, "metadata": version.metadata(number, &secret.custom_metadata)}),
        ))
    }

    fn write(&mut self, target: &Target, path: &str) -> Answer {
        let data = target.body.get("data").ok_or_else(|| Reply::error(400, "no data provided"))?;
        if !data.is_object() && !data.is_null() {
            let text = "error converting input for field \"data\": '' expected type 'map[string]interface {}', got \
                        unconvertible type 'string'";
            return Err(Reply::error(400, text));
        }
        let latest = self.0.get(path).map_or(0, |secret| secret.versions.len());
        if target.body["options"]["cas"].as_u64().is_some_and(|cas| usize::try_from(cas) != Ok(latest)) {
            return Err(Reply::error(400, "check-and-set parameter did not match the current version"));
        }
        let secret = self.0.entry(path.to_owned()).or_default();
        let version = Version { data: data.clone(), created: now(), deleted: String::new(), destroyed: false };
        let metadata = version.metadata(latest + 1, &secret.custom_metadata);
        secret.versions.push(version);
        Ok(Reply::data(metadata))
    }

    /// Applies `change` to those of `numbers` that exist; the others are not an error.
    fn change(&mut self, path: &str, numbers: &[usize], change: impl Fn(&mut Version)) {
        if let Some(secret) = self.0.get_mut(path) {
            for number in numbers {
                number.checked_sub(1).and_then(|index| secret.versions.get_mut(index)).map(&change);
            }
        }
    }
}

impl Secret {
    fn metadata(&self) -> Reply {
        let versions = self.versions.iter().enumerate().map(|(index, it)| {
            let times = json!({"created_time": it.created, "deletion_time": it.deleted, "destroyed": it.destroyed});
            ((index + 1).to_string(), times)
        });
        let versions: Map<_, _> = versions.collect();
        let time = |version: Option<&Version>| version.map(|version| version.created.clone());
        Reply::data(json!({
            "cas_required": false, "created_time": time(self.versions.first()), "current_metadata_version": 0,
            "current_version": self.versions.len(), "custom_metadata": self.custom_metadata,
            "delete_version_after": "0s", "max_versions": 0, "metadata_cas_required": false,
            "oldest_version": 0,
            "updated_time": time(self.versions.last()), "versions": versions,
        }))
    }
}

impl Version {
    fn metadata(&self, number: usize, custom_metadata: &Value) -> Value {
        json!({
            "created_time": self.created, "custom_metadata": custom_metadata, "deletion_time": self.deleted,
            "destroyed": self.destroyed, "version": number,
        })
    }
}

fn delete(version: &mut Version) {
    version.deleted = now();
}

fn now() -> String {
    format_rfc3339_nanos(SystemTime::now()).to_string()
}

fn versions(target: &Target) -> Result<Vec<usize>, Reply> {
    let numbers = target.body["versions"].as_array().into_iter().flatten().filter_map(Value::as_u64);
    let numbers: Vec<_> = numbers.filter_map(|number| usize::try_from(number).ok()).collect();
    if numbers.is_empty() { Err(Reply::error(400, "No version number provided")) } else { Ok(numbers) }
}

/// The names directly below `folder`; a folder ends in a slash.
fn list<'a>(keys: impl Iterator<Item = &'a String>, folder: &str) -> Answer {
    let prefix = if folder.is_empty() { String::new() } else { format!("{}/", folder.trim_end_matches('/')) };
    let below = keys.filter_map(|key| key.strip_prefix(&prefix));
    let mut names: Vec<_> = below.map(|key| key.split_inclusive('/').next().unwrap_or_default()).collect();
    names.dedup();
    if names.is_empty() { Err(Reply::not_found()) } else { Ok(Reply::data(json!({"keys": names}))) }
}
