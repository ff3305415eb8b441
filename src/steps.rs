//! What a run and a dry run share: choosing the sink, arming the process, judging the secret.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;

use crate::cli::{self, Request};
use crate::config::{self, Config, Locations, Passthrough};
use crate::error::{self, Code, Error, SettingFault};
use crate::observer::Log;
use crate::process;
use crate::process::command::CommandFault;
use crate::process::environ::Environ;
use crate::process::signal::Signals;
use crate::process::wait::Waiter;
use crate::secrets::reference::is_reference;
use crate::secrets::{self, Carrier, Members, Problem, Source, Variable, name};
use crate::sink::env_file::{EnvFile, Place};
use crate::sink::exec::{self, Command, OnConflict};
use crate::sink::{Payload, Sink};
use vault_client::kv::{Location, Version};
use vault_client::settings::FaultKind;
use vault_client::text;
use vault_client::{Endpoint, ErrorKind, Observer, Session, VaultError};

/// Refuses a command line that names nothing to do, before any setting is judged.
///
/// # Errors
///
/// [`Error::Usage`].
pub fn demand_target(request: &Request, environ: &Environ) -> Result<(), Error> {
    let is_watched = config::asks_for_watch(environ, &request.flags);
    if let Some(misuse) = config::misuse_of_watch(environ, &request.flags, !request.hook.is_empty()) {
        return Err(cli::usage(misuse));
    }
    // A watch that variables ask for without a file is a fault of theirs.
    if request.command.is_empty() && !is_watched && !config::names_env_file(environ, &request.flags) {
        return Err(cli::nothing_to_do());
    }
    Ok(())
}

/// Where the variables go: what the command line says, else what `VAULT_ENV_FILE` says.
///
/// # Errors
///
/// [`Error::Command`] where COMMAND cannot be started, [`Error::Usage`] where there is nothing to do, or secrets would go to
/// a terminal.
pub fn sink(request: Request, env_file: Option<EnvFile>, environ: &Environ) -> Result<Sink, Error> {
    if let Some(first) = request.command.first() {
        let name = text::os(first);
        return Command::find(request.command, environ).map(Sink::Command).map_err(not_started(&name));
    }
    match env_file {
        None => Err(cli::nothing_to_do()),
        Some(EnvFile { place: Place::Stdout, .. }) if !request.force && io::stdout().is_terminal() => {
            Err(cli::usage("standard output is a terminal, where secrets do not belong; redirect it, or add --force"))
        }
        Some(env_file) => Ok(Sink::EnvFile(env_file)),
    }
}

/// What runs after changes, where something does.
///
/// # Errors
///
/// [`Error::Command`] where it cannot be started.
pub fn hook(command: Vec<OsString>, environ: &Environ) -> Result<Option<Command>, Error> {
    let Some(first) = command.first() else { return Ok(None) };
    let name = text::os(first);
    Command::find(command, environ).map(Some).map_err(not_started(&name))
}

/// Arms the process as soon as passthrough is ruled out: before a setting is judged, COMMAND is looked for or a file is
/// read. A passthrough holds nothing of Vault's, and is left as it was started.
///
/// # Errors
///
/// As for [`arm`].
pub fn guard(environ: &Environ) -> Result<Arc<Waiter>, Error> {
    if config::names_vault(environ) { arm() } else { Ok(Arc::new(Waiter::new(None))) }
}

/// Closes the process to onlookers and makes signals end every wait.
///
/// # Errors
///
/// [`Error::System`]: a start-up that cannot protect its secrets does not read any.
pub fn arm() -> Result<Arc<Waiter>, Error> {
    process::harden()?;
    process::demand_random()?;
    Ok(Arc::new(Waiter::new(Some(Signals::arm()?))))
}

/// The server that a run which began at `begun` talks to; what happens is told to `observer`.
pub fn server(config: &Config, begun: Instant, waiter: &Waiter, observer: impl Observer + 'static) -> Endpoint {
    Endpoint::new(&config.vault, config.limits(begun), waiter.cancel().clone(), Arc::new(observer))
}

/// The same for a run that reads what it needs and ends: it forgets no value.
pub fn connect(config: &Config, begun: Instant, waiter: &Arc<Waiter>) -> Endpoint {
    let vault = server(config, begun, waiter, Log(Arc::clone(waiter)));
    vault.forget_nothing();
    vault
}

/// What a client's error comes to: where a signal has cancelled a call, the signal is the error.
pub fn ended_by(waiter: &Waiter) -> impl Fn(VaultError) -> Error + use<'_> {
    |error| match waiter.caught() {
        Some(signal) if error.kind() == ErrorKind::Cancelled => Error::Signal(signal),
        _ => Error::Vault(error),
    }
}

/// The warning that something has hold of this process since before it was closed to onlookers; with `refuse` it is an
/// error. Some runtimes start every container so.
///
/// # Errors
///
/// [`Error::Traced`], and [`Error::System`] where no file can be opened.
pub fn tracer(refuse: bool) -> Result<Option<String>, Error> {
    match process::tracer()? {
        Some(tracer) if refuse => Err(Error::Traced(tracer)),
        Some(tracer) => Ok(Some(format!(
            "process {tracer} traces this start and can read its secrets; VAULT_REFUSE_TRACED=true makes that an error"
        ))),
        None => Ok(None),
    }
}

/// A secret as it was read, and where.
pub struct Fetched<'a> {
    /// Where.
    pub location: &'a Location,
    /// What was read there.
    pub secret: Arc<Version>,
}

impl Fetched<'_> {
    /// `mount/path version N of TIME`, as far as it is known.
    pub fn told(&self) -> String {
        format!("{} {}", place(self.location), self.secret)
    }
}

/// `mount/path`
pub fn place(location: &Location) -> String {
    format!("{}/{}", location.mount, location.path)
}

/// Reads every secret, one after the other.
///
/// # Errors
///
/// Why the first that cannot be read was not, after the tries that the limits allow for each.
pub fn read<'a>(session: &Session, locations: &'a Locations) -> Result<Vec<Fetched<'a>>, VaultError> {
    locations.iter().map(|location| Ok(Fetched { location, secret: Arc::new(session.read(location)?) })).collect()
}

/// The warning that a login's token cannot make as many reads as there are secrets: the server then tells no more than
/// that it does not know the token.
pub fn too_few_uses(session: &Session, locations: &Locations) -> Option<String> {
    let (uses, paths) = (session.uses()?, locations.count());
    (uses < paths as u64).then(|| {
        let s = if uses == 1 { "" } else { "s" };
        format!(
            "the login's token has {uses} use{s}, and VAULT_PATH names {paths} paths; raise token_num_uses of the role, or \
             set it to 0"
        )
    })
}

/// The variables of the secrets that were read, and what is wrong with them.
pub fn collect(fetched: &[Fetched], config: &Config, carrier: Carrier) -> (Vec<Variable>, Vec<Problem>) {
    let source = |location: &Location| Source {
        place: place(location),
        members: match fetched.iter().find(|it| it.location == location).map(|it| &it.secret.data) {
            Some(Ok(members)) => Members::All(members),
            Some(Err(key)) => Members::Twice(key),
            None => Members::Unread,
        },
    };
    let sources: Vec<_> = config.locations.iter().map(source).collect();
    secrets::collect(&sources, &config.rules, carrier)
}

/// Fits what was collected into `sink`: the variables that go there, and what is to be handed over or everything that
/// forbids it. Left out are those that the environment has with another value, where it is to be kept.
pub fn fit(
    (mut variables, mut problems): (Vec<Variable>, Vec<Problem>),
    config: &Config,
    sink: Sink,
    environ: Environ,
) -> (Vec<Variable>, Result<Payload, Vec<Problem>>) {
    let withheld = config.withheld();
    if config.on_conflict == OnConflict::Keep && sink.carrier() == Carrier::Environment {
        variables.retain(|variable| !exec::is_in_conflict(variable, &environ, withheld));
    }
    let payload = match sink.payload(environ, withheld, &variables, config.on_conflict) {
        Ok(payload) if problems.is_empty() => Ok(payload),
        unfit => {
            problems.extend(unfit.err().unwrap_or_default());
            Err(problems)
        }
    };
    (variables, payload)
}

/// Refuses a passthrough whose environment lacks what COMMAND needs.
///
/// # Errors
///
/// [`Error::Unread`] with the names.
pub fn demand_required(passthrough: &Passthrough) -> Result<(), Error> {
    let Passthrough { missing, because, remedy, .. } = passthrough;
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(Problem::listed).collect();
    Err(Error::Unread { missing: secrets::list(&names, secrets::MOST_BYTES), because, remedy })
}

/// Refuses an environment in which another tool's reference is left for COMMAND: neither withheld nor replaced by one of
/// `variables`.
///
/// # Errors
///
/// [`Error::Settings`] with the variables' names, unless `VAULT_ALLOW_REFERENCES` is true.
pub fn refuse_references(environ: &Environ, variables: &[Variable], config: &Config) -> Result<(), Error> {
    let withheld = config.withheld();
    let kept = |variable: &Variable| {
        config.on_conflict == OnConflict::Keep && exec::is_in_conflict(variable, environ, withheld)
    };
    let replaced = |name: &[u8]| variables.iter().any(|variable| variable.name.as_bytes() == name && !kept(variable));
    let left = |(name, value): &(&[u8], &[u8])| is_reference(value) && !withheld(name, value) && !replaced(name);
    let names: Vec<_> = environ.variables().filter(left).map(|(name, _)| text::lossy(name).into_owned()).collect();
    if names.is_empty() || config.allow_references {
        return Ok(());
    }
    let cause = "another tool's reference (vault:PATH#KEY), which nothing resolves here; let VAULT_KEYS rename the key to \
                 this variable (KEY:NAME), or set VAULT_ALLOW_REFERENCES=true";
    let kind = FaultKind::Unusable;
    Err(Error::Settings(vec![SettingFault { name: error::names(&names), held: None, kind, cause: cause.into() }]))
}

/// The names of the variables that COMMAND's environment has with another value.
pub fn conflicting(variables: &[Variable], config: &Config, carrier: Carrier, environ: &Environ) -> Vec<String> {
    if carrier != Carrier::Environment {
        return Vec::new();
    }
    let conflicts = variables.iter().filter(|it| exec::is_in_conflict(it, environ, config.withheld()));
    conflicts.map(|variable| variable.name.clone()).collect()
}

/// All names of a warning together, in bytes; more are counted.
const NAMES_OF_A_WARNING: usize = 1000;

/// Whether the variable has a name that some shells drop.
pub fn is_droppable(variable: &Variable) -> bool {
    !name::is_identifier(&variable.name)
}

/// The shell that COMMAND is, where it drops at least one of `variables`.
pub fn dropping_shell(sink: &Sink, variables: &[Variable], environ: &Environ) -> Option<String> {
    let Sink::Command(command) = sink else { return None };
    if variables.iter().any(is_droppable) { command.dropping_shell(environ) } else { None }
}

/// The warning for names that never reach the application, because COMMAND is a shell that drops them.
pub fn names_lost(sink: &Sink, variables: &[Variable], environ: &Environ) -> Option<String> {
    let shell = dropping_shell(sink, variables, environ)?;
    let lost: Vec<_> = variables.iter().filter(|it| is_droppable(it)).map(|it| text::name(&it.name)).collect();
    let lost = secrets::list(&lost, NAMES_OF_A_WARNING);
    Some(format!(
        "{shell} drops variables whose names are no identifiers: {lost}; rename the keys with VAULT_KEYS=key:NAME, or \
         start the application without a shell"
    ))
}

/// The paths of a message together, in bytes; more are counted.
pub const PATHS_OF_A_MESSAGE: usize = 1000;

/// The error for secrets with `problems`.
pub fn refused(fetched: &[Fetched], problems: &[Problem]) -> Error {
    let code = if secrets::only_missing(problems) { Code::Absent } else { Code::Data };
    let from = |Fetched { location, secret }: &Fetched| match secret.number {
        // A document with a duplicate key is not read as far as its version.
        0 => place(location),
        number => format!("{} version {number}", place(location)),
    };
    let from: Vec<_> = fetched.iter().map(from).collect();
    let from = secrets::list(&from, PATHS_OF_A_MESSAGE);
    Error::Secrets { from, problems: secrets::sentences(problems), code }
}

/// The error for a command that cannot be started.
pub fn not_started(command: &str) -> impl Fn(CommandFault) -> Error + use<> {
    let command = if command.is_empty() { "\"\"".to_owned() } else { command.to_owned() };
    move |fault| Error::Command { command: command.clone(), fault }
}

/// Writes a text that is asked for. A reader that has gone away, or a descriptor that is closed, wants no more of it;
/// anything else in the way is an error.
///
/// # Errors
///
/// [`Error::Output`] where standard output is full.
pub fn print(text: &str) -> Result<(), Error> {
    match process::stdout().and_then(|mut stdout| stdout.write_all(text.as_bytes())) {
        Err(error)
            if error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(Errno::EBADF as i32) =>
        {
            Ok(())
        }
        written => written.map_err(Error::Output),
    }
}
