//! Many secrets of a mount behind one handle.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Every, Health, Watched};
use crate::client::VaultClient;
use crate::error::VaultError;
#[cfg(doc)]
use crate::fault::ErrorKind;
use crate::fault::{SettingFaults, Shape};
use crate::kv::{Kv, KvData};
use crate::secret::Secret;
use crate::settings::{FaultKind, ProcessEnv, Reader, SettingFault, TABLE, setting};

/// The secrets of a mount, each read when it is first asked for, and kept current from then on. Clones are cheap and are one
/// and the same.
///
/// # Examples
///
/// ```no_run
/// use vault_client::watch::{Every, Secrets};
///
/// let secrets = Secrets::from_env("kv", Every::seconds(300))?.with_every("shop/", Every::seconds(60));
/// let password = secrets.get("shop/database", "password")?;
/// # drop(password);
/// # Ok::<(), vault_client::VaultError>(())
/// ```
#[derive(Clone)]
pub struct Secrets {
    kv: Option<Kv>,
    every: Every,
    /// Intervals by the beginning of a path, the longest first.
    by_prefix: Vec<(String, Every)>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    slots: Mutex<BTreeMap<String, Slot>>,
    /// A read has ended.
    ended: Condvar,
    changes: Arc<AtomicU64>,
}

enum Slot {
    /// One thread reads it; others wait for how that ends.
    Reading(Arc<Reading>),
    Watched(Watched),
}

/// How a first read has ended; `None` as long as it has not.
type Reading = Mutex<Option<Result<Watched, VaultError>>>;

impl Secrets {
    /// Those of `kv`, read again so often.
    pub fn new(kv: Kv, every: Every) -> Self {
        Self { kv: Some(kv), every, by_prefix: Vec::new(), shared: Arc::default() }
    }

    /// Those of nothing: each [`get`](Self::get) fails with [`ErrorKind::Settings`].
    pub fn without_vault(every: Every) -> Self {
        Self { kv: None, every, by_prefix: Vec::new(), shared: Arc::default() }
    }

    /// Those of `mount` with the settings of the environment, as [`VaultClient::from_env`] has it; where VAULT_ADDR is unset,
    /// those [without Vault](Self::without_vault).
    ///
    /// # Errors
    ///
    /// As for [`VaultClient::from_env`].
    pub fn from_env(mount: &str, every: Every) -> Result<Self, VaultError> {
        let environment = ProcessEnv::now();
        let has_vault = Reader::new(&environment, &TABLE).find(&setting::ADDR).is_some();
        if has_vault {
            Ok(Self::new(VaultClient::from_env()?.kv(mount), every))
        } else {
            Ok(Self::without_vault(every))
        }
    }

    /// The same, where paths that begin with `prefix` are read again so often. The longest prefix counts. It holds for paths
    /// that nobody has asked for yet.
    #[must_use]
    pub fn with_every(mut self, prefix: &str, every: Every) -> Self {
        self.by_prefix.push((prefix.trim_start_matches('/').to_owned(), every));
        self.by_prefix.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        self
    }

    /// The value under `key` at `path`: a text as it is, anything else as JSON. Read at the first call for `path`, which callers
    /// at the same time share, and from memory later.
    ///
    /// # Errors
    ///
    /// As for [`Kv::read`] at the first call, which the next call tries again; [`ErrorKind::Shape`] where there is no such key;
    /// [`ErrorKind::Settings`] without Vault.
    pub fn get(&self, path: &str, key: &str) -> Result<Secret, VaultError> {
        let data = self.read(path)?;
        let field = data.data.get(key).ok_or_else(|| data.shape(Shape::Missing(crate::text::name(key))))?;
        Ok(field.text().map_or_else(|| field.json(), Secret::new))
    }

    /// All of the secret at `path`.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get), of the path.
    pub fn read(&self, path: &str) -> Result<Arc<KvData>, VaultError> {
        Ok(self.watched(path)?.current())
    }

    /// How the secret at `path` is doing; `None` where nobody has asked for it yet, or its first read failed.
    pub fn health(&self, path: &str) -> Option<Health> {
        match self.shared.lock().get(path.trim_matches('/'))? {
            Slot::Watched(watched) => Some(watched.health()),
            Slot::Reading(_) => None,
        }
    }

    /// How many changes of any of the secrets there were. What is made of several of them is made anew when this has grown.
    pub fn version(&self) -> u64 {
        self.shared.changes.load(Ordering::Relaxed)
    }

    fn watched(&self, path: &str) -> Result<Watched, VaultError> {
        let kv = self.kv.as_ref().ok_or_else(no_vault)?;
        let path = path.trim_matches('/');
        let reading = loop {
            let mut slots = self.shared.lock();
            match slots.get(path) {
                Some(Slot::Watched(watched)) => return Ok(watched.clone()),
                Some(Slot::Reading(reading)) => {
                    let reading = Arc::clone(reading);
                    if let Some(read) = self.shared.await_end(slots, path, &reading) {
                        return read;
                    }
                }
                None => {
                    let reading = Arc::new(Reading::default());
                    slots.insert(path.to_owned(), Slot::Reading(Arc::clone(&reading)));
                    break reading;
                }
            }
        };
        // Whatever ends the read, a panic of an observer too, wakes those who wait for it.
        let ending = Ending { shared: &self.shared, path, reading: &reading };
        let every =
            self.by_prefix.iter().find(|(prefix, _)| path.starts_with(prefix.as_str())).map_or(self.every, |it| it.1);
        let read = kv.watch_counted(path, every, &self.shared.changes);
        *lock(&reading) = Some(read.clone());
        drop(ending);
        read
    }
}

/// A first read under way.
struct Ending<'a> {
    shared: &'a Shared,
    path: &'a str,
    reading: &'a Reading,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut slots = self.shared.lock();
        match &*lock(self.reading) {
            Some(Ok(watched)) => slots.insert(self.path.to_owned(), Slot::Watched(watched.clone())),
            _ => slots.remove(self.path),
        };
        self.shared.ended.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        lock(&self.slots)
    }

    /// Waits for the end of a read of another thread; `None` where that thread has panicked.
    fn await_end(
        &self,
        slots: MutexGuard<'_, BTreeMap<String, Slot>>,
        path: &str,
        reading: &Arc<Reading>,
    ) -> Option<Result<Watched, VaultError>> {
        let is_under_way = |slots: &mut BTreeMap<String, Slot>| {
            slots.get(path).is_some_and(|slot| matches!(slot, Slot::Reading(it) if Arc::ptr_eq(it, reading)))
        };
        drop(self.ended.wait_while(slots, is_under_way).unwrap_or_else(PoisonError::into_inner));
        lock(reading).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// There is no Vault to ask.
pub(super) fn no_vault() -> VaultError {
    let cause = "unset, so that there is no Vault to ask; set it to Vault's https:// URL".to_owned();
    let fault = SettingFault { name: setting::ADDR.name.into(), held: None, kind: FaultKind::Unset, cause };
    VaultError::of_settings(SettingFaults(vec![fault]))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("kv", &self.kv).field("every", &self.every).finish_non_exhaustive()
    }
}
