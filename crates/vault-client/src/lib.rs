//! A synchronous client for HashiCorp Vault and OpenBao.

#![forbid(unsafe_code)]
// What the tests show is theirs; clippy.toml has the list.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod builder;
mod client;
pub mod credential;
pub mod endpoint;
mod error;
pub mod fault;
mod http;
pub mod json;
mod judge;
mod keeper;
pub mod kv;
pub mod login;
mod observe;
pub mod options;
mod refused;
pub mod retry;
mod secret;
mod session;
pub mod settings;
mod status;
mod step;
pub mod text;
mod time;
mod token;

pub use builder::VaultClientBuilder;
pub use client::VaultClient;
pub use endpoint::Endpoint;
pub use error::{Effort, Stop, VaultError};
pub use fault::{CertificateFault, ErrorKind, Fault, Retry, ServerName, TlsAlert, TlsFault, What};
pub use http::retry_after;
pub use kv::{Cas, Kv, KvConfig, KvData, KvMetadata, KvVersion, MetadataOptions};
pub use login::{Kubernetes, Login, Token, TokenSource};
pub use observe::{Act, Event, Next, Observer, ToLog};
pub use options::{Address, Options, Proxy, Tls};
pub use refused::Refused;
pub use secret::Secret;
pub use session::{Kept, Revoked, Session};
pub use status::Status;
pub use step::{Step, Verb};
pub use time::{Call, Cancel, Ended, Limit, Limits, Seconds, Watch};
pub use token::TokenInfo;
