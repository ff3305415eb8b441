//! The programs that are measured, built as they are released.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::folders::{root, scratch};

/// Builds a release target of `package`, linked as these flags say, and returns a copy of it: what a linker has written
/// piece by piece is mapped page by page, what was copied, as an installation does, in larger ones.
pub fn built(package: &str, kind: &str, name: &str, flags: &str) -> PathBuf {
    built_as("release", package, kind, name, flags)
}

/// The same in another profile of the workspace.
pub fn built_as(profile: &str, package: &str, kind: &str, name: &str, flags: &str) -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = root().join(if flags.is_empty() { "target" } else { "target/static" });
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--profile", profile, "--package", package, kind, name]);
    cargo.current_dir(root()).args(["--target", &triple, "--target-dir"]).arg(&folder).env("RUSTFLAGS", flags);
    assert!(cargo.status().expect("cargo runs").success(), "{name} does not build");
    let file = if kind == "--example" { format!("examples/{name}") } else { name.to_owned() };
    let built = folder.join(triple).join(profile).join(file);
    let copy = scratch("figures").join(if flags.is_empty() { name.to_owned() } else { format!("{name}-static") });
    fs::copy(built, &copy).expect("a file is copied");
    copy
}
