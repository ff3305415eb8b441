//! What is tested, a file for each subject.

mod conformance;
mod credentials;
mod documents;
mod exec;
mod faults;
mod file;
mod file_faults;
mod formats;
mod harness;
mod install;
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
