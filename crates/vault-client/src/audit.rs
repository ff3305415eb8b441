//! A line of an audit log for what became of a watched secret.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::time::Seconds;

/// What became of a watched secret, as an audit log has it: [`Event::Watched`](crate::Event::Watched) brings one for each
/// change, and for each state of failure. It has no value in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Audit {
    /// When, in RFC 3339 with milliseconds.
    #[serde(serialize_with = "millis")]
    pub time: SystemTime,
    /// What happened.
    pub outcome: Outcome,
    /// The mount, as it may be shown.
    pub mount: String,
    /// The path in it, as it may be shown.
    pub path: String,
    /// The deployment that the secret belongs to, where it is an [`AgentToken`](crate::AgentToken).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The version in hand before; `None` where it was not read from the server.
    pub from: Option<u64>,
    /// The version in hand from now on; of a failure the one that was deleted or destroyed, where that is why.
    pub to: Option<u64>,
    /// How old the version before is, in hand.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Duration,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What happened to a watched secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Another version is in hand.
    Changed,
    /// It cannot be read, and the last good value is kept. Told once as long as the reason stays the same.
    Failing,
    /// It can be read again, and has not changed.
    Recovered,
}

/// `secret kv/shop/prod: version 4 in place of 3, in hand for 2m`
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |version: Option<u64>| version.map_or("what was given".to_owned(), |it| format!("version {it}"));
        let age = Seconds(Duration::from_secs(self.age.as_secs()));
        write!(f, "secret {}/{}: ", self.mount, self.path)?;
        match (self.outcome, &self.cause) {
            (Outcome::Changed, _) => {
                write!(f, "{} in place of {}, in hand for {age}", version(self.to), version(self.from))
            }
            (Outcome::Recovered, _) => write!(f, "read again, {} is still the latest", version(self.from)),
            (Outcome::Failing, cause) => {
                let cause = cause.as_deref().unwrap_or("it cannot be read");
                write!(f, "{cause}; {} is kept, in hand for {age}", version(self.from))
            }
        }
    }
}

fn millis<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

fn seconds<S: Serializer>(age: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_versions_and_age_as_text_and_as_json() {
        let changed = Audit {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_250),
            outcome: Outcome::Changed,
            mount: "status_panel".into(),
            path: "deployment-1/token".into(),
            deployment: Some("deployment-1".into()),
            from: Some(3),
            to: Some(4),
            age: Duration::from_millis(120_900),
            cause: None,
        };
        let failing = Audit {
            outcome: Outcome::Failing,
            deployment: None,
            to: None,
            cause: Some("sealed".into()),
            ..changed.clone()
        };
        let recovered = Audit { outcome: Outcome::Recovered, to: Some(3), ..changed.clone() };
        let first = Audit { from: None, to: Some(1), ..changed.clone() };
        let away = Audit { from: None, ..failing.clone() };
        assert_eq!(
            [&changed, &failing, &recovered, &first, &away].map(ToString::to_string),
            [
                "secret status_panel/deployment-1/token: version 4 in place of version 3, in hand for 2m",
                "secret status_panel/deployment-1/token: sealed; version 3 is kept, in hand for 2m",
                "secret status_panel/deployment-1/token: read again, version 3 is still the latest",
                "secret status_panel/deployment-1/token: version 1 in place of what was given, in hand for 2m",
                "secret status_panel/deployment-1/token: sealed; what was given is kept, in hand for 2m",
            ]
        );
        assert_eq!(
            serde_json::to_string(&changed).unwrap(),
            r#"{"time":"2026-01-02T03:04:05.250Z","outcome":"changed","mount":"status_panel","path":"deployment-1/token","deployment":"deployment-1","from":3,"to":4,"age_seconds":120}"#
        );
        assert_eq!(
            serde_json::to_string(&failing).unwrap(),
            r#"{"time":"2026-01-02T03:04:05.250Z","outcome":"failing","mount":"status_panel","path":"deployment-1/token","from":3,"to":null,"age_seconds":120,"cause":"sealed"}"#
        );
    }
}
