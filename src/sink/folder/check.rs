//! What would forbid writing a folder, found without changing anything.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::statfs::fstatfs;

use super::super::file::check::{may_create, may_replace, try_nameless};
use super::super::file::error::{Cause, FileError, Step};
use super::super::file::temporary::{RANDOM_DIGITS, prefix};
use super::super::file::{Target, Written};
use super::{DATA, Found, LINKS, Named, Place, is_same, look, place, what_is};

/// A file takes so much more or less on nearly every file system.
const BLOCK: usize = 4096;

/// Finds what would forbid writing these files to the folder, or any where none are given, as far as that shows without
/// changing anything.
///
/// # Errors
///
/// The first thing found, as [`prepare`](super::prepare) or [`commit`](super::Prepared::commit) would say it.
pub fn check(target: &Target, files: Option<&[Named]>) -> Result<(), FileError> {
    let failed = |cause| FileError::of_folder(&target.path, cause);
    let some = files.unwrap_or_default();
    match place(&target.path).map_err(failed)? {
        Place::Absent(parent, name) => {
            let mut temporary = prefix(name);
            temporary.push("0".repeat(RANDOM_DIGITS));
            may_create(&parent, &temporary).and_then(|()| has_room(&parent, target, some, some.len())).map_err(failed)
        }
        Place::There(directory) => {
            let written = look(&directory, target, some)?;
            let replaced = written == Written::Replaced;
            if replaced && files.is_some_and(|files| is_same(&directory, target, files)) {
                return Ok(());
            }
            let created = may_create(&directory, OsStr::new(LINKS));
            let is_new = |file: &&Named| matches!(what_is(&directory, OsStr::new(&file.name)), Ok(Found::Nothing));
            let links = some.iter().filter(is_new).count();
            created.and_then(|()| has_room(&directory, target, some, links)).map_err(failed)?;
            if replaced {
                may_replace(&directory, OsStr::new(DATA)).map_err(failed)?;
            }
            Ok(())
        }
    }
}

/// Whether there is room for the files and so many links of keys.
fn has_room(directory: &OwnedFd, target: &Target, files: &[Named], links: usize) -> Result<(), Cause> {
    // Two folders and `..data`.
    let needed = (files.len() + links + 3) as u64;
    // One that counts none has no limit.
    if fstatfs(directory).is_ok_and(|found| found.files() > 0 && found.files_free() < needed) {
        return Err(Cause::Os(Step::Create, Errno::ENOSPC));
    }
    let bytes = files.iter().map(|file| file.content.len().next_multiple_of(BLOCK)).sum();
    try_nameless(directory, target, bytes)
}
