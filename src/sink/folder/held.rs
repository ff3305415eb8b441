//! Folders that are not in effect yet: made under names that nobody else has, held under a lock while their process
//! lives, and removed by the next run where it was killed.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, fchownat, geteuid, unlinkat};

use super::super::file::Target;
use super::super::file::error::{Cause, Step};
use super::super::file::temporary::{ATTEMPTS, is_ours};

/// A folder in a folder, and the files in that.
const DEEPEST: u8 = 2;

/// A folder that is removed with what is in it when this is dropped, unless it was kept.
pub(super) struct Held {
    parent: OwnedFd,
    name: OsString,
    folder: OwnedFd,
    /// `None` on a file system without locks, where no other run gets one on this folder either.
    _lock: Option<Flock<OwnedFd>>,
    kept: bool,
}

impl Held {
    /// Makes an empty folder that only this user can open, under the first of the names that is free.
    pub(super) fn create(parent: &OwnedFd, name: impl Fn() -> OsString) -> Result<Self, Cause> {
        for _ in 0..ATTEMPTS {
            let name = name();
            match mkdirat(parent, name.as_os_str(), Mode::S_IRWXU) {
                Err(Errno::EEXIST) => continue,
                made => made.map_err(Step::Create.failed())?,
            }
            let refused = match Self::hold(parent, &name) {
                Ok(held) => return Ok(held),
                Err(errno) => errno,
            };
            let _ = unlinkat(parent, name.as_os_str(), UnlinkatFlags::RemoveDir);
            // Of these, another run took it for a left-over.
            if !matches!(refused, Errno::EWOULDBLOCK | Errno::ENOENT) {
                return Err(Cause::Os(Step::Create, refused));
            }
        }
        Err(Cause::Os(Step::Create, Errno::EAGAIN))
    }

    /// Takes the lock. Until it is held, another run may take the folder for a left-over and remove it.
    fn hold(parent: &OwnedFd, name: &OsStr) -> nix::Result<Self> {
        let folder = open_own_folder(parent, name)?;
        let cloned = |descriptor: &OwnedFd| {
            descriptor.try_clone().map_err(|error| error.raw_os_error().map_or(Errno::EMFILE, Errno::from_raw))
        };
        let lock = match Flock::lock(cloned(&folder)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Some(lock),
            Err((_, Errno::EWOULDBLOCK)) => return Err(Errno::EWOULDBLOCK),
            Err((_, _no_locks_here)) => None,
        };
        fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(Self { parent: cloned(parent)?, name: name.to_owned(), folder, _lock: lock, kept: false })
    }

    pub(super) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// It stays, whatever happens.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.kept {
            // Where this fails, the next run tries again.
            remove(&self.parent, &self.name);
        }
    }
}

/// Removes folders that are left over by their names, that no process has locked, and that belong to this user or,
/// already given away, to the target's. Does what it can and reports nothing: a left-over is no obstacle.
pub(super) fn sweep(parent: &OwnedFd, target: &Target, is_left_over: impl Fn(&OsStr) -> bool) {
    for name in entries(parent).unwrap_or_default() {
        if !is_left_over(&name) {
            continue;
        }
        let Ok(folder) = open_folder(parent, &name) else {
            continue;
        };
        if !fstat(&folder).is_ok_and(|found| is_ours(&found, target)) {
            continue;
        }
        // Kept until the name is gone, so that its maker, were it only about to lock it, sees what happened. A run that
        // has just put its files in effect gives its lock up then: the name has to be judged again.
        if let Ok(_lock) = Flock::lock(folder, FlockArg::LockExclusiveNonblock)
            && is_left_over(&name)
        {
            remove(parent, &name);
        }
    }
}

/// Removes a folder of ours and what is in it, as far as it goes.
pub(super) fn remove(parent: &OwnedFd, name: &OsStr) {
    remove_down_to(parent, name, DEEPEST);
}

fn remove_down_to(parent: &OwnedFd, name: &OsStr, depth: u8) {
    if unlinkat(parent, name, UnlinkatFlags::NoRemoveDir).is_ok() {
        return;
    }
    if depth > 0
        && let Ok(folder) = open_own_folder(parent, name)
    {
        // Its mode may let nobody write.
        let _ = fchmod(&folder, Mode::S_IRWXU);
        entries(&folder).unwrap_or_default().iter().for_each(|name| remove_down_to(&folder, name, depth - 1));
    }
    let _ = unlinkat(parent, name, UnlinkatFlags::RemoveDir);
}

/// Opens a folder; follows no link.
pub(super) fn open_folder(parent: impl AsFd, name: &OsStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Opens a folder that this user has made, whatever umask, mode or owner it got.
fn open_own_folder(parent: &OwnedFd, name: &OsStr) -> nix::Result<OwnedFd> {
    open_folder(parent, name).or_else(|errno| {
        if errno != Errno::EACCES {
            return Err(errno);
        }
        fchownat(parent, name, Some(geteuid()), None, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        fchmodat(parent, name, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?;
        open_folder(parent, name)
    })
}

/// The names in a folder.
pub(super) fn entries(folder: &OwnedFd) -> nix::Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut names = Vec::new();
    for entry in Dir::openat(folder, ".", flags, Mode::empty())?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}
