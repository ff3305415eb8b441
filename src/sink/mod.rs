//! Where the variables go.

pub mod file;
pub mod format;
