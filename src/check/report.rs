//! What a dry run found: the facts, as the text and the JSON report show them.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::InEffect;
use crate::error::Error;
use vault_client::text::without_credentials;

/// What a dry run found.
pub(super) struct Report {
    pub settings: Vec<InEffect>,
    pub steps: Vec<Stage>,
    pub variables: Vec<Row>,
    /// What is not wrong, but deserves a look.
    pub warnings: Vec<String>,
    /// What a real run would do where nothing is wrong.
    pub would: String,
    /// What the server tells of a read that failed.
    pub explanation: Option<String>,
}

/// A step, its time, and what came of it.
pub(super) struct Stage {
    pub name: &'static str,
    pub time: Duration,
    pub outcome: Outcome,
    /// What it found, by the names of [`FIELDS`].
    pub facts: Facts,
}

/// Facts by their names, in the order of the report.
pub(super) type Facts = Vec<(&'static str, Value)>;

pub(super) enum Outcome {
    Ok(String),
    /// What is worth knowing beside the steps of a real run.
    Note(String),
    Failed(Failure),
    Skipped(&'static str),
}

/// Why a step failed.
pub(super) struct Failure {
    pub step: &'static str,
    pub code: u8,
    /// The error as a run logs it, one line for each fault.
    pub lines: Vec<String>,
    /// The same without its remedy.
    pub cause: String,
    pub remedy: Option<String>,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
}

/// A variable: its name, its type in the secret, and whether it is good or what is wrong with it.
pub(super) struct Row {
    pub name: String,
    /// `None`: it is not there, or was not looked at.
    pub kind: Option<&'static str>,
    pub good: bool,
    pub state: String,
    /// The places of the secrets that have it, where there are several.
    pub paths: Vec<String>,
}

/// What a step that went well found.
pub(super) struct Found<T> {
    pub said: String,
    pub facts: Facts,
    pub value: T,
}

impl Found<()> {
    /// A sentence and nothing else.
    pub fn saying(said: impl Into<String>) -> Self {
        Self { said: said.into(), facts: Facts::new(), value: () }
    }
}

fn hide(text: &mut String) {
    if let Cow::Owned(hidden) = without_credentials(text) {
        *text = hidden;
    }
}

fn hide_in(value: &mut Value) {
    match value {
        Value::String(text) => hide(text),
        Value::Array(values) => values.iter_mut().for_each(hide_in),
        _ => {}
    }
}

impl Failure {
    fn of(step: &'static str, error: &Error) -> Self {
        let status = if let Error::Vault(error) = error { error.status() } else { None };
        let lines = error.to_string().lines().map(str::to_owned).collect();
        let (cause, remedy) = error.parts();
        Self { step, code: error.exit_code(), lines, cause, remedy, status }
    }
}

impl Report {
    /// Takes out what looks like a credential, before names are cut and lines wrapped: nothing would look like one then.
    pub fn hide_credentials(&mut self) {
        for step in &mut self.steps {
            match &mut step.outcome {
                Outcome::Ok(said) | Outcome::Note(said) => hide(said),
                Outcome::Failed(failure) => {
                    failure.lines.iter_mut().chain([&mut failure.cause]).chain(&mut failure.remedy).for_each(hide);
                }
                Outcome::Skipped(_) => {}
            }
            step.facts.iter_mut().for_each(|(_, value)| hide_in(value));
        }
        self.variables.iter_mut().for_each(|row| hide(&mut row.name));
        self.variables.iter_mut().for_each(|row| hide(&mut row.state));
        self.variables.iter_mut().flat_map(|row| &mut row.paths).for_each(hide);
        self.warnings.iter_mut().chain([&mut self.would]).chain(&mut self.explanation).for_each(hide);
    }

    /// Of the first step that failed, where a real run would end.
    pub fn failure(&self) -> Option<&Failure> {
        self.steps
            .iter()
            .find_map(|step| if let Outcome::Failed(failure) = &step.outcome { Some(failure) } else { None })
    }

    /// The exit code that a real run would have.
    pub fn code(&self) -> u8 {
        self.failure().map_or(0, |failure| failure.code)
    }

    /// Notes how a step ended. A signal is no outcome but the end.
    pub fn step<T>(
        &mut self,
        name: &'static str,
        begun: Instant,
        result: Result<Found<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let (outcome, facts, value) = match result {
            Ok(Found { said, facts, value }) => (Outcome::Ok(said), facts, Some(value)),
            Err(signal @ Error::Signal(_)) => return Err(signal),
            Err(error) => (Outcome::Failed(Failure::of(name, &error)), Facts::new(), None),
        };
        self.push(name, begun.elapsed(), outcome, facts);
        Ok(value)
    }

    /// Adds to what the last step found, of one that failed too.
    pub fn add_facts(&mut self, facts: Facts) {
        if let Some(last) = self.steps.last_mut() {
            last.facts.extend(facts);
        }
    }

    /// Moves the last step to `place`, where it belongs in the order of a run.
    pub fn move_last_to(&mut self, place: usize) {
        self.steps[place..].rotate_right(1);
    }

    /// Notes what no real run asks.
    pub fn note(&mut self, name: &'static str, begun: Instant, found: Found<()>) {
        self.push(name, begun.elapsed(), Outcome::Note(found.said), found.facts);
    }

    /// Notes a step that could not be made.
    pub fn skip(&mut self, name: &'static str, reason: &'static str) {
        self.push(name, Duration::ZERO, Outcome::Skipped(reason), Facts::new());
    }

    fn push(&mut self, name: &'static str, time: Duration, outcome: Outcome, facts: Facts) {
        debug_assert!(STEPS.iter().any(|(step, _)| *step == name), "the step {name}, which the table does not have");
        let known = |field: &str| FIELDS.iter().any(|(step, it, _)| *step == name && *it == field);
        debug_assert!(facts.iter().all(|(field, _)| known(field)), "a field of {name} that the table does not have");
        self.steps.push(Stage { name, time, outcome, facts });
    }
}

/// The steps of the JSON report: the name, what is done. The documentation's table is held against this one.
pub const STEPS: &[(&str, &str)] = &[
    ("settings", "The settings are read."),
    ("target", "COMMAND is looked for, or the env file's format and place are."),
    ("watch", "Only with VAULT_WATCH: COMMAND is looked for, and whether health and metrics can be served."),
    (
        "environment",
        "Only where it failed: COMMAND's environment lacks a required variable without VAULT_ADDR, or holds another tool's reference.",
    ),
    ("status", "Whether Vault is initialised and unsealed."),
    ("credential", "The JWT, secret id or token is read, and a wrapping token looked up; none is used up."),
    ("login", "The token is got, or looked up where it was given."),
    ("read", "The secret is read; a step for each path."),
    ("preflight", "After a read that failed: what the server tells of mount and policy; a step for each path."),
    ("secrets", "The variables are made and judged."),
    ("revoke", "The login's token is revoked."),
    ("file", "Whether the env file can be written."),
];

/// The fields of the JSON report: the step that has it, or `report`, `setting`, `step` or `variable`; its name; what it
/// holds. The documentation's table is held against this one.
pub const FIELDS: &[(&str, &str, &str)] = &[
    ("report", "schema", "1. It changes when a field changes its meaning or goes away; fields may be added."),
    ("report", "exit_code", "Exit code that the run would have."),
    ("report", "verdict", "What the run would do, as a sentence."),
    ("report", "failed_step", "The first step that failed; null without one."),
    ("report", "cause", "Why it failed, as a sentence; null without a failure."),
    (
        "report",
        "explanation",
        "What the server tells of a failed read, the first of several, as a sentence; null where it was not asked.",
    ),
    ("report", "remedy", "What to do about it; null where the cause says it for each of its parts."),
    ("report", "warnings", "List of sentences on what is not wrong, but deserves a look."),
    ("report", "settings", "List of settings in effect: without --verbose, those that are not defaults."),
    ("report", "steps", "List of steps in the order of a run."),
    ("report", "variables", "List of variables, those included that are missing or refused."),
    ("setting", "name", "The variable."),
    ("setting", "value", "Its text; `set` for what is not shown, null where it is unset."),
    ("setting", "from", "The variable or flag it came from; null for a default."),
    ("step", "step", "Its name."),
    ("step", "outcome", "`ok`, `note`, `failed` or `skipped`."),
    ("step", "elapsed_ms", "Its time in milliseconds."),
    ("step", "details", "List of sentences."),
    ("step", "exit_code", "Only where it failed: the exit code for it."),
    ("step", "cause", "Only where it failed: why."),
    ("step", "remedy", "Only where it failed: what to do, or null."),
    ("step", "status", "Only where it failed: the HTTP status of the answer, or null."),
    ("target", "kind", "`command`, `file`, `folder` or `stdout`."),
    ("target", "command", "Path of the program that would be started."),
    ("target", "path", "Path of the env file or folder."),
    ("target", "format", "Format of the env file."),
    ("watch", "interval_seconds", "How often the secrets would be read again."),
    ("watch", "command", "Path of the program that would run after changes; null without one."),
    ("watch", "listen", "Where health and metrics would be served; null without it."),
    ("status", "server_version", "Version of the server; null where it does not tell."),
    (
        "credential",
        "path",
        "File with the JWT, secret id, token or wrapping token; for oidc the folder where tokens are kept; null where none is in one.",
    ),
    ("credential", "audience", "List of whom a JWT is for, unverified; null for another credential."),
    (
        "credential",
        "subject",
        "Who a JWT says its bearer is, unverified, or the subject of a client certificate; null for another credential.",
    ),
    (
        "credential",
        "expires_in_seconds",
        "Until a JWT, a client certificate or a wrapping token expires, below zero once it has; null where it does not, or it is not known.",
    ),
    ("login", "method", "`token`, `kubernetes`, `approle`, `jwt`, `cert`, `oidc` or `none`."),
    ("login", "policies", "List of the token's policies; absent where they are not known."),
    ("login", "ttl_seconds", "Time to live of the token; null for one without an end."),
    ("read", "mount", "Mount of the secret; with several paths it is there where the read failed, too."),
    ("read", "path", "Path of the secret; with several paths it is there where the read failed, too."),
    ("read", "version", "Version of the secret; null where it cannot be told."),
    ("read", "created_time", "When that version was written, RFC 3339; null where it cannot be told."),
    ("read", "age_seconds", "How long ago that was; null where it cannot be told."),
    ("preflight", "mount_type", "Type of the engine that is mounted there; null where it is not told."),
    ("preflight", "mount_version", "Version of a KV engine; null where it is not told."),
    ("preflight", "may_read", "Whether a policy allows the read, asked after a denial; null where it is not told."),
    ("preflight", "path", "Only with several paths: the path that it is about."),
    ("secrets", "variables", "How many variables would be handed over."),
    ("revoke", "revoked", "Whether the token of the login was revoked."),
    ("file", "path", "Path of the env file."),
    ("variable", "name", "Its name, escaped."),
    ("variable", "type", "Its type in the secret: string, number, boolean, null, object or array; null where unknown."),
    ("variable", "good", "Whether it can be handed over."),
    ("variable", "state", "`ok`, or what is wrong or worth knowing."),
    ("variable", "paths", "Only with several paths: list of those that it comes from, each with its mount."),
];
