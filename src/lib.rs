//! Starts an application with one Vault path's secrets in its environment.

pub mod sink;
