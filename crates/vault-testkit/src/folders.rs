//! Where the tests find this workspace, and where they put their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The folder of the workspace.
pub fn root() -> &'static Path {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).expect("this crate is at crates/vault-testkit")
}

/// Where `tests/install-tools` puts programs and libraries.
pub fn tools() -> PathBuf {
    root().join("target/tools")
}

/// What all test programs of this workspace leave behind: `target/tmp`.
pub(crate) fn left() -> PathBuf {
    root().join("target/tmp")
}

/// The name of this test program, without the hash that cargo adds: `it` for `target/debug/deps/it-0123456789abcdef`.
pub(crate) fn program() -> String {
    let path = std::env::current_exe().expect("a program knows its file");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_hash = |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    stem.rsplit_once('-').filter(|(_, end)| is_hash(end)).map_or_else(|| stem.to_string(), |(name, _)| name.to_owned())
}

/// A new folder of this name for what must outlive a single test, in `target/tmp/PROGRAM/PID`. The first call removes
/// the folders of runs that have ended.
pub fn scratch(name: &str) -> PathBuf {
    static RUN: LazyLock<PathBuf> = LazyLock::new(|| {
        let runs = left().join(program());
        for run in fs::read_dir(&runs).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(run.file_name()).exists() {
                let _ = fs::remove_dir_all(run.path());
            }
        }
        runs.join(std::process::id().to_string())
    });
    let folder = RUN.join(name);
    fs::create_dir_all(&folder).expect("a folder is created");
    folder
}

/// A name that no other test of this run has, and that is no part of another one.
pub fn unique() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("case-{:04}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_is_below_the_workspaces_target_and_named_after_program_and_process() {
        let run = root().join("target/tmp/vault_testkit").join(std::process::id().to_string());
        assert!(root().join("Cargo.lock").is_file());
        assert_eq!(scratch("some"), run.join("some"));
        assert!(run.join("some").is_dir());
    }
}
