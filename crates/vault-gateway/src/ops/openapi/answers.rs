//! What a request is answered: statuses, headers and bodies.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::{
    Content, ContentBuilder, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, ResponsesBuilder, Type,
};

use super::schemas::urn;
use crate::problem::Kind;

/// Headers of every answer.
const EVERY: [&str; 4] = ["Cache-Control", "Vary", "X-Content-Type-Options", "X-Request-Id"];
/// An id as those of requests are.
const ID: &str = "7b0c9a4e-5d1f-4c3a-9b2e-0f6d8a1c2b3e";

/// A refusal: its kind, its status, and what makes it.
#[derive(Clone, Copy)]
pub struct Refusal {
    kind: Kind,
    status: u16,
    why: &'static str,
}

impl Refusal {
    /// A refusal with the status of its kind.
    pub fn new(kind: Kind, why: &'static str) -> Self {
        Self { kind, status: kind.status(), why }
    }
}

/// What every operation can be refused for, in the order in which the service looks.
pub fn common() -> Vec<Refusal> {
    let new = Refusal::new;
    vec![
        Refusal { status: 431, ..new(Kind::TooLarge, "The head is larger than `header_bytes` of the configuration.") },
        new(Kind::Busy, "Too many requests are under way, or too many of this tenant wait for Vault."),
        new(Kind::Path, "`Host` or `Authorization` stands twice."),
        new(Kind::Unauthorized, "The token is missing or refused. The answer is the same for every reason."),
        new(Kind::Denied, "The tenant of the token is none of the service's, or no rule lets the caller do this here."),
        new(Kind::RateLimited, "The caller sends more than `rate` of the configuration."),
        new(Kind::Method, "The path has no such method; `Allow` names those that it has."),
        new(Kind::Path, "A parameter of the query is unknown, stands twice or is out of its limits."),
        new(Kind::UpstreamDenied, "The rules allow it, but the policies of Vault refuse it to the tenant."),
        new(Kind::UpstreamIdentity, "Vault refuses the login of the tenant."),
        new(Kind::Unavailable, "Vault is away, sealed or too busy, or the audit log cannot be written."),
        new(Kind::UpstreamInvalid, "What answers is not Vault, or the tenant's mount is not one of KV version 2."),
        new(Kind::Timeout, "There is no answer in time, and nothing was written."),
        new(Kind::Internal, "The service has a fault; its log has the id of the request."),
    ]
}

/// The answers of one operation.
pub struct Answers {
    builder: ResponsesBuilder,
    has_bodies: bool,
}

impl Answers {
    /// None yet. Those to HEAD have no bodies.
    pub fn new(has_bodies: bool) -> Self {
        Self { builder: ResponsesBuilder::new(), has_bodies }
    }

    /// The same with an answer that is no refusal; `schema` names the schema of its body.
    pub fn of(mut self, status: u16, description: &str, headers: &[&str], schema: Option<&str>) -> Self {
        let response = ResponseBuilder::new().description(description);
        let response = match schema.filter(|_| self.has_bodies) {
            Some(schema) => {
                let schema = Ref::from_schema_name(schema);
                response.content("application/json", Content::new(Some(schema)))
            }
            None => response,
        };
        self.builder = self.builder.response(status.to_string(), with_headers(response, headers));
        self
    }

    /// All of them, with these refusals and the common ones. Refusals of one status share an answer.
    pub fn refused(self, refusals: &[Refusal]) -> ResponsesBuilder {
        let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
        for refusal in common().iter().chain(refusals) {
            by_status.entry(refusal.status).or_default().push(*refusal);
        }
        let has_bodies = self.has_bodies;
        by_status.into_iter().fold(self.builder, |builder, (status, refusals)| {
            let is_common = refusals.iter().all(|it| common().iter().any(|other| other.why == it.why));
            let response = match component(status) {
                Some(name) if has_bodies && is_common => Ref::from_response_name(name).into(),
                _ => RefOr::T(refusal(status, &refusals, has_bodies)),
            };
            builder.response(status.to_string(), response)
        })
    }
}

/// The name of an answer that many operations have.
fn component(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        405 => "NoSuchMethod",
        429 => "TooManyRequests",
        431 => "HeadTooLarge",
        500 => "Fault",
        502 => "UpstreamInvalid",
        503 => "Unavailable",
        504 => "Timeout",
        _ => return None,
    })
}

/// Adds the headers, and the answers that many operations have.
pub fn add(components: ComponentsBuilder) -> ComponentsBuilder {
    let components = headers().into_iter().fold(components, |all, (name, header)| all.header(name, header));
    let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
    for refusal in common() {
        by_status.entry(refusal.status).or_default().push(refusal);
    }
    by_status.into_iter().fold(components, |all, (status, refusals)| match component(status) {
        Some(name) => all.response(name, refusal(status, &refusals, true)),
        None => all,
    })
}

fn refusal(status: u16, refusals: &[Refusal], has_body: bool) -> Response {
    let mut description = String::new();
    for (position, Refusal { kind, why, .. }) in refusals.iter().enumerate() {
        let (line, word) = (if position == 0 { "" } else { "\n" }, kind.word());
        // A text cannot refuse to be written to.
        let _ = write!(description, "{line}- `{word}`: {why}");
    }
    let response = ResponseBuilder::new().description(description);
    let response =
        if has_body { response.content("application/problem+json", problems(status, refusals)) } else { response };
    let own: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        405 => &["Allow"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    with_headers(response, own).build()
}

/// The problem document, with an example for each kind.
fn problems(status: u16, refusals: &[Refusal]) -> Content {
    let mut examples: Vec<(&str, Value)> = Vec::new();
    for Refusal { kind, why, .. } in refusals {
        if examples.iter().any(|(word, _)| *word == kind.word()) {
            continue;
        }
        let (word, title) = (kind.word(), kind.title());
        let mut problem = json!({
            "type": urn(*kind), "title": title, "status": status, "detail": why.replace('`', ""),
            "instance": format!("urn:uuid:{ID}"),
        });
        match kind {
            Kind::PreconditionFailed => problem["version"] = json!(4),
            Kind::Schema => problem["errors"] = json!([{"pointer": "/port", "keyword": "type"}]),
            _ => {}
        }
        examples.push((word, problem));
    }
    let examples = examples.into_iter().map(|(word, value)| (word, ExampleBuilder::new().value(Some(value)).build()));
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).examples_from_iter(examples).build()
}

fn with_headers(response: ResponseBuilder, own: &[&str]) -> ResponseBuilder {
    let add = |response: ResponseBuilder, name: &&str| {
        response.header_ref(*name, Ref::new(format!("#/components/headers/{name}")))
    };
    own.iter().chain(&EVERY).fold(response, add)
}

fn headers() -> Vec<(&'static str, Header)> {
    vec![
        ("Age", header(whole(), true, "For how many seconds the service has had what it answers.", json!(7))),
        ("Allow", header(text(None), true, "The methods that the path has.", json!("GET, HEAD, PUT, PATCH, DELETE"))),
        (
            "Cache-Control",
            header(text(Some("^no-store$")), true, "No cache on the way may keep an answer.", json!("no-store")),
        ),
        (
            "Cache-Status",
            header(
                text(Some("^vault-gateway; (?:hit|fwd=miss|hit; detail=stale)$")),
                true,
                "Where the answer comes from: the cache (`hit`), Vault (`fwd=miss`), or the cache because Vault is away \
                 (`detail=stale`). [RFC 9211](https://www.rfc-editor.org/rfc/rfc9211)",
                json!("vault-gateway; hit"),
            ),
        ),
        (
            "ETag",
            header(text(Some("^\"[1-9][0-9]*\"$")), true, "The number of the version, between quotes.", json!("\"3\"")),
        ),
        ("Location", header(text(None), true, "Where the secret is.", json!("/vault/secrets/apps/web/config"))),
        (
            "Retry-After",
            header(whole(), false, "After how many seconds another try may go well, where that is known.", json!(2)),
        ),
        ("Vary", header(text(None), true, "Answers differ by caller.", json!("Authorization"))),
        ("WWW-Authenticate", header(text(None), true, "How to show a token.", json!("Bearer error=\"invalid_token\""))),
        (
            "X-Content-Type-Options",
            header(text(Some("^nosniff$")), true, "The type is as it is said.", json!("nosniff")),
        ),
        ("X-Request-Id", header(text(None), true, "The id of the request; the audit log has it too.", json!(ID))),
    ]
}

fn header(schema: ObjectBuilder, required: bool, description: &str, example: Value) -> Header {
    let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).example(Some(example));
    // utoipa's type has no field for it. https://spec.openapis.org/oas/v3.1.1.html#header-object
    let extensions = required.then(|| Extensions::from_iter([("required", true)]));
    header.extensions(extensions).build()
}

fn text(pattern: Option<&str>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(pattern)
}

fn whole() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0_usize))
}
