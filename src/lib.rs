//! Starts an application with one Vault path's secrets in its environment; the library under `vault-exec`.
//!
//! The program is [`run::program`]: it reads the command line ([`cli`]) and the settings ([`config`]), asks Vault for its
//! status, logs in, reads one secret and revokes the login's token ([`vault`]), makes variables of the secret
//! ([`secrets`]) and hands them over ([`sink`]) to the application or an env file. [`check`] does the same but for the
//! last step. [`error`] says what each failure is called and which exit code it has.
//!
//! The client can be used alone. A policy says how long and how often it may try, a waiter holds its waits, and the
//! session revokes the token of a login when it ends:
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! use vault_exec::process::wait::Waiter;
//! use vault_exec::secret::Secret;
//! use vault_exec::vault::auth::{Method, TokenSource};
//! use vault_exec::vault::kv::Location;
//! use vault_exec::vault::retry::Policy;
//! use vault_exec::vault::{Client, Options, address::Address, tls::Tls};
//!
//! let minute = Duration::from_secs(60);
//! let budget = (Instant::now() + minute, minute);
//! let policy = Policy { retries: 3, delay: Duration::from_secs(1), wait: None, budget };
//! let options = Options {
//!     address: Address::parse("https://vault.example:8200")?,
//!     namespace: None,
//!     timeout: Duration::from_secs(10),
//!     tls: Tls::default(),
//!     proxy: None,
//! };
//! let client = Client::new(&options, policy, Arc::new(Waiter::new(None)));
//! client.status()?;
//! let session = client.login(&Method::Token(TokenSource::Given(Secret::new("hvs.example"))))?;
//! let secret = session.read(&Location { mount: "kv".into(), path: "shop/prod".into(), version: None })?;
//! println!("{secret}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// What the tests show is theirs; clippy.toml has the list.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod check;
pub mod cli;
pub mod config;
pub mod error;
pub mod install;
pub mod json;
pub mod logging;
pub mod process;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
pub mod report;
pub mod run;
pub mod secret;
pub mod secrets;
pub mod sink;
pub mod small_file;
pub mod steps;
pub mod text;
pub mod vault;
