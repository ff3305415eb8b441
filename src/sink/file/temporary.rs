//! The temporary file beside the target: made under a name that nobody else has, held under a lock while its
//! process lives, and removed by the next run where its process was killed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, geteuid, unlinkat};

use super::error::{Cause, Step};
use super::{Target, obstacle, open_existing};
use crate::process;

/// How often a new file is made after another run took the one before for a left-over.
pub(in crate::sink) const ATTEMPTS: usize = 16;

/// The hexadecimal digits at the end of a temporary file's name.
pub(in crate::sink) const RANDOM_DIGITS: usize = 16;

/// A file that is removed when it is dropped, unless it was renamed before.
#[derive(Debug)]
pub(super) struct Temporary {
    directory: OwnedFd,
    name: OsString,
    file: File,
    /// `None` on a file system without locks, where no other run gets one on this file either.
    lock: Option<Flock<File>>,
    renamed: bool,
}

impl Temporary {
    /// Makes an empty file that only this user can open.
    pub(super) fn create(directory: &OwnedFd, target_name: &OsStr) -> Result<Self, Cause> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        for _ in 0..ATTEMPTS {
            let mut name = prefix(target_name);
            name.push(random());
            let directory = directory.try_clone().map_err(Step::Create.failed_io())?;
            let file = match openat(&directory, name.as_os_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR) {
                Ok(descriptor) => File::from(descriptor),
                Err(Errno::EEXIST) => continue,
                Err(errno) => return Err(Cause::Os(Step::Create, errno)),
            };
            let mut temporary = Self { directory, name, file, lock: None, renamed: false };
            if temporary.hold()? {
                return Ok(temporary);
            }
        }
        Err(Cause::Os(Step::Create, Errno::EAGAIN))
    }

    /// Takes the lock. Until it is held, another run may take this file for a left-over and remove it: `false`.
    fn hold(&mut self) -> Result<bool, Cause> {
        let file = self.file.try_clone().map_err(Step::Create.failed_io())?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => self.lock = Some(lock),
            Err((_, Errno::EWOULDBLOCK)) => return Ok(false),
            Err((_, _no_locks_here)) => {}
        }
        let found = fstatat(&self.directory, self.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        Ok(found.is_ok())
    }

    /// Sets owner and mode, and only then writes the content, to the disk itself.
    pub(super) fn fill(&mut self, target: &Target, content: &[u8]) -> Result<(), Cause> {
        shape(&self.file, target.mode, target.owner)?;
        self.file.write_all(content).map_err(Step::Write.failed_io())?;
        fsync(&self.file).map_err(Step::Sync.failed())
    }

    /// Gives the file its final name, over the one that has it so far, and writes the directory to the disk.
    pub(super) fn rename_to(mut self, name: &OsStr) -> Result<(), Cause> {
        renameat(&self.directory, self.name.as_os_str(), &self.directory, name).map_err(Step::Rename.failed())?;
        self.renamed = true;
        sync_directory(&self.directory).map_err(Step::SyncDirectory.failed())
    }
}

/// Writes a directory to the disk itself.
pub(in crate::sink) fn sync_directory(directory: impl AsFd) -> nix::Result<()> {
    match fsync(directory) {
        // A file system that has no such thing, see fsync(2).
        Err(Errno::EINVAL) => Ok(()),
        synced => synced,
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // Where this fails too, the next run tries again.
            let _ = unlinkat(&self.directory, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Sets mode and owner, which alone say who may open the file: a list that the directory hands down to its files is
/// taken off, while the mode that the file was made with makes it void.
pub(in crate::sink) fn shape(file: impl AsFd, mode: u32, owner: Option<(u32, Option<u32>)>) -> Result<(), Cause> {
    let (uid, gid) = owner.unzip();
    process::remove_acl(&file).map_err(Step::RemoveAcl.failed())?;
    // The group, the mode, and the user last: nobody can open the file on the way who could not in the end,
    // and CAP_CHOWN is enough, as the file is this user's own while its mode changes.
    if let Some(gid) = gid.flatten() {
        fchown(&file, None, Some(Gid::from_raw(gid))).map_err(Step::SetOwner.failed())?;
    }
    fchmod(&file, Mode::from_bits_truncate(mode)).map_err(Step::SetMode.failed())?;
    if let Some(uid) = uid {
        fchown(&file, Some(Uid::from_raw(uid)), None).map_err(Step::SetOwner.failed())?;
    }
    Ok(())
}

/// Removes what killed runs left: regular files with a temporary name for this target that no process has locked,
/// and that belong to this user or, already given away, to the target's. Does what it can and reports nothing:
/// a left-over is no obstacle.
pub(super) fn remove_left_overs(directory: &OwnedFd, target_name: &OsStr, target: &Target) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut entries) = Dir::openat(directory, ".", flags, Mode::empty()) else {
        return;
    };
    let prefix = prefix(target_name);
    let is_left_over = |found: &FileStat| obstacle(found).is_none() && is_ours(found, target);

    // Up to an error, if one comes: it would come again and again.
    for entry in entries.iter().map_while(Result::ok) {
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if !is_temporary(name, &prefix) {
            continue;
        }
        let found = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        if !found.is_ok_and(|found| is_left_over(&found)) {
            continue;
        }
        let Ok(file) = open_existing(directory, name) else {
            continue;
        };
        // Kept until the name is gone, so that its maker, were it only about to lock it, sees what happened.
        if let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Whether a file belongs to this user or, already given away, to the target's.
pub(in crate::sink) fn is_ours(found: &FileStat, target: &Target) -> bool {
    found.st_uid == geteuid().as_raw() || target.owner.is_some_and(|(owner, _)| found.st_uid == owner)
}

/// The beginning of every temporary name for the target: `.NAME.vault-exec.`
pub(in crate::sink) fn prefix(target_name: &OsStr) -> OsString {
    OsString::from_vec([b".", target_name.as_bytes(), b".vault-exec."].concat())
}

/// Whether the name is a temporary one with this [`prefix`].
pub(in crate::sink) fn is_temporary(name: &OsStr, prefix: &OsStr) -> bool {
    name.as_bytes().strip_prefix(prefix.as_bytes()).is_some_and(is_random)
}

/// Whether it looks like what [`random`] returns.
pub(in crate::sink) fn is_random(digits: &[u8]) -> bool {
    digits.len() == RANDOM_DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
}

/// Digits that no other process comes up with: the standard library seeds its hash maps from the kernel,
/// which spares this program a package for it. A process id would not do, it is 1 in every container.
pub(in crate::sink) fn random() -> String {
    format!("{:0RANDOM_DIGITS$x}", RandomState::new().hash_one(()))
}
