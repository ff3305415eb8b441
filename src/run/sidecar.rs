//! Keeps an env file current. The first write is a start like any other, and each change after it a write of its own.

mod source;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{SigSet, Signal};

use super::{in_time, put_in_place};
use crate::config::{Config, Passthrough, Plan, Watch};
use crate::ending::{Done, Times, Token};
use crate::error::Error;
use crate::observer::Bell;
use crate::process::child::{Children, Orphans};
use crate::process::environ::Environ;
use crate::process::wait::Waiter;
use crate::secrets::Variable;
use crate::sink::env_file::{EnvFile, Outcome, Ready, Unwritten};
use crate::sink::exec::{Command, OnConflict};
use crate::sink::file::Written;
use crate::sink::{self, Sink};
use crate::steps::{Fetched, arm, collect, demand_required, fit, refused};
use crate::watch::answer;
use crate::watch::facts::{Facts, Write};
use crate::watch::hook::{Hook, Ran};
use crate::watch::listener::{Bound, Listen, Serving};
use source::{HookEnvironment, Watching};
use vault_client::{Call, Cancel, Ended, Revoked, Seconds, text};

/// Longer than any wait: what ends it is a signal.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What is kept current, and who is told of changes.
pub struct Order {
    /// Where the variables come from.
    pub plan: Plan,
    /// How the file is kept current.
    pub watch: Watch,
    /// The file.
    pub file: EnvFile,
    /// What runs after each change.
    pub hook: Option<Command>,
}

/// Writes the file, and keeps it current until a signal.
///
/// # Errors
///
/// What any start can fail with, and [`Error::Listen`]. After the first write there is only [`Error::System`]: a wait that the
/// kernel refuses.
pub fn keep(order: Order, environ: Environ, waiter: &Arc<Waiter>) -> Result<(), Error> {
    let Order { plan, watch, file, hook } = order;
    // A passthrough is left as it was started, but this one runs on.
    let armed = if let Plan::Passthrough(_) = plan { arm()? } else { Arc::clone(waiter) };
    let waiter = &armed;
    // It changes the signal mask, which threads that are started later have too.
    let mut children = Children::watch(waiter.inherited_mask().unwrap_or_else(SigSet::empty), Orphans::Reap)?;
    let facts = Arc::new(Facts::new(watch.every, watch.stale_limit));
    // Who asks from the beginning learns that the file is not there yet.
    let _serving = watch.listen.as_ref().map(|listen| serve(listen, &facts)).transpose()?;
    let config = match plan {
        Plan::Vault(config) => config,
        Plan::Passthrough(passthrough) => {
            write_empty(&file, &passthrough, &facts, waiter)?;
            return wait_for_signal(waiter, &mut children)
                .map(|signal| log::info!("{signal}: ended by it; {file} stays"));
        }
    };
    let mut times = Times::start();
    let bell = Bell::new()?;
    let watching = Watching::begin(&config, &watch, &bell, waiter, &mut times)?;
    facts.change(|state| (state.sources, state.client) = (watching.sources.clone(), Some(watching.client().clone())));
    let mut sidecar = Sidecar {
        hook: hook.map(|command| Hooked {
            name: command.name(),
            environment: HookEnvironment::new(environ, &config, &file),
            hook: Hook::new(command, config.limits.request, watch.every.length()),
        }),
        config: &config,
        watch: &watch,
        file,
        facts: &facts,
        watching,
        told: String::new(),
        is_owed: false,
        next_look: Instant::now(),
    };
    sidecar.begin(&times, waiter)?;
    let signal = sidecar.run(&bell, &mut children, waiter)?;
    let token = Token::Ended(sidecar.end(&mut children)).told();
    log::info!("{signal}: ended by it; {} stays; token {token}", sidecar.file);
    Ok(())
}

fn serve(listen: &Listen, facts: &Arc<Facts>) -> Result<Serving, Error> {
    let bound = Bound::new(listen)?;
    for address in bound.addresses() {
        log::info!("health and metrics are served at {address}");
    }
    let facts = Arc::clone(facts);
    bound.serve(move |path| answer::to(path, &facts)).map_err(Error::Serve)
}

/// Without Vault: a file without variables, which nothing changes.
fn write_empty(file: &EnvFile, passthrough: &Passthrough, facts: &Facts, waiter: &Waiter) -> Result<(), Error> {
    for warning in &passthrough.warnings {
        log::warn!("{warning}");
    }
    demand_required(passthrough)?;
    let ready = file.prepare(file.format.empty()).map_err(Unwritten::File)?;
    let outcome = put_in_place(ready, waiter, Instant::now() + FOREVER)?;
    facts.change(|state| state.wrote(counted(outcome), Instant::now()));
    log::info!("VAULT_ADDR is unset: {file} {}, without variables, and nothing is watched", outcome.word());
    Ok(())
}

/// What a write is counted as.
fn counted(outcome: Outcome) -> Write {
    match outcome {
        Outcome::File(Written::Replaced) => Write::Replaced,
        Outcome::File(Written::Unchanged) => Write::Unchanged,
        Outcome::File(Written::Created) | Outcome::Printed => Write::Created,
    }
}

fn wait_for_signal(waiter: &Waiter, children: &mut Children) -> Result<Signal, Error> {
    loop {
        let woken = waiter.call(Instant::now() + FOREVER).ready(&[readable(&*children)], None);
        if let Some(signal) = caught(waiter, woken.map(drop))? {
            return Ok(signal);
        }
        children.reap();
    }
}

fn readable(descriptor: &impl AsFd) -> PollFd<'_> {
    PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)
}

/// The signal that has ended a wait.
fn caught(waiter: &Waiter, woken: Result<(), Ended>) -> Result<Option<Signal>, Error> {
    match woken {
        Err(Ended::Refused(refused)) => Err(Error::System(refused)),
        _ => Ok(waiter.caught()),
    }
}

/// The file, what it is made of, and who is told of changes.
struct Sidecar<'a> {
    config: &'a Config,
    watch: &'a Watch,
    file: EnvFile,
    facts: &'a Facts,
    watching: Watching<'a>,
    hook: Option<Hooked>,
    /// What was last told of a change that did not come to the file.
    told: String,
    /// Whether the file may have other content that nobody was told of.
    is_owed: bool,
    /// When the file is looked at though no secret has changed.
    next_look: Instant,
}

/// What runs after changes.
struct Hooked {
    name: String,
    environment: HookEnvironment,
    hook: Hook,
}

/// Why the file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// A secret has changed.
    Change,
    /// An interval is over: somebody else may have changed the file, or a write may go well now that failed.
    Look,
}

/// What the secrets come to: the variables, and the file that needs its last step.
struct Made {
    variables: Vec<Variable>,
    ready: Ready,
}

impl Sidecar<'_> {
    /// The first write. One that replaces other content is a change.
    fn begin(&mut self, times: &Times, waiter: &Waiter) -> Result<(), Error> {
        let fetched = self.watching.fetched();
        let Made { variables, ready } = self.make(&fetched)?;
        let end = times.begun + self.config.limits.whole;
        in_time(waiter, end, self.config)?;
        let outcome = put_in_place(ready, waiter, end)?;
        self.look_later();
        self.done(&fetched, &variables, times, outcome);
        if outcome == Outcome::File(Written::Replaced) {
            self.tell(&fetched);
        }
        Ok(())
    }

    /// Writes each change, until a signal.
    fn run(&mut self, bell: &Bell, children: &mut Children, waiter: &Waiter) -> Result<Signal, Error> {
        loop {
            self.drive(children);
            let wakes = self.hook.as_ref().and_then(|it| it.hook.wakes_at());
            let until = wakes.map_or(self.next_look, |wakes| wakes.min(self.next_look));
            let call = waiter.call(Instant::now() + FOREVER);
            let woken = call.ready(&[readable(bell), readable(&*children)], Some(until));
            if let Some(signal) = caught(waiter, woken.map(drop))? {
                return Ok(signal);
            }
            if woken == Ok(Some(0)) {
                bell.silence();
                self.update(Why::Change, waiter);
            } else if self.next_look <= Instant::now() {
                self.update(Why::Look, waiter);
            }
        }
    }

    /// Writes what the secrets are now. What fails is told once, and the file stays as it is.
    fn update(&mut self, why: Why, waiter: &Waiter) {
        let (mut times, fetched) = (Times::start(), self.watching.fetched());
        self.look_later();
        let put = self.make(&fetched).and_then(|Made { variables, ready }| {
            put_in_place(ready, waiter, Instant::now() + FOREVER).map(|outcome| (variables, outcome))
        });
        match put {
            Ok((_, UNCHANGED)) if why == Why::Look && self.told.is_empty() => {}
            Ok((variables, outcome)) => {
                self.told.clear();
                times.lap("write");
                self.done(&fetched, &variables, &times, outcome);
                let is_new = match outcome {
                    Outcome::File(Written::Replaced) => true,
                    // It was gone, and holds again what it held.
                    Outcome::File(Written::Created) | Outcome::Printed => why == Why::Change,
                    UNCHANGED => false,
                };
                if is_new || self.is_owed {
                    self.tell(&fetched);
                }
            }
            // The loop ends with it.
            Err(Error::Signal(_)) => {}
            Err(error) => self.failed(why, &error),
        }
    }

    fn look_later(&mut self) {
        self.next_look = Instant::now() + self.watch.every.length();
    }

    fn failed(&mut self, why: Why, error: &Error) {
        let in_place = matches!(error, Error::EnvFile(Unwritten::File(fault)) if fault.is_in_place());
        self.is_owed |= in_place;
        let text = text::within(&text::without_credentials(&error.to_string()), LONGEST_WARNING);
        let is_news = text != self.told;
        let write = if let Error::EnvFile(_) = error { Write::Failed } else { Write::Refused };
        if is_news || why == Why::Change || write == Write::Failed {
            self.facts.change(|state| state.wrote(write, Instant::now()));
        }
        if is_news {
            let stays = if in_place { String::new() } else { format!("; {} stays as it is", self.file) };
            log::warn!("{text}{stays}");
            self.told = text;
        }
    }

    /// Renders the secrets and writes them beside the file.
    fn make(&self, fetched: &[Fetched]) -> Result<Made, Error> {
        let sink = Sink::EnvFile(self.file.clone());
        let collected = collect(fetched, self.config, sink.carrier());
        let (variables, payload) = fit(collected, self.config, sink, Environ::from_pairs([]));
        let payload = payload.map_err(|problems| refused(fetched, &problems))?;
        match payload.prepare().map_err(Unwritten::File)? {
            sink::Ready::File(ready, _) => Ok(Made { variables, ready }),
            sink::Ready::Command(..) => unreachable!("the sink is a file"),
        }
    }

    fn done(&self, fetched: &[Fetched], variables: &[Variable], times: &Times, outcome: Outcome) {
        self.facts.change(|state| state.wrote(counted(outcome), Instant::now()));
        let (conflicting, on_conflict) = (&[][..], OnConflict::Overwrite);
        let done = Done { variables, conflicting, on_conflict, secrets: fetched, token: Token::Kept, times };
        done.print(&format!("; {} {}", self.file, outcome.word()));
    }

    /// Tells who is to be told of a change: the process first, COMMAND then.
    fn tell(&mut self, fetched: &[Fetched]) {
        self.is_owed = false;
        if let Some(notify) = &self.watch.notify {
            let sent = notify.send(self.hook.as_ref().and_then(|it| it.hook.group()));
            self.facts.change(|state| state.sent(sent.is_ok()));
            match sent {
                Ok(1) => log::info!("notify {notify}: sent to 1 process"),
                Ok(number) => log::info!("notify {notify}: sent to {number} processes"),
                Err(fault) => log::warn!("notify {notify}: {fault}"),
            }
        }
        if let Some(Hooked { environment, hook, .. }) = &mut self.hook {
            hook.changed(environment.with(fetched));
        }
    }

    /// Does what is due for COMMAND, and says what became of its runs.
    fn drive(&mut self, children: &mut Children) {
        let ended = children.reap();
        let Some(Hooked { name, hook, .. }) = &mut self.hook else { return };
        for ran in hook.drive(children, &ended, Instant::now()) {
            self.facts.change(|state| state.ran(&ran));
            let in_seconds = |at: Instant| at.saturating_duration_since(Instant::now()).as_secs_f64().round();
            let next = hook.wakes_at().map(|at| Seconds(Duration::from_secs_f64(in_seconds(at))));
            match (&ran, next) {
                (Ran::Succeeded, _) => log::info!("command {name}: succeeded"),
                (_, Some(next)) => {
                    log::warn!("command {name}: {ran}; it runs again after the next change, or in {next}");
                }
                (_, None) => log::warn!("command {name}: {ran}; it runs again after the next change"),
            }
        }
    }

    /// Ends COMMAND and the client, within a second, and says what became of the token.
    fn end(&mut self, children: &mut Children) -> Revoked {
        if let Some(Hooked { hook, .. }) = &mut self.hook {
            hook.stop(Instant::now());
        }
        self.drive(children);
        // Meanwhile COMMAND may end by itself.
        let revoked = self.watching.client().close();
        while let Some(wakes) = self.hook.as_ref().filter(|it| it.hook.is_running()).and_then(|it| it.hook.wakes_at()) {
            let call = Call::until(wakes, Cancel::never());
            let _ = call.ready(&[readable(&*children)], Some(wakes));
            self.drive(children);
        }
        revoked
    }
}

const UNCHANGED: Outcome = Outcome::File(Written::Unchanged);

/// A warning of all that is wrong with a change, in bytes.
const LONGEST_WARNING: usize = 4000;
