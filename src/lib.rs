//! Starts an application with one Vault path's secrets in its environment.
pub mod check;
pub mod cli;
pub mod config;
pub mod error;
pub mod install;
pub mod json;
pub mod logging;
pub mod process;
pub mod report;
pub mod run;
pub mod secret;
pub mod secrets;
pub mod sink;
pub mod text;
pub mod vault;
