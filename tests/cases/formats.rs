//! Every format read back by the programs it is for: what comes out equals what went in, or the write was refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vault_exec::secrets::name::{Verdict, judge};
use vault_exec::sink::format::{Format, Reason};

use crate::support::hostile;
use crate::support::readers::Reader;

fn name(index: usize) -> String {
    format!("V{index:04}")
}

/// Writes all the variables that the format takes into one file, and has each of its readers read that.
fn assert_read_back(format: Format, readers: &[Reader], variables: &[(String, String)]) -> Result<(), TestCaseError> {
    let taken = |(name, value): &&(String, String)| format.check(name, value).is_ok();
    let variables: BTreeMap<_, _> = variables.iter().filter(taken).cloned().collect();
    let names: Vec<_> = variables.keys().cloned().collect();
    let borrowed: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let content = format.render(&borrowed).expect("each of them passed the check");
    let content = content.bytes().expect("one file");

    for reader in readers {
        let found = reader.read(content, &names).map_err(|said| {
            TestCaseError::fail(format!("{reader:?} does not read what {format} wrote: {said:.999}"))
        })?;
        for (name, value) in &variables {
            let read = found.get(name);
            prop_assert!(read == Some(value), "{reader:?} read {:.99?} for {value:.99?} of {name:?}", read);
        }
    }
    Ok(())
}

fn assert_reads_hostile_and_generated_variables(format: Format) {
    let readers = Reader::of(format);
    let values = hostile::corpus().into_iter().enumerate().map(|(index, value)| (name(index), value));
    assert_read_back(format, &readers, &values.collect::<Vec<_>>()).unwrap();
    // What is denied by default can get code run in the reader itself.
    let accepted = |name: &String| judge(name, &[]) != Verdict::Denied;
    for value in ["v", "it is a \"value\" of $HOME"] {
        let names = hostile::names().into_iter().filter(accepted).map(|name| (name, value.to_owned()));
        assert_read_back(format, &readers, &names.collect::<Vec<_>>()).unwrap();
    }

    // A case is a whole file of variables: one for every 32 of the usual number, so that readers start few times.
    let usual = ProptestConfig::default();
    let cases = usual.cases.div_ceil(32);
    let config = ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..usual };
    let names = hostile::name().prop_filter("denied", move |name| accepted(name));
    let plain = prop::collection::vec(hostile::text(), 400).prop_map(|values| {
        values.into_iter().enumerate().map(|(index, value)| (name(index), value)).collect::<Vec<_>>()
    });
    let both =
        (plain, prop::collection::vec((names, hostile::text()), 100)).prop_map(|(plain, odd)| [odd, plain].concat());
    TestRunner::new(config).run(&both, |variables| assert_read_back(format, &readers, &variables)).unwrap();
}

#[test]
fn every_shell_reads_what_sh_wrote() {
    assert_reads_hostile_and_generated_variables(Format::Sh);
}

#[test]
fn the_kubelet_reads_what_kubernetes_wrote() {
    assert_reads_hostile_and_generated_variables(Format::Kubernetes);
}

#[test]
fn the_docker_cli_reads_what_docker_wrote() {
    assert_reads_hostile_and_generated_variables(Format::Docker);
}

#[test]
fn compose_reads_what_compose_wrote() {
    assert_reads_hostile_and_generated_variables(Format::Compose);
}

#[test]
fn systemd_reads_what_systemd_wrote() {
    assert_reads_hostile_and_generated_variables(Format::Systemd);
}

#[test]
fn node_npm_and_python_read_what_dotenv_wrote() {
    assert_reads_hostile_and_generated_variables(Format::Dotenv);
}

#[test]
fn a_json_parser_reads_what_json_wrote() {
    assert_reads_hostile_and_generated_variables(Format::Json);
}

#[test]
fn the_kubelet_reads_every_name_that_kubernetes_takes() {
    let names: BTreeSet<String> = (' '..='~')
        .flat_map(|c| [format!("{c}"), format!("{c}A"), format!("A{c}"), format!("A{c}A")])
        .filter(|name| Format::Kubernetes.check(name, "v").is_ok())
        .collect();
    assert!(names.len() > 350, "only {}", names.len());
    let values: Vec<_> = (0..names.len()).map(name).collect();
    let variables: Vec<_> = names.iter().map(String::as_str).zip(values.iter().map(String::as_str)).collect();
    let content = Format::Kubernetes.render(&variables).unwrap();
    let expected: BTreeMap<_, _> = names.iter().cloned().zip(values.iter().cloned()).collect();
    let names = Vec::from_iter(names);

    for reader in Reader::of(Format::Kubernetes) {
        assert_eq!(reader.read(content.bytes().unwrap(), &names).as_ref(), Ok(&expected));
    }
}

#[test]
fn what_sh_wrote_reaches_the_commands_that_the_shell_starts() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, Format::Sh.render(&[("GREETING", "it's me")]).unwrap().bytes().unwrap()).unwrap();
    let script = format!(". {}; exec env", file.path().display());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).lines().any(|line| line == "GREETING=it's me"));
}

/// Has each value read from a file that would have been written without the rule, quoted like the others.
fn assert_would_be_misread(format: Format, values: &[String], line: impl Fn(&str) -> String) {
    let names = ["V0000".to_owned()];
    let right = |value: &str| Ok(BTreeMap::from([(names[0].clone(), value.to_owned())]));
    for reader in Reader::of(format) {
        assert_eq!(reader.read(line("harmless").as_bytes(), &names), right("harmless"), "{reader:?}");
        for value in values {
            let found = reader.read(line(value).as_bytes(), &names);
            assert_ne!(found, right(value), "{reader:?} would have read {value:.99?}");
        }
    }
}

/// The values that the format refuses. Those with a NUL are left out, as no environment holds them,
/// and those that are only too long for execve(2), which no reader sees.
fn refused(format: Format) -> Vec<String> {
    let refused = |value: &String| match format.check("V0000", value) {
        Err(reason) => !matches!(reason, Reason::Nul | Reason::TooLong { .. }),
        Ok(()) => false,
    };
    hostile::corpus().into_iter().filter(refused).collect()
}

#[test]
fn kubernetes_refuses_nothing_that_the_kubelet_would_read() {
    let values = refused(Format::Kubernetes);
    assert_would_be_misread(Format::Kubernetes, &values, |value| format!("V0000='{value}'\n"));
}

#[test]
fn docker_refuses_nothing_that_the_docker_cli_would_read() {
    assert_would_be_misread(Format::Docker, &refused(Format::Docker), |value| format!("V0000={value}\n"));
}

#[test]
fn systemd_refuses_nothing_that_systemd_would_read() {
    let quoted = |value: &str| value.replace('\'', r#"'"'"'"#);
    assert_would_be_misread(Format::Systemd, &refused(Format::Systemd), |value| format!("V0000='{}'\n", quoted(value)));
}

#[test]
fn sh_compose_json_and_dir_refuse_nothing_but_a_nul_in_a_file() {
    for value in hostile::corpus() {
        for format in [Format::Json, Format::Dir] {
            assert_eq!(format.check("V0000", &value), Ok(()));
        }
        for format in [Format::Sh, Format::Compose] {
            assert_eq!(format.check("V0000", &value).is_ok(), !value.contains('\0'), "{format} {value:.99?}");
        }
    }
}
