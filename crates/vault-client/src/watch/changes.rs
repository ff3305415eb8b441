//! Waits for changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::entry::Entry;
use super::kept::Kept;

/// The changes of a watched secret; made by [`Watched::changes`](super::Watched::changes). It is an iterator whose `next`
/// waits. It ends where the client is closed.
pub struct Changes<T> {
    entry: Arc<Entry<T>>,
    seen: u64,
}

impl<T: Kept> Changes<T> {
    pub(super) fn new(entry: Arc<Entry<T>>) -> Self {
        let seen = entry.changes();
        Self { entry, seen }
    }

    /// The next change, if it comes within this time; `None` also where the client is closed.
    pub fn next_within(&mut self, at_most: Duration) -> Option<Arc<T>> {
        self.wait(Some(at_most))
    }

    fn wait(&mut self, at_most: Option<Duration>) -> Option<Arc<T>> {
        self.seen = self.entry.wait(self.seen, at_most)?;
        Some(self.entry.current())
    }
}

impl<T: Kept> Iterator for Changes<T> {
    type Item = Arc<T>;

    fn next(&mut self) -> Option<Arc<T>> {
        self.wait(None)
    }
}

impl<T> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes(***)")
    }
}
