//! The env file: the variables in a format, at a place, with a mode and an owner. In the format `dir` it is a folder.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::file::error::Cause;
use super::file::{self, FileError, Target, Written};
use super::folder;
use super::format::{Content, Format};
use crate::process;
use crate::secrets::{Carrier, Problem, Variable};
use vault_client::Call;
use vault_client::text;

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Where.
    pub place: Place,
    /// How.
    pub format: Format,
    /// Permission bits of a file.
    pub mode: u32,
    /// User and group of a file, where they are not this process's.
    pub owner: Option<(u32, Option<u32>)>,
}

/// Where an env file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// To standard output.
    Stdout,
    /// To this file or folder, whole or not at all.
    File(PathBuf),
}

/// What became of an env file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A file or folder, which was not there before, was there with other content, or is as it was.
    File(Written),
    /// Standard output has got it.
    Printed,
}

impl Outcome {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::File(Written::Created) => "created",
            Self::File(Written::Replaced) => "replaced",
            Self::File(Written::Unchanged) => "unchanged",
            Self::Printed => "written",
        }
    }
}

/// An env file that needs only its last step.
pub enum Ready {
    /// The bytes for standard output.
    Stdout(Zeroizing<Vec<u8>>),
    /// The file beside its target.
    File(file::Prepared),
    /// The files beside those that they replace.
    Folder(folder::Prepared),
}

/// The place, as it may be shown.
impl fmt::Display for EnvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Stdout => f.write_str("standard output"),
            Place::File(path) => f.write_str(&text::os(path)),
        }
    }
}

impl EnvFile {
    /// What the variables have to fit.
    pub fn carrier(&self) -> Carrier {
        if self.format == Format::Dir { Carrier::Folder } else { Carrier::File }
    }

    /// Renders `variables`, or says which of them the format cannot carry and which other formats could carry all.
    ///
    /// # Errors
    ///
    /// A [`Problem::Format`] for each variable that is in the way.
    pub fn render(&self, variables: &[Variable]) -> Result<Content, Vec<Problem>> {
        let pairs: Vec<_> = variables.iter().map(|v| (v.name.as_str(), v.value.expose())).collect();
        self.format.render(&pairs).map_err(|refusals| {
            let fits = |format: &Format| *format != Format::Dir || self.place != Place::Stdout;
            let others = Format::ALL.into_iter().filter(|it| *it != self.format && fits(it));
            let able: Vec<_> = others.filter(|it| it.carries(&pairs)).collect();
            let able = match able.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "no other format can carry all of them".to_owned(),
                able => format!("{able} can carry all of them"),
            };
            let names = refusals.iter().any(|refusal| refusal.reason.is_of_the_name());
            let remedy = if names { format!("rename the key with VAULT_KEYS=key:NAME; {able}") } else { able };
            let refused = |refusal: &super::format::Refusal| Problem::Format {
                format: self.format.name(),
                name: refusal.to_string(),
                remedy: remedy.clone(),
            };
            refusals.iter().map(refused).collect()
        })
    }

    /// Finds what would forbid writing `content`, without writing it; without content, what would forbid writing any.
    ///
    /// # Errors
    ///
    /// As [`EnvFile::prepare`] and [`Ready::finish`], as far as that shows without writing.
    pub fn check(&self, content: Option<&Content>) -> Result<(), Unwritten> {
        match (self.target(), content) {
            (None, _) => process::stdout().map(drop).map_err(Unwritten::Stdout),
            (Some(target), Some(Content::Folder(files))) => Ok(folder::check(&target, Some(files))?),
            (Some(target), Some(Content::File(bytes))) => Ok(file::check(&target, Some(bytes))?),
            (Some(target), None) if self.format == Format::Dir => Ok(folder::check(&target, None)?),
            (Some(target), None) => Ok(file::check(&target, None)?),
        }
    }

    /// Does everything but the last step.
    ///
    /// # Errors
    ///
    /// Path, cause and remedy; nothing was changed.
    pub fn prepare(&self, content: Content) -> Result<Ready, FileError> {
        match (self.target(), content) {
            (None, Content::File(bytes)) => Ok(Ready::Stdout(bytes)),
            // The settings are refused for it.
            (None, Content::Folder(_)) => Err(FileError::of_folder("-".as_ref(), Cause::NoFileName)),
            (Some(target), Content::File(bytes)) => file::prepare(&target, &bytes).map(Ready::File),
            (Some(target), Content::Folder(files)) => folder::prepare(&target, &files).map(Ready::Folder),
        }
    }

    fn target(&self) -> Option<Target> {
        match &self.place {
            Place::Stdout => None,
            Place::File(path) => Some(Target { path: path.clone(), mode: self.mode, owner: self.owner }),
        }
    }
}

/// Why the last step failed.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// The file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// Standard output.
    #[error("to standard output: {0}; check where it goes")]
    Stdout(io::Error),
}

impl Ready {
    /// The last step; says what became of the file. Standard output is waited for: its reader may read nothing.
    ///
    /// # Errors
    ///
    /// [`Unwritten::File`] where the file could not get its name, [`Unwritten::Stdout`] where standard output is full or
    /// closed, has no reader, or takes nothing until the deadline of `call`.
    pub fn finish(self, call: &Call) -> Result<Outcome, Unwritten> {
        match self {
            Self::File(prepared) => Ok(Outcome::File(prepared.commit()?)),
            Self::Folder(prepared) => Ok(Outcome::File(prepared.commit()?)),
            Self::Stdout(bytes) => {
                let mut stdout = process::stdout().map_err(Unwritten::Stdout)?;
                for piece in bytes.chunks(process::PIPE_BUF) {
                    let ready = call.ready(&[PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)], None);
                    let written = ready.map_err(io::Error::other).and_then(|_| stdout.write_all(piece));
                    written.map_err(Unwritten::Stdout)?;
                }
                Ok(Outcome::Printed)
            }
        }
    }
}
