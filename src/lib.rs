//! Starts an application with the secrets of one Vault path or several; the library under `vault-exec`.
//!
//! The program is [`run::program`]: it reads the command line ([`cli`]) and the settings ([`config`]), asks Vault for its
//! status, logs in, reads the secrets and revokes the login's token ([`vault_client`]), makes variables of them
//! ([`secrets`]) and hands them over ([`sink`]) to the application or an env file. [`check`] does the same but for the
//! last step. [`error`] says what each failure is called and which exit code it has.

// What the tests show is theirs; clippy.toml has the list.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod check;
pub mod cli;
pub mod config;
pub mod ending;
pub mod error;
pub mod install;
pub mod logging;
pub mod logout;
pub mod observer;
pub mod process;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
pub mod remedy;
pub mod run;
pub mod secrets;
pub mod sink;
pub mod steps;
pub mod watch;
