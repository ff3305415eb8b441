//! The folder that the entries are in. Whatever is done in it is done by its descriptor, and nothing in it is followed,
//! waited for or trusted that is not this user's alone.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use zeroize::Zeroizing;

use crate::text::escaped;

/// No entry is larger.
const MOST_BYTES: u64 = 64 << 10;

/// Why a file or a folder is not used, as a cause.
pub type Flaw = String;

/// A folder of this user's, which nobody else can look into.
pub struct Folder(File);

/// The right to write one entry. Its end removes the file that it is held by: who waits for it looks at it again.
pub struct Lock<'a> {
    folder: &'a Folder,
    name: String,
    _held: Flock<File>,
}

impl Folder {
    /// Opens the one at `path`; `None` where there is none.
    pub fn open(path: &Path) -> Result<Option<Self>, Flaw> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = match nix::fcntl::open(path, flags, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ENOTDIR | Errno::ELOOP) => return Err("not a folder".into()),
            Err(errno) => return Err(errno.desc().into()),
        };
        own(&file)?;
        Ok(Some(Self(file)))
    }

    /// Opens the one at `path`, which is made where there is none.
    pub fn make(path: &Path) -> Result<Self, Flaw> {
        if let Some(folder) = Self::open(path)? {
            return Ok(folder);
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| words(&error))?;
        Self::open(path)?.ok_or_else(|| "it was removed".into())
    }

    /// The content of the file `name`; `None` where there is none.
    pub fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Flaw> {
        // The open of a FIFO would wait for a writer.
        let file = match self.open_file(name, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP) => return Err("a link".into()),
            Err(errno) => return Err(errno.desc().into()),
        };
        let found = own(&file)?;
        if !found.is_file() {
            return Err("not a regular file".into());
        }
        if found.nlink() != 1 {
            return Err("it has another name".into());
        }
        if found.len() > MOST_BYTES {
            return Err("too large".into());
        }
        let expected = usize::try_from(found.len()).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|error| words(&error))?;
        Ok(Some(bytes))
    }

    /// Takes the right to write the entry `name`; `None` where another program has it.
    pub fn lock(&self, name: &str) -> Result<Option<Lock<'_>>, Flaw> {
        let name = format!("{name}.lock");
        loop {
            let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NONBLOCK;
            let file = self.open_file(&name, flags).map_err(|errno| errno.desc().to_owned())?;
            own(&file)?;
            let held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(held) => held,
                Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
                Err((_, errno)) => return Err(errno.desc().into()),
            };
            // Who had it before has removed it: another program may have made another one meanwhile.
            if held.metadata().map_err(|error| words(&error))?.nlink() > 0 {
                return Ok(Some(Lock { folder: self, name, _held: held }));
            }
        }
    }

    /// Removes the file `name`, and tells whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, Flaw> {
        match unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno.desc().into()),
        }
    }

    fn open_file(&self, name: &str, flags: OFlag) -> nix::Result<File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        openat(&self.0, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
    }
}

impl Lock<'_> {
    /// Writes the file `name` whole, or leaves it as it is.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Flaw> {
        // Under the lock nobody else has it: one that is there was left behind.
        let temporary = format!(".{name}.new");
        self.folder.remove(&temporary)?;
        self.write_through(&temporary, name, bytes).inspect_err(|_| {
            let _ = self.folder.remove(&temporary);
        })
    }

    fn write_through(&self, temporary: &str, name: &str, bytes: &[u8]) -> Result<(), Flaw> {
        let folder = &self.folder.0;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut file = self.folder.open_file(temporary, flags).map_err(|errno| errno.desc().to_owned())?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| words(&error))?;
        renameat(folder, temporary, folder, name).map_err(|errno| errno.desc().to_owned())?;
        // Some file systems sync no folder.
        let _ = nix::unistd::fsync(folder.as_fd());
        Ok(())
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        let _ = self.folder.remove(&self.name);
    }
}

/// What is known of `file`, which has to be this user's alone.
fn own(file: &File) -> Result<std::fs::Metadata, Flaw> {
    let found = file.metadata().map_err(|error| words(&error))?;
    if found.uid() != geteuid().as_raw() {
        return Err("another user's".into());
    }
    if found.mode() & 0o077 != 0 {
        return Err(format!("its mode {:03o} lets others in", found.mode() & 0o777));
    }
    Ok(found)
}

fn words(error: &io::Error) -> Flaw {
    escaped(&error.to_string())
}
