//! Where the variables go. Knows nothing of Vault.

pub mod exec;
