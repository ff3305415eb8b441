//! Starts an application with one Vault path's secrets in its environment.

pub mod install;
pub mod sink;
