//! A mount of a namespace: the generations of its paths, and what is kept of each.
//!
//! A path is known as long as it is being read, or something of it may be kept. What is not known has nothing to lose: a
//! write of it is no work here. So the memory for it is that of the reads under way and of the entries, and a path that
//! is purged costs no other path anything.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::Equivalent;

/// How many locks there are.
const STRIPES: usize = 256;

/// So many keys of a stripe are noted before those are looked for whose entries are gone.
const SWEEP: usize = 16;

/// What an entry is found by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub realm: usize,
    pub path: Arc<str>,
    pub version: Option<u64>,
    pub generation: u64,
}

/// The same, for a look that allocates nothing. It hashes as the key does: the same fields in the same order.
#[derive(Hash)]
pub(super) struct Spot<'a> {
    pub realm: usize,
    pub path: &'a str,
    pub version: Option<u64>,
    pub generation: u64,
}

impl Equivalent<Key> for Spot<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let numbers = (self.realm, self.version, self.generation);
        numbers == (key.realm, key.version, key.generation) && *self.path == *key.path
    }
}

/// A mount of a namespace.
pub(super) struct Realm {
    pub id: usize,
    namespace: String,
    mount: String,
    hasher: RandomState,
    stripes: Vec<Mutex<Stripe>>,
}

/// The paths whose hashes fall into it.
#[derive(Default)]
struct Stripe {
    paths: HashMap<Arc<str>, Known>,
    /// The last generation of any of them. None comes twice: a path that is forgotten and known again has a new one.
    last: u64,
    /// How many keys are noted.
    noted: usize,
    /// At so many, those are taken out whose entries are gone.
    sweep_at: usize,
}

/// What is known of a path.
struct Known {
    generation: u64,
    /// How many read it, or wait for a read of it.
    readers: usize,
    /// Whether its latest version, or the absence of that, may be kept.
    latest: bool,
    /// The versions that may be kept, beside the latest one.
    versions: BTreeSet<u64>,
}

/// Somebody reads a path, or waits for a read of it: its generation is not forgotten.
#[must_use]
pub(super) struct Reading {
    realm: Arc<Realm>,
    path: Arc<str>,
    generation: u64,
}

impl Reading {
    /// What comes of the read is kept by this key.
    pub(super) fn key(&self, version: Option<u64>) -> Key {
        Key { realm: self.realm.id, path: Arc::clone(&self.path), version, generation: self.generation }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut stripe = self.realm.stripe(&self.path);
        let Some(known) = stripe.paths.get_mut(&self.path) else { return };
        known.readers -= 1;
        if known.is_idle() {
            stripe.paths.remove(&self.path);
        }
    }
}

impl Realm {
    pub(super) fn new(id: usize, namespace: &str, mount: &str) -> Self {
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        Self { id, namespace: namespace.to_owned(), mount: mount.to_owned(), hasher: RandomState::new(), stripes }
    }

    pub(super) fn is(&self, namespace: &str, mount: &str) -> bool {
        self.namespace == namespace && self.mount == mount
    }

    /// The generation that `path` is in; `None` where it is not known, and nothing of it is kept.
    pub(super) fn generation(&self, path: &str) -> Option<u64> {
        self.stripe(path).paths.get(path).map(|known| known.generation)
    }

    /// Whether `key` is of the generation that its path is in.
    pub(super) fn is_current(&self, key: &Key) -> bool {
        self.generation(&key.path) == Some(key.generation)
    }

    /// Begins a read of `path`, in the generation that it is in.
    pub(super) fn begin_read(self: &Arc<Self>, path: &str) -> Reading {
        let mut stripe = self.stripe(path);
        let next = stripe.last + 1;
        let (path, generation) = match stripe.paths.entry(path.into()) {
            Entry::Occupied(mut known) => {
                known.get_mut().readers += 1;
                (Arc::clone(known.key()), known.get().generation)
            }
            Entry::Vacant(unknown) => {
                let path = Arc::clone(unknown.key());
                unknown.insert(Known { generation: next, readers: 1, latest: false, versions: BTreeSet::new() });
                stripe.last = next;
                (path, next)
            }
        };
        drop(stripe);
        Reading { realm: Arc::clone(self), path, generation }
    }

    /// Begins a new generation of `path`. Returns the keys of the one before, which nobody asks for any more.
    pub(super) fn begin_anew(&self, path: &str) -> Vec<Key> {
        let mut stripe = self.stripe(path);
        let stripe = &mut *stripe;
        let Some((path, known)) = stripe.paths.get_key_value(path) else { return Vec::new() };
        let path = Arc::clone(path);
        let key = |version| Key { realm: self.id, path: Arc::clone(&path), version, generation: known.generation };
        let keys: Vec<_> = known.kept().map(key).collect();
        stripe.noted -= keys.len();
        stripe.last += 1;
        if known.readers == 0 {
            stripe.paths.remove(&path);
        } else if let Some(known) = stripe.paths.get_mut(&path) {
            (known.generation, known.latest) = (stripe.last, false);
            known.versions.clear();
        }
        keys
    }

    /// Notes that something is about to be kept by `key`, in the course of a read. Returns false where the generation of
    /// its path is another one by now. `is_there` says whether something is kept for keys that were noted before.
    pub(super) fn note(&self, key: &Key, is_there: impl Fn(&Spot) -> bool) -> bool {
        let mut stripe = self.stripe(&key.path);
        if stripe.noted >= stripe.sweep_at.max(SWEEP) {
            stripe.sweep(self.id, is_there);
        }
        let Some(known) = stripe.paths.get_mut(&key.path).filter(|known| known.generation == key.generation) else {
            return false;
        };
        let is_new = match key.version {
            None => !std::mem::replace(&mut known.latest, true),
            Some(version) => known.versions.insert(version),
        };
        stripe.noted += usize::from(is_new);
        true
    }

    /// A poisoned lock only means that a panic is under way; nothing here is half-changed then.
    fn stripe(&self, path: &str) -> MutexGuard<'_, Stripe> {
        #[allow(clippy::cast_possible_truncation, reason = "the lower bits are as good")]
        let at = self.hasher.hash_one(path) as usize % STRIPES;
        self.stripes[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stripe {
    /// Forgets what is gone. What is being read stays: it may be kept in a moment.
    fn sweep(&mut self, realm: usize, is_there: impl Fn(&Spot) -> bool) {
        self.noted = 0;
        self.paths.retain(|path, known| {
            if known.readers == 0 {
                let generation = known.generation;
                let is_there = |version| is_there(&Spot { realm, path, version, generation });
                known.latest = known.latest && is_there(None);
                known.versions.retain(|version| is_there(Some(*version)));
            }
            self.noted += known.noted();
            !known.is_idle()
        });
        self.paths.shrink_to(2 * self.paths.len());
        self.sweep_at = 2 * self.noted;
    }
}

impl Known {
    fn noted(&self) -> usize {
        usize::from(self.latest) + self.versions.len()
    }

    fn is_idle(&self) -> bool {
        self.readers == 0 && self.noted() == 0
    }

    /// The versions of which something may be kept.
    fn kept(&self) -> impl Iterator<Item = Option<u64>> {
        self.latest.then_some(None).into_iter().chain(self.versions.iter().copied().map(Some))
    }
}

#[cfg(test)]
impl Realm {
    /// How many paths are known, and how many keys are noted.
    pub(super) fn size(&self) -> (usize, usize) {
        let stripes = self.stripes.iter().map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner));
        stripes.fold((0, 0), |(paths, noted), stripe| (paths + stripe.paths.len(), noted + stripe.noted))
    }
}
