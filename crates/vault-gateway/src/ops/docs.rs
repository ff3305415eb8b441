//! The documentation for people, and the OpenAPI document. All of it is part of the program.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::openapi;

#[cfg(test)]
mod tests;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

const PAGE: &str = include_str!("../../assets/page.html");

/// `/openapi.json`, the page `/docs`, and what the page is made of. The page asks nothing of other hosts.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/openapi.json", get(async || file(JSON, openapi::document())))
        .route("/docs", get(async || file(HTML, PAGE)))
        .route("/docs/page.css", get(async || file(CSS, include_str!("../../assets/page.css"))))
        .route("/docs/page.js", get(async || file(JAVASCRIPT, include_str!("../../assets/page.js"))))
        .route("/docs/icon.svg", get(async || file(SVG, include_str!("../../assets/icon.svg"))))
}

/// A browser asks again each time: another version of the program may answer.
fn file(media: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, media),
        (CONTENT_SECURITY_POLICY, "default-src 'self'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
