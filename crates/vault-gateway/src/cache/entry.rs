//! What is kept of a read, and how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::realm::Key;
use super::{CacheLimits, Problem};

/// What an entry takes beside its path and its value, about.
const OVERHEAD: usize = 256;

/// Something that takes memory.
pub trait Weighed {
    /// How many bytes.
    fn bytes(&self) -> usize;
}

/// What a read has found.
#[derive(Debug)]
pub enum Found<V> {
    /// A value.
    Present(Arc<V>),
    /// Nothing; with what the caller is told.
    Absent(Problem),
}

impl<V> Clone for Found<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Present(value) => Self::Present(Arc::clone(value)),
            Self::Absent(problem) => Self::Absent(problem.clone()),
        }
    }
}

/// An identity at Vault, which has read what is kept.
#[derive(Debug)]
pub struct Owner {
    tenant: String,
    /// How often it was lost.
    epoch: AtomicU64,
    /// Whether it is no more.
    has_ended: AtomicBool,
}

impl Owner {
    /// The identity of this tenant.
    pub fn new(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), epoch: AtomicU64::new(0), has_ended: AtomicBool::new(false) }
    }

    /// Whose it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Forgets everything that it has read, and what it is reading now.
    pub fn lose(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// The same, and what it reads from now on is kept for nobody.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.lose();
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }
}

/// What is kept of a read.
pub(super) struct Entry<V> {
    found: Found<V>,
    /// When the read began.
    read: Instant,
    owner: Arc<Owner>,
    /// The owner's epoch when the read began.
    epoch: u64,
}

impl<V: Weighed> Entry<V> {
    pub(super) fn new(found: Found<V>, read: Instant, owner: Arc<Owner>, epoch: u64) -> Self {
        Self { found, read, owner, epoch }
    }

    pub(super) fn said(&self) -> (Found<V>, Instant) {
        (self.found.clone(), self.read)
    }

    pub(super) fn read(&self) -> Instant {
        self.read
    }

    pub(super) fn age(&self) -> Duration {
        self.read.elapsed()
    }

    pub(super) fn is_present(&self) -> bool {
        matches!(self.found, Found::Present(_))
    }

    /// Whether the identity that has read it was not lost since.
    pub(super) fn is_kept(&self) -> bool {
        self.epoch == self.owner.epoch() && !self.owner.has_ended.load(Ordering::SeqCst)
    }

    /// Whether it may be served to `owner`. What an earlier identity of the same tenant has read may not.
    pub(super) fn serves(&self, owner: &Arc<Owner>) -> bool {
        self.is_kept() && (Arc::ptr_eq(&self.owner, owner) || self.owner.tenant != owner.tenant)
    }

    pub(super) fn is_fresh(&self, limits: &CacheLimits) -> bool {
        let longest = if self.is_present() { limits.ttl } else { limits.negative_ttl };
        self.age() < longest
    }

    /// How long it may stay in memory.
    pub(super) fn life(&self, limits: &CacheLimits) -> Duration {
        if self.is_present() { limits.ttl.saturating_add(limits.stale_if_error) } else { limits.negative_ttl }
    }

    /// What it is counted with, beside a path of this length.
    pub(super) fn weight(&self, path: usize) -> u32 {
        let value = match &self.found {
            Found::Present(value) => value.bytes(),
            Found::Absent(_) => 0,
        };
        u32::try_from(OVERHEAD + path + value).unwrap_or(u32::MAX)
    }
}

/// Ends entries after their life.
pub(super) struct Life(pub CacheLimits);

impl<V: Weighed> moka::Expiry<Key, Arc<Entry<V>>> for Life {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Entry<V>>, _: Instant) -> Option<Duration> {
        Some(entry.life(&self.0))
    }

    fn expire_after_update(&self, _: &Key, entry: &Arc<Entry<V>>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.life(&self.0))
    }
}
