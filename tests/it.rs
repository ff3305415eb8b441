//! The integration tests: one binary, so that all of them share one real server.

mod cases;
mod support;
