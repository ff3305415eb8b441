//! Reading small files that somebody else puts in place: tokens, JWTs, certificates and keys.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use crate::text::escaped;

/// Why a file gave no bytes. Its text is a cause, without the path.
#[derive(Debug)]
pub enum Unreadable {
    /// There is no such file.
    NotFound,
    /// Its mode, or that of a directory above it, forbids it.
    NoPermission,
    /// A directory, a FIFO, a socket or a device.
    NotAFile,
    /// It holds more bytes than this.
    LargerThan(u64),
    /// The system's own words.
    Other(io::Error),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::NoPermission => f.write_str("no permission to read it"),
            Self::NotAFile => f.write_str("not a regular file"),
            Self::LargerThan(limit) if *limit >= 1 << 20 => write!(f, "larger than {} MiB", limit >> 20),
            Self::LargerThan(limit) => write!(f, "larger than {} KiB", limit >> 10),
            Self::Other(error) => f.write_str(&escaped(&error.to_string())),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::NoPermission,
            // A socket, or a device that has no driver.
            _ if error.raw_os_error() == Some(Errno::ENXIO as i32) => Self::NotAFile,
            _ => Self::Other(error),
        }
    }
}

/// The whole of the regular file at `path`; links are followed. The bytes are wiped when dropped.
///
/// # Errors
///
/// Why there are none, or that there are more than `limit`.
pub fn read(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Unreadable::NotAFile);
    }
    // As many as are there and one more: a buffer that grows leaves what it held in memory.
    let expected = usize::try_from(metadata.len().min(limit)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(Unreadable::LargerThan(limit)) } else { Ok(bytes) }
}

/// Opens what is there without waiting for it: the open of a FIFO would otherwise hang where no signal and no time limit
/// reaches it. What it is has to be asked of the open file, since another one may stand at the path a moment later. A
/// terminal does not become the controlling one.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(path: &Path) -> String {
        read(path, 64 << 10).expect_err("no bytes").to_string()
    }

    #[test]
    fn a_file_gives_its_bytes_up_to_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for length in [0, 1, 5000, 64 << 10] {
            std::fs::write(&path, vec![b'x'; length]).unwrap();
            assert_eq!(*read(&path, 64 << 10).unwrap(), vec![b'x'; length]);
        }
        std::fs::write(&path, vec![b'x'; (64 << 10) + 1]).unwrap();
        assert_eq!(cause(&path), "larger than 64 KiB");
        assert_eq!(Unreadable::LargerThan(16 << 20).to_string(), "larger than 16 MiB");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let [fifo, link, socket] = ["fifo", "link", "socket"].map(|name| directory.path().join(name));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for path in [&fifo, &link, &socket, Path::new("/dev/zero"), Path::new("/dev/ptmx"), directory.path()] {
            assert_eq!(cause(path), "not a regular file", "{}", path.display());
        }
        assert_eq!(cause(&directory.path().join("none")), "not found");
    }
}
