//! The dry run: every step of a run but the last, past a failure wherever that tells more.

mod report;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::cli::Request;
use crate::config::{self, Config, InEffect, Plan, Settings};
use crate::error::{Code, Error};
use crate::process::environ::Environ;
use crate::secrets::{Carrier, Problem, Variable};
use crate::sink::Sink;
use crate::sink::env_file::{EnvFile, Unwritten};
use crate::sink::exec::{self, OnConflict};
use crate::steps;
use crate::text::escaped;
use crate::vault::Client;
use crate::vault::kv::Version;
use crate::vault::token::{Revoked, Session, TokenInfo};

const ABSENT: u8 = Code::Absent as u8;
const DENIED: u8 = Code::Denied as u8;

/// What a dry run found.
struct Report {
    settings: Vec<InEffect>,
    steps: Vec<Step>,
    variables: Vec<Row>,
    /// What a real run would come to.
    verdict: String,
    code: u8,
}

struct Step {
    name: &'static str,
    time: Duration,
    outcome: Outcome,
}

enum Outcome {
    Ok(String),
    /// What is worth knowing beside the steps of a real run.
    Note(String),
    /// One line for each fault.
    Failed(Vec<String>),
    Skipped(&'static str),
}

/// A variable: its name, its type in the secret, and `ok` or what is wrong with it.
struct Row {
    name: String,
    kind: &'static str,
    state: String,
}

/// Goes through the steps for `request`, prints the report to standard output and returns the exit code that a real run
/// would have.
///
/// # Errors
///
/// [`Error::Output`] where the report cannot be written, and what keeps a run from beginning at all: a command line that
/// names nothing to do, a call of the system that fails. Everything else that goes wrong is in the report.
pub fn run(request: Request, json: bool, environ: &Environ) -> Result<u8, Error> {
    let report = Report::make(request, environ)?;
    // https://no-color.org
    let colours =
        !json && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = if json { report.to_json() } else { report.to_text(colours) };
    steps::print(&text)?;
    Ok(report.code)
}

impl Report {
    fn make(mut request: Request, environ: &Environ) -> Result<Self, Error> {
        // Nothing is written, so a terminal is as good as any other place.
        request.force = true;
        let settings = config::in_effect(environ, &request.flags);
        let mut report = Self { settings, steps: Vec::new(), variables: Vec::new(), verdict: String::new(), code: 0 };
        report.examine(request, environ)?;
        if report.code != 0 {
            report.verdict = format!("would fail with exit code {}", report.code);
        }
        Ok(report)
    }

    /// Fails only with a signal, which ends a dry run as it ends a real one.
    fn examine(&mut self, request: Request, environ: &Environ) -> Result<(), Error> {
        let begun = Instant::now();
        let (settings, faults) = config::inspect(environ, &request.flags, !request.command.is_empty());
        let sound = faults.is_empty();
        self.step(
            "settings",
            begun,
            if sound { Ok(("all can be used".into(), ())) } else { Err(Error::Settings(faults)) },
        )?;
        let Some(Settings { plan, env_file }) = settings else { return Ok(()) };

        let begun = Instant::now();
        let mut sink = None;
        if !request.command.is_empty() || env_file.is_some() {
            sink = self.step("target", begun, steps::sink(request, env_file, environ).map(|s| (describe(&s), s)))?;
        } else {
            self.skip("target", "neither COMMAND nor an env file is named");
        }
        let file = if let Some(Sink::EnvFile(file)) = &sink { Some(file.clone()) } else { None };
        match plan {
            Plan::Passthrough(warnings) => {
                for warning in &warnings {
                    log::warn!("{warning}");
                }
                self.verdict = match &file {
                    Some(file) => format!("VAULT_ADDR is unset: would write {file} without variables"),
                    None => "VAULT_ADDR is unset: would run COMMAND with its environment as it is".into(),
                };
            }
            Plan::Vault(config) if sound => self.ask_vault(&config, sink, environ)?,
            Plan::Vault(config) => {
                self.skip("status", "the settings are at fault");
                self.step("credential", Instant::now(), config.auth.inspect().map(|said| (said, ())))?;
            }
        }
        // Whatever came before; a real run comes to it after everything else that can fail.
        if let Some(file) = file {
            let begun = Instant::now();
            let ready = file.check().map(|()| (format!("{file} can be written"), ()));
            self.step("file", begun, ready.map_err(|fault| Error::EnvFile(Unwritten::File(fault))))?;
        }
        Ok(())
    }

    fn ask_vault(&mut self, config: &Config, sink: Option<Sink>, environ: &Environ) -> Result<(), Error> {
        for warning in &config.warnings {
            log::warn!("{warning}");
        }
        let waiter = steps::arm()?;
        let begun = Instant::now();
        let vault = Client::new(&config.vault, config.policy(begun), waiter.clone());
        let status = vault.status().map(|version| (format!("initialised and unsealed, version {version}"), ()));
        let up = self.step("status", begun, status)?.is_some();
        let credential = self.step("credential", Instant::now(), config.auth.inspect().map(|said| (said, ())))?;
        if !up || credential.is_none() {
            self.skip("login", if up { "the credential is at fault" } else { "Vault is not ready" });
            return Ok(());
        }
        let begun = Instant::now();
        let login = vault.login(&config.auth).map(|session| {
            let token =
                if session.info == TokenInfo::default() { String::new() } else { format!("; {}", session.info) };
            (format!("method {}{token}", config.auth.name()), session)
        });
        let Some(session) = self.step("login", begun, login)? else {
            self.skip("read", "there is no token to read with");
            return Ok(());
        };
        let secret = self.read(config, &session)?;
        if session.info == TokenInfo::default() {
            self.look_up(&session)?;
        }
        if let Some(secret) = secret {
            self.judge(config, &secret, sink, environ)?;
        }
        let begun = Instant::now();
        let revoked = match session.revoke() {
            Revoked::Yes => "the login's token is revoked".to_owned(),
            Revoked::No(reason) => format!("the token is not revoked: {reason}"),
        };
        self.step("revoke", begun, Ok((revoked, ())))?;
        waiter.disarm().map_err(Error::Signal)
    }

    fn read(&mut self, config: &Config, session: &Session) -> Result<Option<Version>, Error> {
        let begun = Instant::now();
        let location = &config.location;
        let secret = session.read(location).map(|secret| {
            let age = age(&secret.created).map(|age| format!(" ({age} old)")).unwrap_or_default();
            let said =
                format!("{}/{} version {} of {}{age}", location.mount, location.path, secret.number, secret.created);
            (said, secret)
        });
        let refused = secret.as_ref().err().map(Error::exit_code);
        let secret = self.step("read", begun, secret)?;
        if let Some(code @ (ABSENT | DENIED)) = refused {
            let begun = Instant::now();
            let explained = session.explain(location, code == DENIED);
            self.note("preflight", begun, explained);
        }
        Ok(secret)
    }

    /// What a token is that was handed in. After the read: it may be the token's only use, and a token that may not look
    /// itself up is good enough for a real run, which does not ask.
    fn look_up(&mut self, session: &Session) -> Result<(), Error> {
        let begun = Instant::now();
        let said = match session.look_up() {
            Ok(info) => info.to_string(),
            Err(signal @ Error::Signal(_)) => return Err(signal),
            Err(error) => format!("nothing is told of it: {error}"),
        };
        self.note("token", begun, said);
        Ok(())
    }

    /// What the variables come to, one by one and as a whole.
    fn judge(&mut self, config: &Config, secret: &Version, sink: Option<Sink>, environ: &Environ) -> Result<(), Error> {
        let begun = Instant::now();
        let carrier = sink.as_ref().map_or(Carrier::Environment, Sink::carrier);
        let (mut variables, mut problems) = steps::collect(secret, config, carrier);
        self.variables = variables.iter().map(|v| row(v, sink.as_ref(), config.on_conflict, environ)).collect();
        self.variables.extend(problems.iter().map(|problem| Row {
            name: problem.to_string(),
            kind: "-",
            state: problem.state().to_owned(),
        }));
        steps::keep_out(&mut variables, config, carrier, environ);
        let (count, s) = (variables.len(), if variables.len() == 1 { "" } else { "s" });
        self.verdict = match &sink {
            None => format!("{count} variable{s} would be handed over"),
            Some(Sink::Command(command)) => format!("would start {} with {count} variable{s}", command.program()),
            Some(Sink::EnvFile(file)) => format!("would write {count} variable{s} to {file}"),
        };
        if let Some(sink) = sink {
            let payload = sink.payload(environ.clone(), config::is_credential, &variables, config.on_conflict);
            problems.extend(payload.err().unwrap_or_default());
        } else if config.on_conflict == OnConflict::Error {
            let conflicts = variables.iter().filter(|v| exec::is_in_conflict(v, environ, config::is_credential));
            problems.extend(conflicts.map(|variable| Problem::Conflict(variable.name.clone())));
        }
        let judged = match problems[..] {
            [] => Ok((format!("{count} variable{s}, all of them good"), ())),
            _ => Err(steps::refused(&config.location, secret, &problems)),
        };
        self.step("secrets", begun, judged).map(drop)
    }

    /// Notes how a step ended, and the exit code of the first that failed. A signal is no outcome but the end.
    fn step<T>(
        &mut self,
        name: &'static str,
        begun: Instant,
        result: Result<(String, T), Error>,
    ) -> Result<Option<T>, Error> {
        let (outcome, value) = match result {
            Ok((said, value)) => (Outcome::Ok(said), Some(value)),
            Err(signal @ Error::Signal(_)) => return Err(signal),
            Err(error) => {
                self.code = if self.code == 0 { error.exit_code() } else { self.code };
                (Outcome::Failed(error.to_string().lines().map(str::to_owned).collect()), None)
            }
        };
        self.steps.push(Step { name, time: begun.elapsed(), outcome });
        Ok(value)
    }

    fn note(&mut self, name: &'static str, begun: Instant, said: String) {
        self.steps.push(Step { name, time: begun.elapsed(), outcome: Outcome::Note(said) });
    }

    fn skip(&mut self, name: &'static str, reason: &'static str) {
        self.steps.push(Step { name, time: Duration::ZERO, outcome: Outcome::Skipped(reason) });
    }
}

fn describe(sink: &Sink) -> String {
    match sink {
        Sink::Command(command) => format!("COMMAND is {}", command.program()),
        Sink::EnvFile(file) => format!("env file {file}, format {}", file.format),
    }
}

/// The row of a variable that could be made; what its carrier says of it.
fn row(variable: &Variable, sink: Option<&Sink>, on_conflict: OnConflict, environ: &Environ) -> Row {
    let state = match sink {
        Some(Sink::EnvFile(EnvFile { format, .. })) => match format.check(&variable.name, variable.value.expose()) {
            Ok(()) => "ok".to_owned(),
            Err(reason) => format!("format {format} cannot carry {reason}"),
        },
        _ if !exec::is_in_conflict(variable, environ, config::is_credential) => "ok".to_owned(),
        _ => match on_conflict {
            OnConflict::Overwrite => "ok, overwrites another value in the environment".to_owned(),
            OnConflict::Keep => "kept out: the environment has another value".to_owned(),
            OnConflict::Error => "conflict: the environment has another value".to_owned(),
        },
    };
    Row { name: escaped(&variable.name), kind: variable.kind, state }
}

/// How long ago an RFC 3339 time was, in its largest unit.
fn age(created: &str) -> Option<String> {
    let passed = humantime::parse_rfc3339(created).ok()?.elapsed().ok()?.as_secs();
    Some(match passed {
        0..120 => format!("{passed}s"),
        120..7200 => format!("{}m", passed / 60),
        7200..172_800 => format!("{}h", passed / 3600),
        _ => format!("{}d", passed / 86_400),
    })
}
