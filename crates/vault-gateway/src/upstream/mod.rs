//! Vault, for each tenant with its own client, login and token. Async on top of the synchronous client: each call is made
//! on the blocking pool.
//!
//! [`Tenants`] are all of them, [`Upstream`] is one. Reads go through the cache. A read whose callers have left is
//! cancelled; a write goes on.

mod asking;
mod cause;
mod changes;
mod counted;
mod gate;
mod identity;
mod judge;
mod reads;
mod secret;
mod tenants;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use vault_client::VaultClient;

use crate::cache::{Lookup, Place};
use crate::config::Tenant;
use crate::problem::Problem;
pub use counted::{Counted, Uncounted};
use gate::Gate;
use identity::Identity;
pub use secret::{Secret, tag};
pub use tenants::{Setup, Tenants};

/// How a secret is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Past the cache. What comes of it is kept.
    pub refresh: bool,
    /// The id of the request, which Vault's audit log can show.
    pub id: &'a str,
}

/// What a read has come to.
#[derive(Debug)]
pub struct Looked {
    /// The secret; its [`read`](Secret::read) is the instant that its age counts from.
    pub result: Result<Arc<Secret>, Problem>,
    /// Where it comes from.
    pub lookup: Lookup,
}

/// The latest version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its number; 0 where nothing was ever written.
    pub version: u64,
    /// Whether it can be read: it was neither deleted nor destroyed.
    pub is_readable: bool,
}

impl Current {
    /// Its number, where it can be read.
    pub fn readable(&self) -> Option<u64> {
        Some(self.version).filter(|_| self.is_readable)
    }
}

/// Vault for one tenant.
pub struct Upstream {
    tenant: Arc<Tenant>,
    client: VaultClient,
    identity: Arc<Identity>,
    gate: Gate,
    place: Place<Secret>,
    counted: Arc<dyn Counted + Send + Sync>,
    limits: Bounds,
}

/// What of the configuration, beside the tenant, a client is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// A whole request.
    request: Duration,
    /// How many are under way.
    most: usize,
}

impl Upstream {
    /// The tenant.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The path in the mount: the tenant's prefix and `path`. Either may be empty.
    pub fn full<'a>(&'a self, path: &'a str) -> Cow<'a, str> {
        match (&*self.tenant.prefix, path) {
            ("", path) => path.into(),
            (prefix, "") => prefix.into(),
            (prefix, path) => [prefix, path].join("/").into(),
        }
    }
}
