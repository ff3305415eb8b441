//! The operating system's side: what was inherited, how to wait, which program to start. Knows nothing of Vault.

pub mod child;
pub mod command;
pub mod environ;
pub mod shell;
pub mod signal;
mod sys;
#[cfg(test)]
pub(crate) mod tests;
pub mod wait;

pub use sys::started;
pub(crate) use sys::{has_acl, remove_acl};
pub use vault_client::Refused;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::prctl;

/// Keeps core dumps, ptrace and `/proc/self/environ` closed while secrets are held. `execve` undoes it, see
/// [prctl(2)](https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html).
///
/// A kernel that refuses is an error of the system, not a reason to go on without.
///
/// # Errors
///
/// `prctl` is refused, or what makes a write that fails an error and no more.
pub fn harden() -> Result<(), Refused> {
    prctl::set_dumpable(false).map_err(Refused::by("prctl"))?;
    // A write to a pipe that nobody reads would end the process with a token in its hand.
    sys::ignore_signals_of_writes().map_err(Refused::by("rt_sigaction"))
}

/// What to do about a call that is [`Refused`].
pub const REFUSED_REMEDY: &str = "the container's seccomp profile or limits may forbid it";

/// Finds out whether there are random numbers, without which there is no TLS: the standard library would panic.
///
/// # Errors
///
/// `getrandom` is refused, and what stands in for it, `/dev/urandom`, is not there.
pub fn demand_random() -> Result<(), Refused> {
    sys::random_byte().or_else(|errno| match File::open("/dev/urandom") {
        Ok(_) => Ok(()),
        Err(_) => Err(Refused { call: "getrandom", errno }),
    })
}

/// The process that traces this one, where the kernel tells: not without `/proc`, and not of one in another PID namespace.
/// [proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html)
///
/// # Errors
///
/// No file can be opened at all.
pub fn tracer() -> Result<Option<u32>, Refused> {
    let status = match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => status,
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(errno @ (Errno::EPERM | Errno::ENOSYS)) => return Err(Refused { call: "openat", errno }),
            _ => return Ok(None),
        },
    };
    let number = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).and_then(|it| it.trim().parse().ok());
    Ok(number.filter(|number| *number != 0))
}

/// Makes a panic one line of the log with its place, never its payload, which can hold a secret; then exits with `code`,
/// whatever the panic strategy is.
pub fn on_panic_exit_with(code: i32) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(|| "an unknown place".into(), ToString::to_string);
        log::error!(exit_code = code; "internal error at {place}; please report it");
        sys::exit_now(code)
    }));
}

/// A pipe that is ready takes so much without blocking, [pipe(7)](https://man7.org/linux/man-pages/man7/pipe.7.html).
pub const PIPE_BUF: usize = 4096;

/// Standard output as a file: `Stdout` takes a closed descriptor for one that wants nothing, and says that all is well.
pub fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// Becomes `program`, with SIGPIPE and SIGXFSZ as they were before this process ignored them. Returns only when the
/// kernel refuses.
///
/// `environment: None` hands on the inherited block itself, byte for byte.
pub fn exec<E: AsRef<std::ffi::CStr>>(program: &CString, argv: &[CString], environment: Option<&[E]>) -> Errno {
    sys::restore_signals_of_writes();
    let refused = match environment {
        Some(environment) => nix::unistd::execve(program, argv, environment),
        None => nix::unistd::execv(program, argv),
    };
    // What there is to say of it may go to a pipe that nobody reads.
    let _ = sys::ignore_signals_of_writes();
    match refused {
        Err(errno) => errno,
    }
}
