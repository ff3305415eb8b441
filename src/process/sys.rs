//! The only unsafe code: `main` itself, and calls that `nix` has no safe form of.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::SigSet;

// The unwinder, which an abort needs only for backtraces, linked in: the loader would take a tenth of a passthrough to
// find and map it. It has to stand before the shared one that the standard library names, which is then left out.
#[cfg(target_env = "gnu")]
#[link(name = "gcc_eh", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {}

/// What a failing write raises. These are ignored here, so that the write's own error is seen.
const OF_WRITES: [libc::c_int; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

/// Their dispositions as inherited, which the child gets.
static BEFORE: [AtomicUsize; OF_WRITES.len()] = [const { AtomicUsize::new(libc::SIG_DFL) }; OF_WRITES.len()];

/// Defines `main` as C knows it: it runs this program, a `fn(Vec<OsString>) -> u8` from arguments to exit code.
///
/// In a program with `#![no_main]`, nothing of Rust's runtime runs before it: that would change what the application
/// inherits, and take a tenth of a passthrough for what an exec undoes.
#[macro_export]
macro_rules! entry {
    ($program:expr) => {
        // SAFETY: there is no other `main` in a program that says `#![no_main]`, and its signature is that of C.
        #[unsafe(no_mangle)]
        extern "C" fn main(count: ::std::ffi::c_int, words: *const *const ::std::ffi::c_char) -> ::std::ffi::c_int {
            // SAFETY: they are what C hands to `main`.
            let arguments = unsafe { $crate::process::started(count, words) };
            ::std::ffi::c_int::from($program(arguments))
        }
    };
}

/// The first step of a process: keeps what the application is to inherit, and returns the arguments.
///
/// # Safety
///
/// The parameters are those of C's `main`.
// SAFETY: what it asks for is said above.
pub unsafe fn started(count: libc::c_int, words: *const *const libc::c_char) -> Vec<OsString> {
    keep_inherited();
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: `words` holds `count` C strings, which stay as they are.
    let word = |index| unsafe { CStr::from_ptr(*words.add(index)) };
    (0..count).map(|index| OsStr::from_bytes(word(index).to_bytes()).to_owned()).collect()
}

/// Notes the dispositions that were inherited, and plugs standard descriptors that are closed.
fn keep_inherited() {
    for (signal, before) in OF_WRITES.into_iter().zip(&BEFORE) {
        before.store(disposition(signal).unwrap_or(libc::SIG_DFL), Ordering::Relaxed);
    }
    // Where the kernel refuses, they stay as they were, which is what a passthrough needs. All else asks again.
    let _ = ignore_signals_of_writes();
    // No later file or socket may land on a closed standard descriptor. The reading end of a pipe takes its number:
    // writing to it fails like writing to a closed one, and close-on-exec closes it again for the application.
    for descriptor in 0..=2 {
        let mut ends = [0; 2];
        // SAFETY: fcntl only asks; pipe2 writes two integers into an array of two.
        unsafe {
            let closed = libc::fcntl(descriptor, libc::F_GETFD) == -1 && Errno::last() == Errno::EBADF;
            if closed && libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) == 0 {
                libc::close(ends[1]);
            }
        }
    }
}

/// The disposition of `signal`: `SIG_DFL`, `SIG_IGN` or a handler's address.
fn disposition(signal: libc::c_int) -> Result<usize, Errno> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; the old one is written into memory of its type, and zeroes are valid for it.
    unsafe {
        Errno::result(libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()))?;
        Ok(action.assume_init().sa_sigaction)
    }
}

/// Whether `signal` is ignored now.
pub(super) fn is_ignored(signal: libc::c_int) -> Result<bool, Errno> {
    Ok(disposition(signal)? == libc::SIG_IGN)
}

/// Makes a write that fails an error and no more.
pub(super) fn ignore_signals_of_writes() -> Result<(), Errno> {
    OF_WRITES.into_iter().try_for_each(|signal| set(signal, libc::SIG_IGN))
}

/// Gives these signals back the dispositions they were inherited with. Where the kernel refuses, it has refused to change
/// them as well.
pub(super) fn restore_signals_of_writes() {
    for (signal, before) in OF_WRITES.into_iter().zip(&BEFORE) {
        let _ = set(signal, before.load(Ordering::Relaxed));
    }
}

/// The signals of writes that were not ignored when this process began.
pub(super) fn signals_of_writes_by_default() -> impl Iterator<Item = libc::c_int> {
    let before = OF_WRITES.into_iter().zip(&BEFORE);
    before.filter(|(_, before)| before.load(Ordering::Relaxed) != libc::SIG_IGN).map(|(signal, _)| signal)
}

/// Sets a disposition, `SIG_DFL` or `SIG_IGN`.
pub(super) fn set(signal: libc::c_int, disposition: usize) -> Result<(), Errno> {
    // SAFETY: the value is SIG_DFL or SIG_IGN, the only ones that survive an execve, so no handler is installed.
    let before = unsafe { libc::signal(signal, disposition) };
    if before == libc::SIG_ERR { Err(Errno::last()) } else { Ok(()) }
}

/// Makes `new` the signal mask of this thread, if there is one, and returns the mask before.
///
/// `pthread_sigmask` returns its error and leaves `errno` alone, which the form in `nix` takes for success.
pub(super) fn signal_mask(new: Option<&SigSet>) -> Result<SigSet, Errno> {
    let new = new.map_or(std::ptr::null(), |new| std::ptr::from_ref(new.as_ref()));
    let mut before = *SigSet::empty().as_ref();
    // SAFETY: a null new mask only asks; the old one is written into a set that is initialised, and is a set then.
    unsafe {
        match libc::pthread_sigmask(libc::SIG_SETMASK, new, &raw mut before) {
            0 => Ok(SigSet::from_sigset_t_unchecked(before)),
            error => Err(Errno::from_raw(error)),
        }
    }
}

/// A child that has ended, as [waitid(2)](https://man7.org/linux/man-pages/man2/waitid.2.html) describes it.
pub(super) struct Zombie {
    /// Its number.
    pub pid: libc::pid_t,
    /// How it ended, `CLD_EXITED` or another of these.
    pub code: libc::c_int,
    /// The exit code or the signal.
    pub status: libc::c_int,
}

/// The child with the number `pid`, or any child, if it has ended. With `flags` 0 it is reaped; with `WNOWAIT` it stays.
///
/// The form in `nix` fails for a child that a real-time signal has ended.
pub(super) fn ended_child(pid: Option<libc::pid_t>, flags: libc::c_int) -> Result<Option<Zombie>, Errno> {
    let (kind, id) = pid.map_or((libc::P_ALL, 0), |pid| (libc::P_PID, pid.unsigned_abs()));
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the answer is written into memory of its type, for which zeroes are valid, and they stay where no child has
    // ended. What waitid fills in is read, and no other part of the union.
    let (pid, code, status) = unsafe {
        Errno::result(libc::waitid(kind, id, info.as_mut_ptr(), libc::WEXITED | libc::WNOHANG | flags))?;
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    Ok((pid != 0).then_some(Zombie { pid, code, status }))
}

/// Asks the kernel for a random byte. That it has none yet, early in a boot, is no error.
pub(super) fn random_byte() -> Result<(), Errno> {
    let mut byte = [0_u8];
    // SAFETY: the kernel writes one byte into an array of one.
    let written = unsafe { libc::getrandom(byte.as_mut_ptr().cast(), byte.len(), libc::GRND_NONBLOCK) };
    match Errno::result(written) {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Where Linux keeps a file's access control list; [acl(5)](https://man7.org/linux/man-pages/man5/acl.5.html).
const ACCESS_ACL: &CStr = c"system.posix_acl_access";

/// Takes the access control list off an open file. One that has none, or is on a file system without such lists, is as
/// it should be.
pub(crate) fn remove_acl(file: impl AsFd) -> Result<(), Errno> {
    // SAFETY: takes a descriptor that is open and a C string.
    let result = unsafe { libc::fremovexattr(file.as_fd().as_raw_fd(), ACCESS_ACL.as_ptr()) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Whether an open file has an access control list beside its mode.
pub(crate) fn has_acl(file: impl AsFd) -> Result<bool, Errno> {
    // SAFETY: takes a descriptor that is open and a C string; without room for it, the value's size alone is told.
    let size = unsafe { libc::fgetxattr(file.as_fd().as_raw_fd(), ACCESS_ACL.as_ptr(), std::ptr::null_mut(), 0) };
    match Errno::result(size) {
        Ok(_) => Ok(true),
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A copy of the inherited environment block, in its order, with entries that have no `=` and repeated ones.
pub(super) fn environment() -> Vec<CString> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: `environ` is null or an array of C strings that ends with a null pointer (POSIX); nothing in this program
    // changes the environment, and this runs before any other thread exists.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            entries.push(CStr::from_ptr(*entry).to_owned());
            entry = entry.add(1);
        }
    }
    entries
}

/// Ends the process without running destructors or exit handlers.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any integer and does not return.
    unsafe { libc::_exit(code) }
}
