//! Where the variables go.

pub mod format;
