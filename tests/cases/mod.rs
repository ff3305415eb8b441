//! What is tested, a file for each subject.

mod conformance;
mod harness;
mod log;
mod logins;
mod refusals;
mod values;
