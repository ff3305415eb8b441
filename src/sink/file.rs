//! Writes a file that appears whole or not at all, with its final mode and owner from its first byte.
//!
//! The content goes to a temporary file beside the target, which then takes the target's name: rename(2) leaves
//! a reader no moment without the old file or the new one. Everything goes through one descriptor of the
//! directory, so that nobody can put another one in its place on the way.

pub(super) mod check;
pub(super) mod error;
pub(super) mod temporary;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{getegid, geteuid};
use zeroize::Zeroizing;

pub use self::check::check;
use self::error::{Cause, Step};
pub use self::error::{FileError, Kind};
use self::temporary::{Temporary, remove_left_overs};
use crate::process;

/// The file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where; its directory must be there.
    pub path: PathBuf,
    /// Its permission bits, whatever the umask.
    pub mode: u32,
    /// Its user and group, as far as they are not those that a new file of this process gets.
    pub owner: Option<(u32, Option<u32>)>,
}

impl Target {
    /// A file for the user of this process alone: mode 0600.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: 0o600, owner: None }
    }
}

/// What became of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// There was no such file before.
    Created,
    /// The file has new content, or a new mode or owner.
    Replaced,
    /// Content, mode and owner were these already; the file was not touched.
    Unchanged,
}

/// Content that is on the disk but not under its name yet. Dropped without [`Prepared::commit`], it is removed.
#[must_use = "the file appears when it is committed"]
#[derive(Debug)]
pub struct Prepared {
    path: PathBuf,
    /// `None` where the target needs no change.
    change: Option<Change>,
}

#[derive(Debug)]
struct Change {
    temporary: Temporary,
    name: OsString,
    written: Written,
}

/// Writes `content` to the target, or leaves the target untouched where it is the same already.
///
/// # Errors
///
/// Path, cause and remedy. What was there before is there still, unless the text says otherwise.
///
/// # Examples
///
/// ```
/// use vault_exec::sink::file::{Target, Written, write};
///
/// let directory = tempfile::tempdir()?;
/// let target = Target::new(directory.path().join("app.env"));
/// assert_eq!(write(&target, b"A=1\n")?, Written::Created);
/// assert_eq!(write(&target, b"A=1\n")?, Written::Unchanged);
/// assert_eq!(std::fs::read(&target.path)?, b"A=1\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(target: &Target, content: &[u8]) -> Result<Written, FileError> {
    prepare(target, content)?.commit()
}

/// Does everything that takes long or is likely to fail; the rename is left for [`Prepared::commit`].
///
/// Refuses a target that exists and is no regular file: a link may lead anywhere, and whoever put a FIFO or a
/// device there meant something by it. What killed runs left beside the target is removed in any case.
///
/// # Errors
///
/// Path, cause and remedy; the target is as it was, and nothing is left beside it.
pub fn prepare(target: &Target, content: &[u8]) -> Result<Prepared, FileError> {
    match prepare_change(target, content) {
        Ok(change) => Ok(Prepared { path: target.path.clone(), change }),
        Err(cause) => Err(FileError::new(&target.path, cause)),
    }
}

impl Prepared {
    /// Gives the file its name and makes that last.
    ///
    /// # Errors
    ///
    /// Where the rename fails, the target is as it was. Where the directory cannot be synced, the new file is in place and
    /// the text says so.
    pub fn commit(self) -> Result<Written, FileError> {
        let Some(Change { temporary, name, written }) = self.change else {
            return Ok(Written::Unchanged);
        };
        temporary.rename_to(&name).map_err(|cause| FileError::new(&self.path, cause))?;
        Ok(written)
    }
}

fn prepare_change(target: &Target, content: &[u8]) -> Result<Option<Change>, Cause> {
    let (directory, name) = open_directory(&target.path)?;
    remove_left_overs(&directory, name, target);
    let written = look(&directory, name)?;
    if written == Written::Replaced && is_same(&directory, name, target, content) {
        return Ok(None);
    }
    let mut temporary = Temporary::create(&directory, name)?;
    temporary.fill(target, content)?;
    Ok(Some(Change { temporary, name: name.to_owned(), written }))
}

pub(super) fn open_directory(path: &Path) -> Result<(OwnedFd, &OsStr), Cause> {
    let (directory, name) = split(path).ok_or(Cause::NoFileName)?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = openat(AT_FDCWD, directory, flags, Mode::empty()).map_err(Step::OpenDirectory.failed())?;
    Ok((directory, name))
}

/// What writing the file would be; only a regular file may be replaced.
fn look(directory: &OwnedFd, name: &OsStr) -> Result<Written, Cause> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(Written::Created),
        Err(errno) => Err(Cause::Os(Step::Inspect, errno)),
        Ok(stat) => obstacle(&stat).map_or(Ok(Written::Replaced), |kind| Err(Cause::InTheWay(kind))),
    }
}

/// The directory and the name in it; `None` where the path can only be that of a directory.
/// [`Path::file_name`] would overlook a `/` or `/.` at the end.
pub(super) fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let (directory, name) = match bytes.iter().rposition(|&byte| byte == b'/') {
        None => (&b"."[..], bytes),
        Some(0) => (&b"/"[..], &bytes[1..]),
        Some(slash) => (&bytes[..slash], &bytes[slash + 1..]),
    };
    let names_a_file = !matches!(name, b"" | b"." | b"..");
    names_a_file.then(|| (Path::new(OsStr::from_bytes(directory)), OsStr::from_bytes(name)))
}

/// What to call a file that must not be written or replaced; `None` for a regular one.
pub(crate) fn obstacle(stat: &FileStat) -> Option<&'static str> {
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => None,
        SFlag::S_IFLNK => Some("a symbolic link"),
        SFlag::S_IFDIR => Some("a directory"),
        SFlag::S_IFIFO => Some("a FIFO"),
        SFlag::S_IFSOCK => Some("a socket"),
        _ => Some("a device"),
    }
}

/// Whether the file in place has this content, mode and owner already, and no access control list. One that cannot be read has not.
fn is_same(directory: &OwnedFd, name: &OsStr, target: &Target, content: &[u8]) -> bool {
    let (Ok(file), Ok(parent)) = (open_existing(directory, name), fstat(directory)) else {
        return false;
    };
    has_shape(&file, target.mode, owner_in(&parent, target)) && holds(file.into(), content)
}

/// The user and group that the target is to have in this directory.
pub(super) fn owner_in(directory: &FileStat, target: &Target) -> (u32, u32) {
    let (uid, gid) = target.owner.unwrap_or_else(|| (geteuid().as_raw(), None));
    let gid = gid.unwrap_or_else(|| {
        // In such a directory a new file gets the directory's group: inode(7). An fsGroup volume is one.
        let inherited = directory.st_mode & Mode::S_ISGID.bits() != 0;
        if inherited { directory.st_gid } else { getegid().as_raw() }
    });
    (uid, gid)
}

/// Whether an open file has this mode and owner, and no access control list, which lets in others than the mode says.
pub(super) fn has_shape(file: impl AsFd, mode: u32, owner: (u32, u32)) -> bool {
    let by_mode_alone = process::has_acl(&file).is_ok_and(|has| !has);
    let is = |found: FileStat| found.st_mode & !SFlag::S_IFMT.bits() == mode && (found.st_uid, found.st_gid) == owner;
    by_mode_alone && fstat(&file).is_ok_and(is)
}

/// Whether a file holds exactly this content.
pub(super) fn holds(mut file: File, mut content: &[u8]) -> bool {
    // What is in place is a secret as well.
    let mut buffer = Zeroizing::new([0; 8192]);
    loop {
        match file.read(&mut *buffer) {
            Ok(0) => return content.is_empty(),
            Ok(n) => match content.strip_prefix(&buffer[..n]) {
                Some(rest) => content = rest,
                None => return false,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Opens a file for reading; follows no link, and does not wait for a FIFO's other end.
pub(super) fn open_existing(directory: &OwnedFd, name: &OsStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests;
