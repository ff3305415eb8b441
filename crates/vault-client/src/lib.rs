//! A synchronous client for HashiCorp Vault and OpenBao. It finds out how to log in, keeps its token alive, and reads and
//! writes secrets of the KV version 2 engine.
//!
//! It is for programs that run for weeks, on many threads, and for programs that read one secret and end. It has no async
//! runtime and no unsafe code. It runs on Linux.
//!
//! # Quick start
//!
//! ```no_run
//! use vault_client::VaultClient;
//!
//! # fn connect(_: Option<&str>, _: Option<&str>) {}
//! let vault = VaultClient::from_env()?;
//! let secret = vault.kv_read("kv", "shop/prod")?;
//! connect(secret.text("username"), secret.text("password"));
//! vault.close();
//! # Ok::<(), vault_client::VaultError>(())
//! ```
//!
//! [`VaultClient::from_env`] reads `VAULT_ADDR` and the other variables of [`settings`]. It sends nothing. The first call
//! logs in. [`VaultClient::builder`] sets in code what shall not come from the environment. [`VaultClient::kv`] gives the
//! other verbs: write with check-and-set, patch, delete, undelete, destroy, rollback, metadata, list.
//!
//! The folder `examples` of this crate has programs to start from: `from_env`, `builder`, `oidc` and
//! `history`; and `status_agent`, an HTTP API whose token is rotated while it runs.
//!
//! # Logins
//!
//! | login | type | what it needs |
//! |---|---|---|
//! | a token | [`Token::given`] | `VAULT_TOKEN` |
//! | a token in a file | [`Token::file`] | `VAULT_TOKEN_FILE`, or `.vault-token` in the home folder |
//! | a pod of Kubernetes | [`Kubernetes`] | `VAULT_ROLE`, and the JWT of the pod's service account |
//! | a role id, and as a rule a secret id | [`AppRole`] | `VAULT_APPROLE_ROLE_ID`, and `VAULT_APPROLE_SECRET_ID` or `VAULT_APPROLE_SECRET_ID_FILE` |
//! | a JWT of any issuer | [`Jwt`] | `VAULT_JWT` or `VAULT_JWT_FILE`, and `VAULT_ROLE` unless the mount has a default role |
//! | a client certificate | [`Cert`] | `VAULT_CLIENT_CERT` and `VAULT_CLIENT_KEY` |
//! | a person in a browser | [`Oidc`] | a terminal, or `VAULT_AUTH_METHOD=oidc`; the token is kept for the next start |
//! | none: an agent or a proxy adds a token | [`NoLogin`] | `VAULT_AUTH_METHOD=none` |
//!
//! `VAULT_AUTH_METHOD` names one of them. Where it is unset or `auto`, the first that there is something for is taken:
//! `VAULT_TOKEN`, `VAULT_TOKEN_FILE`, `VAULT_APPROLE_ROLE_ID`, `VAULT_JWT`, `VAULT_JWT_FILE`, the pod, `VAULT_ROLE_ID` with
//! `VAULT_SECRET_ID`, the home folder, a terminal. A [`Credential`] is here or in a file, by itself or in a wrapping token. A program
//! that comes by its token in another way implements [`Login`], and hands the token to [`Token`].
//!
//! # The token's life
//!
//! The token of a login is renewed by a thread of the client, after at most 75 % of its lease. A lease below 300 seconds is
//! not renewed: a new login replaces its token at that point. A renewal that gets no answer is tried again after 10, 20
//! and up to 60 seconds. A login that is refused is tried again after 1, 2, 4 and up to 30 minutes. A call that meets a dead
//! token logs in and is sent once more. All threads share each login. A token that was handed in is renewed where it can be, and is never revoked.
//!
//! # Staying current
//!
//! [`Kv::watch`] reads a secret, and reads it again in the background from then on. One thread does it for all secrets of a
//! client. A refresh that fails leaves the last value in hand.
//!
//! | type | is for |
//! |---|---|
//! | [`Watched`] | one secret: the value in hand, the one before, the changes, and how it is doing ([`Health`]) |
//! | [`Secrets`] | many secrets, read when they are first asked for |
//! | [`AgentToken`] | the token of an agent, which is rotated while it runs |
//!
//! ```no_run
//! use vault_client::{Every, VaultClient};
//!
//! let vault = VaultClient::from_env()?;
//! let database = vault.kv("kv").watch("shop/database", Every::seconds(60))?;
//! let password = database.current().text("password").map(str::to_owned);
//! # drop(password);
//! # Ok::<(), vault_client::VaultError>(())
//! ```
//!
//! # Errors
//!
//! Each call fails with a [`VaultError`]. Its [`kind`](VaultError::kind) says what to do:
//!
//! | kind | what it means | what to do |
//! |---|---|---|
//! | [`NotDetected`](ErrorKind::NotDetected) | No way to log in was found. | Set one of the settings that the text names. |
//! | [`Settings`](ErrorKind::Settings) | Settings are missing or cannot be used. | Correct them: the text has a line for each. |
//! | [`Credential`](ErrorKind::Credential) | The file with the token or JWT gives none. | Mend the file. |
//! | [`Unreachable`](ErrorKind::Unreachable) | There was no complete answer in time. | Call again later. |
//! | [`Tls`](ErrorKind::Tls) | The TLS connection failed. | Correct trust, server name or client certificate. |
//! | [`NotVault`](ErrorKind::NotVault) | What answers is not Vault, or redirects. | Look at the address, and at proxies. |
//! | [`NotReady`](ErrorKind::NotReady) | The server is sealed, starting or without a leader. | Call again later. |
//! | [`Denied`](ErrorKind::Denied) | A policy forbids it, or the login is refused. | Correct policy, role or credential. |
//! | [`Rejected`](ErrorKind::Rejected) | The server cannot take the request as it is. | Correct mount, path, role or data. |
//! | [`NotFound`](ErrorKind::NotFound) | There is no such path or version, or it was deleted. | Write it, or undelete it. |
//! | [`Conflict`](ErrorKind::Conflict) | The latest version is another one than [`Cas`] says. | Read, and write on top of it. |
//! | [`RateLimited`](ErrorKind::RateLimited) | A quota of the server was used up for too long. | Call less often. |
//! | [`Shape`](ErrorKind::Shape) | Data have another shape than the program expects. | Correct the secret or the type. |
//! | [`Cancelled`](ErrorKind::Cancelled) | A [`Cancel`] of the program ended the call. | Nothing. |
//! | [`Closed`](ErrorKind::Closed) | The client was closed. | Make a new one. |
//! | [`Oidc`](ErrorKind::Oidc) | The login of a person in a browser failed. | Ask the person again. |
//! | [`System`](ErrorKind::System) | The operating system refused a call. | Look at limits and seccomp of the container. |
//!
//! [`is_retryable`](VaultError::is_retryable) tells whether the same call may succeed later without anybody's act.
//!
//! # Limits and cancellation
//!
//! Every call ends within its [`Limits`]: by default 30 seconds for one request, 2 minutes for the call with all its tries
//! and pauses. [`VaultClient::within`] gives a clone other limits. [`VaultClient::cancelled_by`] gives a clone a [`Cancel`],
//! which ends its calls from another thread at once.
//!
//! ```no_run
//! use std::time::Duration;
//! use vault_client::{Cancel, Limits, VaultClient};
//!
//! let vault = VaultClient::from_env()?;
//! let cancel = Cancel::new().expect("a descriptor");
//! let quick = Limits { retries: 0, whole: Duration::from_secs(2), ..Limits::default() };
//! let secret = vault.within(quick).cancelled_by(&cancel).kv_read("kv", "shop/prod")?;
//! # Ok::<(), vault_client::VaultError>(())
//! ```
//!
//! # Threads and async
//!
//! A client is `Send + Sync`. Clones are cheap and share the token and the connections: 8 at most, unless
//! [`lanes`](VaultClientBuilder::lanes) says otherwise. A call that finds all of them in use waits for one within its
//! limits. The client has at most one thread of its own, from its first login to its end, one for all secrets that are
//! watched, and one more while a name is looked up.
//!
//! Calls block. In async code they belong on the runtime's blocking pool, with tokio
//! `spawn_blocking(move || vault.kv_read("kv", "shop/prod"))`.
//!
//! # What is never shown
//!
//! No `Debug` shows a value, a token or a JWT. No error and no event has one in its text: what a server says is cut, escaped
//! and searched for the secrets that the client knows. Tokens, JWTs, answers and what a write sends are wiped when they are
//! dropped. A copy that the program makes is the program's own.
//!
//! Without an [`Observer`], what happens goes to the [`log`] crate, with the target `vault_client`. The HTTP library below,
//! with the target `ureq_proto`, logs at trace **every byte that it sends and receives**: keep trace off for it, or
//! build the program with the feature `max_level_debug` of `log`.
//!
//! # Namespaces
//!
//! `VAULT_NAMESPACE` holds for the login and for the secrets. `VAULT_AUTH_NAMESPACE` names another one for the login.
//! [`VaultClient::in_namespace`] is the same client, with the same token, in another namespace.
//!
//! # Closing
//!
//! [`VaultClient::close`] revokes the token of a login and waits for that, at most 2 seconds. Calls after it fail with
//! [`Closed`](ErrorKind::Closed). Values that were read stay. The drop of the last clone does the same in the background and
//! does not wait: a program that ends calls `close`.

#![forbid(unsafe_code)]
// What the tests show is theirs; clippy.toml has the list.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(clippy::missing_errors_doc)]

/// The code of docs/library.md, compiled as that of this crate is.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
mod document {}

mod audit;
mod builder;
mod caller;
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
mod rounds;
mod secret;
mod session;
pub mod settings;
mod status;
mod step;
pub mod text;
mod time;
mod token;
pub mod watch;

pub use builder::VaultClientBuilder;
pub use client::VaultClient;
pub use endpoint::Endpoint;
pub use error::{Effort, Stop, VaultError};
pub use fault::{CertificateFault, ErrorKind, Fault, NoPerson, Retry, ServerName, TlsAlert, TlsFault, What};
pub use http::retry_after;
#[cfg(feature = "plans")]
#[doc(hidden)]
pub use keeper::plan;
pub use kv::{Cas, Field, Fields, Kv, KvConfig, KvData, KvMetadata, KvVersion, MetadataOptions};
pub use login::{
    AppRole, CachedLogin, Cert, Credential, Inspected, Jwt, Kubernetes, Listen, LoggedOut, LoggedOutAll, Login,
    NoLogin, Oidc, Origin, Proof, Token,
};
pub use login::{cache_folder, log_out_all};
pub use observe::{Act, Event, Next, Observer, ToLog};
pub use options::tls::{Identity, Unfit};
pub use options::{Address, Options, Proxy, Tls};
pub use refused::Refused;
pub use secret::Secret;
pub use session::Session;
pub use status::Status;
pub use step::{AuthMethod, Step, TokenOf, Verb};
pub use time::{Call, Cancel, Ended, Limit, Limits, Seconds, Trigger};
pub use token::{Kept, Revoked, TokenInfo};
pub use watch::{AgentToken, Every, Health, HealthStatus, Secrets, Watched};
