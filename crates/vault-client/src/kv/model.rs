//! What a server says of versions and mounts.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::json::{Malformed, Object};
use crate::time::serial;

/// A version of a secret. Times are as the server wrote them; they serialise in RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KvVersion {
    /// Its number, from 1 on.
    pub version: u64,
    /// When it was written.
    #[serde(serialize_with = "serial::rfc3339")]
    pub created_time: SystemTime,
    /// When it was deleted, or will be, where the mount or the secret has `delete_version_after`.
    #[serde(serialize_with = "serial::rfc3339_or_null")]
    pub deletion_time: Option<SystemTime>,
    /// Whether its data is gone for good.
    pub destroyed: bool,
    /// The server's id of the request that told of it, which its audit log has too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The metadata of a secret, with what is known of all its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KvMetadata {
    /// When its first version was written.
    #[serde(serialize_with = "serial::rfc3339")]
    pub created_time: SystemTime,
    /// When it was changed last.
    #[serde(serialize_with = "serial::rfc3339")]
    pub updated_time: SystemTime,
    /// The number of the latest version; 0 where there is none.
    pub current_version: u64,
    /// The number of the oldest version that is kept; 0 where all are.
    pub oldest_version: u64,
    /// How many versions are kept; 0 is the mount's own number.
    pub max_versions: u64,
    /// Whether each write must name the version that it goes on top of.
    pub cas_required: bool,
    /// After how long a version is deleted; zero is never.
    #[serde(serialize_with = "serial::seconds")]
    pub delete_version_after: Duration,
    /// What its owners have noted beside it.
    pub custom_metadata: BTreeMap<String, String>,
    /// The versions, ascending.
    pub versions: Vec<KvVersion>,
    /// The server's id of the request, which its audit log has too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What [`Kv::set_metadata`](super::Kv::set_metadata) changes; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetadataOptions {
    /// How many versions are kept; 0 is the mount's own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u64>,
    /// Whether each write must name the version that it goes on top of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas_required: Option<bool>,
    /// After how long a version is deleted; zero is never.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serial::seconds_or_null")]
    pub delete_version_after: Option<Duration>,
    /// What stands beside it, in place of all that stood there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<BTreeMap<String, String>>,
}

/// How a mount treats the secrets that have no options of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KvConfig {
    /// How many versions are kept; 0 is the server's default, 10.
    pub max_versions: u64,
    /// Whether each write must name the version that it goes on top of.
    pub cas_required: bool,
    /// After how long a version is deleted; zero is never.
    #[serde(serialize_with = "serial::seconds")]
    pub delete_version_after: Duration,
}

impl KvVersion {
    /// Reads the metadata of a version: the envelope's, or one of a secret's.
    pub(super) fn of(said: &Object, version: u64, request_id: Option<String>) -> Result<Self, Malformed> {
        let deletion = said.string("deletion_time")?;
        Ok(Self {
            version,
            created_time: time(said, "created_time")?,
            deletion_time: if deletion.is_empty() { None } else { Some(time(said, "deletion_time")?) },
            destroyed: said.get("destroyed").is_some() && said.bool("destroyed")?,
            request_id,
        })
    }
}

impl KvMetadata {
    /// Reads the `data` of an answer.
    pub(super) fn of(data: &Object, request_id: Option<String>) -> Result<Self, Malformed> {
        let mut versions = Vec::new();
        let said = data.object(&["versions"])?;
        for (number, _) in said.iter() {
            let wrong = Malformed::Shape { member: "versions".into(), expected: "an object with numbers as keys" };
            let version = number.parse().map_err(|_| wrong)?;
            versions.push(KvVersion::of(&said.object(&[&number])?, version, None)?);
        }
        versions.sort_by_key(|version| version.version);
        let custom = data.object(&["custom_metadata"]).ok();
        let custom = custom.iter().flat_map(Object::iter);
        Ok(Self {
            created_time: time(data, "created_time")?,
            updated_time: time(data, "updated_time")?,
            current_version: data.number("current_version")?,
            oldest_version: data.number("oldest_version")?,
            max_versions: data.number("max_versions")?,
            cas_required: data.get("cas_required").is_some() && data.bool("cas_required")?,
            delete_version_after: duration(data, "delete_version_after")?,
            custom_metadata: custom
                .filter_map(|(key, value)| Some((key.into_owned(), value.string()?.to_string())))
                .collect(),
            versions,
            request_id,
        })
    }
}

impl KvConfig {
    /// Reads the `data` of an answer.
    pub(super) fn of(data: &Object) -> Result<Self, Malformed> {
        Ok(Self {
            max_versions: data.number("max_versions")?,
            cas_required: data.get("cas_required").is_some() && data.bool("cas_required")?,
            delete_version_after: duration(data, "delete_version_after")?,
        })
    }
}

/// The RFC 3339 time under `key`.
fn time(said: &Object, key: &str) -> Result<SystemTime, Malformed> {
    let text = said.string(key)?;
    humantime::parse_rfc3339(&text)
        .map_err(|_| Malformed::Shape { member: key.to_owned(), expected: "a time in RFC 3339" })
}

/// The duration under `key`, as Go writes it: `1h0m0s`, `90s`, `0s`, `1m0.5s`.
/// [`Duration.String`](https://pkg.go.dev/time#Duration.String)
fn duration(said: &Object, key: &str) -> Result<Duration, Malformed> {
    let text = said.string(key)?;
    go_duration(&text).ok_or_else(|| Malformed::Shape { member: key.to_owned(), expected: "a duration" })
}

fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, millis) in [
            ("0s", Some(0)),
            ("", Some(0)),
            ("1h0m0s", Some(3_600_000)),
            ("768h0m0s", Some(2_764_800_000)),
            ("1m0.5s", Some(60_500)),
            ("90s", Some(90_000)),
            ("250ms", Some(250)),
            ("1d", None),
            ("5", None),
            ("-1s", None),
            ("1..5s", None),
        ] {
            assert_eq!(go_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn metadata_is_read_whole_with_its_versions_ascending_and_serialises_in_rfc_3339() {
        let said = br#"{"cas_required":true,"created_time":"2026-01-02T03:04:05.5Z","current_version":10,
            "custom_metadata":{"owner":"shop"},"delete_version_after":"1h0m0s","max_versions":0,"oldest_version":9,
            "updated_time":"2026-01-03T00:00:00Z","versions":{
              "10":{"created_time":"2026-01-03T00:00:00Z","deletion_time":"2026-01-04T00:00:00Z","destroyed":false},
              "9":{"created_time":"2026-01-02T03:04:05.5Z","deletion_time":"","destroyed":true}}}"#;
        let metadata = KvMetadata::of(&Object::parse(said).unwrap(), Some("id".into())).unwrap();
        let expected = r#"{"created_time":"2026-01-02T03:04:05.500000000Z","updated_time":"2026-01-03T00:00:00Z","current_version":10,"oldest_version":9,"max_versions":0,"cas_required":true,"delete_version_after":"3600s","custom_metadata":{"owner":"shop"},"versions":[{"version":9,"created_time":"2026-01-02T03:04:05.500000000Z","deletion_time":null,"destroyed":true},{"version":10,"created_time":"2026-01-03T00:00:00Z","deletion_time":"2026-01-04T00:00:00Z","destroyed":false}],"request_id":"id"}"#;
        assert_eq!(serde_json::to_string(&metadata).unwrap(), expected);
    }
}
