//! `docs/gateway.md` says what the program does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use vault_gateway::action::Action;
use vault_gateway::cli::EXIT_CODES;
use vault_gateway::metrics::Metrics;
use vault_gateway::problem::Kind;

pub(super) fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway.md")).expect("the page")
}

/// The text below a heading of the second level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = format!("\n## {heading}\n");
    let (_, behind) = page.split_once(&start).unwrap_or_else(|| panic!("no section {heading}"));
    behind.split("\n## ").next().unwrap_or_default()
}

/// The words in backquotes in the first cell of each row.
fn named(text: &str) -> Vec<String> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

#[test]
fn every_refusal_has_an_entry_with_its_status() {
    let page = page();
    let entries: Vec<_> = section(&page, "What a refusal means").split("\n### ").skip(1).collect();
    let headings: Vec<_> = entries.iter().map(|it| it.lines().next().unwrap_or_default()).collect();
    assert_eq!(headings, Kind::ALL.map(Kind::word));
    for (kind, entry) in Kind::ALL.into_iter().zip(entries) {
        let text = entry.lines().find(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        let status = kind.status().to_string();
        assert!(text.is_some_and(|text| text.starts_with(&status)), "{}: {status}", kind.word());
    }
}

#[test]
fn every_exit_code_has_a_row() {
    let page = page();
    let rows = section(&page, "Exit codes").lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let codes: Vec<u8> = rows.filter_map(|cell| cell.parse().ok()).collect();
    assert_eq!(codes, EXIT_CODES.iter().map(|(code, _)| *code).collect::<Vec<_>>());
}

#[test]
fn every_action_has_a_row() {
    let page = page();
    let words: BTreeSet<_> = named(section(&page, "Configuration")).into_iter().collect();
    let missing: Vec<_> = Action::ALL.into_iter().filter(|action| !words.contains(action.word())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Each metric that is there from the start; the others appear with their first label.
#[test]
fn every_metric_has_a_row() {
    let page = page();
    let rows = named(section(&page, "Metrics"));
    let text = Metrics::new("0").render();
    let shown = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<_> = shown.filter(|name| !rows.iter().any(|row| row == name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(rows.iter().all(|row| row.starts_with("vault_gateway_")) && rows.len() == 14, "{rows:?}");
}

/// In the order of the line.
#[test]
fn every_member_of_an_audit_line_has_a_row() {
    use std::time::{Duration, SystemTime};
    use vault_gateway::audit::{Line, Verdict};
    let page = page();
    let line = Line {
        time: SystemTime::UNIX_EPOCH,
        request_id: "",
        client_request_id: None,
        tenant: None,
        issuer: None,
        subject: None,
        action: None,
        path: None,
        version: None,
        versions: None,
        rule: None,
        decision: Verdict::Refuse,
        reason: None,
        cache: None,
        vault_request_id: None,
        status: 0,
        took: Duration::ZERO,
    };
    let Ok(Value::Object(members)) = serde_json::to_value(&line) else { panic!("a line is an object") };
    let rows = named(section(&page, "Audit"));
    assert_eq!(rows.iter().collect::<BTreeSet<_>>(), members.keys().collect::<BTreeSet<_>>());
}

/// The complete example and the page have the same keys.
#[test]
fn every_key_of_the_complete_example_has_a_row() {
    let page = page();
    let rows: BTreeSet<_> = named(section(&page, "Configuration")).into_iter().collect();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gateway/gateway.toml");
    let text = fs::read_to_string(example).expect("the example");
    let keys = text.lines().filter_map(|line| line.trim_start_matches("# ").split_once(" = "));
    let keys: BTreeSet<_> =
        keys.map(|(key, _)| key).filter(|key| key.bytes().all(|it| it == b'_' || it.is_ascii_lowercase())).collect();
    let missing: Vec<_> = keys.iter().filter(|key| !rows.contains(**key)).collect();
    assert!(keys.len() > 40 && missing.is_empty(), "{}: {missing:?}", keys.len());
}
