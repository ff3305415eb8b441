//! What cargo says of this package's crates.

use std::collections::BTreeSet;
use std::process::Command;

/// Those that the program is linked from, for [`built`].
pub(crate) const LINKED: &str = "normal,no-proc-macro";

/// Name and version of each crate along these edges of `cargo tree`, without this one.
pub(crate) fn built(edges: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--package=vault-exec", "--prefix=none", "--format={p}", "--edges", edges]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("names are text");
    // After the version of a procedural macro, it says what it is.
    let named = tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    named.filter(|it| !it.is_empty() && !it.starts_with("vault-exec ")).collect()
}
