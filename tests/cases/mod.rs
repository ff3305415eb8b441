//! What is tested, a file for each subject.

mod conformance;
mod documents;
mod file;
mod file_faults;
mod formats;
mod harness;
mod install;
