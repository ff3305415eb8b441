//! Children: a program is started, its end is noticed, and nothing of it is left.
//!
//! A child is started by `posix_spawn`, because `fork` in a program with threads is unsafe. Ends are noticed through
//! SIGCHLD in a signalfd, as the signals that end this process are. A pidfd would say the same of the children that were
//! started here alone; process 1 of a container gets the orphans of others as well.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::command::CommandFault;
use super::{Refused, sys};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal, which may be a real-time signal.
    Signal(i32),
}

/// A child that was started here, and the process group that it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child(pub(super) Pid);

impl Child {
    /// The process group that it leads.
    pub fn group(self) -> Pid {
        self.0
    }
}

/// What is done about children that were not started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// They are reaped: nobody else in this process does it. Process 1 gets the orphans of its whole PID namespace.
    Reap,
    /// They stay: another part of this process waits for them.
    Leave,
}

/// The children of this process.
#[derive(Debug)]
pub struct Children {
    descriptor: SignalFd,
    /// What a child reads: opened here, so that a machine without it is not taken for one without the program.
    null: File,
    /// The signal mask of a child.
    mask: SigSet,
    orphans: Orphans,
    /// Those that were started and are not reaped. Their numbers are nobody else's.
    started: Vec<Child>,
}

impl Children {
    /// Notices the ends of children from now on. Blocks SIGCHLD for this thread and those that it starts, and lifts an
    /// inherited decision to ignore it: the kernel reaps the children of a process that ignores it. A child has `mask` as
    /// its signal mask.
    ///
    /// # Errors
    ///
    /// The call that the kernel refuses.
    pub fn watch(mask: SigSet, orphans: Orphans) -> Result<Self, Refused> {
        let refused =
            |call| move |error: io::Error| Refused { call, errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)) };
        let null = File::open("/dev/null").map_err(refused("openat"))?;
        sys::set(libc::SIGCHLD, libc::SIG_DFL).map_err(Refused::by("rt_sigaction"))?;
        let ended = SigSet::from(Signal::SIGCHLD);
        let before = sys::signal_mask(None).map_err(Refused::by("rt_sigprocmask"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&ended, flags).map_err(Refused::by("signalfd4"))?;
        sys::signal_mask(Some(&(before | ended))).map_err(Refused::by("rt_sigprocmask"))?;
        Ok(Self { descriptor, null, mask, orphans, started: Vec::new() })
    }

    /// Starts `program` in a process group of its own. It reads `/dev/null`, and all that it writes goes to our standard
    /// error. SIGPIPE and SIGXFSZ are as this process inherited them. SIGCHLD is as by default, even if it was inherited
    /// as ignored: a program that waits for children of its own relies on it.
    ///
    /// # Errors
    ///
    /// Why it cannot be started; the kernel's answer to `execve` included.
    pub fn start<E: AsRef<CStr>>(
        &mut self,
        program: &CStr,
        argv: &[CString],
        environment: &[E],
    ) -> Result<Child, CommandFault> {
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(self.null.as_raw_fd(), libc::STDIN_FILENO)?;
        actions.add_dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO)?;

        let mut defaults = SigSet::empty();
        defaults.extend(sys::signals_of_writes_by_default().filter_map(|number| Signal::try_from(number).ok()));
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        )?;
        // Its own number becomes that of the group.
        attributes.set_pgroup(Pid::from_raw(0))?;
        attributes.set_sigmask(&self.mask)?;
        attributes.set_sigdefault(&defaults)?;

        let child = Child(posix_spawn(program, &actions, &attributes, argv, environment)?);
        self.started.push(child);
        Ok(child)
    }

    /// Sends `signal` to the child and all of its group. Nothing happens once the child is reaped: its number may be
    /// another's by then.
    pub fn signal(&self, child: Child, signal: Signal) {
        if self.started.contains(&child) {
            // It fails where a member has other rights than this process, and nothing can be done about that.
            let _ = killpg(child.0, signal);
        }
    }

    /// Reaps all who have ended, and returns those that were started here. What is left of the group of such a one is
    /// killed before: as long as its leader is not reaped, the group's number is no other group's.
    pub fn reap(&mut self) -> Vec<(Child, Ended)> {
        while let Ok(Some(_)) = self.descriptor.read_signal() {}
        let mut ended = Vec::new();
        while let Some(zombie) = self.zombie() {
            let child = Child(Pid::from_raw(zombie.pid));
            if self.started.contains(&child) {
                self.signal(child, Signal::SIGKILL);
                self.started.retain(|it| *it != child);
                let how = if zombie.code == libc::CLD_EXITED { Ended::Code } else { Ended::Signal };
                ended.push((child, how(zombie.status)));
            }
            if sys::ended_child(Some(zombie.pid), 0).is_err() {
                break;
            }
        }
        ended
    }

    /// One who has ended and is not reaped.
    fn zombie(&self) -> Option<sys::Zombie> {
        // There is an error where there is no child at all.
        let look = |pid| sys::ended_child(pid, libc::WNOWAIT).ok().flatten();
        match self.orphans {
            Orphans::Reap => look(None),
            Orphans::Leave => self.started.iter().find_map(|child| look(Some(child.0.as_raw()))),
        }
    }
}

impl AsFd for Children {
    /// It is readable once a child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests;
