//! Starts an application with one Vault path's secrets in its environment.
pub mod error;
pub mod json;
pub mod process;
pub mod secret;
pub mod secrets;
pub mod sink;
pub mod vault;
