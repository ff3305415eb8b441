//! Everything under `deploy/` is run by a test, or accepted by the tool that reads it.

mod ci;
mod compose;
mod gateway;
mod image;
mod kubernetes;
mod package;
mod prometheus;
mod started;
mod systemd;
mod vault;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::system::files;
use vault_exec::cli::EXIT_CODES;
use vault_testkit::{missing, tools};

/// What the tests of each module run or have accepted: they go through these very lists.
const COVERED: [&[&str]; 9] = [
    ci::FILES,
    compose::FILES,
    gateway::FILES,
    image::FILES,
    kubernetes::FILES,
    package::FILES,
    prometheus::FILES,
    systemd::FILES,
    vault::FILES,
];

/// The codes after which a start is not repeated, because only a person can mend it: all but unreachable, internal,
/// system, not ready, not Vault, which may pass, and those of an env file.
fn for_good() -> Vec<&'static str> {
    let others = ["69", "70", "71", "75", "76", "73", "74", "128+n"];
    EXIT_CODES.iter().map(|(code, _)| *code).filter(|code| !others.contains(code)).collect()
}

/// A file or folder under `deploy/`.
fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// A program that `tests/install-tools` puts into `target/tools`.
fn installed(program: &str) -> PathBuf {
    tools().join("bin").join(program)
}

/// What a tool prints that accepts what it is given, which it does without a word on standard error; `None` where it
/// is not there.
fn tool(program: impl AsRef<Path>, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Option<Vec<u8>> {
    let program = program.as_ref();
    let mut command = Command::new(program);
    let Ok(output) = arguments(&mut command).output() else {
        missing(&program.display().to_string());
        return None;
    };
    let [printed, said] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success() && said.is_empty(), "{command:?}: {}\n{printed}{said}", output.status);
    Some(output.stdout)
}

#[test]
fn each_file_under_deploy_is_run_or_accepted_by_its_own_tool() {
    let there: BTreeSet<_> = files(&deploy("")).into_iter().map(|(name, _)| name).collect();
    let covered: Vec<_> = COVERED.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(covered.iter().cloned().collect::<BTreeSet<_>>(), there);
    assert_eq!(covered.len(), there.len(), "listed twice");
}
