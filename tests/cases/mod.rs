//! What is tested, a file for each subject.

mod conformance;
mod exec;
mod faults;
mod files;
mod harness;
mod limits;
mod log;
mod logins;
mod names;
mod readiness;
mod refusals;
mod signals;
mod tls;
mod usage;
mod values;
