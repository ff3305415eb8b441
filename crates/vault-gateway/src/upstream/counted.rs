//! Who counts what is asked of Vault and of the cache.

use std::time::Duration;

use crate::cache::Lookup;

/// Counts what is asked of Vault and of the cache. It is called on the thread that asks, and must not block.
pub trait Counted {
    /// Vault was asked. `operation` is one of `read metadata write delete undelete destroy list renew login`; `result` is
    /// `ok`, `cancelled` or the word of a problem's kind.
    fn upstream(&self, operation: &'static str, result: &'static str, tenant: &str, took: Duration);

    /// The cache was asked.
    fn cache(&self, lookup: Lookup, tenant: &str);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncounted;

impl Counted for Uncounted {
    fn upstream(&self, _: &'static str, _: &'static str, _: &str, _: Duration) {}

    fn cache(&self, _: Lookup, _: &str) {}
}
