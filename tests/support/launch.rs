//! What a process inherits beside its arguments and a map of variables. It is set between fork and exec, for the
//! program and for the application alone, so that the two can be compared.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

use super::seccomp::Denied;

/// One thing that is not as it usually is.
#[derive(Clone, Debug)]
pub(crate) enum Inherit {
    Ignored(Signal),
    Blocked(Signal),
    Closed(RawFd),
    /// This descriptor leads to `/dev/null`.
    Open(RawFd),
    /// This descriptor leads to a pipe that nobody reads.
    NoReader(RawFd),
    /// The soft limit.
    Limit(Resource, u64),
    /// An environment entry after the usual ones, whatever it holds.
    Entry(&'static [u8]),
    /// Root without any capability, so that modes and other processes' privacy hold for it too.
    Unprivileged,
    /// This system call is denied, to the process and its children. Comes last: setting the others takes calls as well.
    Denied(Denied),
}

/// Makes `command` start with the usual disposition of every signal, whatever the tests themselves have inherited:
/// `nohup cargo test` ignores SIGHUP, a CI may ignore others.
#[allow(unsafe_code, reason = "only between fork and exec can a child be given what Command has no method for")]
pub(crate) fn with_usual_signals(command: &mut Command) -> &mut Command {
    let set = || {
        for number in Signal::iterator().filter(|number| ![Signal::SIGKILL, Signal::SIGSTOP].contains(number)) {
            // SAFETY: no handler is installed.
            unsafe { signal(number, SigHandler::SigDfl) }?;
        }
        Ok(())
    };
    // SAFETY: system calls, and no memory is allocated.
    unsafe { command.pre_exec(set) }
}

/// Makes `command`, whose program is a full path where anything is inherited, start with all of `inherited` and with
/// everything else as it usually is.
#[allow(unsafe_code, reason = "only between fork and exec can a child be given what Command has no method for")]
pub(crate) fn apply(command: &mut Command, inherited: &[Inherit]) {
    with_usual_signals(command);
    if inherited.is_empty() {
        return;
    }
    let text = |text: &OsStr| CString::new(text.as_bytes()).expect("no NUL");
    let program = text(command.get_program());
    let argv: Vec<_> = std::iter::once(program.clone()).chain(command.get_args().map(text)).collect();
    let pairs =
        command.get_envs().filter_map(|(name, value)| Some([name.as_bytes(), b"=", value?.as_bytes()].concat()));
    let raw =
        inherited.iter().filter_map(|it| if let Inherit::Entry(entry) = it { Some(entry.to_vec()) } else { None });
    let env: Vec<_> = pairs.chain(raw).map(|entry| CString::new(entry).expect("no NUL")).collect();
    let inherited = inherited.to_vec();
    let exec = move || {
        for one in &inherited {
            set(one)?;
        }
        // Not execve, which may be denied.
        match nix::unistd::execveat(AT_FDCWD, &program, &argv, &env, AtFlags::empty()) {
            Err(errno) => Err(errno.into()),
        }
    };
    // SAFETY: system calls, and the one allocation that execve's array of pointers needs: the C library keeps its
    // allocator usable across fork.
    unsafe { command.pre_exec(exec) };
}

#[allow(unsafe_code, reason = "signal dispositions and prctl have no safe form")]
fn set(one: &Inherit) -> nix::Result<()> {
    match one {
        // SAFETY: no handler is installed.
        Inherit::Ignored(number) => unsafe { signal(*number, SigHandler::SigIgn) }.map(drop),
        Inherit::Blocked(number) => SigSet::from(*number).thread_block(),
        Inherit::Closed(descriptor) => nix::unistd::close(*descriptor),
        Inherit::Open(descriptor) => {
            let null = nix::fcntl::open(c"/dev/null", nix::fcntl::OFlag::O_RDWR, nix::sys::stat::Mode::empty())?;
            lead(null.as_raw_fd(), *descriptor)
        }
        Inherit::NoReader(descriptor) => {
            let (reader, writer) = nix::unistd::pipe()?;
            drop(reader);
            lead(writer.as_raw_fd(), *descriptor)
        }
        Inherit::Limit(resource, soft) => setrlimit(*resource, *soft, getrlimit(*resource)?.1),
        Inherit::Entry(_) => Ok(()),
        Inherit::Unprivileged => {
            // More than any kernel has.
            for capability in 0..libc::c_ulong::from(64_u8) {
                // SAFETY: takes two integers. It fails for unknown ones, and for those who have none to drop.
                unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) };
            }
            Ok(())
        }
        Inherit::Denied(denied) => denied.install(),
    }
}

#[allow(unsafe_code, reason = "the safe dup2 wants to own a descriptor that is nobody's here")]
fn lead(from: RawFd, to: RawFd) -> nix::Result<()> {
    // SAFETY: takes two integers.
    nix::Error::result(unsafe { libc::dup2(from, to) }).map(drop)
}
