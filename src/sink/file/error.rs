//! Why a file could not be written, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// A file or a folder was not written. The text names its path, the cause and a remedy; what is in place is as it was,
/// unless the text says otherwise.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    of: Of,
    cause: Cause,
}

/// What was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    File,
    Folder,
}

/// The two kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The path, the permissions or the mount do not allow it: nothing changes without somebody's help.
    CannotCreate,
    /// The file system failed, or is full.
    Io,
}

#[derive(Debug)]
pub(in crate::sink) enum Cause {
    NoFileName,
    InTheWay(&'static str),
    Os(Step, Errno),
}

/// What was being done when the operating system said no.
#[derive(Clone, Copy, Debug)]
pub(in crate::sink) enum Step {
    OpenDirectory,
    /// Opening a folder that is there.
    Open,
    Inspect,
    Create,
    RemoveAcl,
    SetOwner,
    SetMode,
    Write,
    Sync,
    Rename,
    /// Making or removing the links of a folder's keys.
    Link,
    SyncDirectory,
}

impl Step {
    pub(in crate::sink) fn failed(self) -> impl Fn(Errno) -> Cause {
        move |errno| Cause::Os(self, errno)
    }

    pub(in crate::sink) fn failed_io(self) -> impl Fn(io::Error) -> Cause {
        move |error| Cause::Os(self, error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }

    fn doing(self, of: Of) -> &'static str {
        match (self, of) {
            (Self::OpenDirectory, _) => "opening its directory",
            (Self::Open, _) => "opening it",
            (Self::Inspect, _) => "looking at it",
            (Self::Create, Of::File) => "creating a temporary file beside it",
            (Self::Create, Of::Folder) => "creating the new files",
            (Self::RemoveAcl, Of::File) => {
                "taking the directory's default access control list off a temporary file beside it"
            }
            (Self::RemoveAcl, Of::Folder) => "taking the folder's default access control list off a new file",
            (Self::SetOwner, _) => "setting its owner",
            (Self::SetMode, _) => "setting its mode",
            (Self::Write, Of::File) => "writing a temporary file beside it",
            (Self::Write, Of::Folder) => "writing the new files",
            (Self::Sync, Of::File) => "syncing a temporary file beside it",
            (Self::Sync, Of::Folder) => "syncing the new files",
            (Self::Rename, Of::File) => "renaming a temporary file to it",
            (Self::Rename, Of::Folder) => "putting the new files in place",
            (Self::Link, _) => "setting the links of its keys, with the new files in place",
            (Self::SyncDirectory, Of::File) => "syncing its directory, with the new file in place",
            (Self::SyncDirectory, Of::Folder) => "syncing it, with the new files in place",
        }
    }
}

impl FileError {
    pub(in crate::sink) fn new(path: &Path, cause: Cause) -> Self {
        Self { path: path.to_owned(), of: Of::File, cause }
    }

    pub(in crate::sink) fn of_folder(path: &Path, cause: Cause) -> Self {
        Self { path: path.to_owned(), of: Of::Folder, cause }
    }

    /// What was not written, or what is in its way.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the new content is in place all the same.
    pub fn is_in_place(&self) -> bool {
        matches!(self.cause, Cause::Os(Step::Link | Step::SyncDirectory, _))
    }

    /// Which kind of failure this is. A full disk is [`Kind::Io`] at every step, a read-only one never gets
    /// beyond [`Kind::CannotCreate`].
    pub fn kind(&self) -> Kind {
        match self.cause {
            Cause::Os(_, Errno::EIO | Errno::ENOSPC | Errno::EDQUOT)
            | Cause::Os(Step::Write | Step::Sync | Step::SyncDirectory, _) => Kind::Io,
            Cause::NoFileName | Cause::InTheWay(_) | Cause::Os(..) => Kind::CannotCreate,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", vault_client::text::os(&self.path))?;
        match self.cause {
            Cause::NoFileName if self.of == Of::Folder => f.write_str("no folder can have this path; choose another"),
            Cause::NoFileName => f.write_str("the path is that of a directory; add the file's name"),
            // There a name stands for a stream or a device, which nobody means to remove.
            Cause::InTheWay(kind) if self.of == Of::File && is_stream(&self.path) => {
                write!(f, "{kind} is in the way; write - for standard output, or choose another path")
            }
            Cause::InTheWay(kind) => write!(f, "{kind} is in the way; remove it or choose another path"),
            Cause::Os(step, errno) => {
                write!(f, "{} while {}", errno.desc(), step.doing(self.of))?;
                remedy(step, self.of, errno).map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
            }
        }
    }
}

impl std::error::Error for FileError {}

/// Whether a path may name a stream or a device.
fn is_stream(path: &Path) -> bool {
    path.starts_with("/dev") || path.starts_with("/proc")
}

fn remedy(step: Step, of: Of, errno: Errno) -> Option<&'static str> {
    Some(match (step, errno) {
        (Step::Open, Errno::EACCES) => "let this user read and write the folder",
        (Step::Rename | Step::Link, Errno::EEXIST | Errno::ENOTEMPTY) => {
            "another program has made something there meanwhile; try again"
        }
        (Step::Rename, Errno::EPERM | Errno::EACCES) if of == Of::Folder => {
            "what is in place is another user's in a sticky directory, or immutable: remove it, or choose another folder"
        }
        (Step::OpenDirectory, Errno::ENOENT) => "create the directory or mount a volume there",
        (Step::OpenDirectory, Errno::ENOTDIR) => "a part of the path is a file",
        (Step::OpenDirectory, Errno::EACCES) => "let this user read and write the directory",
        (Step::SetOwner, Errno::EPERM | Errno::EINVAL) => {
            "only root, or a process with CAP_CHOWN, gives files to another user or group"
        }
        (Step::Create, Errno::ENOENT) => "no file can be made there; choose a directory on a volume",
        (Step::Create, Errno::EPERM) => {
            "the directory is immutable, or this user may not write to it (in Kubernetes: fsGroup)"
        }
        (Step::Rename, Errno::EBUSY) => "the file is a mount point; mount its directory instead",
        (Step::Rename, Errno::EPERM) => {
            "the file in place is another user's in a sticky directory, or immutable: remove it, or choose another \
             directory"
        }
        (_, Errno::ENOSYS) | (Step::RemoveAcl | Step::Write | Step::Sync | Step::SyncDirectory, Errno::EPERM) => {
            "the container's seccomp profile may forbid the call"
        }
        (Step::SetMode, Errno::EPERM) => "its file system, or the container's seccomp profile, lets nobody set modes",
        (_, Errno::EACCES | Errno::EPERM) => "let this user write to the directory (in Kubernetes: fsGroup)",
        (_, Errno::EROFS) => "choose a volume that is not read-only",
        (_, Errno::ENOSPC) => "make the volume larger or free some of it",
        (_, Errno::EDQUOT) => "raise the quota or free some of it",
        (_, Errno::EFBIG) => "raise the limit on the size of files (ulimit -f)",
        (_, Errno::ENAMETOOLONG) => "choose a shorter name",
        _ => return None,
    })
}
