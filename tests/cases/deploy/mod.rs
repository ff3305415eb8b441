//! Everything under `deploy/` is run by a test, or accepted by the tool that reads it.

mod compose;
mod image;
mod kubernetes;
mod package;
mod systemd;
mod vault;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What the tests of each module run or have accepted: they go through these very lists.
const COVERED: [&[&str]; 6] =
    [compose::FILES, image::FILES, kubernetes::FILES, package::FILES, systemd::FILES, vault::FILES];

/// A file or folder under `deploy/`.
fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// The files below a folder, as paths from `deploy/`.
fn files_below(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![relative(&path)] });
    files.collect()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(deploy("")).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn each_file_under_deploy_is_run_or_accepted_by_its_own_tool() {
    let there: BTreeSet<_> = files_below(&deploy("")).into_iter().collect();
    let covered: Vec<_> = COVERED.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(covered.iter().cloned().collect::<BTreeSet<_>>(), there);
    assert_eq!(covered.len(), there.len(), "listed twice");
}
