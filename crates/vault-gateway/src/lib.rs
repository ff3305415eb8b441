//! Secrets of HashiCorp Vault and OpenBao over HTTP, for callers with a JWT.
//!
//! The library of the program `vault-gateway`. It is a crate of its own for its tests and has no promise of stability.

#![forbid(unsafe_code)]

pub mod action;
pub mod api;
pub mod audit;
pub mod cache;
pub mod check;
pub mod claims;
pub mod cli;
pub mod config;
pub mod ended;
pub mod explain;
pub mod jwt;
pub mod limits;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod ops;
pub mod output;
pub mod path;
pub mod problem;
pub mod reload;
pub mod route;
pub mod rules;
pub mod run;
pub mod schema;
pub mod state;
pub mod upstream;
