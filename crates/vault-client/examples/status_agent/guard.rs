//! Stands in front of each signed endpoint. The cheap checks come first, and what tells anything comes after the signature:
//! whoever has no token gets the same 401 whatever is wrong, also for what does not exist.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use tokio::time::timeout;
use vault_client::text;

use crate::api::{Agent, answer};
use crate::audit::{self, Decision, Line};
use crate::gate::{Shut, is_timely};
use crate::settings::Scope;
use crate::signature::{Malformed, Signed, Under};

/// The longest body.
const LONGEST: usize = 16 << 10;

/// A body that is not there by then is not waited for.
const BODY: Duration = Duration::from_secs(10);

/// Who asks; its signature is verified.
#[derive(Clone)]
pub struct Caller(pub String);

/// What a guard knows.
#[derive(Clone)]
pub struct Guard {
    pub agent: Arc<Agent>,
    /// What the caller must be allowed to do; `None` where there is nothing to do.
    pub scope: Option<Scope>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Headers(Malformed),
    Signature,
    BodyTooLong,
    BodyTooLate,
    UnknownCaller,
    Shut(Shut),
    Scope,
    NoEndpoint,
}

impl Refusal {
    /// The word for it in the audit log.
    fn name(self) -> &'static str {
        match self {
            Self::Headers(Malformed::Missing) => "header_missing",
            Self::Headers(Malformed::Repeated) => "header_repeated",
            Self::Headers(Malformed::Unfit) => "header_unfit",
            Self::Shut(Shut::Clock) => "clock",
            Self::BodyTooLong => "body_too_long",
            Self::BodyTooLate => "body_too_late",
            Self::Signature => "signature",
            Self::UnknownCaller => "unknown_caller",
            Self::Shut(Shut::Replayed) => "replayed",
            Self::Shut(Shut::Full) => "full",
            Self::Shut(Shut::TooMany(_)) => "rate",
            Self::Scope => "scope",
            Self::NoEndpoint => "no_endpoint",
        }
    }

    /// The status, and what the caller is told.
    fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::Headers(_) | Self::Signature | Self::Shut(Shut::Clock | Shut::Replayed) => {
                (StatusCode::UNAUTHORIZED, "unauthorized")
            }
            Self::BodyTooLong => (StatusCode::PAYLOAD_TOO_LARGE, "body too long"),
            Self::BodyTooLate => (StatusCode::REQUEST_TIMEOUT, "body too late"),
            Self::UnknownCaller | Self::Scope => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Shut(Shut::Full) => (StatusCode::SERVICE_UNAVAILABLE, "too many requests in memory"),
            Self::Shut(Shut::TooMany(_)) => (StatusCode::TOO_MANY_REQUESTS, "too many requests"),
            Self::NoEndpoint => (StatusCode::NOT_FOUND, "not found"),
        }
    }
}

/// What was found out about a request, as far as it was judged.
#[derive(Default)]
struct Judged {
    /// What the request says of itself.
    caller: Option<String>,
    token: Option<Under>,
}

/// Judges the request, writes the decision into the audit log, and hands the request on if it is let in.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut judged = Judged::default();
    let decision = guard.judge(&mut judged, &parts, body).await;
    let line = Line::Request(audit::Request {
        time: audit::now(),
        decision: if decision.is_ok() { Decision::Accepted } else { Decision::Refused },
        reason: decision.as_ref().err().map(|refusal| refusal.name()),
        method: text::name(parts.method.as_str()),
        path: text::name(parts.uri.path()),
        caller: judged.caller.as_deref(),
        scope: guard.scope,
        token: judged.token,
    });
    // What cannot be told of is not done.
    if line.write().is_err() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": "the audit log cannot be written"}));
    }
    match decision {
        Ok((caller, body)) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
        Err(refusal) => refuse(refusal),
    }
}

impl Guard {
    /// The caller and the body of a request that is let in.
    async fn judge(&self, judged: &mut Judged, parts: &Parts, body: Body) -> Result<(Caller, Bytes), Refusal> {
        let agent = &self.agent;
        let signed = Signed::read(&parts.headers).map_err(Refusal::Headers)?;
        judged.caller = Some(signed.caller.clone());
        if !is_timely(signed.timestamp, agent.moment().unix) {
            return Err(Refusal::Shut(Shut::Clock));
        }
        let body = read(parts, body).await?;

        // Both tokens are of one moment, and no rotation comes between.
        let (current, previous) = agent.token.accepted(agent.settings.grace);
        let under = signed.verify(parts, &body, &current, previous.as_deref());
        judged.token = Some(under.ok_or(Refusal::Signature)?);

        // From here on the caller has the token.
        let scopes = agent.settings.callers.scopes(&signed.caller).ok_or(Refusal::UnknownCaller)?;
        let moment = agent.moment();
        agent.gate().pass(&signed.caller, &signed.nonce, signed.timestamp, moment).map_err(Refusal::Shut)?;
        let scope = self.scope.ok_or(Refusal::NoEndpoint)?;
        if scopes.contains(&scope) { Ok((Caller(signed.caller), body)) } else { Err(Refusal::Scope) }
    }
}

/// Reads the body, not more of it than may be, and not for longer.
async fn read(parts: &Parts, body: Body) -> Result<Bytes, Refusal> {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > LONGEST) {
        return Err(Refusal::BodyTooLong);
    }
    // One that breaks off is too long as well: nobody is there to be told the difference.
    let read = timeout(BODY, to_bytes(body, LONGEST)).await.map_err(|_| Refusal::BodyTooLate)?;
    read.map_err(|_| Refusal::BodyTooLong)
}

fn refuse(refusal: Refusal) -> Response {
    let (status, error) = refusal.answer();
    let mut response = answer(status, &json!({ "error": error }));
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        // Its body may not have been read, and another request cannot come behind it.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Refusal::Shut(Shut::TooMany(seconds)) = refusal {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
