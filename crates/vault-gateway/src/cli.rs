//! The command line: what the program is asked for. Nothing of it is a secret.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, ValueHint};
use vault_client::text::shown;

/// The exit code of a command line that is not understood: `EX_USAGE` of
/// [sysexits](https://man.freebsd.org/cgi/man.cgi?query=sysexits).
const USAGE_CODE: u8 = 64;

/// The exit codes, and when the program ends with each.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "the service ended after TERM or INT; the configuration is right; the request is allowed"),
    (64, "the command line cannot be used"),
    (66, "the configuration file, a file that it names, or the file of --as is missing"),
    (71, "an address cannot be bound, or the system refuses something"),
    (77, "--as: the request is denied"),
    (78, "the configuration is wrong; standard error has a line for each fault"),
];

const USAGE: &str = "\
vault-gateway --config FILE
       vault-gateway --config FILE --check
       vault-gateway --config FILE --check --as FILE METHOD TARGET";

/// Serves secrets of Vault or OpenBao over HTTP to callers with a JWT.
#[derive(Debug, Parser)]
#[command(
    name = "vault-gateway",
    version,
    override_usage = USAGE,
    disable_help_subcommand = true,
    after_help = "The exit codes: vault-gateway --help",
    after_long_help = long_help()
)]
struct Cli {
    /// Configuration of the service, a TOML file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: PathBuf,

    /// Check the configuration, print what is wrong, and serve nothing
    #[arg(long)]
    check: bool,

    /// With --check: explain what a caller with the claims in FILE may do
    ///
    /// FILE is a JSON object with the claims of a verified token, iss included.
    /// Signature and times are not checked, and Vault is not asked.
    #[arg(long = "as", verbatim_doc_comment, value_name = "FILE", value_hint = ValueHint::FilePath, requires_all = ["check", "method", "target"])]
    claims: Option<PathBuf>,

    /// With --as: method of the request, such as GET
    #[arg(value_name = "METHOD")]
    method: Option<String>,

    /// With --as: path and query of the request, such as /vault/secrets/app
    #[arg(value_name = "TARGET")]
    target: Option<String>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To serve callers.
    Serve {
        /// The configuration file.
        config: PathBuf,
    },
    /// To say what is wrong with the configuration.
    Check {
        /// The configuration file.
        config: PathBuf,
    },
    /// To say what a caller may do, and by which rule.
    Explain {
        /// The configuration file.
        config: PathBuf,
        /// The file with the caller's claims, a JSON object.
        claims: PathBuf,
        /// The request's method, as it was written.
        method: String,
        /// The request's path and query, as it was written.
        target: String,
    },
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// This text was asked for: help or version. It goes to standard output.
    Shown(String),
    /// The command line cannot be used. One line, which goes to standard error.
    Usage(String),
}

impl Stopped {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Shown(_) => 0,
            Self::Usage(_) => USAGE_CODE,
        }
    }
}

/// Reads the arguments, the program's own name first.
///
/// # Errors
///
/// Help or version was asked for, or the arguments cannot be used.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Stopped> {
    let Cli { config, check, claims, method, target } = Cli::try_parse_from(args).map_err(|error| stopped(&error))?;
    Ok(match (claims, method, target) {
        (Some(claims), Some(method), Some(target)) => Command::Explain { config, claims, method, target },
        (None, Some(argument), _) => {
            let what = format!("unexpected argument '{argument}' found: METHOD and TARGET go with --check --as FILE");
            return Err(usage(&what));
        }
        _ if check => Command::Check { config },
        _ => Command::Serve { config },
    })
}

/// The definitions behind `--help`, for a manual page and completions.
pub fn definitions() -> clap::Command {
    Cli::command()
}

fn stopped(error: &clap::Error) -> Stopped {
    let what = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return Stopped::Shown(error.render().to_string()),
        ErrorKind::MissingRequiredArgument => missing(error),
        _ => first_line(error),
    };
    usage(&what)
}

fn usage(what: &str) -> Stopped {
    Stopped::Usage(format!("{}; vault-gateway --help shows what can be written", shown(what)))
}

/// What has to be there and is not, all of it in one line.
fn missing(error: &clap::Error) -> String {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(names)) => format!("missing: {}", names.join(", ")),
        Some(ContextValue::String(name)) => format!("missing: {name}"),
        _ => first_line(error),
    }
}

/// The message without its usage, with its tip where it names a similar flag.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let first = paragraphs.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let tip = paragraphs.find_map(|text| text.strip_prefix("tip: ")).filter(|tip| tip.contains("similar"));
    tip.map_or(first.clone(), |tip| format!("{first} ({tip})"))
}

/// What stands below the flags. The page is in the repository of the program.
fn long_help() -> String {
    let rows: Vec<String> = EXIT_CODES.iter().map(|(code, when)| format!("{code:>5}  {when}")).collect();
    format!("{ENVIRONMENT}\n\n{SIGNALS}\n\nExit codes:\n{}\n\n{PAGE}", rows.join("\n"))
}

const ENVIRONMENT: &str = "\
Environment:
  VAULT_ADDR     address of Vault or OpenBao
  VAULT_CACERT   file with the CA of its certificate, where the system does not know it
  The parts of a login that a tenant leaves open come from the environment as well.";

const SIGNALS: &str = "\
Signals:
  HUP        read the configuration again, whole or not at all; open the audit file again
  TERM, INT  take requests for 5 more seconds, let those under way end, revoke the tokens, exit";

const PAGE: &str = "\
docs/gateway.md in the source has all keys, all calls, and what each refusal means.
The address of `ops` in the configuration has /docs with all calls.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, Stopped> {
        parse(std::iter::once("vault-gateway").chain(args.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_modes_are_told_apart() {
        let config = || PathBuf::from("g.toml");
        let explain = || Command::Explain {
            config: config(),
            claims: "c.json".into(),
            method: "GET".into(),
            target: "/vault/secrets/a?version=1".into(),
        };
        let request = ["GET", "/vault/secrets/a?version=1"];
        for (args, command) in [
            (&["--config", "g.toml"][..], Command::Serve { config: config() }),
            (&["--config=g.toml", "--check"], Command::Check { config: config() }),
            (&["--check", "--config", "g.toml"], Command::Check { config: config() }),
            (&["--config", "g.toml", "--check", "--as", "c.json", request[0], request[1]], explain()),
            (&["--check", "--as=c.json", request[0], request[1], "--config=g.toml"], explain()),
        ] {
            assert_eq!(parsed(args), Ok(command), "{args:?}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_one_line_and_64() {
        for (args, what) in [
            (&[][..], "missing: --config <FILE>"),
            (&["--check"], "missing: --config <FILE>"),
            (&["--config"], "a value is required for '--config <FILE>' but none was supplied"),
            (&["--config", "a", "--config", "b"], "the argument '--config <FILE>' cannot be used multiple times"),
            (&["--config", "a", "--chek"], "unexpected argument '--chek' found (a similar argument exists: '--check')"),
            (&["--config", "a", "--as", "c", "GET", "/vault/list"], "missing: --check"),
            (&["--config", "a", "--check", "--as", "c"], "missing: <METHOD>, <TARGET>"),
            (&["--config", "a", "--check", "--as", "c", "GET"], "missing: <TARGET>"),
            (
                &["--config", "a", "GET", "/vault/list"],
                "unexpected argument 'GET' found: METHOD and TARGET go with --check --as FILE",
            ),
            (
                &["--config", "a", "--check", "x\ny"],
                "unexpected argument 'x\\ny' found: METHOD and TARGET go with --check --as FILE",
            ),
            (&["--config", "a", "--check", "--as", "c", "GET", "/a", "b"], "unexpected argument 'b' found"),
            (&["--config", "a", "--a\nb"], "unexpected argument '--a\\nb' found"),
        ] {
            let line = format!("{what}; vault-gateway --help shows what can be written");
            let stopped = parsed(args).unwrap_err();
            assert_eq!(stopped, Stopped::Usage(line), "{args:?}");
            assert_eq!(stopped.exit_code(), 64);
        }
    }

    #[test]
    fn help_and_version_are_shown_and_end_with_0() {
        let version = format!("vault-gateway {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(parsed(&["--version"]), Err(Stopped::Shown(version)));
        for args in ["--help", "-h"] {
            let stopped = parsed(&[args]).unwrap_err();
            assert_eq!(stopped.exit_code(), 0);
            let Stopped::Shown(help) = stopped else { panic!("{stopped:?}") };
            for flag in ["--config <FILE>", "--check", "--as <FILE>", "[METHOD]", "[TARGET]"] {
                assert!(help.contains(flag), "{flag}: {help}");
            }
            let too_wide: Vec<&str> = help.lines().filter(|line| line.len() > 100).collect();
            assert!(too_wide.is_empty(), "{too_wide:?}");
        }
        let Err(Stopped::Shown(help)) = parsed(&["--help"]) else { panic!() };
        for (code, when) in EXIT_CODES {
            assert!(help.contains(&format!("{code:>5}  {when}\n")), "{code}: {help}");
        }
    }

    #[test]
    fn the_definitions_are_consistent() {
        definitions().debug_assert();
    }
}
