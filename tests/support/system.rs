//! What the tests of the file writer need from the system around them.

use std::env;
use std::fs::{self, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread;

use nix::unistd::geteuid;
use vault_testkit::missing;

/// A program from `[[example]]`, which cargo builds before the tests run.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

/// The names of the files in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files below a directory, with their paths from there, sorted.
pub(crate) fn files(directory: &Path) -> Vec<(String, Metadata)> {
    let mut found = Vec::new();
    for name in names(directory) {
        let path = directory.join(&name);
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, metadata)| (format!("{name}/{below}"), metadata)));
        } else {
            found.push((name, metadata));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// A port of this machine that is free.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Whether the tests may give files away.
pub(crate) fn is_root() -> bool {
    geteuid().is_root() || missing("the rights of root")
}

/// Runs a script that may mount what it likes, seen by nobody else; `None` where that is not permitted.
pub(crate) fn with_own_mounts(script: &str, arguments: &[&Path]) -> Option<Output> {
    let unshare = ["-m", "-rm"]
        .into_iter()
        .find(|&how| Command::new("unshare").args([how, "true"]).output().is_ok_and(|output| output.status.success()));
    let Some(unshare) = unshare else {
        missing("the permission to make a mount namespace");
        return None;
    };
    let mut command = Command::new("unshare");
    command.args([unshare, "sh", "-euc", script, "sh"]).args(arguments);
    Some(command.output().unwrap())
}

/// The program as a user without privileges; `None` where there is no way from this one to such a one.
pub(crate) fn without_privileges(program: &Path) -> Option<Command> {
    if !geteuid().is_root() {
        return Some(Command::new(program));
    }
    let options = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let works = Command::new("setpriv").args(options).arg("true").output().is_ok_and(|output| output.status.success());
    if !works {
        missing("setpriv");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(options).arg(program);
    Some(command)
}

/// Has the directory hand down a list to its files by which this user may read and write them, whatever their modes;
/// `false` where there are no such lists.
pub(crate) fn hands_down_access_for(user: u32, directory: &Path) -> bool {
    let mut command = Command::new("setfacl");
    command.args(["--default", "--modify", &format!("user:{user}:rw")]).arg(directory);
    command.output().is_ok_and(|output| output.status.success())
        || missing("setfacl (package acl), on a file system with access control lists")
}

/// The access control list of a file, as `user::rw-,group::r--,other::---`.
pub(crate) fn access(file: &Path) -> String {
    let output = Command::new("getfacl").args(["--omit-header", "--absolute-names", "--numeric"]).arg(file).output();
    String::from_utf8(output.expect("getfacl, which comes with setfacl").stdout).unwrap().trim().replace('\n', ",")
}

/// strace, following every thread and writing to `log`; `None` where it cannot trace.
pub(crate) fn strace(log: &Path) -> Option<Command> {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        missing("a working strace");
        return None;
    }
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(log);
    Some(command)
}

/// Starts a program that this process has just written. Until another test's fork has come to its execve, it has
/// the file open for writing as well, and the kernel then refuses to run it.
pub(crate) fn spawn_just_written(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
            spawned => return spawned.unwrap(),
        }
    }
}

/// A number below `limit`, another one at each call.
pub(crate) fn random(limit: usize) -> usize {
    let number = RandomState::new().hash_one(());
    usize::try_from(number % u64::try_from(limit).unwrap()).unwrap()
}
