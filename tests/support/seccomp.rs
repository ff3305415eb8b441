//! System calls that a process is not allowed, as a container's seccomp profile has it, by a real filter; see
//! [seccomp(2)](https://man7.org/linux/man-pages/man2/seccomp.2.html).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::mem::offset_of;
use std::process::Command;

use nix::errno::Errno;
use nix::libc::{self, c_long, seccomp_data, sock_filter, sock_fprog};
use vault_testkit::missing;

use super::launch::{self, Inherit};
use super::scenario::{PROGRAM, Scenario};
use super::system::strace;

/// A system call and what it is answered with, instead of being made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Denied {
    pub(crate) call: c_long,
    pub(crate) errno: Errno,
    /// Only where this argument has, among the bits of the mask, these.
    pub(crate) argument: Option<(usize, u32, u32)>,
}

impl Denied {
    pub(crate) fn always(call: c_long, errno: Errno) -> Self {
        Self { call, errno, argument: None }
    }

    /// Denies it to this process and its children from now on. What it calls is safe between fork and exec.
    #[allow(unsafe_code, reason = "prctl and seccomp have no safe form")]
    pub(super) fn install(self) -> nix::Result<()> {
        let filter = self.filter();
        let program =
            sock_fprog { len: filter.len().try_into().expect("a short filter"), filter: filter.as_ptr().cast_mut() };
        // SAFETY: prctl takes integers; seccomp reads the program, which outlives the call.
        unsafe {
            Errno::result(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            let mode = libc::SECCOMP_SET_MODE_FILTER;
            Errno::result(libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program)).map(drop)
        }
    }

    /// The number is compared, then the argument, and what does not fit goes on to the last line, which allows.
    fn filter(self) -> [sock_filter; 7] {
        let (load, equal) = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
        let line = |code: u32, k: u32, jf: u8| sock_filter { code: code.try_into().expect("a code"), jt: 0, jf, k };
        let (index, mask, value) = self.argument.unwrap_or_default();
        // The lower half of a little-endian number.
        let argument = offset_of!(seccomp_data, args) + index * size_of::<u64>();
        let at = |offset: usize| u32::try_from(offset).expect("a small offset");
        let refuse = libc::SECCOMP_RET_ERRNO | u32::try_from(self.errno as i32).expect("a positive number");
        [
            line(load, at(offset_of!(seccomp_data, nr)), 0),
            line(equal, self.call.try_into().expect("a number of a call"), 4),
            line(load, at(argument), 0),
            line(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask, 0),
            line(equal, value, 1),
            line(libc::BPF_RET | libc::BPF_K, refuse, 0),
            line(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
        ]
    }
}

/// Whether this machine has such filters.
pub(crate) fn permitted() -> bool {
    let mut command = Command::new("/bin/true");
    // Nobody calls it.
    launch::apply(&mut command, &[Inherit::Denied(Denied::always(libc::SYS_swapoff, Errno::EPERM))]);
    command.status().is_ok_and(|status| status.success()) || missing("seccomp filters")
}

/// The calls of a run with their numbers, from its start to the application's or its end; `None` where nothing can be
/// traced.
pub(crate) fn calls(scenario: Scenario) -> Option<BTreeMap<String, c_long>> {
    let log = scenario.file("strace");
    strace(&log)?;
    let options: [OsString; 5] = ["-f".into(), "-n".into(), "-o".into(), log.clone().into(), PROGRAM.into()];
    let scenario = scenario.program("/usr/bin/strace").first(options);
    assert_eq!(scenario.run().code(), 0);
    let text = std::fs::read_to_string(log).expect("a log");
    // `123 [ 257] openat(…`; another line is the rest of a call.
    let call = |line: &str| {
        let (number, rest) = line.split_once('[')?.1.split_once("] ")?;
        let name = rest.split_once('(')?.0;
        let whole = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        whole.then_some((name.to_owned(), number.trim().parse().ok()?))
    };
    // The first is the program's own start.
    let own = text.lines().skip(1).take_while(|line| !line.contains("execve("));
    Some(own.filter_map(call).filter(|(name, _)| name != "exit_group").collect())
}
