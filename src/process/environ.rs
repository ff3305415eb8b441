//! The environment as inherited: raw bytes, in order, looked up by name.

use std::ffi::CString;
use std::io::{self, IsTerminal};

use zeroize::Zeroizing;

/// One `NAME=value`, wiped on drop.
pub type Entry = Zeroizing<CString>;

/// An environment block. Entries without `=` and repeated names are kept: the application would see them under `env`.
#[derive(Clone)]
pub struct Environ {
    entries: Vec<Entry>,
    is_inherited: bool,
}

impl Environ {
    /// This process's own.
    pub fn inherited() -> Self {
        Self { is_inherited: true, ..Self::from_entries(super::sys::environment()) }
    }

    /// One of these entries.
    pub fn from_entries(entries: impl IntoIterator<Item = CString>) -> Self {
        Self { entries: entries.into_iter().map(Zeroizing::new).collect(), is_inherited: false }
    }

    /// One made of pairs, for tests and for callers that have no environment of their own.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let entries = pairs.into_iter().filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok());
        Self::from_entries(entries)
    }

    /// Whether this process has it from a person's terminal, to which standard error goes.
    pub fn is_at_terminal(&self) -> bool {
        self.is_inherited && io::stderr().is_terminal()
    }

    /// The value of `name`; of the first one where it is repeated, as `getenv` finds it.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.variables().find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| value)
    }

    /// Every entry that is a variable, in order.
    pub fn variables(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().filter_map(|entry| split(entry))
    }

    /// The entries, without the variables whose name and value `drop` says so of; entries that are no variables stay.
    pub fn into_entries_without(self, drop: impl Fn(&[u8], &[u8]) -> bool) -> Vec<Entry> {
        let mut entries = self.entries;
        entries.retain(|entry| split(entry).is_none_or(|(name, value)| !drop(name, value)));
        entries
    }
}

/// The C library looks for `=` from the second byte on, so a name is never empty.
fn split(entry: &Entry) -> Option<(&[u8], &[u8])> {
    let bytes = entry.as_bytes();
    let at = 1 + bytes.get(1..)?.iter().position(|b| *b == b'=')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_repeated_names_is_found_and_all_are_dropped() {
        let environ = || Environ::from_pairs([("A", "1"), ("B", "x=y"), ("A", "2")]);
        assert_eq!(environ().get("A"), Some(&b"1"[..]));
        assert_eq!(environ().get("B"), Some(&b"x=y"[..]));
        let left: Vec<_> =
            environ().into_entries_without(|n, _| n == b"A").iter().map(|e| e.as_bytes().to_vec()).collect();
        assert_eq!(left, [b"B=x=y"]);
    }
}
