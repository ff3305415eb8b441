//! Answers, and the headers that every one has.

use axum::body::Body;
use axum::http::header::{
    AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde::Serialize;

use crate::cache::Lookup;
use crate::problem::{Breach, Kind, Problem};

/// [RFC 9211](https://www.rfc-editor.org/rfc/rfc9211)
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// An answer that is no refusal.
pub struct Answer {
    status: StatusCode,
    body: Bytes,
    headers: HeaderMap,
}

impl Answer {
    /// 204.
    pub fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Bytes::new(), headers: HeaderMap::new() }
    }

    /// 200 with JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, body: body.into(), headers: HeaderMap::new() }
    }

    /// 304: what the caller has is current.
    pub fn unchanged() -> Self {
        Self { status: StatusCode::NOT_MODIFIED, ..Self::nothing() }
    }

    /// The same about the version with this tag.
    #[must_use]
    pub fn tagged(mut self, tag: HeaderValue) -> Self {
        self.headers.insert(ETAG, tag);
        self
    }

    /// The same, this many seconds old.
    #[must_use]
    pub fn aged(mut self, seconds: u64) -> Self {
        self.headers.insert(AGE, seconds.into());
        self
    }

    /// 201 at `location`.
    #[must_use]
    pub fn created(mut self, location: &str) -> Self {
        self.status = StatusCode::CREATED;
        self.set(LOCATION, location);
        self
    }

    fn set(&mut self, name: HeaderName, value: &str) {
        // None of these texts can fail to be a header: numbers, and paths that are percent-encoded.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }
}

/// What becomes of a request: an answer or a refusal.
pub type Outcome = Result<Answer, Problem>;

/// The status of an outcome.
pub fn status(outcome: &Outcome) -> u16 {
    match outcome {
        Ok(answer) => answer.status.as_u16(),
        Err(problem) => problem.status,
    }
}

/// The response to a request with this id.
pub fn response(outcome: Outcome, id: &str, lookup: Option<Lookup>) -> Response<Body> {
    let answer = outcome.unwrap_or_else(|problem| refusal(&problem, id));
    let has_body = !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    *headers = answer.headers;
    if has_body && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Authorization"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(super::head::REQUEST_ID, id);
    }
    if let Some(status) = lookup.map(cache_status) {
        headers.insert(CACHE_STATUS, HeaderValue::from_static(status));
    }
    response
}

fn cache_status(lookup: Lookup) -> &'static str {
    match lookup {
        Lookup::Hit => "vault-gateway; hit",
        Lookup::Miss | Lookup::Bypass => "vault-gateway; fwd=miss",
        Lookup::Stale => "vault-gateway; hit; detail=stale",
    }
}

/// A problem document. [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Breach],
}

fn refusal(problem: &Problem, id: &str) -> Answer {
    let is_of_version = matches!(problem.kind, Kind::PreconditionFailed | Kind::Conflict);
    let document = Document {
        r#type: format!("urn:vault-gateway:{}", problem.kind.word()),
        title: problem.kind.title(),
        status: problem.status,
        detail: &problem.detail,
        instance: format!("urn:uuid:{id}"),
        version: problem.version.filter(|_| is_of_version),
        errors: &problem.errors,
    };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = Answer { status, body: body.into(), headers: HeaderMap::new() };
    answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = problem.retry_after {
        answer.headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(allow) = problem.allow {
        answer.headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if problem.kind == Kind::Unauthorized {
        answer.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer error="invalid_token""#));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn told(outcome: Outcome, lookup: Option<Lookup>) -> String {
        let response = response(outcome, "7b0c9a4e-0000-4000-8000-000000000000", lookup);
        let (head, body) = response.into_parts();
        let headers = head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut headers: Vec<_> = headers.collect();
        headers.sort();
        let body = body.collect().await.unwrap().to_bytes();
        format!("{}\n{}\n{}", head.status, headers.join("\n"), str::from_utf8(&body).unwrap())
    }

    #[tokio::test]
    async fn a_refusal_is_a_problem_document_with_the_headers_of_every_answer() {
        let problem = Problem { version: Some(3), ..Problem::new(Kind::PreconditionFailed, "read it").after(2) };
        assert_eq!(
            told(Err(problem), None).await,
            r#"412 Precondition Failed
cache-control: no-store
content-type: application/problem+json
retry-after: 2
vary: Authorization
x-content-type-options: nosniff
x-request-id: 7b0c9a4e-0000-4000-8000-000000000000
{"type":"urn:vault-gateway:precondition-failed","title":"The condition is not met","status":412,"detail":"read it","instance":"urn:uuid:7b0c9a4e-0000-4000-8000-000000000000","version":3}"#
        );
        assert!(
            told(Err(Problem::new(Kind::Unauthorized, "x")), None)
                .await
                .contains("www-authenticate: Bearer error=\"invalid_token\"\n")
        );
    }

    #[tokio::test]
    async fn a_read_says_its_version_its_age_and_where_it_comes_from() {
        assert_eq!(
            told(Ok(Answer::json("{}").tagged(HeaderValue::from_static("\"3\"")).aged(7)), Some(Lookup::Stale)).await,
            "200 OK\nage: 7\ncache-control: no-store\ncache-status: vault-gateway; hit; detail=stale\n\
             content-type: application/json\netag: \"3\"\nvary: Authorization\nx-content-type-options: nosniff\n\
             x-request-id: 7b0c9a4e-0000-4000-8000-000000000000\n{}"
        );
        assert_eq!(
            told(Ok(Answer::unchanged()), Some(Lookup::Hit)).await,
            "304 Not Modified\ncache-control: no-store\ncache-status: vault-gateway; hit\nvary: Authorization\n\
             x-content-type-options: nosniff\nx-request-id: 7b0c9a4e-0000-4000-8000-000000000000\n"
        );
    }
}
