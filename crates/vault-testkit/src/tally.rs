//! Which scenarios ran to their end on which server, and which were skipped: a line each in
//! `target/tmp/PROGRAM-tally.txt`, for libtest itself tells neither.

use std::fs::{self, File};
use std::io::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::folders::{left, program};

/// Notes one scenario: `embedded`, `openbao` or `skipped`.
pub fn note(what: &str, scenario: &str) {
    static FILE: LazyLock<Mutex<File>> = LazyLock::new(|| {
        let folder = left();
        fs::create_dir_all(&folder).expect("a folder is created");
        let path = folder.join(format!("{}-tally.txt", program()));
        Mutex::new(File::create(path).expect("the tally is created"))
    });
    let mut file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(file, "{what} {scenario}").expect("the tally is written");
}
