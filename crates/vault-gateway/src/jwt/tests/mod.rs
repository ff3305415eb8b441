//! Whole tokens against a whole verifier.

mod attacks;
mod fetches;
pub mod forge;
mod issuers;
