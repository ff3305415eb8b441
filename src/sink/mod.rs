//! Where the variables go. Knows nothing of Vault.

pub mod exec;
pub mod file;
pub mod format;
