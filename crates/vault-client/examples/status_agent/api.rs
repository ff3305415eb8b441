//! What the agent answers. `/health` is open; everything else is behind a [`Guard`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response as HttpResponse, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use vault_client::{AgentToken, Health, HealthStatus};

use crate::audit::{Line, source};
use crate::gate::{Gate, Moment};
use crate::guard::{self, Caller, Guard};
use crate::settings::{Scope, Settings, is_name};

/// So many commands are shown.
const SHOWN: usize = 16;

type Shared = State<Arc<Agent>>;

/// What all requests share.
pub struct Agent {
    pub settings: Settings,
    pub token: AgentToken,
    gate: Mutex<Gate>,
    /// The last commands.
    recorded: Mutex<VecDeque<Recorded>>,
    /// One refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
    started: Instant,
}

/// A command as it was recorded.
#[derive(Clone, Serialize)]
struct Recorded {
    command: &'static str,
    service: String,
    caller: String,
}

/// What `POST /command` takes.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    Restart { service: String },
}

/// What `GET /health` answers.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(flatten)]
    health: Health,
    source: &'static str,
    deployment: &'a str,
}

impl Agent {
    pub fn new(settings: Settings, token: AgentToken) -> Self {
        let gate = Gate::new(unix().as_secs(), settings.rate, settings.nonces);
        Self {
            settings,
            token,
            gate: Mutex::new(gate),
            recorded: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Now.
    pub fn moment(&self) -> Moment {
        Moment { unix: unix().as_secs(), steady: self.started.elapsed() }
    }

    /// What lets signed requests pass.
    pub fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recorded(&self) -> MutexGuard<'_, VecDeque<Recorded>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self, health: Health) -> Said<'_> {
        Said { health, source: source(&self.token), deployment: self.token.deployment() }
    }
}

/// The time since 1970.
fn unix() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Waits until this second is over. Where it is that of the start, nothing that is signed in it passes.
pub async fn second_is_over() {
    let past = Duration::from_nanos(unix().subsec_nanos().into());
    sleep(Duration::from_secs(1).saturating_sub(past)).await;
}

/// The endpoints.
pub fn router(agent: &Arc<Agent>) -> Router {
    let guard = |scope| from_fn_with_state(Guard { agent: Arc::clone(agent), scope }, guard::check);
    // Whatever else is asked for is refused or not found by the guard.
    let nothing = async || StatusCode::NOT_FOUND;
    let guarded = |endpoint: MethodRouter<Arc<Agent>>, scope| {
        endpoint.layer(guard(Some(scope))).fallback(nothing.layer(guard(None)))
    };
    Router::new()
        .route("/health", get(health))
        .route("/status", guarded(get(status), Scope::Status))
        .route("/command", guarded(post(command), Scope::Restart))
        .route("/refresh", guarded(post(refresh), Scope::Refresh))
        .fallback(nothing.layer(guard(None)))
        .with_state(Arc::clone(agent))
}

/// A token that was not read for three intervals is no good news: 503. One read that failed is.
async fn health(State(agent): Shared) -> Response {
    let health = agent.token.health();
    let status = match health.status {
        HealthStatus::Ok | HealthStatus::Failing => StatusCode::OK,
        HealthStatus::Stale => StatusCode::SERVICE_UNAVAILABLE,
    };
    answer(status, &agent.said(health))
}

/// How the deployment is doing; here it is what the agent knows of itself.
async fn status(State(agent): Shared) -> Response {
    let recorded: Vec<_> = agent.recorded().iter().cloned().collect();
    let uptime = agent.started.elapsed().as_secs();
    let status = json!({"deployment": agent.token.deployment(), "uptime_seconds": uptime, "commands": recorded});
    answer(StatusCode::OK, &status)
}

/// Records what it would do, and does nothing.
async fn command(State(agent): Shared, Extension(Caller(caller)): Extension<Caller>, body: Bytes) -> Response {
    let service = match serde_json::from_slice(&body) {
        Ok(Command::Restart { service }) if is_name(&service) => service,
        _ => {
            let form = r#"the body is {"command":"restart","service":NAME}"#;
            return answer(StatusCode::BAD_REQUEST, &json!({"error": form}));
        }
    };
    if Line::command(&caller, "restart", &service).write().is_err() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": "the audit log cannot be written"}));
    }
    let mut recorded = agent.recorded();
    recorded.push_back(Recorded { command: "restart", service, caller });
    if recorded.len() > SHOWN {
        recorded.pop_front();
    }
    answer(StatusCode::ACCEPTED, &json!({"recorded": "restart"}))
}

/// Has the token read again at once: the panel asks for it after a rotation. 502 where it cannot be read.
async fn refresh(State(agent): Shared) -> Response {
    let _alone = agent.refreshing.lock().await;
    let token = agent.token.clone();
    // It asks Vault, and blocks.
    let read = spawn_blocking(move || token.refresh()).await;
    let status = if matches!(read, Ok(Ok(()))) { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    answer(status, &agent.said(agent.token.health()))
}

/// An answer in JSON.
pub fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    // Nothing of what is answered can fail to be JSON.
    let text = serde_json::to_string(body).unwrap_or_default();
    let mut response = HttpResponse::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
