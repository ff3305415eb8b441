//! What tests of several modules need: a process of their own, and pipes with names.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use super::child::{Child, Children, Ended, Orphans};
use super::sys;

const ALONE: &str = "VAULT_EXEC_TEST_ALONE";

/// Runs the test of this name in a process of its own, in which every thread has SIGCHLD blocked; `true` there.
pub(crate) fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let before = sys::signal_mask(None).unwrap();
    sys::signal_mask(Some(&(before | SigSet::from(Signal::SIGCHLD)))).unwrap();
    let mut own = Command::new(std::env::current_exe().unwrap());
    let output = own.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    sys::signal_mask(Some(&before)).unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// Children, with those of other tests left alone.
pub(crate) fn children() -> Children {
    Children::watch(sys::signal_mask(None).unwrap(), Orphans::Leave).unwrap()
}

/// Waits for the end of `child`, and does not reap it.
pub(crate) fn wait(child: Child) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    // That of a real-time signal is an error.
    let _ = waitid(Id::Pid(child.0), flags);
}

/// Waits for the end of `child` and reaps it.
pub(crate) fn end(children: &mut Children, child: Child) -> Ended {
    wait(child);
    let ended = children.reap();
    assert_eq!(ended.iter().map(|(child, _)| *child).collect::<Vec<_>>(), [child]);
    ended[0].1
}

/// A pipe with a name, in a folder of its own.
pub(crate) struct Fifo {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl Fifo {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        Self { _folder: folder, path }
    }

    /// `FIFO=…`, as an environment has it.
    pub(crate) fn variable(&self) -> CString {
        CString::new([b"FIFO=", self.path.as_os_str().as_bytes()].concat()).unwrap()
    }

    /// Its reading end, once somebody has opened it for writing.
    pub(crate) fn open(&self) -> Lines {
        Lines(BufReader::new(File::open(&self.path).unwrap()))
    }
}

/// What is written to a pipe.
pub(crate) struct Lines(BufReader<File>);

impl Lines {
    pub(crate) fn next(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Waits until nobody is left who could write, and returns the rest.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = self.0.buffer().to_vec();
        self.0.consume(rest.len());
        let file = self.0.get_mut();
        loop {
            let mut descriptors = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut descriptors, PollTimeout::from(20_000_u16)), Ok(1), "somebody is left");
            let mut buffer = [0; 512];
            match file.read(&mut buffer).unwrap() {
                0 => return String::from_utf8(rest).unwrap(),
                some => rest.extend_from_slice(&buffer[..some]),
            }
        }
    }
}
