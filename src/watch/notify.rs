//! A signal to the processes that use what has changed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid};

use vault_client::text;

/// The kernel keeps so much of a process's name, [proc_pid_comm(5)](https://man7.org/linux/man-pages/man5/proc_pid_comm.5.html).
const LONGEST_COMM: usize = 15;

/// A PID file that is longer holds something else.
const LONGEST_PID_FILE: u64 = 32;

/// Who gets which signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    signal: Signal,
    target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Every process with this name.
    Name(String),
    /// The process whose number stands in this file.
    PidFile(PathBuf),
}

/// Why not everybody got the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No process has the name.
    #[error(
        "no process of that name is found; check the name of its executable, which of a script is the interpreter's, and that \
         the processes share a PID namespace with this one"
    )]
    Nobody,
    /// No process has the name, as far as processes can be looked at.
    #[error(
        "no process of that name is found, and {0} cannot be looked at; run as the user of the process, or mount /proc \
         without `hidepid`"
    )]
    Hidden(usize),
    /// The process of the PID file has ended.
    #[error("process {0} of the PID file does not exist; check that the program renews the file")]
    Gone(i32),
    /// The kernel does not permit it for some of them.
    #[error("no permission to signal {denied} of {of}; run as the same user, or add the capability CAP_KILL",
        of = sent + denied)]
    Denied {
        /// So many got it.
        sent: usize,
        /// So many did not.
        denied: usize,
    },
    /// The numbers in `/proc` are those of another namespace.
    #[error("/proc is not that of this PID namespace; mount it anew")]
    Foreign,
    /// There is no `/proc` to search.
    #[error("/proc cannot be read: {}; name a PID file", .0.desc())]
    NoProc(Errno),
    /// The PID file cannot be used.
    #[error("the PID file {0}")]
    PidFile(PidFault),
    /// Another answer of the kernel to the signal.
    #[error("{}; the kernel refuses to send the signal", .0.desc())]
    Refused(Errno),
}

/// What is wrong with a PID file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PidFault {
    /// It cannot be opened or read.
    #[error("cannot be read: {}; check its path and mode", .0.desc())]
    Unreadable(Errno),
    /// It is a folder, a pipe, a device.
    #[error("is not a regular file; name a file that holds a PID")]
    NotAFile,
    /// It is longer than any number.
    #[error("is longer than {LONGEST_PID_FILE} bytes; it must hold one PID and nothing else")]
    TooLong,
    /// It holds something else.
    #[error("does not hold one decimal number; it must hold one PID and nothing else")]
    NoNumber,
    /// It holds 0, 1, or a number that no process has.
    #[error("holds a number that is not signalled; it must be from 2 on, and process 1 can be reached by its name")]
    OutOfRange,
    /// It holds the number of a thread that is no process.
    #[error("holds the number of a thread; it must hold that of the process")]
    Thread,
    /// It holds the number of this very process.
    #[error("holds the PID of vault-exec itself; it must hold that of the program to notify")]
    Ourselves,
}

impl Notify {
    /// Reads `SIGNAL:NAME` or `SIGNAL:/path/of.pid`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and how it is written.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (signal, target) = text
            .split_once(':')
            .ok_or("not a signal and a process; write SIGNAL:NAME or SIGNAL:/path/of.pid, such as HUP:nginx")?;
        let target = match target {
            "" => return Err("names no process; write its name or the path of its PID file behind the colon"),
            path if path.starts_with('/') => Target::PidFile(path.into()),
            name if name.contains('/') => {
                return Err("not a name; write the file name of the program, or the full path of a PID file");
            }
            name => Target::Name(name.to_owned()),
        };
        Ok(Self { signal: signal_of(signal)?, target })
    }

    /// Sends the signal, but not to members of the process group `own`. Returns how many processes got it, at least one.
    ///
    /// # Errors
    ///
    /// Why nobody got it, or not everybody.
    pub fn send(&self, own: Option<Pid>) -> Result<usize, Fault> {
        match &self.target {
            Target::Name(name) => send_to_name(Path::new("/proc"), name, |pid| {
                // What runs after changes is often called like the program that it is about.
                if own.is_some() && getpgid(Some(pid)).ok() == own {
                    return Err(Errno::ESRCH);
                }
                kill(pid, self.signal)
            }),
            Target::PidFile(path) => {
                let pid = pid_in(path).map_err(Fault::PidFile)?;
                // kill(2) takes the number of any thread, which a stale file can hold: of this process, or of process 1.
                if is_thread(pid) {
                    return Err(Fault::PidFile(PidFault::Thread));
                }
                match kill(pid, self.signal) {
                    Ok(()) => Ok(1),
                    Err(Errno::ESRCH) => Err(Fault::Gone(pid.as_raw())),
                    Err(Errno::EPERM) => Err(Fault::Denied { sent: 0, denied: 1 }),
                    Err(errno) => Err(Fault::Refused(errno)),
                }
            }
        }
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = self.signal.as_str().trim_start_matches("SIG");
        match &self.target {
            Target::Name(name) => write!(f, "{signal}:{}", text::shown(name)),
            Target::PidFile(path) => write!(f, "{signal}:{}", text::os(path)),
        }
    }
}

/// Whether the number is that of a thread that does not lead its process, as far as `/proc` tells.
/// [proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html)
fn is_thread(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let leader = status.lines().find_map(|line| line.strip_prefix("Tgid:")).and_then(|it| it.trim().parse().ok());
    leader.is_some_and(|leader: i32| leader != pid.as_raw())
}

/// A signal by its name, in any case, with or without `SIG`.
fn signal_of(text: &str) -> Result<Signal, &'static str> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a number for the signal; write its name, such as HUP");
    }
    match format!("SIG{name}").parse() {
        Ok(Signal::SIGKILL | Signal::SIGSTOP) => {
            Err("a signal that no program can act on; write one that it reloads at, such as HUP")
        }
        Ok(signal) => Ok(signal),
        Err(_) => Err("not a signal; write its name, such as HUP, USR1 or TERM"),
    }
}

/// Signals every process that is called `name` in `proc`, but for this one.
fn send_to_name(proc: &Path, name: &str, signal: impl Fn(Pid) -> Result<(), Errno>) -> Result<usize, Fault> {
    let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let own = std::process::id();
    // Another namespace's numbers would reach strangers.
    let link = fs::read_link(proc.join("self")).map_err(|error| Fault::NoProc(errno(error)))?;
    if link.as_os_str().as_bytes() != own.to_string().as_bytes() {
        return Err(Fault::Foreign);
    }
    let (mut sent, mut denied, mut hidden) = (0, 0, 0);
    for entry in fs::read_dir(proc).map_err(|error| Fault::NoProc(errno(error)))?.flatten() {
        let pid = entry.file_name().to_str().and_then(|number| number.parse::<u32>().ok()).filter(|pid| *pid != own);
        let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) else { continue };
        match is_called(&entry.path(), name.as_bytes()) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                hidden += usize::from(error.kind() == io::ErrorKind::PermissionDenied);
                continue;
            }
        }
        match signal(Pid::from_raw(pid)) {
            Ok(()) => sent += 1,
            // It has ended meanwhile.
            Err(Errno::ESRCH) => {}
            Err(Errno::EPERM) => denied += 1,
            Err(errno) => return Err(Fault::Refused(errno)),
        }
    }
    match (sent, denied, hidden) {
        (0, 0, 0) => Err(Fault::Nobody),
        (0, 0, hidden) => Err(Fault::Hidden(hidden)),
        (sent, 0, _) => Ok(sent),
        (sent, denied, _) => Err(Fault::Denied { sent, denied }),
    }
}

/// Whether the process of this folder in `/proc` lives and has the name.
fn is_called(folder: &Path, name: &[u8]) -> io::Result<bool> {
    // Of another user's process it cannot be read, and one that has ended or is the kernel's has none.
    if let Ok(exe) = fs::read_link(folder.join("exe")) {
        let path = exe.as_os_str().as_bytes();
        // The kernel writes this behind the path of a file that was replaced since.
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        return Ok(path.rsplit(|byte| *byte == b'/').next() == Some(name));
    }
    // PID (NAME) STATE …, and the name may hold brackets and blanks itself.
    let stat = fs::read(folder.join("stat"))?;
    let (open, close) = (stat.iter().position(|it| *it == b'('), stat.iter().rposition(|it| *it == b')'));
    let (Some(open), Some(close)) = (open, close) else { return Ok(false) };
    // A zombie has ended already.
    let is_over = matches!(stat.get(close + 2), None | Some(b'Z' | b'X'));
    Ok(!is_over && stat.get(open + 1..close) == Some(&name[..name.len().min(LONGEST_COMM)]))
}

/// The number that a PID file holds. A link is followed, as other readers of PID files do: who can write the link could
/// write the number as well.
fn pid_in(path: &Path) -> Result<Pid, PidFault> {
    let unreadable = |error: io::Error| PidFault::Unreadable(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
    // Opening a pipe would wait for its writer, and a terminal would become ours.
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = match options.open(path) {
        // A socket.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Err(PidFault::NotAFile),
        opened => opened.map_err(unreadable)?,
    };
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(PidFault::NotAFile);
    }
    let mut content = Vec::new();
    let read = file.take(LONGEST_PID_FILE + 1).read_to_end(&mut content).map_err(unreadable)?;
    if read as u64 > LONGEST_PID_FILE {
        return Err(PidFault::TooLong);
    }
    let digits = content.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(PidFault::NoNumber);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i32>().ok());
    let number = number.filter(|number| *number >= 2).ok_or(PidFault::OutOfRange)?;
    if number.unsigned_abs() == std::process::id() { Err(PidFault::Ourselves) } else { Ok(Pid::from_raw(number)) }
}

#[cfg(test)]
mod tests;
