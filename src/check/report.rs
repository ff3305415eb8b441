//! How a dry run's report looks, to people and to machines.

use std::fmt::Write;

use serde_json::json;

use super::{Outcome, Report};
use crate::config::setting;
use crate::error::Seconds;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";

/// Longer values, such as a list of keys, move what comes after them.
const LONGEST_DEFAULT: usize = setting::K8S_TOKEN_PATH.default.len();

impl Outcome {
    fn word(&self) -> (&'static str, &'static str) {
        match self {
            Self::Ok(_) => ("ok", GREEN),
            Self::Note(_) => ("note", BOLD),
            Self::Failed(_) => ("failed", RED),
            Self::Skipped(_) => ("skipped", YELLOW),
        }
    }

    fn lines(&self) -> Vec<&str> {
        match self {
            Self::Ok(said) | Self::Note(said) => vec![said],
            Self::Failed(faults) => faults.iter().map(String::as_str).collect(),
            Self::Skipped(reason) => vec![reason],
        }
    }
}

impl Report {
    /// Tables with a heading each, and the verdict in the last line.
    pub(super) fn to_text(&self, colours: bool) -> String {
        let paint = |colour: &str, text: &str| if colours { format!("{colour}{text}\x1b[0m") } else { text.to_owned() };
        let mut out = String::new();
        let heading = |out: &mut String, text: &str| {
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{}", paint(BOLD, text));
        };
        heading(&mut out, "Settings");
        let wide =
            |column: fn(&super::InEffect) -> &str| self.settings.iter().map(|s| column(s).len()).max().unwrap_or(0);
        let (names, values) = (wide(|s| s.0), wide(|s| &s.1).min(LONGEST_DEFAULT));
        for (name, value, origin) in &self.settings {
            let _ = writeln!(out, "{}", format!("  {name:names$}  {value:values$}  {origin}").trim_end());
        }
        heading(&mut out, "Steps");
        for step in &self.steps {
            let (word, colour) = step.outcome.word();
            let time = if matches!(step.outcome, Outcome::Skipped(_)) {
                String::new()
            } else {
                Seconds(step.time).to_string()
            };
            for (n, line) in step.outcome.lines().into_iter().enumerate() {
                let (word, name, time) = if n == 0 { (word, step.name, time.as_str()) } else { ("", "", "") };
                let _ = writeln!(out, "  {}  {name:10}  {time:>6}  {line}", paint(colour, &format!("{word:7}")));
            }
        }
        if !self.variables.is_empty() {
            heading(&mut out, "Variables");
            let names = self.variables.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
            for row in &self.variables {
                let colour = if row.state.starts_with("ok") { GREEN } else { RED };
                let _ = writeln!(out, "  {:names$}  {:7}  {}", row.name, row.kind, paint(colour, &row.state));
            }
        }
        let _ = writeln!(out, "\n{}", paint(if self.code == 0 { GREEN } else { RED }, &self.verdict));
        out
    }

    /// The same as one JSON object.
    pub(super) fn to_json(&self) -> String {
        let settings =
            self.settings.iter().map(|(name, value, origin)| json!({"name": name, "value": value, "from": origin}));
        let steps = self.steps.iter().map(|step| {
            let elapsed = u64::try_from(step.time.as_millis()).unwrap_or(u64::MAX);
            json!({"step": step.name, "outcome": step.outcome.word().0, "elapsed_ms": elapsed, "details": step.outcome.lines()})
        });
        let variables =
            self.variables.iter().map(|row| json!({"name": row.name, "type": row.kind, "state": row.state}));
        let report = json!({
            "exit_code": self.code,
            "verdict": self.verdict,
            "settings": settings.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
            "variables": variables.collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}
