//! How many runs ended with which exit code, as a table.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub(crate) struct Endings(BTreeMap<i32, usize>);

impl Endings {
    pub(crate) fn note(&mut self, code: i32) {
        *self.0.entry(code).or_default() += 1;
    }
}

impl fmt::Display for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code   runs")?;
        self.0.iter().try_for_each(|(code, runs)| write!(f, "\n{code:9} {runs:6}"))
    }
}
