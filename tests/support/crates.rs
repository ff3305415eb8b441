//! What cargo says of this package's crates.

use std::collections::BTreeSet;
use std::process::Command;

/// Those that the program is linked from, for [`built`] and [`foreign`].
pub(crate) const LINKED: &str = "normal,no-proc-macro";

/// Name and version of each crate along these edges of `cargo tree`, without the program's own.
pub(crate) fn built(edges: &str) -> BTreeSet<String> {
    let tree = tree("vault-exec", edges);
    tree.lines().filter(|line| !line.starts_with("vault-exec ")).filter_map(named).collect()
}

/// The same of this package, without the crates of this workspace.
pub(crate) fn foreign(package: &str, edges: &str) -> BTreeSet<String> {
    let tree = tree(package, edges);
    let is_ours = |line: &str| line.contains(concat!("(", env!("CARGO_MANIFEST_DIR")));
    tree.lines().filter(|line| !is_ours(line)).filter_map(named).collect()
}

fn tree(package: &str, edges: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--package", package, "--prefix=none", "--format={p}", "--edges", edges]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names are text")
}

/// Name and version; what follows says that it is a procedural macro, or in which folder it is.
fn named(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    Some(format!("{} {}", words.next()?, words.next()?))
}
