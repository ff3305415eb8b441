//! Secrets that stay current: each is read again in the background, and swapped in one step when it has changed.
//!
//! One thread of a client does it for all of them. A read that fails leaves the last good value in hand, and is tried again
//! at the next interval and not before. The reads use the kept token and never log in along with the read.
//!
//! | type | is for |
//! |---|---|
//! | [`Watched`] | one secret |
//! | [`Secrets`] | many secrets, read when they are first asked for |
//! | [`AgentToken`] | the token of an agent, which is rotated while it runs |
//!
//! Each change and each state of failure is told to the client's [`Observer`](crate::Observer), as an [`Audit`].

mod agent_token;
mod changes;
mod entry;
mod health;
mod kept;
mod plan;
mod record;
mod secrets;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub use crate::audit::{Audit, Outcome};
use crate::client::VaultClient;
use crate::error::VaultError;
use crate::fault::{Shape, What};
use crate::kv::{Kv, KvData, Location, Version};
use crate::text::{name, shown};
use crate::time::since_boot;
pub use agent_token::{AgentToken, Source};
pub use changes::Changes;
use entry::{Entry, Plan, Read, Subject};
pub use health::{Health, HealthStatus};
pub use kept::{Kept, Mark};
#[cfg(feature = "plans")]
#[doc(hidden)]
pub use plan::Cycle;
pub use plan::Every;
pub use secrets::Secrets;

/// A secret that stays current; made by [`Kv::watch`]. Clones are cheap and are one and the same. It is read again as long as
/// a clone is there and the client is not closed.
///
/// # Examples
///
/// ```no_run
/// use vault_client::VaultClient;
/// use vault_client::watch::Every;
///
/// let vault = VaultClient::from_env()?;
/// let database = vault.kv("kv").watch("shop/database", Every::seconds(60))?;
/// let now = database.current();
/// println!("version {} with {} keys", now.metadata.version, now.data.len());
/// for change in database.changes() {
///     println!("version {}", change.metadata.version);
/// }
/// # Ok::<(), vault_client::VaultError>(())
/// ```
pub struct Watched<T = KvData>(Arc<Entry<T>>);

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Kept> Watched<T> {
    /// Begins to watch, with what was read first or stands for it.
    fn begin(plan: Plan<T>, (first, sent): (T, Duration), failed: Option<VaultError>) -> Result<Self, VaultError> {
        let rounds = Arc::clone(&plan.rounds);
        let entry = Entry::new(plan, first, sent, failed.clone());
        if let Some(error) = failed {
            entry.tell_failing(&error, since_boot());
        }
        rounds.add(&entry).map_err(|error| entry.error(What::Exhausted(error.to_string())))?;
        Ok(Self(entry))
    }

    /// The value in hand. It never waits and never fails.
    pub fn current(&self) -> Arc<T> {
        self.0.current()
    }

    /// The value before the one in hand, if it was in hand within this time; `None` before the first change.
    pub fn previous(&self, within: Duration) -> Option<Arc<T>> {
        self.0.both(within).1
    }

    /// The value in hand and the [previous](Self::previous) one, of one moment: no change can come between.
    pub fn accepted(&self, within: Duration) -> (Arc<T>, Option<Arc<T>>) {
        self.0.both(within)
    }

    /// The changes from now on. Its `next` waits for one, and several that came meanwhile are one.
    pub fn changes(&self) -> Changes<T> {
        Changes::new(Arc::clone(&self.0))
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        self.0.health()
    }

    /// Why the last refresh failed; `None` where it succeeded.
    pub fn failing(&self) -> Option<VaultError> {
        self.0.failing()
    }

    /// Reads it again now, in this thread, and not only when it is due.
    ///
    /// # Errors
    ///
    /// As for [`Kv::read`]. The value in hand stays as it is.
    pub fn refresh(&self) -> Result<(), VaultError> {
        self.0.refresh()
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched(***)")
    }
}

impl Kv {
    /// Reads the latest version of `path`, and keeps it current from then on.
    ///
    /// The first read has the tries and the limits of this client, and its [`Cancel`](crate::Cancel). Each later one is one
    /// try, after `every` and a twelfth to a sixth more. A [`Watched`] that is dropped is not read again.
    ///
    /// # Errors
    ///
    /// As for [`Kv::read`], and [`ErrorKind::System`](crate::ErrorKind::System) where there is no thread for it.
    pub fn watch(&self, path: &str, every: Every) -> Result<Watched, VaultError> {
        self.watch_counted(path, every, &Arc::default())
    }

    /// The same, whose changes are counted by `tally`.
    fn watch_counted(&self, path: &str, every: Every, tally: &Arc<AtomicU64>) -> Result<Watched, VaultError> {
        let sent = since_boot();
        let first = self.with_the_token().read(path)?;
        let (kv, again) = (self.in_the_background(), path.to_owned());
        let plan = self.plan(path, (every, tally), Box::new(move || kv.read(&again)))?;
        Watched::begin(plan, (first, sent), None)
    }

    /// A plan to read `path` again.
    fn plan<T>(
        &self,
        path: &str,
        (every, tally): (Every, &Arc<AtomicU64>),
        read: Read<T>,
    ) -> Result<Plan<T>, VaultError> {
        let subject = Subject { mount: shown(self.mount()), path: shown(path), deployment: None };
        let rounds = self.rounds(path)?;
        Ok(Plan { subject, every, read, endpoint: self.endpoint().clone(), tally: Arc::clone(tally), rounds })
    }
}

impl VaultClient {
    /// Reads a version at `location`, whose keys and values are judged by whoever takes them, and keeps it current from then
    /// on, as [`Kv::watch`] does. A later version in which a key stands twice is a failure.
    ///
    /// # Errors
    ///
    /// As for [`Kv::watch`].
    pub fn watch_version(&self, location: &Location, every: Every) -> Result<Watched<Version>, VaultError> {
        let kv = self.kv(&location.mount);
        let sent = since_boot();
        let first = kv.with_the_token().version_at(location)?;
        let (again, place) = (kv.in_the_background(), location.clone());
        let read = move || {
            let version = again.version_at(&place)?;
            match &version.data {
                Ok(_) => Ok(version),
                // Where it stands in the answer is no news to whoever writes the secret.
                Err(key) => {
                    let key = name(key.strip_prefix("data.data.").unwrap_or(key));
                    Err(again.failed_read(&place.path, What::Shape(Shape::Twice(key))))
                }
            }
        };
        let plan = kv.plan(&location.path, (every, &Arc::default()), Box::new(read))?;
        Watched::begin(plan, (first, sent), None)
    }
}
