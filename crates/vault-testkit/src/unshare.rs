//! Namespaces of the kernel, for what needs a machine to itself.

use std::process::Command;

use crate::parts::is_ci;
use crate::tally;

/// Whether `unshare` may do this; where it may not, `test` counts as skipped, and fails in CI.
pub fn permitted(test: &str, options: &[&str]) -> bool {
    let tried = Command::new("unshare").args(options).arg("true").output();
    let permitted = tried.is_ok_and(|output| output.status.success());
    if !permitted {
        assert!(!is_ci(), "`unshare {}` is not permitted", options.join(" "));
        eprintln!("skipped: {test}: `unshare {}` is not permitted", options.join(" "));
        tally::note("skipped", test);
    }
    permitted
}
