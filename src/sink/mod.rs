//! Where the variables go: into the environment of COMMAND, or into an env file. Knows nothing of Vault.

pub mod env_file;
pub mod exec;
pub mod file;
pub mod folder;
pub mod format;

use crate::process::environ::{Entry, Environ};
use crate::secrets::{Carrier, Problem, Variable};
use env_file::EnvFile;
use exec::{Command, OnConflict};
use file::FileError;
use format::Content;

/// Where the variables go.
pub enum Sink {
    /// To COMMAND, which is found.
    Command(Command),
    /// To a file.
    EnvFile(EnvFile),
}

/// Everything that will be handed over, checked and complete.
pub enum Payload {
    /// COMMAND with its environment.
    Environment(Command, Vec<Entry>),
    /// What is to be written.
    File(EnvFile, Content),
}

impl Sink {
    /// What the variables have to fit.
    pub fn carrier(&self) -> Carrier {
        match self {
            Self::Command(_) => Carrier::Environment,
            Self::EnvFile(file) => file.carrier(),
        }
    }

    /// Builds what will be handed over, or finds everything that forbids it. `withheld` says which inherited variables
    /// COMMAND must not see.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, of every variable.
    pub fn payload(
        self,
        environ: Environ,
        withheld: impl Fn(&[u8], &[u8]) -> bool,
        variables: &[Variable],
        on_conflict: OnConflict,
    ) -> Result<Payload, Vec<Problem>> {
        match self {
            Self::Command(command) => {
                let (environment, problems) = command.environment(environ, withheld, variables, on_conflict);
                if problems.is_empty() { Ok(Payload::Environment(command, environment)) } else { Err(problems) }
            }
            Self::EnvFile(file) => file.render(variables).map(|content| Payload::File(file, content)),
        }
    }
}

impl Payload {
    /// Does everything but the last step, so that little is left to fail when the login's token has been given up.
    ///
    /// # Errors
    ///
    /// As for [`EnvFile::prepare`]; a command has nothing that could fail here.
    pub fn prepare(self) -> Result<Ready, FileError> {
        match self {
            Self::Environment(command, environment) => Ok(Ready::Command(command, environment)),
            Self::File(file, content) => Ok(Ready::File(file.prepare(content)?, file)),
        }
    }
}

/// What needs only its last step.
pub enum Ready {
    /// COMMAND with its environment.
    Command(Command, Vec<Entry>),
    /// The file beside its target, and what it is.
    File(env_file::Ready, EnvFile),
}
