//! `--install` as an init container uses it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::support::expect::Expect;
use crate::support::scenario::Scenario;
use crate::support::system::{example, names, spawn_just_written};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vault-exec");

#[test]
fn the_installed_copy_replaces_one_that_runs_and_does_the_same() {
    let scenario = Scenario::offline().no_command().options(["--install", "{folder}/bin"]);
    fs::create_dir(scenario.file("bin")).unwrap();
    let copy = scenario.file("bin/vault-exec");
    fs::copy(example("write_file"), &copy).unwrap();
    // It runs until its standard input ends.
    let mut older = spawn_just_written(
        Command::new(&copy).arg(scenario.file("written")).stdin(Stdio::piped()).stdout(Stdio::null()),
    );

    let line = "INFO  vault-exec: installed as {folder}/bin/vault-exec";
    scenario.run().expect(Expect::done().stderr([line]));
    assert!(fs::read(&copy).unwrap() == fs::read(PROGRAM).unwrap());
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(names(&scenario.file("bin")), ["vault-exec"]);
    drop(older.stdin.take());
    assert!(older.wait().unwrap().success());

    let version = |program: &str| Command::new(program).arg("--version").output().unwrap();
    assert_eq!(version(copy.to_str().unwrap()), version(PROGRAM));
    // Its copy is a source for further ones.
    let second = Scenario::offline().no_command().program(&copy).options(["--install", "{folder}"]);
    second.run().expect(Expect::done());
    assert!(fs::read(second.file("vault-exec")).unwrap() == fs::read(PROGRAM).unwrap());
}

#[test]
fn a_directory_that_is_missing_is_not_made() {
    let scenario = Scenario::offline().no_command().options(["--install", "{folder}/bin"]);
    let message = "install: {folder}/bin/vault-exec: No such file or directory while opening its directory; create the \
                   directory or mount a volume there";
    scenario.run().expect_failure(73, message);
    assert_eq!(names(&scenario.file("")), Vec::<String>::new());
}

#[test]
fn it_goes_with_nothing_else() {
    let usage = "--install goes with nothing else; usage: vault-exec [OPTIONS] [--] COMMAND [ARG]..., more by --help";
    let install = || Scenario::offline().options(["--install", "{folder}"]);
    install().run().expect_failure(64, usage);
    for other in [["--check", "--wait=1s"], ["--env-file", "x"], ["--force", "--keys=A"]] {
        install().no_command().options(other).run().expect_failure(64, usage);
    }
}
