//! What was read from Vault, for a short time. [`Cache`] is shared by all tenants; [`Place`] is one tenant's way to it.
//!
//! A value is found by namespace, mount, path in the mount and the version asked for. Tenants, callers and tokens are no
//! part of that: rules are asked before the cache. Three things keep an old value from being served:
//!
//! - A path has a generation, which each write changes before it is sent and after its answer, and each refusal of Vault's
//!   policies. It is part of the key: a read that began before a write stores where nobody looks any more. No other path
//!   loses anything by that.
//! - A value belongs to the identity that has read it ([`Owner`]). Where that is lost, its values are gone at once.
//! - A value has the time when its read began. Beyond `ttl` from then on it is served only while Vault is away, and only
//!   as long as `stale_if_error` says.
//!
//! Callers who ask for the same at once share one read. It goes on as long as one of them waits, whoever began it. This
//! is why `try_get_with` of moka does not do: where the first caller leaves, it begins the read of another anew; and it
//! cannot keep the value in hand that is served where a new read fails.

mod entry;
mod flight;
mod realm;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt};
use moka::ops::compute::Op;

use crate::config::CacheLimits;
use crate::problem::Problem;
use entry::{Entry, Life};
pub use entry::{Found, Owner, Weighed};
use flight::Flights;
use realm::{Key, Realm, Spot};

/// What a look into the cache came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// It was there.
    Hit,
    /// It was not there; Vault was asked.
    Miss,
    /// It was there and too old; Vault is away.
    Stale,
    /// The cache was not asked: it is off, or the caller wants to read past it.
    Bypass,
}

impl Lookup {
    /// Its word in the audit log and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Bypass => "bypass",
        }
    }
}

/// Why Vault was asked and gave neither a value nor an absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the caller is told.
    pub problem: Problem,
    /// Vault is away or sealed: a value that is too old may be served.
    pub away: bool,
    /// Vault refuses the path: what is known of it has to go.
    pub denied: bool,
}

impl From<Problem> for Failure {
    /// A failure that says nothing of Vault or of the path.
    fn from(problem: Problem) -> Self {
        Self { problem, away: false, denied: false }
    }
}

/// How much the cache holds. Both lag behind by a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Values and absences.
    pub entries: u64,
    /// The bytes that they are counted with.
    pub bytes: u64,
}

type Stored<V> = Arc<Entry<V>>;
/// The failure of a read that several wait for, and whose identity has failed.
type Outcome<V> = Result<Stored<V>, (Failure, Arc<Owner>)>;

/// What was read, by place, path and version.
pub struct Cache<V> {
    entries: moka::future::Cache<Key, Stored<V>>,
    flights: Flights<Outcome<V>>,
    /// Shared with the caches before and after: a write that began with one of them is a write for all.
    realms: Arc<Mutex<Vec<Arc<Realm>>>>,
    limits: CacheLimits,
}

impl<V: Weighed + Send + Sync + 'static> Cache<V> {
    /// An empty one with these limits, in the place of `before`, whose writes under way count for this one too.
    pub fn new(limits: CacheLimits, before: Option<&Self>) -> Self {
        let entries = moka::future::Cache::builder()
            .max_capacity(limits.max_bytes)
            .weigher(|key: &Key, entry: &Stored<V>| entry.weight(key.path.len()))
            .expire_after(Life(limits))
            .build();
        let realms = before.map_or_else(Arc::default, |before| Arc::clone(&before.realms));
        Self { entries, flights: Flights::default(), realms, limits }
    }

    /// Its limits.
    pub fn limits(&self) -> CacheLimits {
        self.limits
    }

    /// How much it holds.
    pub fn stats(&self) -> Stats {
        Stats { entries: self.entries.entry_count(), bytes: self.entries.weighted_size() }
    }

    /// Frees the memory of what is too old, or belongs to a lost identity. Without it that goes only while others use the
    /// cache.
    pub async fn tidy(&self) {
        let lost: Vec<_> = self.entries.iter().filter(|(_, entry)| !entry.is_kept()).map(|(key, _)| key).collect();
        for key in lost {
            self.entries.invalidate(&*key).await;
        }
        self.entries.run_pending_tasks().await;
    }

    /// The mount of a namespace; the same one for the same names.
    fn realm(&self, namespace: &str, mount: &str) -> Arc<Realm> {
        let mut realms = self.realms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = realms.iter().find(|realm| realm.is(namespace, mount)) {
            return Arc::clone(known);
        }
        let realm = Arc::new(Realm::new(realms.len(), namespace, mount));
        realms.push(Arc::clone(&realm));
        realm
    }

    async fn purge(&self, realm: &Realm, path: &str) {
        for key in realm.begin_anew(path) {
            self.entries.invalidate(&key).await;
        }
    }

    /// Keeps `entry`, unless what is there was read later. What may not be kept takes the place of what is there too.
    async fn store(&self, realm: &Realm, key: Key, entry: &Stored<V>) {
        let may_be_kept = !entry.life(&self.limits).is_zero();
        let is_current = if may_be_kept {
            realm.note(&key, |noted| self.entries.contains_key(noted))
        } else {
            realm.is_current(&key)
        };
        if !is_current {
            return;
        }
        let new = Arc::clone(entry);
        let decide = |there: Option<moka::Entry<Key, Stored<V>>>| {
            let is_later = there.is_some_and(|there| there.value().is_kept() && there.value().read() > new.read());
            std::future::ready(match (is_later, may_be_kept) {
                (true, _) => Op::Nop,
                (false, true) => Op::Put(new),
                (false, false) => Op::Remove,
            })
        };
        self.entries.entry(key.clone()).and_compute_with(decide).await;
        // A purge between the two looks has found nothing to take out.
        if !realm.is_current(&key) {
            self.entries.invalidate(&key).await;
        }
    }
}

/// One tenant's way to the cache: the mount that it reads, with its identity.
pub struct Place<V> {
    cache: Arc<Cache<V>>,
    realm: Arc<Realm>,
    owner: Arc<Owner>,
}

impl<V> Clone for Place<V> {
    fn clone(&self) -> Self {
        Self { cache: Arc::clone(&self.cache), realm: Arc::clone(&self.realm), owner: Arc::clone(&self.owner) }
    }
}

impl<V: Weighed + Send + Sync + 'static> Place<V> {
    /// The way of `owner` to `mount` of `namespace`.
    pub fn new(cache: &Arc<Cache<V>>, namespace: &str, mount: &str, owner: &Arc<Owner>) -> Self {
        Self { cache: Arc::clone(cache), realm: cache.realm(namespace, mount), owner: Arc::clone(owner) }
    }

    /// The cache that it leads to.
    pub fn cache(&self) -> &Arc<Cache<V>> {
        &self.cache
    }

    /// What is at `path` of the mount, which is the whole one in Vault: from the cache, or by the read that `begin` makes.
    /// `refresh` reads in any case, and keeps what comes of it. With the value comes the time when its read began.
    pub async fn look_up<F>(
        &self,
        path: &str,
        version: Option<u64>,
        refresh: bool,
        begin: impl FnOnce() -> F,
    ) -> (Result<(Found<V>, Instant), Failure>, Lookup)
    where
        F: Future<Output = Result<Found<V>, Failure>> + Send + 'static,
    {
        let is_off = self.cache.limits.ttl.is_zero();
        if is_off || refresh {
            let reading = (!is_off).then(|| self.realm.begin_read(path));
            let key = reading.as_ref().map(|it| it.key(version));
            // In a box here and below, so that the future of a hit, the most frequent one, is small.
            let done = Box::pin(self.clone().read(key, begin().boxed())).await;
            return (told(done), Lookup::Bypass);
        }
        let held = self.held(path, version).await;
        if let Some(entry) = held.as_ref().filter(|entry| entry.is_fresh(&self.cache.limits)) {
            return (Ok(entry.said()), Lookup::Hit);
        }
        let reading = self.realm.begin_read(path);
        match told(Box::pin(self.share(reading.key(version), begin)).await) {
            Err(failure) if failure.away => match held.filter(|entry| self.may_be_stale(entry)) {
                Some(entry) => (Ok(entry.said()), Lookup::Stale),
                None => (Err(failure), Lookup::Miss),
            },
            done => (done, Lookup::Miss),
        }
    }

    /// What is kept, and may be served to the owner unless it is too old.
    async fn held(&self, path: &str, version: Option<u64>) -> Option<Stored<V>> {
        let generation = self.realm.generation(path)?;
        let spot = Spot { realm: self.realm.id, path, version, generation };
        self.cache.entries.get(&spot).await.filter(|entry| entry.serves(&self.owner))
    }

    /// Whether `entry` may be served though no new read succeeds.
    fn may_be_stale(&self, entry: &Entry<V>) -> bool {
        let longest = self.cache.limits.ttl.saturating_add(self.cache.limits.stale_if_error);
        entry.is_present() && entry.serves(&self.owner) && entry.age() < longest
    }

    /// One read for all who ask for `key` at once.
    async fn share<B, F>(&self, key: Key, begin: B) -> Outcome<V>
    where
        B: FnOnce() -> F,
        F: Future<Output = Result<Found<V>, Failure>> + Send + 'static,
    {
        let make = |begin: B| self.clone().lead(key.clone(), begin().boxed());
        let (flight, unused) = self.cache.flights.join(&key, begin, make);
        match (flight.await, unused) {
            // Another identity was refused, which says nothing of this one.
            (Err((_, owner)), Some(begin)) if !Arc::ptr_eq(&owner, &self.owner) => {
                Box::pin(self.clone().read(Some(key), begin().boxed())).await
            }
            (done, _) => done,
        }
    }

    /// The read that others share.
    fn lead(self, key: Key, read: BoxFuture<'static, Result<Found<V>, Failure>>) -> BoxFuture<'static, Outcome<V>> {
        let lead = async move {
            // A read before this one may have ended since the caller looked.
            let limits = self.cache.limits;
            let held = self.cache.entries.get(&key).await;
            match held.filter(|entry| entry.serves(&self.owner) && entry.is_fresh(&limits)) {
                Some(held) => Ok(held),
                None => self.read(Some(key), read).await,
            }
        };
        lead.boxed()
    }

    /// Reads, and keeps what comes of it where there is a `key` to keep it by.
    async fn read(self, key: Option<Key>, read: BoxFuture<'static, Result<Found<V>, Failure>>) -> Outcome<V> {
        let (began, epoch) = (Instant::now(), self.owner.epoch());
        match read.await {
            Ok(found) => {
                let entry = Arc::new(Entry::new(found, began, Arc::clone(&self.owner), epoch));
                if let Some(key) = key {
                    self.cache.store(&self.realm, key, &entry).await;
                }
                Ok(entry)
            }
            Err(failure) => {
                if let Some(key) = key.filter(|_| failure.denied) {
                    self.purge(&key.path).await;
                }
                Err((failure, self.owner))
            }
        }
    }

    /// Forgets every version of `path`, and that nothing is there. Reads that have begun before leave nothing behind.
    pub async fn purge(&self, path: &str) {
        self.cache.purge(&self.realm, path).await;
    }

    /// Forgets everything that the identity has read, at once, and keeps nothing that it reads from now on.
    pub fn end(&self) {
        self.owner.end();
    }
}

fn told<V: Weighed>(outcome: Outcome<V>) -> Result<(Found<V>, Instant), Failure> {
    outcome.map(|entry| entry.said()).map_err(|(failure, _)| failure)
}
