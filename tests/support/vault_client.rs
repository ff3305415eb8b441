//! A client that behaves as HashiCorp's `vault` where that differs from `bao`, for commands that are said to work with
//! either.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use vault_testkit::{missing, openbao, tools};

/// Puts `vault` into a folder (see `tests/readers/vault.py`); `None` where it cannot be had.
pub(crate) fn install(folder: &Path) -> Option<()> {
    let (bao, python) = (openbao::program()?, tools().join("bin/python3"));
    if !python.exists() {
        missing("target/tools/bin/python3");
        return None;
    }
    let program = folder.join("vault");
    let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/vault.py");
    let script = format!("#!/bin/sh\nexec '{}' '{stand_in}' '{}' \"$@\"\n", python.display(), bao.display());
    fs::write(&program, script).expect("a script is written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    Some(())
}
