//! The series of one metric, kept so that the next use finds them without making their labels again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

/// Series by one text of the configuration and by what the program itself knows.
pub(super) struct Family<K, M>(RwLock<HashMap<String, HashMap<K, M>>>);

impl<K, M> Default for Family<K, M> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, M> Family<K, M> {
    /// Uses the series of `text` and `key`, which `make` makes where it is new.
    pub fn with(&self, text: &str, key: K, make: impl FnOnce() -> M, using: impl FnOnce(&M)) {
        if let Some(series) =
            self.0.read().unwrap_or_else(PoisonError::into_inner).get(text).and_then(|known| known.get(&key))
        {
            return using(series);
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        using(all.entry(text.to_owned()).or_default().entry(key).or_insert_with(make));
    }
}
