//! Writes a folder of files that changes as a whole, in the way in which the kubelet
//! [writes a Secret's volume](https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter).
//!
//! ```text
//! ..2026_01_31_12_00_00_0123456789abcdef/    the data folder, with a file for each key
//! ..data -> ..2026_01_31_12_00_00_0123456789abcdef
//! KEY    -> ..data/KEY
//! ```
//!
//! The new files come into a data folder of their own. rename(2) then puts another link in the place of `..data`, which
//! leaves a reader no moment without the old files or the new ones. That link and those of new keys are made before, in
//! a folder beside. A folder that is not there yet is made under another name, complete, and then renamed.
//!
//! Ours are data folders with what is in them, `..data`, and the links of keys; all else stays as it is. A folder that
//! was there keeps its mode and owner. One that is made here gets those of the data folder, and is its owner's to write.

mod check;
mod held;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, symlinkat, unlinkat};
use zeroize::Zeroizing;

pub use self::check::check;
use self::held::{Held, entries, open_folder, remove, sweep};
use super::file::error::{Cause, FileError, Step};
use super::file::temporary::{ATTEMPTS, is_random, is_temporary, prefix, random, shape, sync_directory};
use super::file::{Target, Written, has_shape, holds, obstacle, open_directory, open_existing, owner_in};

/// The link that leads to the files in effect.
const DATA: &str = "..data";

/// The beginning of the name of a folder with links that are not in place yet.
const LINKS: &str = "..data_tmp_";

/// A file of the folder. Its `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct Named {
    /// A file's name that does not begin with `..`.
    pub name: String,
    /// Its content.
    pub content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Files that are on the disk but not in effect yet. Dropped without [`Prepared::commit`], they are removed.
#[must_use = "the files take effect when they are committed"]
pub struct Prepared {
    target: Target,
    /// `None` where the folder needs no change.
    change: Option<Change>,
}

enum Change {
    New(New),
    Swap(Swap),
}

/// A whole folder under another name beside its place.
struct New {
    parent: OwnedFd,
    folder: Held,
    name: OsString,
}

/// What replaces the files of a folder that is there.
struct Swap {
    directory: OwnedFd,
    data: Held,
    /// `..data`, and the links of keys that have none yet.
    links: Held,
    /// Sorted.
    names: Vec<OsString>,
    written: Written,
}

/// Where the folder is, or is to be.
enum Place<'a> {
    There(OwnedFd),
    Absent(OwnedFd, &'a OsStr),
}

/// Does everything that takes long or is likely to fail; the rename and the links of keys are left for
/// [`Prepared::commit`]. The files are sorted by name, and no two have the same. The target's mode is theirs; folders are
/// searchable by whom it lets read.
///
/// Refuses a folder that has something of others under the name of a key or of `..data`. What killed runs left there is
/// removed in any case.
///
/// # Errors
///
/// Path, cause and remedy; the folder is as it was, and nothing is left in it.
pub fn prepare(target: &Target, files: &[Named]) -> Result<Prepared, FileError> {
    let failed = |cause| FileError::of_folder(&target.path, cause);
    let change = match place(&target.path).map_err(failed)? {
        Place::Absent(parent, name) => Some(Change::New(New::prepare(parent, name, target, files).map_err(failed)?)),
        Place::There(directory) => {
            remove_left_overs(&directory, target);
            let written = look(&directory, target, files)?;
            let same = written == Written::Replaced && is_same(&directory, target, files);
            let swap = || Swap::prepare(directory, target, files, written).map_err(failed);
            if same { None } else { Some(Change::Swap(swap()?)) }
        }
    };
    Ok(Prepared { target: target.clone(), change })
}

impl Prepared {
    /// Puts the new files in place of the old ones, which are removed, and makes that last.
    ///
    /// # Errors
    ///
    /// Where the rename fails, the folder is as it was. Where anything fails after it, the new files are in place and the
    /// text says so.
    pub fn commit(self) -> Result<Written, FileError> {
        let committed = match self.change {
            None => return Ok(Written::Unchanged),
            Some(Change::New(new)) => new.commit(),
            Some(Change::Swap(swap)) => swap.commit(&self.target),
        };
        committed.map_err(|cause| FileError::of_folder(&self.target.path, cause))
    }
}

impl New {
    fn prepare(parent: OwnedFd, name: &OsStr, target: &Target, files: &[Named]) -> Result<Self, Cause> {
        let temporary = prefix(name);
        sweep(&parent, target, |name| is_temporary(name, &temporary));
        let folder = Held::create(&parent, || [temporary.as_os_str(), OsStr::new(&random())].into_iter().collect())?;
        let mut data = Held::create(folder.folder(), data_name)?;
        fill(&data, target, files)?;
        data.keep();
        link_in(folder.folder(), data.name(), files.iter().map(|file| OsStr::new(&file.name)))?;
        // In a directory that hands down its group this folder does so too, so that later files get that group. Its owner
        // has to be able to change it again.
        let made = fstat(folder.folder()).map_err(Step::Inspect.failed())?;
        let kept = Mode::S_IRWXU.bits() | made.st_mode & Mode::S_ISGID.bits();
        shape(folder.folder(), folder_mode(target.mode) | kept, target.owner)?;
        sync_directory(folder.folder()).map_err(Step::Sync.failed())?;
        Ok(Self { parent, folder, name: name.to_owned() })
    }

    fn commit(mut self) -> Result<Written, Cause> {
        let (from, to) = (self.folder.name(), self.name.as_os_str());
        renameat(&self.parent, from, &self.parent, to).map_err(Step::Rename.failed())?;
        self.folder.keep();
        sync_directory(&self.parent).map_err(Step::SyncDirectory.failed())?;
        Ok(Written::Created)
    }
}

impl Swap {
    fn prepare(directory: OwnedFd, target: &Target, files: &[Named], written: Written) -> Result<Self, Cause> {
        debug_assert!(files.is_sorted_by(|one, other| one.name < other.name));
        let data = Held::create(&directory, data_name)?;
        fill(&data, target, files)?;
        let links = Held::create(&directory, || OsString::from(format!("{LINKS}{}", random())))?;
        let names: Vec<_> = files.iter().map(|file| OsString::from(&file.name)).collect();
        let is_new = |name: &&OsString| matches!(what_is(&directory, name), Ok(Found::Nothing));
        link_in(links.folder(), data.name(), names.iter().filter(is_new).map(OsString::as_os_str))?;
        sync_directory(links.folder()).map_err(Step::Sync.failed())?;
        sync_directory(&directory).map_err(Step::Sync.failed())?;
        Ok(Self { directory, data, links, names, written })
    }

    fn commit(mut self, target: &Target) -> Result<Written, Cause> {
        let before = current(&self.directory);
        renameat(self.links.folder(), DATA, &self.directory, DATA).map_err(Step::Rename.failed())?;
        self.data.keep();
        self.link().map_err(Step::Link.failed())?;
        sync_directory(&self.directory).map_err(Step::SyncDirectory.failed())?;
        let Self { directory, data, links, written, .. } = self;
        drop(links);
        // Where there are no locks, it is the only one that is surely nobody's any more.
        before.inspect(|name| remove(&directory, name));
        // Another run may have come meanwhile, and may have to remove this one's files.
        drop(data);
        remove_left_overs(&directory, target);
        Ok(written)
    }

    /// Gives each key its link and takes those of other keys away. Where another run has put its own files in place
    /// meanwhile, the links are set for those: whichever run comes last to its end, they then are right.
    fn link(&self) -> nix::Result<()> {
        self.set_links(&self.names, &|name| self.names.binary_search_by(|it| it.as_os_str().cmp(name)).is_ok())?;
        let mut linked_to = self.data.name().to_owned();
        for _ in 0..ATTEMPTS {
            match current(&self.directory) {
                Some(now) if now != linked_to => {
                    let Ok(data) = open_folder(&self.directory, &now) else { break };
                    let is_there = |name: &OsStr| fstatat(&data, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok();
                    self.set_links(&entries(&data)?, &is_there)?;
                    linked_to = now;
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn set_links(&self, names: &[OsString], is_key: &dyn Fn(&OsStr) -> bool) -> nix::Result<()> {
        names.iter().try_for_each(|name| self.link_key(name))?;
        for vanished in linked(&self.directory)?.iter().filter(|name| !is_key(name)) {
            absent_is_fine(unlinkat(&self.directory, vanished.as_os_str(), UnlinkatFlags::NoRemoveDir))?;
        }
        Ok(())
    }

    fn link_key(&self, name: &OsStr) -> nix::Result<()> {
        match what_is(&self.directory, name)? {
            Found::Ours => return Ok(()),
            Found::Other(_) => return Err(Errno::EEXIST),
            Found::Nothing => {}
        }
        match renameat(self.links.folder(), name, &self.directory, name) {
            // One that another run needs, or has just removed.
            Err(Errno::ENOENT) => match symlinkat(link_of(name).as_os_str(), &self.directory, name) {
                Err(Errno::EEXIST) => Ok(()),
                made => made,
            },
            renamed => renamed,
        }
    }
}

/// Writes the files, to the disk itself, and then gives their folder its mode and owner.
fn fill(data: &Held, target: &Target, files: &[Named]) -> Result<(), Cause> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    for Named { name, content } in files {
        let file = openat(data.folder(), name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let mut file = File::from(file.map_err(Step::Create.failed())?);
        shape(&file, target.mode, target.owner)?;
        file.write_all(content).map_err(Step::Write.failed_io())?;
        fsync(&file).map_err(Step::Sync.failed())?;
    }
    shape(data.folder(), folder_mode(target.mode), target.owner)?;
    sync_directory(data.folder()).map_err(Step::Sync.failed())
}

/// Makes `..data` and the links of these keys.
fn link_in<'a>(folder: &OwnedFd, data: &OsStr, names: impl Iterator<Item = &'a OsStr>) -> Result<(), Cause> {
    symlinkat(data, folder, DATA).map_err(Step::Create.failed())?;
    for name in names {
        symlinkat(link_of(name).as_os_str(), folder, name).map_err(Step::Create.failed())?;
    }
    Ok(())
}

/// Opens the folder, or the directory that it is to be made in.
fn place(path: &Path) -> Result<Place<'_>, Cause> {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(bytes.len().min(1), |last| last + 1);
    let path = Path::new(OsStr::from_bytes(&bytes[..end]));
    let refused = match open_folder(AT_FDCWD, path.as_os_str()) {
        Ok(directory) => return Ok(Place::There(directory)),
        Err(errno @ (Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP)) => errno,
        Err(errno) => return Err(Cause::Os(Step::Open, errno)),
    };
    let (parent, name) = open_directory(path)?;
    match fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(Place::Absent(parent, name)),
        Err(errno) => Err(Cause::Os(Step::Inspect, errno)),
        Ok(found) if is_directory(&found) => Err(Cause::Os(Step::Open, refused)),
        Ok(found) => Err(Cause::InTheWay(kind(&found))),
    }
}

/// What writing the files would be; only what is ours may be replaced.
fn look(directory: &OwnedFd, target: &Target, files: &[Named]) -> Result<Written, FileError> {
    let found = |name: &OsStr| match what_is(directory, name) {
        Ok(Found::Other(kind)) => Err(FileError::of_folder(&target.path.join(name), Cause::InTheWay(kind))),
        Ok(found) => Ok(found),
        Err(errno) => Err(FileError::of_folder(&target.path.join(name), Cause::Os(Step::Inspect, errno))),
    };
    let data = found(OsStr::new(DATA))?;
    files.iter().try_for_each(|file| found(OsStr::new(&file.name)).map(drop))?;
    Ok(if let Found::Nothing = data { Written::Created } else { Written::Replaced })
}

/// What there is under a name of ours.
enum Found {
    Nothing,
    Ours,
    Other(&'static str),
}

fn what_is(directory: &OwnedFd, name: &OsStr) -> nix::Result<Found> {
    let is_ours = |to: &OsStr| if name == DATA { is_data_name(to) } else { to == link_of(name) };
    match readlinkat(directory, name) {
        Ok(to) if is_ours(&to) => return Ok(Found::Ours),
        Err(Errno::ENOENT) => return Ok(Found::Nothing),
        // No link.
        Ok(_) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    let found = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(Found::Other(kind(&found)))
}

/// Whether the folder has these files already, with this mode and owner, a link for each, and no more.
fn is_same(directory: &OwnedFd, target: &Target, files: &[Named]) -> bool {
    let data = current(directory).and_then(|name| open_folder(directory, &name).ok());
    let (Some(data), Ok(found)) = (data, fstat(directory)) else {
        return false;
    };
    let owner = owner_in(&found, target);
    let is_same_file = |file: &Named| {
        open_existing(&data, OsStr::new(&file.name)).is_ok_and(|there| {
            let regular = fstat(&there).is_ok_and(|found| obstacle(&found).is_none());
            regular && has_shape(&there, target.mode, owner) && holds(there.into(), &file.content)
        })
    };
    has_shape(&data, folder_mode(target.mode), owner)
        && files.iter().all(is_same_file)
        && files.iter().all(|file| matches!(what_is(directory, OsStr::new(&file.name)), Ok(Found::Ours)))
        && [entries(&data), linked(directory)].iter().flatten().filter(|it| it.len() == files.len()).count() == 2
}

/// Removes what killed runs left in the folder, and files that are out of effect.
fn remove_left_overs(directory: &OwnedFd, target: &Target) {
    sweep(directory, target, |name| {
        let links = name.as_bytes().strip_prefix(LINKS.as_bytes());
        links.is_some_and(is_random) || is_data_name(name) && current(directory).is_none_or(|now| now != name)
    });
}

/// The data folder in effect.
fn current(directory: &OwnedFd) -> Option<OsString> {
    readlinkat(directory, DATA).ok().filter(|to| is_data_name(to))
}

/// The keys that have a link.
fn linked(directory: &OwnedFd) -> nix::Result<Vec<OsString>> {
    let mut names = entries(directory)?;
    names.retain(|name| readlinkat(directory, name.as_os_str()).is_ok_and(|to| to == link_of(name)));
    Ok(names)
}

fn link_of(name: &OsStr) -> OsString {
    [OsStr::new("..data/"), name].into_iter().collect()
}

/// A name for a data folder that no other has: `..2026_01_31_12_00_00_` and digits.
fn data_name() -> OsString {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    // With an `_` for what stands behind the seconds too.
    let now: String = now.chars().map(|c| if c.is_ascii_digit() { c } else { '_' }).collect();
    format!("..{now}{}", random()).into()
}

fn is_data_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let pattern = b"..dddd_dd_dd_dd_dd_dd_";
    let fits = |(byte, wanted): (&u8, &u8)| if *wanted == b'd' { byte.is_ascii_digit() } else { byte == wanted };
    name.split_at_checked(pattern.len())
        .is_some_and(|(time, rest)| time.iter().zip(pattern).all(fits) && is_random(rest))
}

/// Whoever may read a file may search its folder.
fn folder_mode(mode: u32) -> u32 {
    mode | (mode & 0o444) >> 2
}

fn is_directory(found: &FileStat) -> bool {
    found.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR
}

fn kind(found: &FileStat) -> &'static str {
    obstacle(found).unwrap_or("a regular file")
}

fn absent_is_fine(done: nix::Result<()>) -> nix::Result<()> {
    if done == Err(Errno::ENOENT) { Ok(()) } else { done }
}

#[cfg(test)]
mod tests;
