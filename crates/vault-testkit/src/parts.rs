//! Real parts that a machine may not have: a test that needs one is skipped without it, and fails in CI.

use std::env;

/// Whether `CI` is set, so that every part has to be there.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// For a test that needs something this machine does not have: fails in CI, otherwise says so and is `false`.
pub fn missing(what: &str) -> bool {
    assert!(!is_ci(), "not there, but needed in CI: {what}");
    eprintln!("skipped, because it is not there: {what}");
    false
}

/// The same of what no script can install: a kernel without it skips the check in CI too.
pub fn kernel_lacks(what: &str) {
    eprintln!("skipped, because this kernel has it not: {what}");
}
