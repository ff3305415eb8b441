//! The login of a person, in a browser, at the provider that the server trusts.

mod browser;
mod cache;
mod callback;
mod listen;

pub use cache::cache_folder;
pub use listen::Listen;
