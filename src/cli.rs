//! The command line: which mode, which flags. Nothing of it is a credential.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueHint};

use crate::config::setting::{self, Setting};
use crate::config::{self, Flags};
use crate::error::Error;
use crate::sink::format::Format;

/// The ways to write a command line.
pub const USAGE: &str = "\
vault-exec [OPTIONS] [--] COMMAND [ARG]...
       vault-exec [OPTIONS] --env-file PATH [--format FORMAT]
       vault-exec [OPTIONS] --env-file PATH --watch DURATION [-- COMMAND...]
       vault-exec [OPTIONS] --check (-- COMMAND [ARG]... | --env-file PATH)
       vault-exec --install DIR
       vault-exec --logout";

const FORCE: &str = "Write secrets to standard output even if it is a terminal";
const CHECK: &str = "Go through every step, start and write nothing, and report";
const NO_FORCE: &str = "COMMAND does not go with --force, nor with --format where there is no --env-file";
const COMMAND: &str = "The application and its arguments, passed through untouched; with --watch, what runs after each \
                       change";
const INSTALL: &str = "Copy this program to DIR/vault-exec, over one that is running too";

const LOGOUT: &str = "Revoke and remove the cached token of an oidc login; without VAULT_ADDR all of them";

/// The columns of a terminal, and those of them that are left of the flag's own line in `-h`, and below it in `--help`.
const TERMINAL: usize = 80;
const SHORT: usize = 52;
const LONG: usize = 70;

/// Starts COMMAND with the secrets of one Vault path or several.
///
/// It logs in to Vault or OpenBao, in a pod with the service account, reads one
/// KV version 2 path or several and becomes COMMAND. Any error ends it before
/// COMMAND starts.
/// With VAULT_ADDR unset, COMMAND runs with its environment as it is.
#[derive(Debug, Parser)]
#[command(
    name = "vault-exec",
    version,
    override_usage = USAGE,
    verbatim_doc_comment,
    disable_help_subcommand = true,
    after_help = "The variables that have no flag, and the exit codes: vault-exec --help",
    after_long_help = variables_help()
)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
struct Cli {
    #[arg(long, value_name = "KEYS", help = short(&setting::KEYS), long_help = long(&setting::KEYS), help_heading = "Secrets")]
    keys: Option<String>,

    #[arg(long, value_name = "NAMES", help = short(&setting::REQUIRED_KEYS), long_help = long(&setting::REQUIRED_KEYS), help_heading = "Secrets")]
    require: Vec<String>,

    #[arg(long, value_name = "NAMES", help = short(&setting::ALLOW_NAMES), long_help = long(&setting::ALLOW_NAMES), help_heading = "Secrets")]
    allow_name: Vec<String>,

    #[arg(long, value_name = "DURATION", help = short(&setting::WAIT), long_help = long(&setting::WAIT), help_heading = "Start-up")]
    wait: Option<String>,

    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help = short(&setting::ENV_FILE), long_help = long(&setting::ENV_FILE), help_heading = "Env file")]
    env_file: Option<String>,

    #[arg(long, value_name = "FORMAT", help = short(&setting::ENV_FILE_FORMAT), long_help = long(&setting::ENV_FILE_FORMAT), help_heading = "Env file")]
    format: Option<String>,

    #[arg(long, help = wrapped(FORCE, SHORT), long_help = wrapped(FORCE, LONG), help_heading = "Env file")]
    force: bool,

    #[arg(long, value_name = "DURATION", help = short(&setting::WATCH), long_help = long(&setting::WATCH), help_heading = "Staying current")]
    watch: Option<String>,

    #[arg(long, value_name = "ADDRESS", help = short(&setting::HEALTH_LISTEN), long_help = long(&setting::HEALTH_LISTEN), help_heading = "Staying current")]
    listen: Option<String>,

    #[arg(long, value_name = "TARGET", help = short(&setting::NOTIFY), long_help = long(&setting::NOTIFY), help_heading = "Staying current")]
    notify: Option<String>,

    #[arg(long, help = wrapped(CHECK, SHORT), long_help = wrapped(CHECK, LONG), help_heading = "Checking and installing")]
    check: bool,

    /// How --check reports: text or json [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Checking and installing")]
    report: Option<String>,

    /// With --check: show every setting, defaults too
    #[arg(long, help_heading = "Checking and installing")]
    verbose: bool,

    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help = wrapped(INSTALL, SHORT), long_help = wrapped(INSTALL, LONG), help_heading = "Checking and installing")]
    install: Option<PathBuf>,

    #[arg(long, help = wrapped(LOGOUT, SHORT), long_help = wrapped(LOGOUT, LONG), help_heading = "Checking and installing")]
    logout: bool,

    #[arg(value_name = "COMMAND", help = wrapped(COMMAND, SHORT), trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// To start COMMAND, or to write the env file.
    Run(Request),
    /// To say what that would come to.
    Check {
        /// What would be done.
        request: Request,
        /// How the report looks.
        style: Style,
    },
    /// To copy the program into this directory.
    Install(PathBuf),
    /// To end what is cached of logins.
    LogOut,
    /// To print this text to standard output.
    Print(String),
}

/// How the report of a dry run looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// One JSON object instead of text.
    pub json: bool,
    /// Every setting instead of those that are not defaults.
    pub verbose: bool,
}

/// A run, real or dry.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// COMMAND with its arguments, where it is the application; empty where none is given.
    pub command: Vec<OsString>,
    /// COMMAND with its arguments, where it runs after changes; empty where none is given.
    pub hook: Vec<OsString>,
    /// What the flags say of settings.
    pub flags: Flags,
    /// Secrets may go to a terminal.
    pub force: bool,
}

/// Reads the arguments, the program's own name first.
///
/// # Errors
///
/// [`Error::Usage`], one line with the usage, for what is not understood or does not go together.
pub fn parse(args: Vec<OsString>) -> Result<Ask, Error> {
    if let Some(command) = command_alone(&args) {
        return Ok(Ask::Run(Request { command, ..Request::default() }));
    }
    match Cli::try_parse_from(args) {
        Ok(cli) => ask(cli),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Ask::Print(error.render().to_string()))
        }
        Err(error) => Err(unreadable(&error)),
    }
}

/// Which of the modes it is; two that do not go together are refused.
fn ask(cli: Cli) -> Result<Ask, Error> {
    let Cli { keys, require, allow_name, wait, env_file, format, force, watch, listen, notify, .. } = cli;
    let Cli { check, report, verbose, install, logout, command, .. } = cli;
    let json = match report.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(_) => return Err(usage("--report takes text or json")),
    };
    // Said on the command line, it is what the program is for, and COMMAND what is beside it.
    let is_beside = env_file.is_some() || watch.is_some();
    if report.is_some() && !check {
        return Err(usage("--report goes with --check"));
    }
    if verbose && !check {
        return Err(usage("--verbose goes with --check"));
    }
    if !command.is_empty() && (force || format.is_some() && !is_beside) {
        return Err(usage(NO_FORCE));
    }
    if env_file.as_deref() == Some("-") && format.as_deref() == Some(Format::Dir.name()) {
        return Err(usage(&format!("--env-file -: {}", config::NO_FOLDER)));
    }
    let flags = Flags::default()
        .with(&setting::KEYS, keys)
        .with(&setting::REQUIRED_KEYS, require)
        .with(&setting::ALLOW_NAMES, allow_name)
        .with(&setting::WAIT, wait)
        .with(&setting::ENV_FILE, env_file)
        .with(&setting::ENV_FILE_FORMAT, format)
        .with(&setting::WATCH, watch)
        .with(&setting::HEALTH_LISTEN, listen)
        .with(&setting::NOTIFY, notify);
    let alone = !check && !force && command.is_empty() && flags == Flags::default();
    if let Some(directory) = install {
        return if alone && !logout {
            Ok(Ask::Install(directory))
        } else {
            Err(usage("--install goes with nothing else"))
        };
    }
    if logout {
        return if alone { Ok(Ask::LogOut) } else { Err(usage("--logout goes with nothing else")) };
    }
    let (command, hook) = if is_beside { (Vec::new(), command) } else { (command, Vec::new()) };
    let request = Request { command, hook, flags, force };
    Ok(if check { Ask::Check { request, style: Style { json, verbose } } } else { Ask::Run(request) })
}

/// A usage error: what is wrong, and how it is written.
pub fn usage(what: &str) -> Error {
    Error::Usage(format!("{what}; usage: vault-exec [OPTIONS] [--] COMMAND [ARG]..., more by --help"))
}

/// The command of a line without options, which is the usual one: parsing it in full takes longer than the rest of a
/// passthrough.
fn command_alone(args: &[OsString]) -> Option<Vec<OsString>> {
    let rest = match args.get(1)? {
        first if first == "--" => args.get(2..)?,
        first if !first.as_encoded_bytes().starts_with(b"-") => args.get(1..)?,
        _ => return None,
    };
    (!rest.is_empty()).then(|| rest.to_vec())
}

/// The usage error of a command line that names nothing to do.
pub fn nothing_to_do() -> Error {
    usage("no COMMAND and no --env-file given")
}

/// `clap`'s message on one line, with its tip where it names a similar flag.
fn unreadable(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let tip = lines.find_map(|line| line.strip_prefix("tip: ")).filter(|tip| tip.contains("similar"));
    let tip = tip.map(|tip| format!(" ({tip})")).unwrap_or_default();
    usage(&vault_client::text::shown(&format!("{first}{tip}")))
}

fn short(setting: &Setting) -> String {
    wrapped(&setting_help(setting), SHORT)
}

fn long(setting: &Setting) -> String {
    wrapped(&setting_help(setting), LONG)
}

/// A setting's help: what it means, the variable where a flag has one, default and alias.
fn setting_help(setting: &Setting) -> String {
    let mut text = setting.meaning.to_owned();
    if setting.flag.is_some() {
        let _ = write!(text, " [env: {}]", setting.name);
    }
    if let Some(default) = setting.default {
        let _ = write!(text, " [default: {default}]");
    }
    for alias in setting.aliases {
        let _ = write!(text, " [alias: {alias}]");
    }
    text
}

/// `text` in lines of at most `width` columns, broken between words; what stands in brackets is one word.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        let mut word = word.to_owned();
        while word.starts_with('[') && !word.ends_with(']') {
            let Some(next) = words.next() else { break };
            word = format!("{word} {next}");
        }
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines.join("\n")
}

/// The settings without a flag and the exit codes, for `--help`.
fn variables_help() -> String {
    let line =
        |setting: &&Setting| format!("  {}\n          {}\n", setting.name, long(setting).replace('\n', "\n          "));
    let settings = setting::ALL.iter().filter(|setting| setting.flag.is_none()).map(line).collect::<Vec<_>>().concat();
    let rows = EXIT_CODES.len().div_ceil(3);
    let cell = |n: usize| EXIT_CODES.get(n).map_or(String::new(), |(code, what)| format!("{code:>5} {what:19}"));
    let codes: Vec<_> =
        (0..rows).map(|n| [n, n + rows, n + 2 * rows].map(cell).concat().trim_end().to_owned()).collect();
    format!(
        "Variables without a flag (an empty one counts as unset):\n{settings}\n{}\n\n\
         Exit codes, before COMMAND starts:\n{}",
        wrapped(&official_names(), TERMINAL),
        codes.join("\n")
    )
}

/// What is said of the names that are read with `BAO_` in front too.
pub fn official_names() -> String {
    format!(
        "The names that the official clients know are read with BAO_ in front too. BAO_X beats VAULT_X, and an empty \
         BAO_X hides VAULT_X. X is {}.",
        setting::OFFICIAL.join(", ")
    )
}

/// The exit codes, and what each says in three words.
pub const EXIT_CODES: &[(&str, &str)] = &[
    ("64", "usage"),
    ("65", "data of the secret"),
    ("66", "something is absent"),
    ("69", "Vault unreachable"),
    ("70", "internal error"),
    ("71", "operating system"),
    ("73", "file not creatable"),
    ("74", "file not written"),
    ("75", "Vault not ready"),
    ("76", "not Vault"),
    ("77", "denied"),
    ("78", "settings"),
    ("126", "COMMAND not executable"),
    ("127", "COMMAND not found"),
    ("128+n", "ended by signal n"),
];

/// The definitions behind `--help`, for a manual page and completions.
pub fn definitions() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn parsed(args: &[&str]) -> Result<Ask, Error> {
        parse(std::iter::once("vault-exec").chain(args.iter().copied()).map(OsString::from).collect())
    }

    fn run(command: &[&str], flags: Flags) -> Ask {
        Ask::Run(Request { command: command.iter().map(OsString::from).collect(), flags, ..Request::default() })
    }

    #[test]
    fn from_the_command_on_everything_is_passed_through() {
        let none = Flags::default;
        let require = none().with(&setting::REQUIRED_KEYS, ["A".into(), "B,C".into()]);
        for (args, ask) in [
            (&["server", "-p", "80", "--", "-x", ""][..], run(&["server", "-p", "80", "--", "-x", ""], none())),
            (&["--", "--odd", "--help"], run(&["--odd", "--help"], none())),
            (&["--", "--", "x"], run(&["--", "x"], none())),
            (&["--require", "A", "--require=B,C", "env", "--wait"], run(&["env", "--wait"], require.clone())),
            (&["--require", "A", "--require", "B,C", "--", "-env"], run(&["-env"], require)),
        ] {
            assert_eq!(parsed(args).unwrap(), ask, "{args:?}");
        }
        let bytes = OsString::from_vec(vec![0xff, b'=']);
        let args = vec!["vault-exec".into(), "--wait=1s".into(), "env".into(), bytes.clone()];
        let flags = none().with(&setting::WAIT, ["1s".into()]);
        let command = vec!["env".into(), bytes];
        assert_eq!(parse(args).unwrap(), Ask::Run(Request { command, flags, ..Request::default() }));
    }

    #[test]
    fn the_modes_are_told_apart() {
        let json = |flags: Flags| flags.with(&setting::ENV_FILE_FORMAT, ["json".into()]);
        let file = || json(Flags::default().with(&setting::ENV_FILE, ["/f".into()]));
        let command = || Request { command: vec!["env".into()], ..Request::default() };
        for (args, ask) in [
            (&[][..], run(&[], Flags::default())),
            (&["--"], run(&[], Flags::default())),
            (&["--env-file", "/f", "--format", "json"], run(&[], file())),
            (&["--check", "--", "env"], Ask::Check { request: command(), style: Style::default() }),
            (
                &["--check", "--verbose", "--", "env"],
                Ask::Check { request: command(), style: Style { verbose: true, json: false } },
            ),
            (
                &["--check", "--report", "json", "--env-file=/f", "--format=json", "--force"],
                Ask::Check {
                    request: Request { flags: file(), force: true, ..Request::default() },
                    style: Style { json: true, verbose: false },
                },
            ),
            (
                &["--env-file", "/f", "--format", "json", "--", "env"],
                Ask::Run(Request { hook: vec!["env".into()], flags: file(), ..Request::default() }),
            ),
            (
                &["--watch", "1s", "env", "-x"],
                Ask::Run(Request {
                    hook: vec!["env".into(), "-x".into()],
                    flags: Flags::default().with(&setting::WATCH, ["1s".into()]),
                    ..Request::default()
                }),
            ),
            (&["--install", "/bin"], Ask::Install("/bin".into())),
            (&["--logout"], Ask::LogOut),
        ] {
            assert_eq!(parsed(args).unwrap(), ask, "{args:?}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_one_line_with_the_usage() {
        for (args, text) in [
            (&["--nope", "env"][..], "unexpected argument '--nope' found"),
            (&["--kees", "a", "env"], "unexpected argument '--kees' found (a similar argument exists: '--keys')"),
            (&["--wait"], "a value is required for '--wait <DURATION>' but none was supplied"),
            (&["-x"], "unexpected argument '-x' found"),
            (&["--x\ntip: similar \u{1b}[31m"], r"unexpected argument '--x (similar \u{1b}[31m' found)"),
            (&["--force", "env"], NO_FORCE),
            (&["--format", "sh", "env"], NO_FORCE),
            (&["--report", "json", "env"], "--report goes with --check"),
            (&["--verbose", "env"], "--verbose goes with --check"),
            (&["--check", "--report", "xml"], "--report takes text or json"),
            (&["--install", "/bin", "env"], "--install goes with nothing else"),
            (&["--install", "/bin", "--check"], "--install goes with nothing else"),
            (&["--install", "/bin", "--logout"], "--install goes with nothing else"),
            (&["--logout", "env"], "--logout goes with nothing else"),
            (&["--logout", "--keys", "A"], "--logout goes with nothing else"),
            (&["--install="], "a value is required for '--install <DIR>' but none was supplied"),
        ] {
            let error = parsed(args).unwrap_err();
            let said = format!("{text}; usage: vault-exec [OPTIONS] [--] COMMAND [ARG]..., more by --help");
            assert_eq!((error.to_string(), error.exit_code()), (said, 64), "{args:?}");
        }
    }

    #[test]
    fn help_names_every_flag_and_variable_and_fits_80_columns_without_a_broken_word() {
        for (option, complete) in [("--help", true), ("-h", false)] {
            let Ask::Print(help) = parsed(&[option]).unwrap() else { panic!() };
            let long: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty(), "{option} {long:#?}");
            let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
            for setting in setting::ALL.iter().filter(|setting| complete || setting.flag.is_some()) {
                assert!(words.contains(&setting_help(setting)), "{option} {}", setting.name);
                assert!(setting.flag.is_none_or(|flag| help.contains(&format!("--{flag}"))), "{}", setting.name);
            }
            assert!(!complete || words.contains(&official_names()), "{option}");
            for text in [FORCE, CHECK, INSTALL] {
                assert!(words.contains(text), "{option}: {text}");
            }
        }
    }
}
