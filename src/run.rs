//! The pipeline: from the command line to the application.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use crate::cli::{self, Ask};
use crate::config::{self, Config, Plan};
use crate::error::{Code, Error};
use crate::json;
use crate::logging;
use crate::process;
use crate::process::command::CommandFault;
use crate::process::environ::Environ;
use crate::process::signal::Signals;
use crate::process::wait::Waiter;
use crate::report::{self, Times};
use crate::secrets::{self, Problem, Variable};
use crate::sink::exec::Command;
use crate::vault::Client;
use crate::vault::kv::{Location, Version};
use crate::vault::retry::Policy;

/// The whole program: log, run, print one error, exit with its code.
pub fn program(args: Vec<OsString>) -> ExitCode {
    process::on_panic_exit_with(Code::Internal as i32);
    let environ = Environ::inherited();
    let log = config::log(&environ);
    logging::init(log.level, log.json);
    match run(args, environ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error, log.termination_log.as_deref());
            error.exit_code().into()
        }
    }
}

/// Does what `args` ask for; when that is COMMAND, it returns only with an error.
fn run(args: Vec<OsString>, environ: Environ) -> Result<(), Error> {
    match cli::parse(args)? {
        // A reader that has gone away wants no more help.
        Ask::Print(text) => {
            let _: () = drop(std::io::stdout().write_all(text.as_bytes()));
            Ok(())
        }
        Ask::Run { command, flags } => {
            let named = command.first().cloned().unwrap_or_default();
            let fault = |fault| Error::Command { command: named.to_string_lossy().escape_debug().to_string(), fault };
            match config::load(&environ, &flags)? {
                Plan::Passthrough => {
                    log::debug!("VAULT_ADDR is unset: passthrough");
                    Command::find(command, &environ).and_then(|command| command.exec(None)).map_err(fault)?;
                }
                Plan::Vault(config) => {
                    start(&config, command, environ, fault)?;
                }
            }
            Ok(())
        }
    }
}

/// Starts COMMAND with the secret in its environment.
fn start(
    config: &Config,
    command: Vec<OsString>,
    environ: Environ,
    fault: impl Fn(CommandFault) -> Error,
) -> Result<Infallible, Error> {
    let mut times = Times::start();
    config.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    process::harden().map_err(|errno| Error::System { doing: "switching core dumps off", errno })?;
    let signals = Signals::arm().map_err(|errno| Error::System { doing: "blocking signals", errno })?;
    let waiter = Arc::new(Waiter::new(Some(signals)));
    let command = Command::find(command, &environ).map_err(&fault)?;

    let vault = Client::new(&config.vault, policy(config, times.begun), Arc::clone(&waiter));
    vault.status()?;
    times.lap("status");
    let session = vault.login(&config.auth)?;
    times.lap("login");
    let secret = session.read(&config.location)?;
    times.lap("read");

    let (variables, mut problems) = collect(&secret, config);
    let (environment, more) = command.environment(environ, config::is_credential, &variables, config.on_conflict);
    problems.extend(more);
    if !problems.is_empty() {
        return Err(refused(&config.location, &secret, &problems));
    }
    let revoked = session.revoke();
    times.lap("revoke");

    report::done(&variables, &config.location, &secret, revoked, &times);
    waiter.disarm().map_err(Error::Signal)?;
    command.exec(Some(&environment)).map_err(fault)
}

fn policy(config: &Config, begun: Instant) -> Policy {
    Policy {
        retries: config.max_retries,
        delay: config.retry_delay,
        wait: Some((begun + config.wait, config.wait)).filter(|(_, wait)| !wait.is_zero()),
        budget: (begun + config.startup_timeout, config.startup_timeout),
    }
}

fn collect(secret: &Version, config: &Config) -> (Vec<Variable>, Vec<Problem>) {
    secret.with_data(|data| secrets::collect(data, &config.rules)).unwrap_or_else(|fault| match fault {
        json::Fault::Duplicate(path) => (Vec::new(), vec![Problem::Duplicate(path.join("."))]),
        // The envelope was checked when it was read, so no other fault is left.
        other => (Vec::new(), vec![Problem::Duplicate(other.to_string())]),
    })
}

fn refused(location: &Location, secret: &Version, problems: &[Problem]) -> Error {
    let from = format!("{}/{} version {}", location.mount, location.path, secret.number);
    Error::Secrets { from, problems: secrets::sentences(problems), code: secrets::code(problems) }
}
