//! What is installed for the build and the tests: each by a version and a hash that stand in the source; and what is
//! known against the crates.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::system::files;

/// What installs something.
const SCRIPTS: [&str; 9] = [
    ".ci/run",
    "deploy/Dockerfile",
    "deploy/dist",
    "fuzz/run",
    "justfile",
    "tests/audit",
    "tests/image",
    "tests/install-tools",
    "tests/reproducible",
];

fn source(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The commands of the scripts, one a line, each with its script; comments are none.
fn commands() -> Vec<(&'static str, String)> {
    let lines = |name| {
        let text = source(name).replace("\\\n", " ");
        let lines: Vec<_> = text.lines().map(str::trim).filter(|it| !it.starts_with('#')).map(str::to_owned).collect();
        lines.into_iter().map(move |line| (name, line))
    };
    SCRIPTS.into_iter().flat_map(lines).collect()
}

/// The commands with this in them; there is one at least.
fn with(part: &str) -> Vec<(&'static str, String)> {
    let found: Vec<_> = commands().into_iter().filter(|(_, line)| line.contains(part)).collect();
    assert!(!found.is_empty(), "{part}");
    found
}

#[test]
fn every_python_package_is_installed_with_its_hash() {
    for (script, line) in with("pip install") {
        assert!(line.contains("--require-hashes") && line.contains("--requirement "), "{script}: {line}");
    }
    let listed = source("tests/tools/requirements.txt").replace("\\\n", " ");
    let mut hashed = BTreeMap::new();
    for line in listed.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once("==").unwrap_or_else(|| panic!("{line}"));
        let mut words = rest.split_whitespace();
        hashed.insert(name.to_owned(), words.next().unwrap().to_owned());
        let lengths: Vec<_> = words.map(|word| word.strip_prefix("--hash=sha256:").unwrap_or_default().len()).collect();
        assert!(!lengths.is_empty() && lengths.iter().all(|it| *it == 64), "{line}");
    }
    let wanted = source("tests/tools/requirements.in");
    for line in wanted.lines().filter(|line| !line.starts_with('#')) {
        let (name, version) = line.split_once("==").unwrap();
        let name = name.split('[').next().unwrap();
        assert_eq!(hashed.get(name).map(String::as_str), Some(version), "{name}: requirements.txt is to be renewed");
    }
}

#[test]
fn every_npm_package_is_installed_with_its_hash() {
    for (script, line) in with("npm ") {
        assert!(line.starts_with("npm ci "), "{script}: {line}");
    }
    let [lock, wanted] = ["package-lock.json", "package.json"].map(|it| source(&format!("tests/tools/{it}")));
    let [lock, wanted]: [Value; 2] = [lock, wanted].map(|it| serde_json::from_str(&it).unwrap());
    assert_eq!(lock["packages"][""]["dependencies"], wanted["dependencies"]);
    let packages = lock["packages"].as_object().unwrap();
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        assert!(package["integrity"].as_str().is_some_and(|it| it.starts_with("sha512-")), "{name}");
        // Where it comes from is the machine's own affair.
        assert_eq!(package["resolved"], Value::Null, "{name}");
    }
    assert!(packages.len() > 1);
}

#[test]
fn every_program_that_cargo_installs_has_its_version_and_its_lock_file() {
    let exactly = |word: &str| {
        let version = word.trim_matches('"').split_once('@').map(|(_, version)| version);
        version
            .is_some_and(|it| it.starts_with('$') || it.split('.').filter_map(|it| it.parse::<u32>().ok()).count() == 3)
    };
    for (script, line) in with("cargo install ") {
        assert!(line.contains("--locked"), "{script}: {line}");
        let known = line.split_whitespace().any(|word| exactly(word) || word == "\"$crate\"");
        assert!(known || line.contains("--path"), "{script}: {line}");
    }
    let list = source("tests/install-tools");
    let list = list.lines().find_map(|line| line.strip_prefix("for crate in ")).unwrap().trim_end_matches("; do");
    assert!(list.split(' ').all(exactly), "{list}");
}

#[test]
fn every_go_module_is_built_with_its_sums() {
    let modules: Vec<_> = with("go build").into_iter().map(|(_, line)| line).collect();
    for module in ["tests/admission", "tests/readers"] {
        assert!(modules.iter().any(|line| line.contains(&format!("cd {module} "))), "{module}");
        let sums = source(&format!("{module}/go.sum"));
        let required = source(&format!("{module}/go.mod"));
        let required = required.lines().map(|line| line.trim_start().trim_start_matches("require "));
        let required = required.filter_map(|line| line.split_once(" v")).filter(|(name, _)| name.contains('.'));
        for (name, version) in required {
            let version = version.split(' ').next().unwrap();
            assert!(sums.lines().any(|line| line.starts_with(&format!("{name} v{version} h1:"))), "{name} {version}");
        }
    }
    assert!(modules.iter().all(|line| !line.contains("-mod")), "{modules:?}");
}

/// A tag can be moved, but at least it is one.
#[test]
fn every_image_is_named_with_a_version() {
    let mut images = 0;
    for (name, _) in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")) {
        let text = source(&format!("deploy/{name}"));
        let words = text.split(|it: char| it.is_whitespace() || it == '"' || it == '=');
        for image in words.filter(|it| it.starts_with("docker.io/") || it.starts_with("registry.example/")) {
            // Kustomize has name and tag apart.
            let is_name = text.contains(&format!("ame: {image}\n"));
            let tag = image.rsplit_once(':').map(|(_, tag)| tag);
            assert!(is_name || image.contains("@sha256:") || tag.is_some_and(|it| it.contains('.')), "{name}: {image}");
            images += 1;
        }
    }
    assert!(images > 5, "{images}");
}

/// `tests/audit` with a stand-in for cargo-deny, which shows what it is given and ends with this code.
fn audit(arguments: &[&str], code: u8) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let stand_in = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo cargo-deny 0.20.2 && exit\necho \"deny $*\" | sed 's|/tmp[^ ]*/||'\n\
         while [ \"$1\" ] && [ \"$1\" != --config ]; do shift; done\n\
         [ -z \"$2\" ] || git -C \"$(sed -n 's/^db-path = \"\\(.*\\)\"/\\1/p' \"$2\")/advisory-db-3157b0e258782691\" \
         log -1 --format=%s\n[ -z \"$2\" ] || exit {code}\n"
    );
    for (name, text) in [("cargo-deny", stand_in.as_str()), ("cargo", "#!/bin/sh\n")] {
        fs::write(file(name), text).unwrap();
        fs::set_permissions(file(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit"));
    script.args(arguments).env("PATH", format!("{}:/usr/bin:/bin", folder.path().display())).env_remove("ADVISORY_DB");
    script.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn advisories_that_nobody_checked_are_said_to_be_unchecked() {
    let output = audit(&[], 0);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = "deny --offline --workspace check bans licenses sources\n\
                 advisories: NOT CHECKED, no clone of the RustSec advisory database is named\n";
    assert_eq!(text(&output.stdout), lines);
    let other = tempfile::tempdir().unwrap();
    let output = audit(&[other.path().to_str().unwrap()], 0);
    let line = format!("audit: {} is not a clone of the RustSec advisory database\n", other.path().display());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), line));
}

#[test]
fn advisories_are_checked_against_the_clone_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=x", "-c", "user.email=x"]).args(arguments).current_dir(folder.path());
        let output = command.env("GIT_COMMITTER_DATE", "2026-01-31T00:00:00Z").output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    fs::create_dir(folder.path().join("crates")).unwrap();
    fs::write(folder.path().join("crates/one.md"), "").unwrap();
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message=the database"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let named = [folder.path().to_str().unwrap()];

    let checked = |manifest: &str| {
        format!(
            "deny --offline --workspace --manifest-path {manifest} --config deny.toml check advisories\nthe database\n"
        )
    };
    let first = format!("deny --offline --workspace check bans licenses sources\n{}", checked("Cargo.toml"));
    let last = format!("advisories: checked against the RustSec database at {} of 2026-01-31\n", commit.trim_end());
    let output = audit(&named, 0);
    assert_eq!(text(&output.stdout), [&first, &checked("fuzz/Cargo.toml"), &last].map(String::as_str).concat());
    assert!(output.status.success(), "{}", text(&output.stderr));

    // What is found ends it.
    let output = audit(&named, 4);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(4), first));
}
