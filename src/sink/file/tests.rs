use std::ffi::OsStr;
use std::path::Path;

use nix::errno::Errno;

use super::check::check;
use super::error::{Cause, Step};
use super::{FileError, Kind, Target, split, write};

#[test]
fn a_path_splits_into_directory_and_name() {
    for (path, directory, name) in
        [("app.env", ".", "app.env"), ("/app.env", "/", "app.env"), ("a/b", "a", "b"), ("/a//b", "/a/", "b")]
    {
        assert_eq!(split(Path::new(path)), Some((Path::new(directory), OsStr::new(name))), "{path}");
    }
}

#[test]
fn a_path_that_ends_like_a_directory_has_no_name() {
    for path in ["", "/", ".", "..", "a/", "a/.", "a/.."] {
        assert_eq!(split(Path::new(path)), None, "{path}");
    }
}

#[test]
fn an_error_names_path_cause_and_remedy() {
    let text = |cause| FileError::new(Path::new("/s/app.env"), cause).to_string();
    for (cause, expected) in [
        (Cause::NoFileName, "the path is that of a directory; add the file's name"),
        (Cause::InTheWay("a FIFO"), "a FIFO is in the way; remove it or choose another path"),
        (
            Cause::Os(Step::OpenDirectory, Errno::ENOENT),
            "No such file or directory while opening its directory; create the directory or mount a volume there",
        ),
        (
            Cause::Os(Step::Write, Errno::ENOSPC),
            "No space left on device while writing a temporary file beside it; \
             make the volume larger or free some of it",
        ),
        (
            Cause::Os(Step::SyncDirectory, Errno::EIO),
            "I/O error while syncing its directory, with the new file in place",
        ),
    ] {
        assert_eq!(text(cause), format!("/s/app.env: {expected}"));
    }
}

#[test]
fn a_full_disk_is_an_io_error_at_every_step_and_a_read_only_one_at_none() {
    let kind = |step, errno| FileError::new(Path::new("f"), Cause::Os(step, errno)).kind();
    for step in [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDirectory] {
        assert_eq!(kind(step, Errno::ENOSPC), Kind::Io, "{step:?}");
    }
    for step in [Step::OpenDirectory, Step::Create, Step::SetOwner, Step::SetMode, Step::Rename] {
        assert_eq!(kind(step, Errno::EROFS), Kind::CannotCreate, "{step:?}");
    }
}

/// Root may write there by their modes, and no file can be made all the same.
#[test]
fn nothing_can_be_made_where_the_kernel_keeps_its_own_files() {
    for path in ["/proc/app.env", "/sys/app.env", "/dev/pts/app.env"] {
        let target = Target::new(path);
        let [real, dry] = [write(&target, b"A=1\n").map(drop), check(&target, Some(b"A=1\n"))];
        let kind = |result: Result<(), FileError>| result.map_err(|error| error.kind());
        assert_eq!((kind(dry), kind(real)), (Err(Kind::CannotCreate), Err(Kind::CannotCreate)), "{path}");
    }
}

#[test]
fn an_error_of_a_folder_speaks_of_its_files() {
    let text = |cause| FileError::of_folder(Path::new("/dev/shm/s"), cause).to_string();
    for (cause, expected) in [
        (Cause::NoFileName, "no folder can have this path; choose another"),
        (Cause::InTheWay("a FIFO"), "a FIFO is in the way; remove it or choose another path"),
        (
            Cause::Os(Step::Open, Errno::EACCES),
            "Permission denied while opening it; let this user read and write the folder",
        ),
        (
            Cause::Os(Step::Write, Errno::ENOSPC),
            "No space left on device while writing the new files; make the volume larger or free some of it",
        ),
        (
            Cause::Os(Step::Rename, Errno::EPERM),
            "Operation not permitted while putting the new files in place; what is in place is another user's in a \
             sticky directory, or immutable: remove it, or choose another folder",
        ),
        (Cause::Os(Step::SyncDirectory, Errno::EIO), "I/O error while syncing it, with the new files in place"),
    ] {
        assert_eq!(text(cause), format!("/dev/shm/s: {expected}"));
    }
}
