//! System calls that this process may not make.

use std::io;

use nix::errno::Errno;

/// A system call that this process may not make, as a seccomp profile has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("system call {call}: {}", .errno.desc())]
pub struct Refused {
    /// The name that a seccomp profile has for it.
    pub call: &'static str,
    /// The kernel's answer, or the profile's.
    pub errno: Errno,
}

impl Refused {
    /// The refusal of `call`.
    pub fn by(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self { call, errno }
    }

    /// The refusal of `call` as an I/O error, where its answer is one that only a profile gives; any other error as it is.
    pub fn in_io<E: Into<io::Error>>(call: &'static str) -> impl Fn(E) -> io::Error {
        move |error| {
            let error = error.into();
            match error.raw_os_error().map(Errno::from_raw) {
                Some(errno @ (Errno::EPERM | Errno::EACCES | Errno::ENOSYS)) => io::Error::other(Self { call, errno }),
                _ => error,
            }
        }
    }
}
