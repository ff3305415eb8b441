//! The answers of the listener: health as JSON, and whether the file is there.

use std::fmt::Write as _;
use std::time::Duration;

use super::facts::{Facts, Source, State};
use super::listener::Answer;
use super::metrics::{self, metrics};
use vault_client::{Health, HealthStatus};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The answer to a request for `path`; `None` where there is no such page.
pub fn to(path: &str, facts: &Facts) -> Option<Answer> {
    let state = facts.now();
    Some(match path {
        "/health" => health(facts, &state),
        "/ready" => ready(&state),
        "/metrics" => Answer { status: 200, content_type: metrics::TYPE, body: metrics(facts, &state) },
        _ => return None,
    })
}

fn ready(state: &State) -> Answer {
    let (status, body) = if state.is_ready { (200, "ready\n") } else { (503, "the file is not there yet\n") };
    Answer { status, content_type: TEXT, body: body.to_owned() }
}

/// All secrets and the file together.
struct Whole {
    status: &'static str,
    age: Option<u64>,
    last_ok: Option<bool>,
    /// How many seconds ago the file was what the secrets are.
    idle: Option<u64>,
    version: Option<u64>,
    refreshes: u64,
    failures: u64,
}

impl Whole {
    fn of(state: &State, health: &[(&Source, Health)]) -> Self {
        let each = || health.iter().map(|(_, health)| health);
        let behind = state.behind.map(|since| since.elapsed().as_secs());
        let worst = if each().any(|it| it.status == HealthStatus::Stale) {
            HealthStatus::Stale
        } else if behind.is_some() || each().any(|it| it.status == HealthStatus::Failing) {
            HealthStatus::Failing
        } else {
            HealthStatus::Ok
        };
        let last = each().map(|it| it.last_refresh_ok).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty());
        Self {
            status: if state.is_ready { worst.name() } else { "starting" },
            age: each().map(|it| it.token_age_seconds).min(),
            last_ok: last.map(|all| all.into_iter().all(|ok| ok) && behind.is_none()),
            idle: each().filter_map(|it| it.seconds_since_success).max().max(behind),
            version: if let [(_, only)] = health { only.version } else { None },
            refreshes: each().map(|it| it.refreshes).sum(),
            failures: each().map(|it| it.failures).sum(),
        }
    }
}

fn health(facts: &Facts, state: &State) -> Answer {
    let health = state.health();
    let whole = Whole::of(state, &health);
    let is_stale = facts.stale_limit.zip(whole.idle).is_some_and(|(limit, idle)| Duration::from_secs(idle) > limit);
    let mut body = format!(
        r#"{{"status":"{}","token_age_seconds":{},"last_refresh_ok":{},"seconds_since_success":{},"version":{},"refreshes":{},"failures":{},"ready":{},"notified":{},"hook_ok":{},"paths":["#,
        whole.status,
        or_null(whole.age),
        or_null(whole.last_ok),
        or_null(whole.idle),
        or_null(whole.version),
        whole.refreshes,
        whole.failures,
        state.is_ready,
        or_null(state.notified),
        or_null(state.hook_ok),
    );
    for (index, (source, health)) in health.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let path = serde_json::to_string(&format!("{}/{}", source.mount, source.path)).unwrap_or_default();
        let rest = serde_json::to_string(health).unwrap_or_default();
        let _ = write!(body, r#"{comma}{{"path":{path},{}"#, rest.trim_start_matches('{'));
    }
    body.push_str("]}\n");
    Answer { status: if is_stale { 503 } else { 200 }, content_type: JSON, body }
}

fn or_null<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}
