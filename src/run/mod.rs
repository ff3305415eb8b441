//! The pipeline: from the command line to the application, or to the env file.

mod fetch;
mod sidecar;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::cli::{self, Ask};
use crate::config::{self, Config, Passthrough, Plan, Settings};
use crate::ending::{self, Done, Times, Token};
use crate::error::{Code, Error};
use crate::process::environ::Environ;
use crate::process::wait::Waiter;
use crate::sink::env_file::{self, Outcome, Unwritten};
use crate::sink::{Ready, Sink};
use crate::steps::{
    arm, collect, conflicting, connect, demand_required, demand_target, ended_by, fit, guard, hook, names_lost,
    not_started, print, refuse_references, refused, sink, tracer,
};
use crate::{check, install, logging, logout, process};
use fetch::{Fetch, fetch};
use sidecar::Order;
use vault_client::Revoked;
use vault_client::text;
use vault_client::{Ended, Limits};

/// The whole program: log, run, print one error, return its code.
pub fn program(args: Vec<OsString>) -> u8 {
    let environ = Environ::inherited();
    let log = config::log(&environ);
    logging::init(log.level, log.json);
    process::on_panic_exit_with(Code::Internal as i32);
    match run(args, environ) {
        Ok(code) => code,
        Err(error) => {
            ending::error(&error, log.termination_log.as_deref());
            error.exit_code()
        }
    }
}

/// Does what `args` ask for and returns the exit code; when that is COMMAND, it returns only with an error.
fn run(args: Vec<OsString>, environ: Environ) -> Result<u8, Error> {
    match cli::parse(args)? {
        Ask::Run(request) => {
            demand_target(&request, &environ)?;
            let waiter = guard(&environ)?;
            let Settings { plan, env_file, watch } =
                config::load(&environ, &request.flags, !request.command.is_empty())?;
            if let (Some(watch), Some(file)) = (watch, &env_file) {
                let hook = hook(request.hook, &environ)?;
                sidecar::keep(Order { plan, watch, file: file.clone(), hook }, environ, &waiter)?;
                return Ok(0);
            }
            let sink = sink(request, env_file, &environ)?;
            match plan {
                Plan::Passthrough(passthrough) => pass_through(sink, &passthrough)?,
                Plan::Vault(config) => hand_over(&config, sink, environ, &waiter)?,
            }
        }
        Ask::Check { request, style } => return check::run(request, style, &environ),
        Ask::Install(directory) => {
            let waiter = arm()?;
            let path = install::install(Path::new("/proc/self/exe"), &directory)?;
            log::info!("installed as {}", text::os(&path));
            waiter.disarm().map_err(Error::Signal)?;
        }
        Ask::LogOut => {
            let waiter = arm()?;
            logout::log_out(&environ, &waiter)?;
            waiter.disarm().map_err(Error::Signal)?;
        }
        Ask::Print(text) => print(&text)?,
    }
    Ok(0)
}

/// Fetches the secrets and hands them over. Whatever ends this after the login, the session's end revokes its token.
fn hand_over(config: &Config, sink: Sink, environ: Environ, waiter: &Arc<Waiter>) -> Result<(), Error> {
    let mut times = Times::start();
    for warning in config.warnings.iter().chain(&tracer(config.refuse_traced)?) {
        log::warn!("{warning}");
    }

    let vault = connect(config, times.begun, waiter);
    let ended = ended_by(waiter);
    let Fetch { secrets, session } = fetch(config, &vault, &mut times).map_err(&ended)?;

    let collected = collect(&secrets, config, sink.carrier());
    if let Sink::Command(_) = sink {
        refuse_references(&environ, &collected.0, config)?;
    }
    let conflicting = conflicting(&collected.0, config, sink.carrier(), &environ);
    if let Some(warning) = names_lost(&sink, &collected.0, &environ) {
        log::warn!("{warning}");
    }
    let (variables, payload) = fit(collected, config, sink, environ);
    let payload = payload.map_err(|problems| refused(&secrets, &problems))?;
    let ready = payload.prepare().map_err(Unwritten::File)?;
    // What a person has taken of the time is in it.
    let end = vault.limits().until.unwrap_or(times.begun + config.limits.whole);
    in_time(waiter, end, config)?;
    let revoked = session.map(|session| session.revoke());
    if revoked == Some(Revoked::Yes) {
        times.lap("revoke");
    }
    let done = Done {
        variables: &variables,
        conflicting: &conflicting,
        on_conflict: config.on_conflict,
        secrets: &secrets,
        token: revoked.map_or(Token::NotMade, Token::Ended),
        times: &times,
    };

    match ready {
        Ready::Command(command, environment) => {
            done.print("");
            waiter.disarm().map_err(Error::Signal)?;
            Err(not_started(&command.name())(command.exec(Some(&environment))))
        }
        Ready::File(file, env_file) => {
            let outcome = put_in_place(file, waiter, end)?;
            done.print(&format!("; {env_file} {}", outcome.word()));
            // One that arrived during the rename was left waiting for its end.
            waiter.disarm().map_err(Error::Signal)
        }
    }
}

/// Without Vault: COMMAND with the environment as it is, or a file without variables.
fn pass_through(sink: Sink, passthrough: &Passthrough) -> Result<(), Error> {
    for warning in &passthrough.warnings {
        log::warn!("{warning}");
    }
    demand_required(passthrough)?;
    log::debug!("VAULT_ADDR is unset: passthrough");
    match sink {
        Sink::Command(command) => Err(not_started(&command.name())(command.exec(None))),
        Sink::EnvFile(env_file) => {
            let waiter = arm()?;
            let end = Instant::now() + Limits::default().whole;
            let empty = env_file.format.empty();
            let outcome = put_in_place(env_file.prepare(empty).map_err(Unwritten::File)?, &waiter, end)?;
            log::info!("VAULT_ADDR is unset: {env_file} {}, without variables", outcome.word());
            waiter.disarm().map_err(Error::Signal)
        }
    }
}

/// Ends a start that has taken until `end`, or that a signal has ended: what was read is not handed over any more.
fn in_time(waiter: &Waiter, end: Instant, config: &Config) -> Result<(), Error> {
    waiter.call(end).alive().map(drop).map_err(|ended| match ended {
        Ended::Refused(refused) => Error::System(refused),
        Ended::Cancelled | Ended::Deadline => waiter.caught().map_or(Error::Late(config.limits.whole), Error::Signal),
    })
}

/// Gives an env file its name, unless a signal has arrived; one that arrives during that waits for its end, but ends
/// the wait for a reader of standard output.
fn put_in_place(file: env_file::Ready, waiter: &Waiter, end: Instant) -> Result<Outcome, Error> {
    waiter.caught().map_or(Ok(()), |signal| Err(Error::Signal(signal)))?;
    file.finish(&waiter.call(end)).map_err(|fault| waiter.caught().map_or(Error::EnvFile(fault), Error::Signal))
}
