//! COMMAND as a hook: it runs after each change, once at a time.

mod plan;

use std::fmt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::process::child::{Child, Children, Ended};
use crate::process::command::CommandFault;
use crate::process::environ::Entry;
use crate::sink::exec::Command;
use plan::{Due, Plan};

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It ended with code 0.
    Succeeded,
    /// It ended with this code.
    Failed(i32),
    /// This signal ended it.
    Ended(i32),
    /// It took too long and was ended.
    TimedOut,
    /// It could not begin.
    NotStarted(CommandFault),
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeded"),
            Self::Failed(code) => write!(f, "ended with code {code}"),
            Self::Ended(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "ended by {signal}"),
                Err(_) => write!(f, "ended by signal {number}"),
            },
            Self::TimedOut => f.write_str("took too long and was ended"),
            Self::NotStarted(fault) => write!(f, "could not be started: {fault}"),
        }
    }
}

/// COMMAND, and its run if one is under way.
pub struct Hook {
    command: Command,
    plan: Plan,
    /// That of the next run.
    environment: Vec<Entry>,
    child: Option<Child>,
}

impl Hook {
    /// One that may run for `limit`. A failed run is tried again with the next change, or after 1, 2, 4 … times `every`.
    pub fn new(command: Command, limit: Duration, every: Duration) -> Self {
        Self { command, plan: Plan::new(limit, every), environment: Vec::new(), child: None }
    }

    /// There is a change: the next run, and those that try it again, have this environment. [`Hook::drive`] begins it.
    pub fn changed(&mut self, environment: Vec<Entry>) {
        self.environment = environment;
        self.plan.changed();
    }

    /// Our own end has come. [`Hook::drive`] ends a run under way within half a second; to be called until
    /// [`Hook::is_running`] denies it.
    pub fn stop(&mut self, now: Instant) {
        self.plan.stop(now);
    }

    /// Takes note of the children that [`Children::reap`] returned, and does what is due. Returns what became of runs;
    /// nothing is said of one that our own end cut short.
    pub fn drive(&mut self, children: &mut Children, ended: &[(Child, Ended)], now: Instant) -> Vec<Ran> {
        let mut ran = Vec::new();
        for (child, how) in ended {
            if self.child == Some(*child) {
                self.child = None;
                ran.extend(self.plan.ended(*how, now));
            }
        }
        while let Some(due) = self.plan.due(now) {
            match due {
                Due::Start => match self.command.start(children, &self.environment) {
                    Ok(child) => self.child = Some(child),
                    Err(fault) => ran.push(self.plan.not_started(fault, now)),
                },
                Due::Signal(signal) => {
                    if let Some(child) = self.child {
                        children.signal(child, signal);
                    }
                }
            }
        }
        ran
    }

    /// When [`Hook::drive`] has something to do though no child has ended.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.plan.wakes_at()
    }

    /// The process group of the run under way.
    pub fn group(&self) -> Option<Pid> {
        self.child.map(Child::group)
    }

    /// Whether a run is under way.
    pub fn is_running(&self) -> bool {
        self.plan.is_running()
    }

    /// Whether the last run succeeded; `None` before the end of the first.
    pub fn is_ok(&self) -> Option<bool> {
        self.plan.is_ok()
    }
}

#[cfg(test)]
mod tests;
