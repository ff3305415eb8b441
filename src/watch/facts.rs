//! What a watch knows of itself, for whoever asks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::hook::Ran;
use vault_client::kv::Version;
use vault_client::{Every, Health, VaultClient, Watched};

/// A secret that is kept current.
#[derive(Clone)]
pub struct Source {
    /// The mount.
    pub mount: String,
    /// The path in it.
    pub path: String,
    /// The secret.
    pub watched: Watched<Version>,
}

/// What became of a write of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The file was made.
    Created,
    /// It has other content.
    Replaced,
    /// It had this content already.
    Unchanged,
    /// The secrets cannot be used, and the file is as it was.
    Refused,
    /// It could not be written, and is as it was.
    Failed,
}

impl Write {
    pub(super) const ALL: [Self; 5] = [Self::Created, Self::Replaced, Self::Unchanged, Self::Refused, Self::Failed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What a hook's runs are counted by.
pub(super) const RUNS: [&str; 4] = ["success", "failure", "timeout", "not_started"];

/// What a watch knows of itself. The listener reads it, and the watch writes it.
pub struct Facts {
    /// How often the secrets are read again.
    pub every: Every,
    /// After how long without a success the health is bad.
    pub stale_limit: Option<Duration>,
    state: Mutex<State>,
}

/// What changes.
#[derive(Clone, Default)]
pub struct State {
    /// What is watched; empty before the first read, and where there is no Vault.
    pub sources: Vec<Source>,
    /// The client, whose token is kept.
    pub client: Option<VaultClient>,
    /// Whether the file is there.
    pub is_ready: bool,
    /// Since when the file is not what the secrets are: they cannot be used, or it cannot be written.
    pub behind: Option<Instant>,
    /// Whether the last notification was sent; `None` before the first.
    pub notified: Option<bool>,
    /// Whether the hook's last run succeeded; `None` before the first.
    pub hook_ok: Option<bool>,
    pub(super) writes: [u64; Write::ALL.len()],
    pub(super) notifications: [u64; 2],
    pub(super) runs: [u64; RUNS.len()],
}

impl Facts {
    /// Those of a watch that begins.
    pub fn new(every: Every, stale_limit: Option<Duration>) -> Self {
        Self { every, stale_limit, state: Mutex::default() }
    }

    /// Changes what is known.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
    }

    /// What is known now.
    pub fn now(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a write. As long as the file is not what the secrets are, the watch is behind.
    pub fn wrote(&mut self, write: Write, now: Instant) {
        self.writes[write as usize] += 1;
        match write {
            Write::Refused | Write::Failed => {
                self.behind.get_or_insert(now);
            }
            Write::Created | Write::Replaced | Write::Unchanged => (self.behind, self.is_ready) = (None, true),
        }
    }

    /// Counts a notification.
    pub fn sent(&mut self, ok: bool) {
        self.notifications[usize::from(!ok)] += 1;
        self.notified = Some(ok);
    }

    /// Counts a run of the hook.
    pub fn ran(&mut self, ran: &Ran) {
        let index = match ran {
            Ran::Succeeded => 0,
            Ran::Failed(_) | Ran::Ended(_) => 1,
            Ran::TimedOut => 2,
            Ran::NotStarted(_) => 3,
        };
        self.runs[index] += 1;
        self.hook_ok = Some(*ran == Ran::Succeeded);
    }

    /// How each secret is doing.
    pub fn health(&self) -> Vec<(&Source, Health)> {
        self.sources.iter().map(|source| (source, source.watched.health())).collect()
    }
}
