//! What is tested, a file for each subject.

mod check;
mod check_faults;
mod conformance;
mod credentials;
mod documents;
mod env_file;
mod env_file_faults;
mod exec;
mod faults;
mod file;
mod file_faults;
mod formats;
mod harness;
mod install;
mod install_program;
mod limits;
mod log;
mod logins;
mod manual;
mod names;
mod readiness;
mod refusals;
mod signals;
mod tls;
mod usage;
mod values;
