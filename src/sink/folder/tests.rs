use std::cell::Cell;
use std::ffi::OsStr;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, renameat};

use super::super::file::{Target, Written};
use super::held::{entries, open_folder, sweep};
use super::{DATA, Named, Swap, data_name, folder_mode, is_data_name, link_of, linked};

#[test]
fn a_data_folder_is_known_by_its_name() {
    assert!(is_data_name(&data_name()));
    assert!(is_data_name(OsStr::new("..2026_01_31_12_00_00_0123456789abcdef")));
    for other in [
        "",
        "..data",
        "..2026_01_31_12_00_00_",
        "..2026_01_31_12_00_00.0123456789abcdef",
        "..2026_01_31_12_00_00_0123456789abcde",
        "..2026_01_31_12_00_00_0123456789abcdef0",
        "..2026_01_31_12_00_0x_0123456789abcdef",
        "./..2026_01_31_12_00_00_0123456789abcdef",
        "..data/..2026_01_31_12_00_00_0123456789abcdef",
    ] {
        assert!(!is_data_name(OsStr::new(other)), "{other}");
    }
}

#[test]
fn a_folder_can_be_searched_by_whom_its_files_can_be_read() {
    for (file, folder) in [(0o600, 0o700), (0o640, 0o750), (0o444, 0o555), (0o644, 0o755), (0o200, 0o200), (0, 0)] {
        assert_eq!(folder_mode(file), folder, "{file:o}");
    }
}

#[test]
fn a_link_of_a_key_stays_in_the_folder() {
    assert_eq!(Path::new(&link_of(OsStr::new("db.password"))), Path::new("..data/db.password"));
}

/// A folder, and what a run with these keys has prepared for it.
fn swap(folder: &Path, keys: &[&str]) -> Swap {
    let files: Vec<_> = keys.iter().map(|key| Named { name: (*key).into(), content: b"x".to_vec().into() }).collect();
    let directory = open_folder(AT_FDCWD, folder.as_os_str()).unwrap();
    Swap::prepare(directory, &Target::new(folder), &files, Written::Replaced).unwrap()
}

#[test]
fn a_run_that_another_one_has_overtaken_sets_the_links_of_that_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut slow, fast) = (swap(folder.path(), &["A", "B"]), swap(folder.path(), &["B", "C"]));
    renameat(slow.links.folder(), DATA, &slow.directory, DATA).unwrap();
    slow.data.keep();
    fast.commit(&Target::new(folder.path())).unwrap();
    let directory = open_folder(AT_FDCWD, folder.path().as_os_str()).unwrap();
    slow.link().unwrap();
    let mut links = linked(&directory).unwrap();
    links.sort();
    assert_eq!(links, ["B", "C"]);
    drop(slow);
    assert_eq!(entries(&directory).unwrap().len(), 4);
}

#[test]
fn a_folder_that_has_come_into_effect_when_its_lock_is_free_is_no_left_over() {
    let parent = tempfile::tempdir().unwrap();
    std::fs::create_dir(parent.path().join("a")).unwrap();
    let directory = open_folder(AT_FDCWD, parent.path().as_os_str()).unwrap();
    let asked = Cell::new(0);
    let first_time = |_: &OsStr| asked.replace(asked.get() + 1) == 0;
    sweep(&directory, &Target::new(parent.path()), first_time);
    assert_eq!((entries(&directory).unwrap(), asked.get()), (vec!["a".into()], 2));
    sweep(&directory, &Target::new(parent.path()), |_| true);
    assert_eq!(entries(&directory).unwrap(), [""; 0]);
}
