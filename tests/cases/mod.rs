//! What is tested, a file for each subject.

mod conformance;
mod harness;
