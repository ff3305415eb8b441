//! Every error of the TLS library has its cause, and none is missing from the lists of `canned`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use super::canned::{alerts, all, certificates, errors, incompatible, messages, misbehaved, of_webpki};
use super::*;
use crate::fault::ErrorKind;
use crate::fault::Retry;

/// The source file of a crate as cargo has it here; `None` where there is none, which fails in CI.
fn source(package: &str, file: &str) -> Option<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--locked", "--offline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let found = || {
        let output = cargo.output().ok().filter(|output| output.status.success())?;
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let packages = metadata["packages"].as_array()?;
        let manifest = packages.iter().find(|it| it["name"] == package)?["manifest_path"].as_str()?;
        std::fs::read_to_string(PathBuf::from(manifest).with_file_name("src").join(file)).ok()
    };
    let text = { found }();
    if text.is_none() {
        assert!(std::env::var_os("CI").is_none_or(|value| value.is_empty()), "the source of {package} is not there");
        eprintln!("skipped: the source of {package} is not there");
    }
    text
}

/// The names of an enum's variants: the words that a line at its first level begins with.
fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(&format!("pub enum {name} {{")).expect("the enum");
    let mut depth = 0_i32;
    let mut found = BTreeSet::new();
    for line in body.lines() {
        let line = line.trim();
        let word: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
        if depth == 0 && line.starts_with('}') {
            break;
        }
        let code = if line.starts_with("//") || line.starts_with('#') { "" } else { line };
        if depth == 0 && code.starts_with(|c: char| c.is_ascii_uppercase()) {
            found.insert(word);
        }
        let count = |set: &[char]| i32::try_from(line.matches(set).count()).unwrap();
        depth += count(&['{', '(', '[']) - count(&['}', ')', ']']);
    }
    found
}

#[test]
fn the_lists_are_those_of_the_library() {
    let names = |list: Vec<&'static str>| list.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let listed = |kind: &str| match kind {
        "Error" => names(errors().into_iter().map(|it| it.0).collect()),
        "InvalidMessage" => names(messages().into_iter().map(|it| it.0).collect()),
        "PeerIncompatible" => names(incompatible().into_iter().map(|it| it.0).collect()),
        "PeerMisbehaved" => names(misbehaved().into_iter().map(|it| it.0).collect()),
        _ => names(certificates().into_iter().map(|it| it.0).collect()),
    };
    let Some(errors) = source("rustls", "error.rs") else { return };
    for kind in ["Error", "InvalidMessage", "PeerIncompatible", "PeerMisbehaved", "CertificateError"] {
        let mut found = variants(&errors, kind);
        // It holds a type that is private.
        assert_eq!(found.remove("UnsupportedKeyExchangeAlgorithm"), kind == "InvalidMessage");
        assert_eq!(found, listed(kind), "{kind}");
    }
    let Some(enums) = source("rustls", "enums.rs") else { return };
    let mut found = variants(&enums, "AlertDescription");
    found.insert("Unknown".to_owned());
    assert_eq!(found, names(alerts().into_iter().map(|it| it.0).collect()));
    let (Some(webpki), Some(translation)) = (source("rustls-webpki", "error.rs"), source("rustls", "webpki/mod.rs"))
    else {
        return;
    };
    // What rustls itself names, in the function that does so.
    let (_, body) = translation.split_once("fn pki_error(").expect("the function");
    let (body, _) = body.split_once("CertificateError::Other").expect("its last arm");
    let words: BTreeSet<&str> = body.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let mut found = variants(&webpki, "Error");
    found.retain(|name| !words.contains(name.as_str()));
    assert_eq!(found, names(of_webpki().into_iter().map(|it| it.0).collect()));
}

#[test]
fn every_error_has_a_plain_cause() {
    let scrubber = Scrubber::default();
    let mut shown = Vec::new();
    for (name, failed) in all() {
        let fault = fault(&failed, &scrubber);
        let said = fault.to_string();
        let code = if name.starts_with("FailedTo") { ErrorKind::System } else { ErrorKind::Tls };
        assert_eq!((fault.kind(), fault.retry, fault.status), (code, Retry::Never, None), "{name}");
        let own = name.rsplit([':', ' ']).next().unwrap();
        assert!(!said.contains(own) && !said.contains(['{', '}', '[']), "{name}: {said}");
        shown.push(format!("{name}: {said}"));
    }
    insta::assert_snapshot!("tls_causes", shown.join("\n"));
}
