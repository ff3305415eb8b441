//! The programs that are measured, built as they are released.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vault_testkit::scratch;

/// How `deploy/dist` and `deploy/Dockerfile` link the program that needs nothing beside it.
pub(crate) const STATIC: &str = "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs";

/// Builds a release target of this package, linked as these flags say, and returns a copy of it: what a linker has
/// written piece by piece is mapped page by page, what was copied, as an installation does, in larger ones.
pub(crate) fn built(kind: &str, name: &str, flags: &str) -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(if flags.is_empty() { "target" } else { "target/static" });
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--package=vault-exec",
        kind,
        name,
        "--target",
        &triple,
        "--target-dir",
    ]);
    assert!(cargo.arg(&folder).env("RUSTFLAGS", flags).status().expect("cargo runs").success());
    let file = if kind == "--example" { format!("examples/{name}") } else { name.to_owned() };
    let built = folder.join(triple).join("release").join(file);
    let copy = scratch("figures").join(if flags.is_empty() { name.to_owned() } else { format!("{name}-static") });
    fs::copy(built, &copy).expect("a file is copied");
    copy
}
