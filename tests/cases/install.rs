//! The program that copies itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use vault_exec::install::install;

use crate::support::system::{example, names, spawn_just_written};

#[test]
fn the_copy_is_the_program_and_can_be_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = install(&example("write_file"), directory.path()).unwrap();
    assert_eq!(path, directory.path().join("vault-exec"));
    assert_eq!(fs::read(&path).unwrap(), fs::read(example("write_file")).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755);
    let written = directory.path().join("written");
    let mut copy = spawn_just_written(Command::new(&path).arg(&written).stdin(Stdio::null()));
    assert!(copy.wait().unwrap().success());
    assert!(written.exists());
}

#[test]
fn a_running_program_is_replaced_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let old = install(&example("write_file"), directory.path()).unwrap();
    let written = directory.path().join("written");
    // It runs until its standard input ends.
    let mut running = spawn_just_written(Command::new(&old).arg(&written).stdin(Stdio::piped()));

    let program = Path::new("/proc/self/exe");
    install(program, directory.path()).unwrap();
    assert_eq!(fs::read(&old).unwrap(), fs::read(program).unwrap());
    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
    assert_eq!(names(directory.path()), ["vault-exec", "written"]);
}

#[test]
fn what_stands_in_the_way_is_said_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let error = install(&missing, directory.path()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot read the program from {}", missing.display())), "{error}");
    let error = install(Path::new("/proc/self/exe"), &missing).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}/vault-exec: ", missing.display())), "{error}");
}
