//! The ops listener: how the service is doing, what it has counted, and its documentation. No token is asked for.

pub mod docs;
pub mod openapi;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::state::Service;

/// The format of Prometheus.
/// [Exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/)
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the listener answers.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/health", get(async || Json(json!({"status": "ok"}))))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .merge(docs::router())
        .with_state(service)
}

/// 200 where callers should come. It does not depend on Vault.
async fn ready(State(service): State<Arc<Service>>) -> Response {
    let current = service.current();
    let tenants: Map<String, Value> =
        current.tenants.states().into_iter().map(|(name, state)| (name, state.into())).collect();
    let is_ready = service.is_ready();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": is_ready, "tenants": tenants}))).into_response()
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    service.measure();
    ([(CONTENT_TYPE, PROMETHEUS)], service.metrics.render()).into_response()
}
