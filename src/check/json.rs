//! The report for machines: one JSON object, the verdict first. [`FIELDS`](super::FIELDS) says what each member holds.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::report::{Outcome, Report, Row, Step};
use crate::config::InEffect;

/// The number that says what the members mean.
const SCHEMA: u8 = 1;

impl Report {
    /// The report as JSON.
    pub(super) fn to_json(&self) -> String {
        // Writing texts and numbers to memory cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failure = self.failure.as_ref();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", &SCHEMA)?;
        map.serialize_entry("exit_code", &self.code())?;
        map.serialize_entry("verdict", &self.verdict())?;
        map.serialize_entry("failed_step", &failure.map(|it| it.step))?;
        map.serialize_entry("cause", &failure.map(|it| &it.cause))?;
        map.serialize_entry("remedy", &failure.and_then(|it| it.remedy.as_ref()))?;
        map.serialize_entry("warnings", &self.warnings)?;
        map.serialize_entry("settings", &self.settings)?;
        map.serialize_entry("steps", &self.steps)?;
        map.serialize_entry("variables", &self.variables)?;
        map.end()
    }
}

impl Serialize for InEffect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("value", &self.value)?;
        map.serialize_entry("from", &self.from)?;
        map.end()
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("step", self.name)?;
        map.serialize_entry("outcome", self.outcome.word())?;
        map.serialize_entry("elapsed_ms", &u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX))?;
        if let Outcome::Failed(failure) = &self.outcome {
            map.serialize_entry("exit_code", &failure.code)?;
            map.serialize_entry("cause", &failure.cause)?;
            map.serialize_entry("remedy", &failure.remedy)?;
            map.serialize_entry("status", &failure.status)?;
        }
        self.facts.iter().try_for_each(|(name, fact): &(&str, Value)| map.serialize_entry(name, fact))?;
        map.serialize_entry("details", &self.outcome.lines())?;
        map.end()
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("good", &self.good)?;
        map.serialize_entry("state", &self.state)?;
        map.end()
    }
}
