//! The one error type: what went wrong, the sentence an operator reads, and the exit code.

use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::install::InstallError;
use crate::process::Refused;
use crate::process::command::CommandFault;
use crate::sink::env_file::Unwritten;
use crate::sink::file::Kind;
use crate::text;

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
    /// The JWT or token file gave no credential.
    #[error("{what} {path}: {cause}; {remedy}{effort}")]
    Credential {
        /// `JWT file` or `token file`.
        what: &'static str,
        /// The file.
        path: String,
        /// Why it gave none.
        cause: String,
        /// What to do.
        remedy: &'static str,
        /// How long it was waited for.
        effort: Effort,
    },
    /// Vault, or what stands in its place, did not do what was asked.
    #[error("vault at {at}: {during}{fault}{effort}")]
    Vault {
        /// The address, without credentials.
        at: String,
        /// What was being done, with a colon, where the fault does not say it; empty where it does.
        during: String,
        /// The last fault.
        fault: Fault,
        /// What had been tried.
        effort: Effort,
    },
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
    /// A system call failed that has no reason to.
    #[error("{0}; {remedy}", remedy = Refused::REMEDY)]
    System(#[from] Refused),
    /// Everything was read, and the time was over before it was handed over.
    #[error("start-up: the secret was read, but not made ready within {} (VAULT_STARTUP_TIMEOUT); raise it, or the CPU limit of the container", Seconds(*.0))]
    Late(Duration),
    /// Another process reads and changes this one as it likes, and `VAULT_REFUSE_TRACED` is true.
    #[error("process {0} traces this start and can read its secrets; end it, or take VAULT_REFUSE_TRACED out")]
    Traced(u32),
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
            Self::Vault { at, during, fault, effort } => {
                (format!("vault at {at}: {during}{}{effort}", fault.cause), Some(fault.remedy.clone()))
            }
            Self::Credential { what, path, cause, remedy, effort } => {
                (format!("{what} {path}: {cause}{effort}"), Some((*remedy).to_owned()))
            }
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
            Self::Usage(_) => Code::Usage,
            Self::Late(_) => Code::Unreachable,
            Self::Settings(_) => Code::Config,
            Self::Credential { .. } | Self::Unread { .. } => Code::Absent,
            Self::Vault { fault, .. } => fault.code,
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
            Self::System(_) | Self::Traced(_) | Self::Install(InstallError::Read { .. }) => Code::System,
        };
        code as u8
    }
}

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}{}: {cause}", .held.as_ref().map(|held| format!(" = {held}")).unwrap_or_default())]
pub struct SettingFault {
    /// The variable or flag it came from.
    pub name: String,
    /// What it held, quoted and cut; nothing for a credential.
    pub held: Option<String>,
    /// What is wrong and what is accepted.
    pub cause: String,
}

/// What Vault's answer, or its absence, comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The exit code it leads to.
    pub code: Code,
    /// What happened.
    pub cause: String,
    /// What the operator can do.
    pub remedy: String,
    /// Whether trying again can help.
    pub retry: Retry,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
}

/// Whether trying again can help, and how that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the same question gets the same answer.
    Never,
    /// Only by somebody's act, which `VAULT_WAIT` waits for.
    InWait,
    /// Yes, after the usual pause; it is one of the tries of `VAULT_MAX_RETRIES`.
    Soon,
    /// The same, after at least this pause, which the server asked for.
    After(Duration),
    /// Yes, as a rule within a second: after short pauses, at least this one, and only then as [`Retry::Soon`].
    Quick(Duration),
    /// Perhaps: the cause can be one that passes or one that stays. Tried twice more at most.
    Again,
    /// Yes, the server lives and asks for patience: after growing pauses, at least this one, until the budget ends.
    Patience(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.remedy)
    }
}

/// What had been tried when a fault became final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Tries made of the step.
    pub tries: u32,
    /// Time spent on the step.
    pub spent: Duration,
    /// Why no further try was made, where that was not the number of tries.
    pub stopped_by: Option<Stop>,
}

/// A limit that forbade a further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `VAULT_STARTUP_TIMEOUT` cannot hold the pause that a further try needs.
    Budget {
        /// The setting.
        limit: Duration,
        /// The pause.
        pause: Duration,
    },
    /// `VAULT_WAIT` is over.
    Wait(Duration),
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spent = Seconds(self.spent);
        match (self.stopped_by, self.tries) {
            (Some(Stop::Wait(limit)), _) => write!(f, " (waited {spent}, VAULT_WAIT is {})", Seconds(limit)),
            (Some(Stop::Budget { limit, pause }), tries) => {
                let (ies, limit, pause) = (if tries == 1 { "y" } else { "ies" }, Seconds(limit), Seconds(pause));
                write!(f, " ({tries} tr{ies} in {spent}; a pause of {pause} is beyond VAULT_STARTUP_TIMEOUT, {limit})")
            }
            (None, 0 | 1) => Ok(()),
            (None, tries) => write!(f, " ({tries} tries in {spent})"),
        }
    }
}

/// A duration as an operator writes it: `350ms`, `2.5s`, `1m30s`, `2h30m`.
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match (millis / 60_000, millis % 60_000) {
            (0, millis @ 0..1000) => write!(f, "{millis}ms"),
            (0, millis) if millis % 1000 == 0 => write!(f, "{}s", millis / 1000),
            (0, millis) => write!(f, "{}.{}s", millis / 1000, format!("{:03}", millis % 1000).trim_end_matches('0')),
            (minutes @ 120.., _) if minutes % 60 == 0 => write!(f, "{}h", minutes / 60),
            (minutes @ 120.., _) => write!(f, "{}h{}m", minutes / 60, minutes % 60),
            (minutes, 0..1000) => write!(f, "{minutes}m"),
            (minutes, millis) => write!(f, "{minutes}m{}s", millis / 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for (millis, text) in [
            (0, "0ms"),
            (350, "350ms"),
            (2500, "2.5s"),
            (120_000, "2m"),
            (90_400, "1m30s"),
            (7_200_000, "2h"),
            (9_000_000, "2h30m"),
            (2_764_800_000, "768h"),
        ] {
            assert_eq!(Seconds(Duration::from_millis(millis)).to_string(), text);
        }
    }

    #[test]
    fn an_effort_says_what_stopped_it() {
        let effort = |tries, stopped_by| Effort { tries, spent: Duration::from_millis(1500), stopped_by }.to_string();
        assert_eq!(effort(1, None), "");
        assert_eq!(effort(4, None), " (4 tries in 1.5s)");
        assert_eq!(effort(9, Some(Stop::Wait(Duration::from_secs(1)))), " (waited 1.5s, VAULT_WAIT is 1s)");
        assert_eq!(
            effort(1, Some(Stop::Budget { limit: Duration::from_secs(2), pause: Duration::from_secs(5) })),
            " (1 try in 1.5s; a pause of 5s is beyond VAULT_STARTUP_TIMEOUT, 2s)"
        );
    }
}
