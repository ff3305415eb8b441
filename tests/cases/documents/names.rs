//! A variable that a document names exists.

use std::collections::BTreeSet;

use vault_client::settings::setting as client;
use vault_exec::config::setting::{ALL, Setting};

use super::{document, documents};

/// Variables that begin as ours do and are others': of which program, and which.
const OTHERS: &[(&str, &[&str])] = &[
    (
        "vault-env and secret-init",
        &[
            "VAULT_CACERT_RELOAD",
            "VAULT_ENV_DAEMON",
            "VAULT_ENV_DELAY",
            "VAULT_ENV_FROM_PATH",
            "VAULT_ENV_LOG_SERVER",
            "VAULT_ENV_PASSTHROUGH",
            "VAULT_FROM_PATH",
            "VAULT_IGNORE_MISSING_SECRETS",
            "VAULT_JSON_LOG",
            "VAULT_PASSTHROUGH",
            "VAULT_REVOKE_TOKEN",
            "VAULT_TOKEN_PATH",
            "VAULT_TRANSIT_BATCH_SIZE",
            "VAULT_TRANSIT_KEY_ID",
            "VAULT_TRANSIT_PATH",
            "BAO_AUTH_METHOD",
            "BAO_FROM_PATH",
            "BAO_LOG_LEVEL",
            "BAO_PASSTHROUGH",
            "BAO_PATH",
            "BAO_REVOKE_TOKEN",
            "BAO_ROLE",
            "BAO_TOKEN_FILE",
        ],
    ),
    ("the official clients', without effect here", &["VAULT_AGENT_ADDR", "VAULT_HTTP_PROXY"]),
    ("GitLab's", &["VAULT_AUTH_PATH", "VAULT_AUTH_ROLE", "VAULT_SERVER_URL"]),
    ("what COMMAND is told after a change", &["VAULT_EXEC_FILE", "VAULT_EXEC_SECRET_VERSION"]),
    ("read by the library for an agent", &["VAULT_AGENT_PATH_PREFIX"]),
    ("misspelt, to show what is said of it", &["VAULT_PTH"]),
    ("taken out of the application's environment though nothing reads them", &["BAO_ROLE_ID"]),
];

/// Documents that speak of the library too, which has settings that the program has not.
const OF_THE_LIBRARY: [&str; 3] = ["docs/library.md", "docs/migrating.md", "CHANGELOG.md"];

/// The words that look like one of our variables.
fn words(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let long = words.filter(|word| ["VAULT_", "BAO_"].iter().any(|it| word.starts_with(it) && word.len() > it.len()));
    // `VAULT_X` and `BAO_X` stand for any.
    long.filter(|word| !matches!(*word, "VAULT_X" | "BAO_X")).collect()
}

#[test]
fn every_variable_that_a_document_names_is_a_setting_or_known_to_be_anothers() {
    let variables = |all: &[&Setting]| -> BTreeSet<_> { all.iter().flat_map(|it| it.groups().flatten()).collect() };
    let (settings, of_the_library) = (variables(ALL), variables(client::ALL));
    let others: BTreeSet<_> = OTHERS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut named = BTreeSet::new();
    for name in documents() {
        let text = document(&name);
        let speaks_of_it = OF_THE_LIBRARY.contains(&name.as_str());
        for word in words(&text) {
            assert!(
                settings.contains(word) || speaks_of_it && of_the_library.contains(word) || others.contains(word),
                "{name}: {word} is no setting; correct it, or add it to OTHERS in tests/cases/documents/names.rs"
            );
            named.insert(word.to_owned());
        }
    }
    let unnamed: Vec<_> = others.iter().filter(|name| !named.contains(**name)).collect();
    assert!(unnamed.is_empty(), "named in no document any more: {unnamed:?}");
    let ours: Vec<_> = others.iter().filter(|name| settings.contains(**name)).collect();
    assert!(ours.is_empty(), "settings of ours: {ours:?}");
}
