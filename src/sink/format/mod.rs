//! The env-file formats: what each of them can carry, and the bytes its reader takes for exactly that.
//!
//! A format has a `check`, which says why it cannot carry a variable, and a `write`, which puts down one that
//! passed. Each rule was measured against the programs that read the format, and the tests hold it there.

mod compose;
mod dir;
mod docker;
mod dotenv;
mod json;
mod kubernetes;
mod sh;
mod systemd;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use thiserror::Error;
use zeroize::Zeroizing;

use super::folder::Named;
use crate::secrets::name::is_identifier;
use vault_client::text;

/// A format of env files, named after the program that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `. FILE` in a POSIX shell.
    Sh,
    /// `fileKeyRef` of a pod.
    Kubernetes,
    /// `docker run --env-file`.
    Docker,
    /// `env_file` of a Compose file.
    Compose,
    /// `EnvironmentFile=` of a unit.
    Systemd,
    /// The dotenv libraries of Node, Python, Ruby and Go.
    Dotenv,
    /// One object of strings.
    Json,
    /// A folder with a file for each variable.
    Dir,
}

/// Variables in a format. Its `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes of one file.
    File(Zeroizing<Vec<u8>>),
    /// The files of a folder, sorted by name.
    Folder(Vec<Named>),
}

impl Content {
    /// The bytes, where it is one file.
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::File(bytes) = self { Some(bytes) } else { None }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str("File(***)"),
            Self::Folder(files) => f.debug_tuple("Folder").field(files).finish(),
        }
    }
}

/// A format was asked for by a name that none has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not one of sh, kubernetes, docker, compose, systemd, dotenv, json, dir")]
pub struct UnknownFormat;

/// Why a format cannot carry a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The name is not a shell identifier.
    #[error("a name other than letters, digits and underscores, beginning with no digit")]
    NotAnIdentifier,
    /// A shell has a use of its own for variables of this name.
    #[error("a name that means something to {shell}")]
    SpecialToAShell {
        /// The first of them that has.
        shell: &'static str,
    },
    /// JavaScript's objects have a setter of this name, which takes no text.
    #[error("a name that npm's dotenv drops")]
    Setter,
    /// No file has such a name.
    #[error("a name that no file can have: empty, `.`, or with a slash or NUL character")]
    NotAFileName,
    /// The folder has uses of its own for such names.
    #[error("a name that begins with `..`")]
    TwoDots,
    /// Longer than the kernel lets a file's name be.
    #[error("a name of more than {limit} bytes")]
    NameTooLong {
        /// The most it takes.
        limit: usize,
    },
    /// The name is none that the kubelet reads.
    #[error("a name that is not printable ASCII, contains `=`, begins with `#` or a space, or ends with a space")]
    NotAKubernetesName,
    /// No environment holds a NUL.
    #[error("a NUL character")]
    Nul,
    /// The reader gives an empty value the meaning of none.
    #[error("an empty value")]
    Empty,
    /// The value would end here.
    #[error("a single quote")]
    SingleQuote,
    /// The value would end here.
    #[error("a newline")]
    Newline,
    /// The reader may turn it into a newline.
    #[error("a carriage return")]
    CarriageReturn,
    /// The reader takes it for a part of the line's end.
    #[error("a carriage return at a line's end")]
    CarriageReturnAtLineEnd,
    /// The reader refuses the whole file over it.
    #[error("a Unicode noncharacter")]
    Noncharacter,
    /// A reader puts the value of another variable here, whatever the quotes.
    #[error("a `${{…}}` expression")]
    Expansion,
    /// Every way to quote it is read as something else by one reader or another.
    #[error("a mixture of quotes, backslashes, `$`, `#`, newlines or edge spaces that no way of quoting fits")]
    Unquotable,
    /// Longer than the reader's buffer.
    #[error("a line of more than {limit} bytes")]
    LineTooLong {
        /// The most it takes.
        limit: usize,
    },
    /// Longer than the kernel lets a variable be.
    #[error("more than {limit} bytes with its name")]
    TooLong {
        /// The most it takes.
        limit: usize,
    },
}

impl Reason {
    /// Whether another name would help.
    pub fn is_of_the_name(self) -> bool {
        matches!(
            self,
            Self::NotAnIdentifier
                | Self::SpecialToAShell { .. }
                | Self::Setter
                | Self::NotAKubernetesName
                | Self::NotAFileName
                | Self::TwoDots
                | Self::NameTooLong { .. }
        )
    }
}

/// A variable that a format cannot carry. It has no room for the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The variable's name.
    pub name: String,
    /// What stands in the way.
    pub reason: Reason,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "\"\"".into() } else { text::name(&self.name) };
        write!(f, "{name} ({})", self.reason)
    }
}

impl Format {
    /// Every format, in the order of the documentation.
    pub const ALL: [Self; 8] =
        [Self::Sh, Self::Kubernetes, Self::Docker, Self::Compose, Self::Systemd, Self::Dotenv, Self::Json, Self::Dir];

    /// The name that [`FromStr`] takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sh => "sh",
            Self::Kubernetes => "kubernetes",
            Self::Docker => "docker",
            Self::Compose => "compose",
            Self::Systemd => "systemd",
            Self::Dotenv => "dotenv",
            Self::Json => "json",
            Self::Dir => "dir",
        }
    }

    /// Whether this format carries the variable unharmed; if not, the first reason why.
    ///
    /// # Errors
    ///
    /// The first reason why not.
    pub fn check(self, name: &str, value: &str) -> Result<(), Reason> {
        match self {
            Self::Sh => sh::check(name, value),
            Self::Kubernetes => kubernetes::check(name, value),
            Self::Docker => docker::check(name, value),
            Self::Compose => compose::check(name, value),
            Self::Systemd => systemd::check(name, value),
            Self::Dotenv => dotenv::quoting(name, value).map(drop),
            Self::Json => Ok(()),
            Self::Dir => dir::check(name),
        }
    }

    /// Returns the file's bytes or the folder's files, sorted by name, so that equal variables make equal files; without
    /// variables there are none, except for JSON's empty object. Names are expected to differ from each other.
    ///
    /// Refuses the whole set, naming every variable in the way, when this format cannot carry all of it.
    ///
    /// # Errors
    ///
    /// Every variable that this format cannot carry, with the first reason why.
    ///
    /// # Examples
    ///
    /// ```
    /// use vault_exec::sink::format::{Format, Reason, Refusal};
    ///
    /// let variables = [("PORT", "8080"), ("MOTD", "it's up\n")];
    /// let file = Format::Sh.render(&variables).unwrap();
    /// assert_eq!(file.bytes(), Some(&b"export MOTD='it'\\''s up\n'\nexport PORT='8080'\n"[..]));
    ///
    /// let refused = Format::Docker.render(&variables).unwrap_err();
    /// assert_eq!(refused, [Refusal { name: "MOTD".into(), reason: Reason::Newline }]);
    /// assert!("json".parse::<Format>().unwrap().carries(&variables));
    /// ```
    pub fn render(self, variables: &[(&str, &str)]) -> Result<Content, Vec<Refusal>> {
        let mut sorted = variables.to_vec();
        sorted.sort_unstable_by_key(|(name, _)| *name);

        let refusals: Vec<_> = sorted
            .iter()
            .filter_map(|(name, value)| {
                let reason = self.check(name, value).err()?;
                Some(Refusal { name: (*name).to_owned(), reason })
            })
            .collect();
        if !refusals.is_empty() {
            return Err(refusals);
        }

        Ok(self.content(&sorted))
    }

    /// What there is to write without variables.
    pub fn empty(self) -> Content {
        self.content(&[])
    }

    fn content(self, variables: &[(&str, &str)]) -> Content {
        if self == Self::Dir {
            let named = |(name, value): &(&str, &str)| Named {
                name: (*name).to_owned(),
                content: Zeroizing::new(value.as_bytes().to_vec()),
            };
            return Content::Folder(variables.iter().map(named).collect());
        }
        // Measured before it is filled: a buffer that grows leaves copies of the secrets behind.
        let mut length = Length(0);
        self.write(&mut length, variables).expect("a count takes every byte");
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        self.write(&mut *bytes, variables).expect("memory takes every byte");
        debug_assert_eq!(bytes.len(), length.0);
        Content::File(bytes)
    }

    /// Whether this format carries all of these variables.
    pub fn carries(self, variables: &[(&str, &str)]) -> bool {
        variables.iter().all(|(name, value)| self.check(name, value).is_ok())
    }

    fn write(self, out: &mut impl Write, variables: &[(&str, &str)]) -> io::Result<()> {
        let line = match self {
            Self::Json => return json::write(out, variables),
            Self::Dir => return Ok(()),
            Self::Sh => sh::write,
            Self::Kubernetes => kubernetes::write,
            Self::Docker => docker::write,
            Self::Compose => compose::write,
            Self::Systemd => systemd::write,
            Self::Dotenv => dotenv::write,
        };
        variables.iter().try_for_each(|(name, value)| line(out, name, value))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The names that shells, systemd and the dotenv readers agree on.
fn identifier(name: &str) -> Result<(), Reason> {
    refuse_if(!is_identifier(name), Reason::NotAnIdentifier)
}

fn refuse_if(refused: bool, reason: Reason) -> Result<(), Reason> {
    if refused { Err(reason) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
