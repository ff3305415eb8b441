//! What a request wants to do.

use serde::Serialize;

/// What a request wants to do with a path. The words are those of `allow` and `deny` of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Read the latest version.
    Read,
    /// Write a version.
    Write,
    /// Delete versions; they can be brought back.
    Delete,
    /// List the names in a folder.
    List,
    /// Read a version by its number, and the metadata of all.
    History,
    /// Bring deleted versions back, or write an earlier one again.
    Restore,
    /// Destroy versions for good.
    Destroy,
    /// Read past the cache.
    Refresh,
    /// Renew the token of the tenant; it has no path.
    Renew,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::List,
        Self::History,
        Self::Restore,
        Self::Destroy,
        Self::Refresh,
        Self::Renew,
    ];

    /// Its word in the configuration and in the audit log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::List => "list",
            Self::History => "history",
            Self::Restore => "restore",
            Self::Destroy => "destroy",
            Self::Refresh => "refresh",
            Self::Renew => "renew",
        }
    }

    /// The action of this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}
