//! Why a file could not be written, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// A file was not written. The text names its path, the cause and a remedy; the file in place is as it was,
/// unless the text says otherwise.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    cause: Cause,
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
pub(super) enum Cause {
    NoFileName,
    InTheWay(&'static str),
    Os(Step, Errno),
}

/// What was being done when the operating system said no.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    OpenDirectory,
    Inspect,
    Create,
    RemoveAcl,
    SetOwner,
    SetMode,
    Write,
    Sync,
    Rename,
    SyncDirectory,
}

impl Step {
    pub(super) fn failed(self) -> impl Fn(Errno) -> Cause {
        move |errno| Cause::Os(self, errno)
    }

    pub(super) fn failed_io(self) -> impl Fn(io::Error) -> Cause {
        move |error| Cause::Os(self, error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }

    fn doing(self) -> &'static str {
        match self {
            Self::OpenDirectory => "opening its directory",
            Self::Inspect => "looking at it",
            Self::Create => "creating a temporary file beside it",
            Self::RemoveAcl => "taking the directory's default access control list off a temporary file beside it",
            Self::SetOwner => "setting its owner",
            Self::SetMode => "setting its mode",
            Self::Write => "writing a temporary file beside it",
            Self::Sync => "syncing a temporary file beside it",
            Self::Rename => "renaming a temporary file to it",
            Self::SyncDirectory => "syncing its directory, with the new file in place",
        }
    }
}

impl FileError {
    pub(super) fn new(path: &Path, cause: Cause) -> Self {
        Self { path: path.to_owned(), cause }
    }

    /// The file that was not written.
    pub fn path(&self) -> &Path {
        &self.path
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
            Cause::NoFileName => f.write_str("the path is that of a directory; add the file's name"),
            // There a name stands for a stream or a device, which nobody means to remove.
            Cause::InTheWay(kind) if self.path.starts_with("/dev") || self.path.starts_with("/proc") => {
                write!(f, "{kind} is in the way; write - for standard output, or choose another path")
            }
            Cause::InTheWay(kind) => write!(f, "{kind} is in the way; remove it or choose another path"),
            Cause::Os(step, errno) => {
                write!(f, "{} while {}", errno.desc(), step.doing())?;
                remedy(step, errno).map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
            }
        }
    }
}

impl std::error::Error for FileError {}

fn remedy(step: Step, errno: Errno) -> Option<&'static str> {
    Some(match (step, errno) {
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
