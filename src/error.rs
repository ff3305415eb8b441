//! The one error type: what went wrong, the sentence an operator reads, and the exit code.

use std::time::Duration;

use nix::sys::signal::Signal;
pub use vault_client::settings::SettingFault;
use vault_client::{ErrorKind, Seconds, VaultError, What};

use crate::install::InstallError;
use crate::process::Refused;
use crate::process::command::CommandFault;
use crate::sink::env_file::Unwritten;
use crate::sink::file::Kind;
use crate::watch::listener::NotBound;
use vault_client::text;

/// The exit codes, after [sysexits(3)](https://man.openbsd.org/sysexits) and the shell's 126, 127 and 128+n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Unknown flag, no command, modes that do not go together.
    Usage = 64,
    /// The secret's data cannot be used.
    Data = 65,
    /// A file, the path, a version or a key is not there.
    Absent = 66,
    /// Vault cannot be reached.
    Unreachable = 69,
    /// A panic.
    Internal = 70,
    /// An operating-system call failed.
    System = 71,
    /// The env file, or the installed copy, cannot be created.
    CannotCreate = 73,
    /// Writing it failed.
    Io = 74,
    /// Vault answered but is not ready.
    NotReady = 75,
    /// The peer does not speak Vault.
    NotVault = 76,
    /// Vault denies it.
    Denied = 77,
    /// A setting, or what it points at, is wrong.
    Config = 78,
    /// The command was found but cannot be executed.
    NotExecutable = 126,
    /// The command, or its interpreter, was not found.
    NotFound = 127,
}

impl Code {
    /// The code that a client's error leads to.
    pub fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Credential | ErrorKind::NotFound => Self::Absent,
            ErrorKind::Unreachable | ErrorKind::Cancelled => Self::Unreachable,
            ErrorKind::NotReady | ErrorKind::RateLimited => Self::NotReady,
            ErrorKind::NotVault => Self::NotVault,
            ErrorKind::Denied | ErrorKind::Oidc => Self::Denied,
            ErrorKind::Conflict | ErrorKind::Shape => Self::Data,
            ErrorKind::System => Self::System,
            // Every other one is of a setting, or of what it points at.
            _ => Self::Config,
        }
    }
}

/// Everything that can end a run before the application starts.
///
/// Its text is the whole sentence that an operator reads: subject, cause, and after the last semicolon or in brackets the
/// remedy. It holds no secret. Of [`Error::Settings`] it is a line for each fault.
///
/// # Examples
///
/// ```
/// use vault_exec::error::{Code, Error};
///
/// let problems = vec!["missing: SMTP_HOST (add it to the secret)".to_owned()];
/// let error = Error::Secrets { from: "kv/shop/prod version 3".into(), problems, code: Code::Absent };
/// assert_eq!(error.to_string(), "secret kv/shop/prod version 3: missing: SMTP_HOST (add it to the secret)");
/// assert_eq!(error.exit_code(), 66);
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line cannot be used; the text is complete.
    #[error("{0}")]
    Usage(String),
    /// Every fault of the settings, one line each.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<SettingFault>),
    /// Vault, or what stands in its place, did not do what was asked; or the file with the JWT or token gave no credential.
    #[error("{}", crate::remedy::sentence(.0))]
    Vault(#[from] VaultError),
    /// Vault was not asked, and the environment has not what COMMAND needs.
    #[error(
        "environment: missing: {missing}; nothing was read, because {because}; {remedy}, or write VAULT_REQUIRED=false to \
         start without them"
    )]
    Unread {
        /// The required variables that are missing, as they may be shown.
        missing: String,
        /// Why Vault was not asked.
        because: &'static str,
        /// What makes it be asked.
        remedy: &'static str,
    },
    /// The secret at this path does not make the environment that was asked for.
    #[error("secret {from}: {}", .problems.join("; "))]
    Secrets {
        /// `mount/path version N`.
        from: String,
        /// Each with names, cause and remedy, without values.
        problems: Vec<String>,
        /// [`Code::Absent`] when keys are missing and nothing else is wrong, else [`Code::Data`].
        code: Code,
    },
    /// COMMAND cannot be started.
    #[error("command {command}: {fault}")]
    Command {
        /// As typed, escaped.
        command: String,
        /// Why not.
        fault: CommandFault,
    },
    /// The env file was not written.
    #[error("env file {0}")]
    EnvFile(#[from] Unwritten),
    /// Help or a report was not written.
    #[error("standard output: {0}; check where it goes")]
    Output(std::io::Error),
    /// The program was not installed.
    #[error("install: {0}")]
    Install(#[from] InstallError),
    /// Entries of the cache are left where all were to be ended.
    #[error("logout: {number} cached {} left in {folder}; correct what the warnings name, or remove the files", if *.number == 1 { "token is" } else { "tokens are" })]
    LeftCached {
        /// The folder, as it may be shown.
        folder: String,
        /// How many.
        number: usize,
        /// The exit code of the first one's fault.
        code: u8,
    },
    /// A system call failed that has no reason to.
    #[error("{0}; {remedy}", remedy = crate::process::REFUSED_REMEDY)]
    System(#[from] Refused),
    /// Everything was read, and the time was over before it was handed over.
    #[error("start-up: the secret was read, but not made ready within {} (VAULT_STARTUP_TIMEOUT); raise it, or the CPU limit of the container", Seconds(*.0))]
    Late(Duration),
    /// Another process reads and changes this one as it likes, and `VAULT_REFUSE_TRACED` is true.
    #[error("process {0} traces this start and can read its secrets; end it, or take VAULT_REFUSE_TRACED out")]
    Traced(u32),
    /// Nobody can listen where health and metrics are to be served.
    #[error("VAULT_HEALTH_LISTEN: {0}")]
    Listen(#[from] NotBound),
    /// There is no thread that serves them.
    #[error("VAULT_HEALTH_LISTEN: there is no thread to serve it: {0}; {remedy}", remedy = crate::process::REFUSED_REMEDY)]
    Serve(std::io::Error),
    /// A signal ended the start-up.
    #[error("{0}: ended by it during start-up")]
    Signal(Signal),
}

/// More names are counted and not listed.
const MOST_NAMES: usize = 100;

/// The names, as they may be shown, each cut where it is long.
pub(crate) fn names(names: &[String]) -> String {
    let listed: Vec<_> = names.iter().take(MOST_NAMES).map(|name| text::name(name)).collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", listed.join(", "))
}

impl Error {
    /// The sentence without its remedy, and the remedy. Several faults have a line each, with their own remedies in it.
    pub fn parts(&self) -> (String, Option<String>) {
        let text = self.to_string();
        match self {
            Self::Vault(error) => crate::remedy::parts(error),
            Self::Secrets { from, problems, .. } => (format!("secret {from}:\n{}", problems.join("\n")), None),
            Self::Settings(_) | Self::Signal(_) => (text, None),
            // Their texts are ours, and what stands behind the last semicolon is the remedy.
            _ => match text.rsplit_once("; ") {
                Some((cause, remedy)) => (cause.to_owned(), Some(remedy.to_owned())),
                None => (text, None),
            },
        }
    }

    /// The process's exit code: that of [`Code`], or 128 and the signal's number.
    pub fn exit_code(&self) -> u8 {
        let code = match self {
            Self::Signal(signal) => return 128 + *signal as u8,
            Self::LeftCached { code, .. } => return *code,
            Self::Usage(_) => Code::Usage,
            Self::Late(_) => Code::Unreachable,
            Self::Settings(_) => Code::Config,
            Self::Unread { .. } => Code::Absent,
            // Whether the mount or the path is not there, something is absent.
            Self::Vault(error) if matches!(error.fault().what, What::NoMount { .. }) => Code::Absent,
            Self::Vault(error) => Code::of(error.kind()),
            Self::Secrets { code, .. } => *code,
            Self::Command { fault, .. } => match fault {
                CommandFault::Missing | CommandFault::NotInPath(_) | CommandFault::Interpreter(_) => Code::NotFound,
                CommandFault::Permission
                | CommandFault::NotPermitted
                | CommandFault::NotAFile
                | CommandFault::Format
                | CommandFault::Architecture(_)
                | CommandFault::Busy => Code::NotExecutable,
                CommandFault::TooLong => Code::Data,
                CommandFault::NoCall(_) | CommandFault::Other(_) => Code::System,
            },
            Self::EnvFile(Unwritten::File(fault)) | Self::Install(InstallError::Write(fault)) => match fault.kind() {
                Kind::CannotCreate => Code::CannotCreate,
                Kind::Io => Code::Io,
            },
            Self::EnvFile(Unwritten::Stdout(_)) | Self::Output(_) => Code::Io,
            Self::System(_)
            | Self::Listen(_)
            | Self::Serve(_)
            | Self::Traced(_)
            | Self::Install(InstallError::Read { .. }) => Code::System,
        };
        code as u8
    }
}
