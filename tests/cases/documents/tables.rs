//! The tables are those of the code, and what the documents name exists.

use std::collections::BTreeSet;

use vault_exec::check::{FIELDS, STEPS};
use vault_exec::cli::{EXIT_CODES, definitions};
use vault_exec::config::setting::{self, Setting};

use super::{document, table};
use crate::support::crates;

#[test]
fn the_settings_table_is_that_of_the_code() {
    let row = |setting: &&Setting| {
        let flag = setting.flag.map(|flag| format!(" / `--{flag}`")).unwrap_or_default();
        let alias = setting.aliases.first().map(|alias| format!(" (alias `{alias}`)")).unwrap_or_default();
        let default = match setting.default {
            None => "–".to_owned(),
            // Words that describe it; no value to write.
            Some(words) if words.contains(' ') => words.to_owned(),
            Some(value) => format!("`{value}`"),
        };
        vec![format!("`{}`{flag}{alias}", setting.name), default, setting.meaning.to_owned()]
    };
    let expected: Vec<_> = setting::ALL.iter().map(row).collect();
    assert_eq!(table(&document("README.md"), "| setting | default | meaning |"), expected);
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

#[test]
fn every_crate_of_the_release_binary_has_a_reason() {
    let contributing = document("CONTRIBUTING.md");
    let rows = table(&contributing, "| crate | for | why this one | bytes | kept by |");
    let named: BTreeSet<_> =
        rows.iter().flat_map(|row| row[0].split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')).collect();
    let linked = crates::foreign(crates::LINKED);
    assert!(!linked.is_empty());
    let unsaid: Vec<_> = linked.iter().filter(|it| !named.contains(it.split(' ').next().unwrap())).collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}
