//! What would forbid writing a file, found without changing anything.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FallocateFlags, OFlag, fallocate, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::statfs::{DEVPTS_SUPER_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};

use super::error::{Cause, FileError, Step};
use super::temporary::{RANDOM_DIGITS, prefix, shape};
use super::{Target, Written, is_same, look, open_directory};

/// Finds what would forbid writing `content` to the target, or any content where none is given, as far as that shows
/// without changing anything.
///
/// # Errors
///
/// The first thing found, as [`prepare`](super::prepare) or [`commit`](super::Prepared::commit) would say it.
pub fn check(target: &Target, content: Option<&[u8]>) -> Result<(), FileError> {
    examine(target, content).map_err(|cause| FileError::new(&target.path, cause))
}

fn examine(target: &Target, content: Option<&[u8]>) -> Result<(), Cause> {
    let (directory, name) = open_directory(&target.path)?;
    let written = look(&directory, name)?;
    if written == Written::Replaced && content.is_some_and(|content| is_same(&directory, name, target, content)) {
        return Ok(());
    }
    let mut temporary = prefix(name);
    temporary.push("0".repeat(RANDOM_DIGITS));
    may_create(&directory, &temporary)?;
    try_nameless(&directory, target, content.unwrap_or_default().len())?;
    if written == Written::Replaced { may_replace(&directory, name) } else { Ok(()) }
}

/// Whether a file of this name can be made in the directory.
pub(in crate::sink) fn may_create(directory: &OwnedFd, name: &OsStr) -> Result<(), Cause> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(_) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(Cause::Os(Step::Create, errno)),
    }
    // Their modes say that root may write, and nothing can be made there.
    match fstatfs(directory).map(|found| found.filesystem_type()) {
        Ok(PROC_SUPER_MAGIC) => return Err(Cause::Os(Step::Create, Errno::ENOENT)),
        Ok(SYSFS_MAGIC | DEVPTS_SUPER_MAGIC) => return Err(Cause::Os(Step::Create, Errno::EACCES)),
        _ => {}
    }
    match faccessat(directory, ".", AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        // An immutable directory, of which the next call tells, or a seccomp profile that refuses the question.
        Ok(()) | Err(Errno::EPERM | Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(Cause::Os(Step::Create, errno)),
    }
}

/// Gives a file without a name, gone with its descriptor, the target's owner and mode and room for so many bytes:
/// whether this user may give files away, and how much is left of a disk or a quota, only the kernel knows.
pub(in crate::sink) fn try_nameless(directory: &OwnedFd, target: &Target, bytes: usize) -> Result<(), Cause> {
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let nameless = match openat(directory, ".", flags, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(nameless) => nameless,
        // A file system that has no such thing.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR) => return Ok(()),
        Err(errno) => return Err(Cause::Os(Step::Create, errno)),
    };
    shape(&nameless, target.mode, target.owner)?;
    match fallocate(&nameless, FallocateFlags::empty(), 0, i64::try_from(bytes).unwrap_or(i64::MAX)) {
        Err(errno @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => Err(Cause::Os(Step::Write, errno)),
        // Others are those of a file system that has no such thing, and of no bytes.
        _ => Ok(()),
    }
}

/// Whether another file may take the name of the one in place.
pub(in crate::sink) fn may_replace(directory: &OwnedFd, name: &OsStr) -> Result<(), Cause> {
    // rmdir(2) removes no file. Before it says so, the kernel judges whether this user may take the name away, as it does
    // for a rename: from a sticky directory, from an immutable file.
    let refused = unlinkat(directory, name, UnlinkatFlags::RemoveDir).err();
    if let Some(errno @ (Errno::EPERM | Errno::EACCES)) = refused {
        return Err(Cause::Os(Step::Rename, errno));
    }
    let in_place = openat(directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
    match (in_place.ok().and_then(mount_of), mount_of(directory)) {
        (Some(file), Some(directory)) if file != directory => Err(Cause::Os(Step::Rename, Errno::EBUSY)),
        _ => Ok(()),
    }
}

/// The mount that a descriptor leads to, by its number; `None` without /proc. See
/// [proc_pid_fdinfo(5)](https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html).
fn mount_of(descriptor: impl AsFd) -> Option<String> {
    let path = OsString::from(format!("/proc/self/fdinfo/{}", descriptor.as_fd().as_raw_fd()));
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(|number| number.trim().to_owned())
}
