//! The tables are those of the code, and what the documents name exists.

use std::collections::BTreeSet;
use std::time::Duration;

use vault_client::Limits;
use vault_exec::check::{FIELDS, STEPS};
use vault_exec::cli::{EXIT_CODES, definitions};
use vault_exec::config::setting::{self, Setting};

use super::{document, table};
use crate::support::{crates, metrics};

/// The row of a setting.
fn row(setting: &Setting) -> Vec<String> {
    let flag = setting.flag.map(|flag| format!(" / `--{flag}`")).unwrap_or_default();
    let alias = setting.aliases.first().map(|alias| format!(" (alias `{alias}`)")).unwrap_or_default();
    let default = match setting.default {
        None => "–".to_owned(),
        // Words that describe it; no value to write.
        Some(words) if words.contains(' ') => words.to_owned(),
        Some(value) => format!("`{value}`"),
    };
    vec![format!("`{}`{flag}{alias}", setting.name), default, setting.meaning.to_owned()]
}

#[test]
fn the_settings_table_is_that_of_the_code() {
    let expected: Vec<_> = setting::ALL.iter().copied().map(row).collect();
    assert_eq!(table(&document("README.md"), "| setting | default | meaning |"), expected);
}

#[test]
fn the_settings_of_the_library_are_those_of_its_code() {
    let expected: Vec<_> = vault_client::settings::setting::ALL.iter().copied().map(row).collect();
    let lines: Vec<_> = expected.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    let written = table(&document("docs/library.md"), "| setting | default | meaning |");
    assert_eq!(written, expected, "docs/library.md needs these rows:\n{}", lines.join("\n"));
}

/// The names that stand first in the lines between `start` and `end` of a source, after `mark`.
fn declared(source: &str, start: &str, end: &str, mark: &str) -> Vec<String> {
    let text = document(source);
    let inside = text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).expect("a declaration").0;
    let names = inside.lines().filter_map(|line| line.strip_prefix(mark));
    let name = |line: &str| line.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
    names.map(name).filter(|name: &String| !name.is_empty()).collect()
}

#[test]
fn every_kind_of_error_is_explained() {
    let kinds = declared("crates/vault-client/src/fault/kind.rs", "pub enum ErrorKind {", "\n}", "    ");
    assert!(kinds.len() > 10, "{kinds:?}");
    let heading = "| kind | what it means | what to do |";
    let named = |row: &Vec<String>| row[0].trim_start_matches('[').split('`').nth(1).unwrap_or_default().to_owned();
    let of_document = table(&document("docs/library.md"), heading);
    assert_eq!(of_document.iter().map(named).collect::<Vec<_>>(), kinds);
    let source = document("crates/vault-client/src/lib.rs");
    let crate_docs: Vec<_> = source.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    let of_crate = table(&crate_docs.join("\n"), heading);
    assert_eq!(of_crate.iter().map(named).collect::<Vec<_>>(), kinds);
}

#[test]
fn every_verb_of_kv_stands_in_the_table() {
    let verbs = declared("crates/vault-client/src/kv/mod.rs", "\nimpl Kv {", "\n}", "    pub fn ");
    let heading = "| verb | what it does | what the server's answer hides, and what the library makes of it |";
    let rows = table(&document("docs/library.md"), heading);
    let written: BTreeSet<_> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert!(verbs.len() > 10, "{verbs:?}");
    assert_eq!(written, verbs.into_iter().collect());
}

#[test]
fn the_limits_are_those_of_the_code() {
    let fields = declared("crates/vault-client/src/time/limits.rs", "pub struct Limits {", "\n}", "    pub ");
    let rows = table(&document("docs/library.md"), "| field of `Limits` | default | meaning |");
    assert_eq!(rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect::<Vec<_>>(), fields);
    let seconds = |limit: Duration| match limit.as_secs() {
        0 => "0".to_owned(),
        seconds @ 120.. => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    };
    let Limits { request, retries, delay, wait, whole, until } = Limits::default();
    let until = until.map_or("–", |_| "an instant").to_owned();
    let defaults = [seconds(request), retries.to_string(), seconds(delay), seconds(wait), seconds(whole), until];
    assert_eq!(rows.iter().map(|row| row[1].clone()).collect::<Vec<_>>(), defaults);
}

#[test]
fn the_metrics_are_those_of_the_code() {
    let expected: Vec<_> = metrics::all().into_iter().map(|it| [format!("`{}`", it.name), it.kind, it.help]).collect();
    let rows = table(&document("docs/rotation.md"), "| metric | type | labels | what it is |");
    let written: Vec<_> = rows.into_iter().map(|row| [row[0].clone(), row[1].clone(), row[3].clone()]).collect();
    assert_eq!(written, expected);
}

#[test]
fn the_alerts_are_those_of_the_rules() {
    let rules = document("deploy/prometheus/vault-exec.rules.yaml");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let rows = table(&document("docs/rotation.md"), "| alert | raised when | look at |");
    let written: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(written, alerts.collect::<Vec<_>>());
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    let rows = table(&document("README.md"), "| code | meaning | look at |");
    let codes: Vec<_> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    assert_eq!(codes, EXIT_CODES);
}

#[test]
fn the_fields_of_the_report_are_those_of_the_code() {
    let expected: Vec<_> =
        FIELDS.iter().map(|(of, name, what)| [format!("`{of}`"), format!("`{name}`"), (*what).into()]).collect();
    assert_eq!(table(&document("docs/check.md"), "| of | field | what it holds |"), expected);
    let steps: Vec<_> = STEPS.iter().map(|(name, what)| [format!("`{name}`"), (*what).into()]).collect();
    assert_eq!(table(&document("docs/check.md"), "| step | what is done |"), steps);
}

#[test]
fn the_readme_lists_the_names_that_are_read_with_bao_in_front() {
    let names: Vec<_> = setting::OFFICIAL.iter().map(|name| format!("`BAO_{name}`")).collect();
    assert!(document("README.md").contains(&format!(": {}. ", names.join(", "))), "{names:?}");
}

#[test]
fn every_flag_stands_in_the_readme_and_no_other() {
    let readme = document("README.md");
    let ours = definitions();
    let flags: BTreeSet<_> = ours.get_arguments().filter_map(|argument| argument.get_long()).collect();
    let unsaid: Vec<_> = flags.iter().filter(|flag| !readme.contains(&format!("--{flag}"))).collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
    let words = readme.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let mentioned =
        words.filter_map(|word| word.strip_prefix("--")).filter(|word| word.starts_with(char::is_alphabetic));
    // Those of the application, of Docker, of cargo and of clap.
    let others = ["port", "build", "build-arg", "from", "example", "release", "path", "workspace", "help", "version"];
    let unknown: Vec<_> = mentioned.filter(|word| !flags.contains(word) && !others.contains(word)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The crates that the rows of a table name.
fn crates_in(rows: &[Vec<String>]) -> BTreeSet<&str> {
    let names = rows.iter().flat_map(|row| row[0].split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_'));
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_crate_of_a_release_binary_has_a_reason() {
    let contributing = document("CONTRIBUTING.md");
    let of_program = table(&contributing, "| crate | for | why this one | bytes | kept by |");
    let of_gateway = table(&contributing, "| crate of the gateway | for | why this one | bytes |");
    let mut named = crates_in(&of_program);
    for (package, rows) in [("vault-exec", &of_program), ("vault-gateway", &of_gateway)] {
        named.extend(crates_in(rows));
        let linked = crates::foreign(package, crates::LINKED);
        assert!(!linked.is_empty());
        let unsaid: Vec<_> = linked.iter().filter(|it| !named.contains(it.split(' ').next().unwrap())).collect();
        assert!(unsaid.is_empty(), "{package}: {unsaid:?}");
    }
}
