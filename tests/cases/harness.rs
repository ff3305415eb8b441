//! The tests' own tools: what the observed application reports has to be true, and expectations have to be able
//! to fail.

use std::process::Command;

use crate::support::child_report::ChildReport;
use crate::support::scenario::{Scenario, child_program};

#[test]
fn the_child_reports_exactly_what_it_inherits() {
    let mut command = Command::new("sh");
    let child = child_program();
    // Ignored PIPE, blocked nothing, closed input, one extra descriptor, an empty argument.
    let script = "trap '' PIPE USR1; exec 7</dev/null <&-; exec \"$0\" '' 'two words' --exit=3";
    let output = command
        .env_clear()
        .env("A", "1\n2")
        .env("B", "")
        .args(["-c", script])
        .arg(&child)
        .output();
    let output = output.expect("sh runs");
    let report = ChildReport::parse(&output.stdout);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        report.argv[1..],
        [b"".to_vec(), b"two words".to_vec(), b"--exit=3".to_vec()]
    );
    assert!(
        report.env.contains(&b"A=1\n2".to_vec()) && report.env.contains(&b"B=".to_vec()),
        "{report:?}"
    );
    // Whoever started the tests may have left further ones open.
    assert!(!report.descriptors.contains_key(&0), "{report:?}");
    assert_eq!(report.descriptors[&7], "/dev/null");
    // Bit n-1 stands for signal n: USR1 is 10, PIPE is 13.
    let ignored = u64::from_str_radix(&report.status["SigIgn"], 16).expect("a mask");
    assert_eq!(ignored & 0x1200, 0x1200);
    assert_eq!(report.status["SigBlk"], "0000000000000000");
    assert_eq!(report.status["Threads"], "1");
    assert!(report.dumpable);
    assert_eq!(report.errors, Vec::<String>::new());
}

#[test]
fn a_baseline_has_the_given_environment_and_nothing_else() {
    let scenario = Scenario::offline().env("A", "1").args(["x"]);
    let report = scenario.baseline();
    assert_eq!(report.env, [b"A=1"]);
    assert_eq!(report.descriptors[&0], "/dev/null");
    assert_eq!(report.surroundings(), scenario.baseline().surroundings());
}
