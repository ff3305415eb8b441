//! `deploy/prometheus`: read and tried out by promtool, and about metrics that there are.

use std::collections::BTreeSet;
use std::fs;

use super::{deploy, tool};
use crate::support::metrics;

pub(super) const FILES: &[&str] = &["prometheus/vault-exec.rules.test.yaml", "prometheus/vault-exec.rules.yaml"];

#[test]
fn promtool_takes_the_rules_and_its_tests_of_them_succeed() {
    for (verb, file) in ["test", "check"].into_iter().zip(FILES) {
        let Some(printed) = tool("promtool", |it| it.args([verb, "rules"]).arg(deploy(file))) else { return };
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.contains("SUCCESS") && !printed.contains("FAILED"), "{printed}");
    }
}

#[test]
fn rules_and_their_tests_name_metrics_that_there_are() {
    let known: BTreeSet<_> = metrics::all().into_iter().map(|it| it.name).collect();
    for file in FILES {
        let text = fs::read_to_string(deploy(file)).unwrap();
        let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        let named: BTreeSet<_> = words.filter(|it| it.starts_with("vault_exec_")).map(str::to_owned).collect();
        assert!(named.len() > 4 && named.is_subset(&known), "{file}: {named:?}");
    }
}

/// Each alert is raised in a test, and is silent in another.
#[test]
fn every_alert_has_a_test() {
    let [tests, rules] = [0, 1].map(|index: usize| fs::read_to_string(deploy(FILES[index])).unwrap());
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 4, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("- alertname: {alert}\n")), "{alert} is raised in no test");
        assert!(tests.contains(&format!("- {{alertname: {alert}, ")), "{alert} is silent in no test");
    }
}
