//! What is tested, a file for each subject.

mod conformance;
mod exec;
mod files;
mod harness;
mod log;
mod logins;
mod readiness;
mod refusals;
mod tls;
mod usage;
mod values;
