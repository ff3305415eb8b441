//! The OpenAPI document of the callers' API. It is about the API and knows nothing of what serves it.
//! [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1.html)

mod answers;
mod operations;
mod parameters;
mod remedy;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::{Server, ServerBuilder, ServerVariableBuilder};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{Components, ComponentsBuilder, Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use crate::problem::Kind;

const SCHEME: &str = "token";

const ABOUT: &str = "Secrets of HashiCorp Vault and OpenBao, for callers with a JWT of an OpenID provider and without a \
    login at Vault.\n\n\
    The service checks the token, decides by rules which paths the caller may use, and asks Vault as the caller's tenant. \
    A \
    read is answered from a short-lived cache where it has the secret: what it says is at most as old as `ttl` of the \
    configuration. Older answers are given only with `stale_if_error`, and only while Vault is away.\n\n\
    - The number of a version is its `ETag`. `If-Match` and `If-None-Match` make a request depend on it.\n\
    - A refusal is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). Its `type` says what kind \
    it is, its `detail` what to do.\n\
    - A rule refuses every path with the same answer, whether the secret exists or not.\n\
    - The service tries once. Whether and when to try again, the caller decides; `Retry-After` advises.\n\
    - Every answer has an `X-Request-Id`. The audit log has it too.";

const TOKEN: &str = "A JWT of an issuer that the service is configured for: `Authorization: Bearer TOKEN`. Its `aud` must \
    name the service, and a claim of it names the tenant. A token in the URL is not read.";

/// The document as JSON. It is the same for as long as the program runs.
pub fn document() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| build().to_json().unwrap_or_default());
    &TEXT
}

fn build() -> OpenApi {
    let mut document = OpenApiBuilder::new()
        .info(info())
        .servers(Some([server()]))
        .tags(Some(tags()))
        .security(Some([SecurityRequirement::new(SCHEME, [] as [&str; 0])]))
        .paths(operations::paths())
        .components(Some(components()))
        .build();
    document.extensions = Some(Extensions::from_iter([("x-problems", problems())]));
    document
}

fn info() -> Info {
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let info = InfoBuilder::new().title("vault-gateway").version(env!("CARGO_PKG_VERSION"));
    info.description(Some(ABOUT)).license(Some(license)).build()
}

/// The callers' listener. This document comes from another one, so that a path alone would name the wrong one.
fn server() -> Server {
    let host = ServerVariableBuilder::new()
        .default_value("localhost:8443")
        .description(Some("Host and port of the callers' listener: `listen` of the configuration."));
    ServerBuilder::new().url("https://{host}").parameter("host", host).build()
}

fn tags() -> [Tag; 4] {
    [
        ("secrets", "Read, write and delete secrets."),
        ("versions", "The history of a secret, and what is done with versions of it."),
        ("names", "Which secrets and folders there are."),
        ("token", "The token of the caller's tenant."),
    ]
    .map(|(name, description)| TagBuilder::new().name(name).description(Some(description)).build())
}

fn components() -> Components {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(TOKEN));
    let components = ComponentsBuilder::new().security_scheme(SCHEME, SecurityScheme::Http(bearer.build()));
    answers::add(parameters::add(schemas::add(components))).build()
}

/// A row for each kind of problem, for the page.
fn problems() -> Value {
    let row = |kind: Kind| {
        json!({
            "type": schemas::urn(kind), "status": kind.status(), "title": kind.title(), "remedy": remedy::of(kind),
        })
    };
    Kind::ALL.map(row).into_iter().collect()
}
