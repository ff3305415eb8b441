//! Files and folders of CA certificates: Vault's own, where what is damaged is an error, and those that belong to the
//! application, where it is passed over.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use super::remedy;
use crate::credential::{self, Unreadable};
use crate::options::tls::{Unfit, roots};
use crate::text;

/// Larger files are no certificates; all public roots together take a quarter of a megabyte.
pub const MAX_FILE: u64 = 16 << 20;

/// Folders below this many others are not looked into.
const MAX_DEPTH: usize = 8;

/// Certificates of authorities.
pub type Roots = Vec<CertificateDer<'static>>;

/// Why a file or folder gives no roots.
pub enum Unusable {
    /// It cannot be read.
    Unreadable(Unreadable),
    /// It holds something else.
    Unfit(Unfit),
    /// No file of a folder holds any.
    NoneInside,
    /// Folders lie too deep in each other.
    TooDeep,
    /// The same, of what lies at this path in a folder.
    At(PathBuf, Box<Self>),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.into())
    }
}

impl Unusable {
    /// What is wrong, on one line.
    pub fn cause(&self) -> String {
        match self {
            Self::Unreadable(unreadable) => unreadable.to_string(),
            Self::Unfit(unfit) => unfit.cause().to_owned(),
            Self::NoneInside => "no certificate in PEM in any file of it".to_owned(),
            Self::TooDeep => format!("more than {MAX_DEPTH} folders deep"),
            Self::At(path, unusable) => format!("{}: {}", text::os(path), unusable.cause()),
        }
    }

    /// The same with what to do.
    pub fn sentence(&self) -> String {
        match self {
            Self::Unfit(unfit) => format!("{unfit}; {}", remedy::of_pem(*unfit)),
            Self::At(path, unusable) => format!("{}: {}", text::os(path), unusable.sentence()),
            Self::Unreadable(_) | Self::NoneInside | Self::TooDeep => {
                format!("{}; give PEM with at least one CA certificate", self.cause())
            }
        }
    }
}

/// The certificates of one file.
pub fn of_file(path: &Path) -> Result<Roots, Unusable> {
    let pem = credential::read(path, MAX_FILE).map_err(Unusable::Unreadable)?;
    roots(&pem).map_err(Unusable::Unfit)
}

/// `VAULT_CAPATH`: those of a file, or of every file of a folder and of the folders in it.
pub fn of_path(path: &Path) -> Result<Roots, Unusable> {
    if !fs::metadata(path)?.is_dir() {
        return of_file(path);
    }
    let mut walk = Walk { seen: HashSet::new(), roots: Roots::new() };
    walk.folder(path, 0)?;
    if walk.roots.is_empty() { Err(Unusable::NoneInside) } else { Ok(walk.roots) }
}

/// The way through a folder.
struct Walk {
    /// Device and inode: links lead to the same files by many names, and in circles.
    seen: HashSet<(u64, u64)>,
    roots: Roots,
}

impl Walk {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), Unusable> {
        for path in entries(folder)? {
            self.entry(&path, depth).map_err(|unusable| match unusable {
                at @ Unusable::At(..) => at,
                unusable => Unusable::At(path, Box::new(unusable)),
            })?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, depth: usize) -> Result<(), Unusable> {
        let metadata: Metadata = fs::metadata(path)?;
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        if metadata.is_dir() {
            return if depth == MAX_DEPTH { Err(Unusable::TooDeep) } else { self.folder(path, depth + 1) };
        }
        if !metadata.is_file() {
            log::debug!("VAULT_CAPATH: {} is skipped: not a regular file", text::os(path));
            return Ok(());
        }
        match of_file(path) {
            Ok(roots) => self.roots.extend(roots),
            Err(Unusable::Unfit(unfit)) if unfit.is_no_certificate() => {
                log::debug!("VAULT_CAPATH: {} is skipped: {}", text::os(path), unfit.cause());
            }
            Err(unusable) => return Err(unusable),
        }
        Ok(())
    }
}

/// What lies in a folder, in the order of names. Those that begin with two dots are the machinery of a `ConfigMap` volume:
/// the links beside them lead to the same files.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| !path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"..")));
    paths.sort();
    Ok(paths)
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR`, a list, as [OpenSSL] has them. They belong to the application: what cannot be used
/// is passed over. None: neither of them is set.
///
/// # Errors
///
/// Nothing in them can be used: each variable, its value or a part of it, and why.
///
/// [OpenSSL]: https://docs.openssl.org/3.0/man3/SSL_CTX_load_verify_locations/
pub fn of_application(
    file: Option<&OsStr>,
    folders: Option<&OsStr>,
) -> Result<Option<Roots>, Vec<(&'static str, PathBuf, Unusable)>> {
    let folders = folders.map(OsStr::as_bytes).unwrap_or_default().split(|byte| *byte == b':');
    let folders = folders.filter(|folder| !folder.is_empty()).map(|folder| Path::new(OsStr::from_bytes(folder)));
    let file = file.filter(|file| !file.is_empty()).map(Path::new);
    let read = file.map(|file| ("SSL_CERT_FILE", file, of_file(file))).into_iter();
    let read = read.chain(folders.map(|folder| ("SSL_CERT_DIR", folder, of_application_folder(folder))));
    let (mut all, mut unusable) = (Roots::new(), Vec::new());
    for (variable, path, read) in read {
        match read {
            Ok(roots) => all.extend(roots),
            Err(why) => {
                skip(variable, path, &why);
                unusable.push((variable, path.to_owned(), why));
            }
        }
    }
    match (all.is_empty(), unusable.is_empty()) {
        (false, _) => Ok(Some(all)),
        (true, true) => Ok(None),
        (true, false) => Err(unusable),
    }
}

fn of_application_folder(folder: &Path) -> Result<Roots, Unusable> {
    let mut all = Roots::new();
    for path in entries(folder)?.into_iter().filter(|path| !path.is_dir()) {
        match of_file(&path) {
            Ok(roots) => all.extend(roots),
            Err(why) => skip("SSL_CERT_DIR", &path, &why),
        }
    }
    if all.is_empty() { Err(Unusable::NoneInside) } else { Ok(all) }
}

fn skip(variable: &str, path: &Path, why: &Unusable) {
    log::debug!("{variable}: {} is skipped: {}", text::os(path), why.cause());
}
