//! What is tested, a file for each subject.

mod check;
mod check_faults;
mod conformance;
mod documents;
mod env_file;
mod env_file_faults;
mod file;
mod file_faults;
mod formats;
mod harness;
mod install;
mod install_program;
mod manual;
