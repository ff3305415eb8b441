//! Which scenarios ran to their end on which server, and which were skipped: a line each in
//! `target/tmp/it-tally.txt`, for libtest itself tells neither.

use std::fs::File;
use std::io::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Notes one scenario: `embedded`, `openbao` or `skipped`.
pub(crate) fn note(what: &str, scenario: &str) {
    static FILE: LazyLock<Mutex<File>> = LazyLock::new(|| {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/it-tally.txt");
        Mutex::new(File::create(path).expect("the tally is created"))
    });
    let mut file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(file, "{what} {scenario}").expect("the tally is written");
}
