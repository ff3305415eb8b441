//! What a release consists of, as `deploy/dist` leaves it in target/dist: the program alone, with its manual, and as a
//! package for Debian, the bill of materials and the sums. And who may make a release.

use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use vault_testkit::{missing, tally};

use crate::support::crates;
use crate::support::system::{files, names};

pub(super) const FILES: &[&str] = &["copyright", "dist", "lintian-overrides", "release", "sbom"];

const SOURCE: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `deploy/dist` has left; `None` where it has not run.
fn dist(test: &str) -> Option<PathBuf> {
    let dist = Path::new(SOURCE).join("target/dist");
    if !dist.join("SHA256SUMS").is_file() && !missing("target/dist; `just dist` makes it") {
        tally::note("skipped", test);
        return None;
    }
    Some(dist)
}

/// A tool that has to be on the system.
fn has(test: &str, tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there && !missing(tool) {
        tally::note("skipped", test);
    }
    there
}

/// Runs it to an end that has to be a good one; what it printed.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn archive() -> String {
    format!("vault-exec-{VERSION}-{ARCH}-linux")
}

/// The package for Debian and a tool that reads it; `None` where there is none.
fn package(test: &str) -> Option<PathBuf> {
    let dist = dist(test)?;
    has(test, "dpkg").then_some(())?;
    let architecture = done(Command::new("dpkg").arg("--print-architecture"));
    Some(dist.join(format!("vault-exec_{VERSION}-1_{}.deb", architecture.trim())))
}

fn unpacked(package: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    done(Command::new("dpkg-deb").arg("--extract").args([package, folder.path()]));
    folder
}

/// Names and permissions of the files below a folder.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    files(folder).into_iter().map(|(name, metadata)| (name, mode(&metadata))).collect()
}

fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o7777
}

fn listed(files: &[(&str, u32)]) -> Vec<(String, u32)> {
    files.iter().map(|(name, mode)| ((*name).to_owned(), *mode)).collect()
}

#[test]
fn each_file_of_the_distribution_is_taken_by_what_reads_it() {
    let test = "each_file_of_the_distribution_is_taken_by_what_reads_it";
    let Some(package) = package(test) else { return };
    let unpacked = unpacked(&package);
    let packed: Vec<_> = files(unpacked.path()).into_iter().map(|(name, _)| unpacked.path().join(name)).collect();
    for file in FILES {
        let path = super::deploy(file);
        let content = fs::read_to_string(&path).unwrap();
        match content.lines().next() {
            Some("#!/usr/bin/env bash") => drop(done(Command::new("bash").arg("-n").arg(&path))),
            Some("#!/usr/bin/env python3") => {
                let parse = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
                done(Command::new("python3").args(["-c", parse]).arg(&path));
            }
            _ => {
                let is_packed = packed.iter().any(|it| fs::read(it).unwrap() == content.as_bytes());
                assert!(is_packed, "{file} is not in the package; `just dist` renews it");
            }
        }
    }
}

#[test]
fn the_sums_are_those_of_all_files() {
    let Some(dist) = dist("the_sums_are_those_of_all_files") else { return };
    let there: BTreeSet<_> = names(&dist).into_iter().collect();
    let architecture = done(Command::new("dpkg").arg("--print-architecture"));
    let expected = [
        "SHA256SUMS".to_owned(),
        archive(),
        format!("{}.tar.gz", archive()),
        format!("vault-exec-{VERSION}.cdx.json"),
        format!("vault-exec_{VERSION}-1_{}.deb", architecture.trim()),
    ];
    assert_eq!(there, expected.iter().cloned().collect());
    let good: Vec<_> = expected[1..].iter().map(|name| format!("{name}: OK")).collect();
    let checked = done(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dist));
    assert_eq!(checked.lines().collect::<Vec<_>>(), good);
}

#[test]
fn the_archive_holds_the_program_its_manual_and_its_licences() {
    let Some(dist) = dist("the_archive_holds_the_program_its_manual_and_its_licences") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = dist.join(format!("{}.tar.gz", archive()));
    done(Command::new("tar").args(["--extract", "--gzip", "--file"]).arg(path).arg("--directory").arg(folder.path()));
    assert_eq!(names(folder.path()), [archive()]);
    let expected = listed(&[
        ("CHANGELOG.md", 0o644),
        ("LICENSE-APACHE", 0o644),
        ("LICENSE-MIT", 0o644),
        ("README.md", 0o644),
        ("completions/_vault-exec", 0o644),
        ("completions/vault-exec.bash", 0o644),
        ("completions/vault-exec.fish", 0o644),
        ("vault-exec", 0o755),
        ("vault-exec.1", 0o644),
    ]);
    assert_eq!(modes(&folder.path().join(archive())), expected);
    let program = folder.path().join(archive()).join("vault-exec");
    assert!(fs::read(&program).unwrap() == fs::read(dist.join(archive())).unwrap());
    assert_eq!(done(Command::new(program).arg("--version")), format!("vault-exec {VERSION}\n"));
}

#[test]
fn the_image_holds_the_very_program_of_the_release() {
    let Some(dist) = dist("the_image_holds_the_very_program_of_the_release") else { return };
    let image = Path::new(SOURCE).join("target/image/root/vault-exec");
    if !image.is_file() && !missing("target/image; `just image` makes it") {
        return tally::note("skipped", "the_image_holds_the_very_program_of_the_release");
    }
    let same = fs::read(image).unwrap() == fs::read(dist.join(archive())).unwrap();
    assert!(same, "they are built with other flags, or of other sources: `just image dist` renews both");
}

#[test]
fn the_package_holds_what_debian_expects_where_it_expects_it() {
    let Some(package) = package("the_package_holds_what_debian_expects_where_it_expects_it") else { return };
    let expected = listed(&[
        ("usr/bin/vault-exec", 0o755),
        ("usr/share/bash-completion/completions/vault-exec", 0o644),
        ("usr/share/doc/vault-exec/README.md", 0o644),
        ("usr/share/doc/vault-exec/changelog.Debian.gz", 0o644),
        ("usr/share/doc/vault-exec/changelog.gz", 0o644),
        ("usr/share/doc/vault-exec/copyright", 0o644),
        ("usr/share/fish/vendor_completions.d/vault-exec.fish", 0o644),
        ("usr/share/lintian/overrides/vault-exec", 0o644),
        ("usr/share/man/man1/vault-exec.1.gz", 0o644),
        ("usr/share/zsh/vendor-completions/_vault-exec", 0o644),
    ]);
    assert_eq!(modes(unpacked(&package).path()), expected);

    let control = done(Command::new("dpkg-deb").arg("--field").arg(&package));
    // The size, and which C library it was built with.
    let fixed: Vec<_> = control.lines().filter(|line| !line.starts_with("Installed-Size: ")).collect();
    let (architecture, depends) = (fixed[2], fixed[6]);
    assert!(architecture.starts_with("Architecture: "), "{control}");
    assert!(depends.starts_with("Depends: libc6 (>= 2.") && !depends.contains(','), "{control}");
    let version = format!("Version: {VERSION}-1");
    let description = format!("Description: {}", env!("CARGO_PKG_DESCRIPTION"));
    let head = [
        "Package: vault-exec",
        &version,
        architecture,
        "Section: admin",
        "Priority: optional",
        "Maintainer: The vault-exec authors <vault-exec@registry.example>",
        depends,
        &description,
    ];
    assert_eq!(fixed[..head.len()], head);
}

#[test]
fn lintian_has_nothing_against_the_package() {
    let test = "lintian_has_nothing_against_the_package";
    let Some(package) = package(test).filter(|_| has(test, "lintian")) else { return };
    // It says on standard error that it does not like to be root.
    assert_eq!(done(Command::new("lintian").args(["--tag-display-limit", "0"]).arg(&package)), "");
}

#[test]
fn the_package_is_installed_and_removed_again_without_a_trace() {
    let Some(package) = package("the_package_is_installed_and_removed_again_without_a_trace") else { return };
    let root = tempfile::tempdir().unwrap();
    for folder in ["info", "updates"] {
        fs::create_dir_all(root.path().join("var/lib/dpkg").join(folder)).unwrap();
    }
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        // The root holds no C library that the package could depend on.
        command.arg(format!("--root={}", root.path().display())).args(["--force-depends", "--log=/dev/null"]);
        done(command.args(arguments))
    };
    let before = names(root.path());
    dpkg(&["--install", package.to_str().unwrap()]);
    let program = root.path().join("usr/bin/vault-exec");
    assert_eq!(done(Command::new(program).arg("--version")), format!("vault-exec {VERSION}\n"));
    dpkg(&["--purge", "vault-exec"]);
    assert_eq!(names(root.path()), before);
    assert_eq!(names(&root.path().join("var/lib/dpkg/info")), ["format"]);
}

/// Name and version of each crate whose scope is one of these.
fn components(bill: &Value, scopes: &[&str]) -> BTreeSet<String> {
    let components = bill["components"].as_array().unwrap().iter().filter(|it| !is_runtime(it));
    let wanted = components.filter(|it| scopes.contains(&it["scope"].as_str().unwrap()));
    wanted.map(|it| format!("{} v{}", it["name"].as_str().unwrap(), it["version"].as_str().unwrap())).collect()
}

/// Whether it is no crate, but what the compilers link in.
fn is_runtime(component: &Value) -> bool {
    component["purl"].as_str().unwrap().starts_with("pkg:generic/")
}

fn bill_of_materials(test: &str) -> Option<PathBuf> {
    dist(test).map(|dist| dist.join(format!("vault-exec-{VERSION}.cdx.json")))
}

#[test]
fn the_bill_of_materials_lists_the_crates_of_the_binary() {
    let Some(path) = bill_of_materials("the_bill_of_materials_lists_the_crates_of_the_binary") else { return };
    let written = fs::read_to_string(&path).unwrap();
    assert!(!written.contains("file:"), "a folder of the machine that made it");
    let bill: Value = serde_json::from_str(&written).unwrap();
    let renew = "`just dist` renews it";
    assert_eq!(components(&bill, &["required"]), crates::built(crates::LINKED), "{renew}");
    // What compiles them is not in the binary, and said to be excluded from it.
    assert_eq!(components(&bill, &["required", "excluded"]), crates::built("normal,build"), "{renew}");
    assert_eq!(bill["metadata"]["component"]["bom-ref"], format!("pkg:cargo/vault-exec@{VERSION}"));
    let runtimes = bill["components"].as_array().unwrap().iter().filter(|it| is_runtime(it));
    let runtimes: Vec<_> = runtimes.map(|it| (it["name"].as_str().unwrap(), it["scope"].as_str().unwrap())).collect();
    assert_eq!(runtimes, [("glibc", "required"), ("libgcc", "required"), ("rust-std", "required")], "{renew}");
}

#[test]
fn the_bill_of_materials_is_valid() {
    let test = "the_bill_of_materials_is_valid";
    let Some(path) = bill_of_materials(test) else { return };
    let python = super::installed("python3");
    let validate = "import sys; from cyclonedx.schema import SchemaVersion; \
        from cyclonedx.validation.json import JsonStrictValidator; \
        sys.exit(JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read()))";
    let output = Command::new(python).args(["-c", validate]).arg(path).output();
    let said = output.map_or_else(|error| error.to_string(), |it| String::from_utf8(it.stderr).unwrap());
    if (said.contains("ModuleNotFoundError") || said.contains("os error 2"))
        && !missing("cyclonedx-python-lib[json-validation]; tests/install-tools installs it")
    {
        return tally::note("skipped", test);
    }
    assert_eq!(said, "");
}

/// What an older release says.
const OLDER: &str = "- Advisories were checked against the RustSec database at 0122 of 2025-12-31.";

/// Runs `deploy/release` in a repository where the newest changes are told under this heading, and where making the
/// files is only said.
fn release(heading: &str, committed: bool) -> Output {
    let checked = "- Advisories were checked against the RustSec database at 0123 of 2026-01-31.";
    release_with(&format!("{heading}\n\n{checked}"), committed)
}

fn release_with(changes: &str, committed: bool) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    fs::create_dir(file("deploy")).unwrap();
    fs::copy(super::deploy("release"), file("deploy/release")).unwrap();
    fs::write(file("deploy/dist"), "#!/bin/sh\necho \"made in $1\"\n").unwrap();
    fs::set_permissions(file("deploy/dist"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(file("Cargo.toml"), "[package]\nversion = \"1.2.3\"\n\n[other]\nversion = \"9.9.9\"\n").unwrap();
    fs::write(file("CHANGELOG.md"), format!("# Changelog\n\n## {changes}\n\n## [1.2.2] - 2026-01-01\n\n{OLDER}\n"))
        .unwrap();
    let git = |arguments: &[&str]| done(Command::new("git").args(arguments).current_dir(folder.path()));
    git(&["init", "--quiet"]);
    if committed {
        git(&["add", "--all"]);
        git(&["-c", "user.name=x", "-c", "user.email=x", "commit", "--quiet", "--message=x"]);
    }
    Command::new(file("deploy/release")).output().unwrap()
}

#[test]
fn a_release_is_made_of_what_is_committed_and_told_only() {
    let outcome = |output: Output| {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let made = outcome(release("[1.2.3] - 2026-02-01", true));
    assert_eq!(made, (Some(0), "made in target/release-1.2.3\n".into(), String::new()));
    let refused = |message: &str| (Some(1), String::new(), format!("release: {message}\n"));
    let message = "CHANGELOG.md begins with Unreleased, Cargo.toml says 1.2.3; make them agree";
    assert_eq!(outcome(release("[Unreleased]", true)), refused(message));
    let message = "CHANGELOG.md does not say for 1.2.3 what advisories were checked against; run `just audit FOLDER`";
    assert_eq!(outcome(release_with("[1.2.3] - 2026-02-01", true)), refused(message));
    let message = "there are changes that are not committed; commit or remove them";
    assert_eq!(outcome(release("[1.2.3] - 2026-02-01", false)), refused(message));
}

/// A word that nobody meant for a folder makes none.
#[test]
fn what_makes_a_release_tells_how_it_is_used_and_makes_nothing_of_other_words() {
    for (script, words) in [("dist", &["--help", "--all"][..]), ("release", &["--help", "1.2.3"])] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deploy").join(script);
        fs::create_dir(folder.path().join("deploy")).unwrap();
        fs::copy(super::deploy(script), &file).unwrap();
        let [asked, refused] = [words[0], words[1]].map(|word| Command::new(&file).arg(word).output().unwrap());
        let usage = String::from_utf8(asked.stdout).unwrap();
        assert!(asked.status.success() && usage.starts_with(&format!("usage: deploy/{script}")), "{usage}");
        assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(64), b"".as_slice()), "{script}");
        assert_eq!(names(folder.path()), ["deploy"], "{script}");
    }
}
