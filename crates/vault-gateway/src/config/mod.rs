//! The configuration as the service uses it. The only reader of the file.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::rules::Rules;

mod fault;
mod filter;
mod issuer;
mod lines;
mod login;
mod near;
mod read;
mod rule;
mod tenant;
#[cfg(test)]
mod tests;
mod value;
mod walk;

pub use crate::schema::{SchemaRule, Structure};
pub use fault::{CONFIGURATION, Fault, FaultKind, Faults, MISSING};

/// All of it.
pub struct Config {
    /// Where callers are served.
    pub listen: SocketAddr,
    /// Where health, metrics and documentation are; `None` where it is off.
    pub ops: Option<SocketAddr>,
    /// Where the audit lines go.
    pub audit: AuditTo,
    /// The filter of the log, as `tracing_subscriber::EnvFilter` reads it.
    pub log: String,
    /// How long requests under way may go on after TERM.
    pub drain: Duration,
    /// `None`: HTTP.
    pub tls: Option<TlsFiles>,
    /// Who issues tokens of callers; at least one.
    pub issuers: Vec<Arc<Issuer>>,
    /// Whose secrets are served; at least one.
    pub tenants: Vec<Arc<Tenant>>,
    /// Who may do what.
    pub rules: Rules,
    /// What may be written.
    pub schemas: Vec<SchemaRule>,
    /// The limits of structure that hold without a schema as well.
    pub structure: Structure,
    /// How long what is read may be served again.
    pub cache: CacheLimits,
    /// What a request, a caller and the service may take.
    pub limits: ServiceLimits,
}

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTo {
    /// Standard output.
    Stdout,
    /// This file, which is appended to.
    File(PathBuf),
}

/// The files of TLS, reread when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Who signs the certificates that callers must show; `None` where they need none.
    pub client_ca: Option<PathBuf>,
}

/// Who issues tokens of callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` of its tokens, byte for byte.
    pub url: String,
    /// Where its keys are.
    pub jwks: KeySource,
    /// Whom to trust there, PEM; `None`: the roots of the system.
    pub ca: Option<PathBuf>,
    /// The file with the bearer token for discovery and keys.
    pub token_file: Option<PathBuf>,
    /// Any of these must be in `aud`.
    pub audience: Vec<String>,
    /// The algorithms that its tokens may have.
    pub algorithms: Vec<Algorithm>,
    /// The values of `typ` that its tokens may have, in lower case, without `application/`; `""` for none.
    pub typ: Vec<String>,
    /// Where a token says its tenant.
    pub tenant: TenantOf,
    /// The only tenants that it may speak for; `None` where that is every one.
    pub tenants: Option<BTreeSet<String>>,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Where its discovery document says.
    Discovery,
    /// At this URL.
    Url(String),
    /// In this file.
    File(PathBuf),
}

/// An algorithm of signatures, asymmetric ones only.
/// [RFC 7518](https://www.rfc-editor.org/rfc/rfc7518#section-3.1)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Where a token says its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantOf {
    /// Every token of the issuer is of this one.
    Fixed(String),
    /// In this claim; see [`Claims::get`](crate::claims::Claims::get).
    Claim(String),
}

/// Whose secrets are served: a part of a mount, and the login at Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// The namespace of Vault; empty for the root namespace, or that of the environment.
    pub namespace: String,
    /// The mount of KV version 2.
    pub mount: String,
    /// What is put before each path; empty, or whole segments.
    pub prefix: String,
    /// The login; what is not set comes from the environment.
    pub login: TenantLogin,
    /// Other tenants may have the same login.
    pub shared_identity: bool,
    /// Other tenants may reach the same secrets.
    pub overlap: bool,
}

/// The login of a tenant; what is `None` comes from the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TenantLogin {
    pub role: Option<String>,
    pub auth_method: Option<String>,
    pub auth_mount: Option<String>,
    pub auth_namespace: Option<String>,
    pub token_file: Option<PathBuf>,
    pub jwt_file: Option<PathBuf>,
}

/// How long what is read may be served again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// A secret; zero: the cache is off.
    pub ttl: Duration,
    /// How much memory values may take.
    pub max_bytes: u64,
    /// That nothing is there.
    pub negative_ttl: Duration,
    /// A secret beyond `ttl`, while Vault is away or sealed.
    pub stale_if_error: Duration,
}

/// What a request, a caller and the service may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceLimits {
    /// Requests of one subject in a second; 0: no limit.
    pub rate: u32,
    /// How many of them at once.
    pub burst: u32,
    /// Requests under way.
    pub concurrent: usize,
    /// Requests to Vault under way for one tenant; as many wait.
    pub upstream_per_tenant: usize,
    /// Connections of callers.
    pub connections: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// A whole request.
    pub request: Duration,
    /// The head of a request.
    pub head: Duration,
    /// How long a token is not verified again; zero: each time.
    pub remember_tokens: Duration,
}
