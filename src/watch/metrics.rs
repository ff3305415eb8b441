//! The metrics of a watch, as Prometheus reads them.
//! [Exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/)

use std::fmt::{Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use super::facts::{Facts, RUNS, Source, State, Write};
use vault_client::Health;

/// The type of the text.
pub const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text of all metrics.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Begins the metric `name`.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP vault_exec_{name} {help}\n# TYPE vault_exec_{name} {kind}\n");
    }

    /// A sample of `name`, with its labels as they stand in the text.
    fn sample(&mut self, name: &str, labels: &str, value: &dyn Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "vault_exec_{name}{labels} {value}");
    }

    /// A gauge of one sample.
    fn gauge(&mut self, name: &str, help: &str, value: &dyn Display) {
        self.metric(name, "gauge", help);
        self.sample(name, "", value);
    }

    /// A counter by result.
    fn by_result(&mut self, name: &str, help: &str, counts: &[(&str, u64)]) {
        self.metric(name, "counter", help);
        for (result, count) in counts {
            self.sample(name, &format!("result=\"{result}\""), count);
        }
    }

    /// A gauge of each secret that has such a value.
    fn of_each(&mut self, name: &str, help: &str, all: &[(&Source, Health)], value: &dyn Fn(&Health) -> Option<u64>) {
        self.metric(name, "gauge", help);
        for (source, health) in all {
            if let Some(value) = value(health) {
                self.sample(name, &labels(source), &value);
            }
        }
    }
}

/// The metrics of `state`.
pub fn metrics(facts: &Facts, state: &State) -> String {
    let health = state.health();
    let mut text = Text::default();
    text.metric("build_info", "gauge", "The version of vault-exec, always 1.");
    text.sample("build_info", concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), &1);
    text.gauge("ready", "Whether the file was written.", &u8::from(state.is_ready));
    let every = facts.every.length().as_secs_f64();
    text.gauge("refresh_interval_seconds", "How often the secrets are read again.", &every);
    text.metric("refreshes_total", "counter", "Refreshes that have ended, by result.");
    for (source, health) in &health {
        for (result, count) in [("success", health.refreshes - health.failures), ("failure", health.failures)] {
            text.sample("refreshes_total", &format!("{},result=\"{result}\"", labels(source)), &count);
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    text.of_each("last_success_timestamp_seconds", "When the secret was read last.", &health, &|it| {
        it.seconds_since_success.map(|ago| now.saturating_sub(ago))
    });
    text.of_each("secret_version", "The version in hand.", &health, &|it| it.version);
    text.of_each("secret_age_seconds", "Time since the value in hand came.", &health, &|it| Some(it.token_age_seconds));
    let behind = state.behind.map_or(0, |since| since.elapsed().as_secs());
    text.gauge("file_behind_seconds", "How long the file has not been what the secrets are.", &behind);
    let writes = Write::ALL.map(|write| (write.name(), state.writes[write as usize]));
    text.by_result("file_writes_total", "Writes of the file, by result.", &writes);
    let [sent, failed] = state.notifications;
    text.by_result(
        "notifications_total",
        "Notifications after changes, by result.",
        &[("success", sent), ("failure", failed)],
    );
    if let Some(notified) = state.notified {
        text.gauge("notified", "Whether the last notification was sent.", &u8::from(notified));
    }
    let runs: Vec<_> = RUNS.into_iter().zip(state.runs).collect();
    text.by_result("hook_runs_total", "Runs of COMMAND after changes, by result.", &runs);
    if let Some(ok) = state.hook_ok {
        text.gauge("hook_ok", "Whether the last run of COMMAND succeeded.", &u8::from(ok));
    }
    if let Some(left) = state.client.as_ref().and_then(|client| client.token_in_hand()?.expires_in()) {
        text.gauge("token_lease_seconds", "How long the token in hand still lives.", &left.as_secs());
    }
    text.0
}

/// The labels of a secret.
fn labels(Source { mount, path, .. }: &Source) -> String {
    format!("mount=\"{}\",path=\"{}\"", escaped(mount), escaped(path))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
