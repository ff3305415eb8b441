//! Copies the program to another place: an image built from scratch has no `cp`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::sink::file::{self, FileError, Target};
use vault_client::text;

/// The name of the copy.
const NAME: &str = "vault-exec";

/// The program was not installed.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The program's own file.
    #[error("cannot read the program from {}: {cause}; is /proc mounted?", text::os(path))]
    Read {
        /// Where it was expected.
        path: PathBuf,
        /// Why it was not read.
        cause: io::Error,
    },
    /// The copy.
    #[error(transparent)]
    Write(#[from] FileError),
}

/// Copies `program`, for the running one `/proc/self/exe`, to `directory` as `vault-exec`, executable by everyone,
/// and returns where it is now. A copy that is running is no obstacle: it keeps its file, which loses its name.
///
/// # Errors
///
/// [`InstallError::Read`] where `/proc` is not mounted, [`InstallError::Write`] where the directory is missing, not
/// writable or full. A copy that was there is as it was.
pub fn install(program: &Path, directory: &Path) -> Result<PathBuf, InstallError> {
    let bytes = fs::read(program).map_err(|cause| InstallError::Read { path: program.to_owned(), cause })?;
    let path = directory.join(NAME);
    file::write(&Target { path: path.clone(), mode: 0o755, owner: None }, &bytes)?;
    Ok(path)
}
