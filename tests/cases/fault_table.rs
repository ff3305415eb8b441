//! SECURITY.md's table of faults is the one that the tests are made of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{
    addresses, credentials, env_file_faults, env_folder, exec, faults, inline, limits, methods, names, paths, patience,
    readiness, refusals, seccomp, signals, tls, tls_certificates, tls_clients, tls_files, unix_sockets, values, watch,
    wire,
};
use crate::support::fault_table::Fault;

const TABLES: &[&[Fault]] = &[
    faults::FAULTS,
    limits::FAULTS,
    names::FAULTS,
    addresses::FAULTS,
    unix_sockets::FAULTS,
    tls::FAULTS,
    tls::FAULTS_ON_BOTH,
    tls_certificates::FAULTS_ON_BOTH,
    tls_clients::FAULTS,
    tls_clients::FAULTS_ON_BOTH,
    tls_files::FAULTS,
    paths::FAULTS,
    paths::FAULTS_ON_BOTH,
    patience::FAULTS,
    readiness::FAULTS,
    readiness::FAULTS_ON_BOTH,
    credentials::FAULTS,
    refusals::FAULTS,
    values::FAULTS,
    values::FAULTS_ON_BOTH,
    wire::FAULTS,
    exec::FAULTS,
    env_file_faults::FAULTS,
    env_folder::FAULTS,
    signals::FAULTS,
    seccomp::FAULTS,
    watch::FAULTS,
];

const HEADING: &str = "| fault | step | code | within | test |\n|---|---|---|---|---|\n";

fn all() -> impl Iterator<Item = &'static Fault> {
    TABLES.iter().chain(methods::FAULTS).chain(inline::FAULTS).copied().flatten()
}

fn rows() -> String {
    let mut faults: Vec<_> = all().collect();
    // As they come in a run; the order of the tests otherwise.
    faults.sort_by_key(|fault| fault.step);
    let row = |fault: &&Fault| {
        let codes = fault.codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let codes = codes.replace("129 or 130 or 131 or 143", "128+n");
        let Fault { what, step, bound, test, .. } = fault;
        format!("| {what} | {} | {codes} | {} | `{test}` |\n", step.text(), bound.text())
    };
    faults.iter().map(row).collect()
}

/// With `UPDATE_SECURITY` set, the table is written instead of compared.
#[test]
fn the_table_of_faults_is_that_of_the_tests() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(HEADING).expect("the table's heading");
    let end = rest.lines().take_while(|line| line.starts_with('|')).map(|line| line.len() + 1).sum::<usize>();
    let (written, after) = rest.split_at(end);
    if std::env::var_os("UPDATE_SECURITY").is_some() {
        fs::write(path, [before, HEADING, &rows(), after].concat()).unwrap();
    } else {
        assert_eq!(written, rows(), "`just faults` renews it");
    }
}

#[test]
fn every_row_has_a_test_of_its_own() {
    let names: Vec<_> = all().map(|fault| fault.test).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}
