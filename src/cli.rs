//! The command line: which mode, which flags. Nothing of it is a credential.

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::config::reader::Flags;
use crate::config::setting::{self, Setting};
use crate::error::Error;

const USAGE: &str = "vault-exec [OPTIONS] [--] COMMAND [ARG]...";

/// Starts COMMAND with one Vault path's secrets in its environment.
///
/// It logs in to Vault or OpenBao with the pod's service account, reads one KV
/// version 2 path and becomes COMMAND. Any error ends it before COMMAND starts.
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
struct Cli {
    #[arg(long, value_name = "KEYS", help = setting_help(&setting::KEYS), help_heading = "Secrets")]
    keys: Option<String>,

    #[arg(long, value_name = "NAMES", help = setting_help(&setting::REQUIRED_KEYS), help_heading = "Secrets")]
    require: Vec<String>,

    #[arg(long, value_name = "NAMES", help = setting_help(&setting::ALLOW_NAMES), help_heading = "Secrets")]
    allow_name: Vec<String>,

    #[arg(long, value_name = "DURATION", help = setting_help(&setting::WAIT), help_heading = "Start-up")]
    wait: Option<String>,

    /// The application and its arguments, passed through untouched
    #[arg(value_name = "COMMAND", trailing_var_arg = true, verbatim_doc_comment)]
    command: Vec<OsString>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// To start COMMAND.
    Run {
        /// COMMAND with its arguments, at least one word.
        command: Vec<OsString>,
        /// What the flags say of settings.
        flags: Flags,
    },
    /// To print this text to standard output.
    Print(String),
}

/// Reads the arguments, the program's own name first.
pub fn parse(args: Vec<OsString>) -> Result<Ask, Error> {
    if let Some(command) = command_alone(&args) {
        return Ok(Ask::Run { command, flags: Flags::default() });
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Ask::Print(error.render().to_string()));
        }
        Err(error) => return Err(usage(&error)),
    };
    if cli.command.is_empty() {
        return Err(Error::Usage(format!("no COMMAND given; usage: {USAGE}")));
    }
    let Cli { keys, require, allow_name, wait, command } = cli;
    Ok(Ask::Run { command, flags: Flags { keys, require, allow_name, wait } })
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

/// `clap`'s message on one line, with its tip where it has one.
fn usage(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let tip = lines.find_map(|line| line.strip_prefix("tip: ")).filter(|tip| tip.contains("similar"));
    let tip = tip.map(|tip| format!(" ({tip})")).unwrap_or_default();
    Error::Usage(format!("{}{tip}; usage: {USAGE}", crate::vault::text::escaped(&first)))
}

/// A setting's help: what it means, the variable where a flag has one, default and alias; 70 columns wide.
fn setting_help(setting: &Setting) -> String {
    let mut pieces: Vec<String> = setting.meaning.split(' ').map(str::to_owned).collect();
    if setting.flag.is_some() {
        pieces.push(format!("[env: {}]", setting.name));
    }
    if setting.default != "-" {
        pieces.push(format!("[default: {}]", setting.default));
    }
    pieces.extend(setting.aliases.iter().map(|alias| format!("[alias: {alias}]")));
    let mut text = String::new();
    let mut column = 0;
    for piece in pieces {
        if column > 0 {
            let fits = column + 1 + piece.len() <= 70;
            text.push(if fits { ' ' } else { '\n' });
            column = if fits { column + 1 } else { 0 };
        }
        text.push_str(&piece);
        column += piece.len();
    }
    text
}

/// The settings without a flag and the exit codes, for `--help`.
fn variables_help() -> String {
    let line = |setting: &&Setting| {
        format!("  {}\n          {}\n", setting.name, setting_help(setting).replace('\n', "\n          "))
    };
    let settings = setting::ALL.iter().filter(|setting| setting.flag.is_none()).map(line).collect::<Vec<_>>().concat();
    format!("Variables without a flag (BAO_X beats VAULT_X where official clients know it):\n{settings}\n{EXIT_CODES}")
}

/// The exit codes in short.
const EXIT_CODES: &str = "\
Exit codes, before COMMAND starts:
  64 usage                 71 operating system      78 settings
  65 data of the secret    75 Vault not ready       126 COMMAND not executable
  66 something is absent   76 not Vault             127 COMMAND not found
  69 Vault unreachable     77 denied                128+n ended by signal n";

/// The definitions behind `--help`, for a manual page and completions.
pub fn definitions() -> clap::Command {
    Cli::command()
}

/// Whether `name` is a flag, for tests that hold documents against the code.
pub fn has_flag(name: &OsStr) -> bool {
    Cli::command().get_arguments().any(|a| a.get_long().is_some_and(|long| name == long))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn parsed(args: &[&str]) -> Result<Ask, Error> {
        parse(std::iter::once("vault-exec").chain(args.iter().copied()).map(OsString::from).collect())
    }

    fn run(command: &[&str], flags: Flags) -> Ask {
        Ask::Run { command: command.iter().map(OsString::from).collect(), flags }
    }

    #[test]
    fn from_the_command_on_everything_is_passed_through() {
        let require = Flags { require: vec!["A".into(), "B,C".into()], ..Flags::default() };
        for (args, ask) in [
            (
                &["server", "--port", "80", "--", "-x", ""][..],
                run(&["server", "--port", "80", "--", "-x", ""], Flags::default()),
            ),
            (&["--", "--odd", "--help"], run(&["--odd", "--help"], Flags::default())),
            (&["--", "--", "x"], run(&["--", "x"], Flags::default())),
            (
                &["--require", "A", "--require=B,C", "env", "--require", "D"],
                run(&["env", "--require", "D"], require.clone()),
            ),
            (&["--require", "A", "--require", "B,C", "--", "-env"], run(&["-env"], require)),
        ] {
            assert_eq!(parsed(args).unwrap(), ask, "{args:?}");
        }
        let bytes = OsString::from_vec(vec![0xff, b'=']);
        let args = vec!["vault-exec".into(), "--wait=1s".into(), "env".into(), bytes.clone()];
        let flags = Flags { wait: Some("1s".into()), ..Flags::default() };
        assert_eq!(parse(args).unwrap(), Ask::Run { command: vec!["env".into(), bytes], flags });
    }

    #[test]
    fn what_cannot_be_understood_is_one_line_with_the_usage() {
        let usage = format!("; usage: {USAGE}");
        for (args, text) in [
            (&[][..], "no COMMAND given"),
            (&["--"], "no COMMAND given"),
            (&["--wait", "1s"], "no COMMAND given"),
            (&["--nope", "env"], "unexpected argument '--nope' found"),
            (&["--kees", "a", "env"], "unexpected argument '--kees' found (a similar argument exists: '--keys')"),
            (&["--wait"], "a value is required for '--wait <DURATION>' but none was supplied"),
            (&["-x"], "unexpected argument '-x' found"),
        ] {
            let error = parsed(args).unwrap_err();
            assert_eq!((error.to_string(), error.exit_code()), (format!("{text}{usage}"), 64), "{args:?}");
        }
    }

    #[test]
    fn help_names_every_flag_and_variable_and_fits_80_columns() {
        let Ask::Print(help) = parsed(&["--help"]).unwrap() else { panic!() };
        for setting in setting::ALL {
            assert!(help.contains(setting.name), "{}", setting.name);
            assert!(setting.flag.is_none_or(|flag| help.contains(&format!("--{flag}"))), "{}", setting.name);
        }
        let long: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}
