//! The documents say what the code does: tables, flags, links, commands, manifests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use vault_exec::cli::{EXIT_CODES, definitions};
use vault_exec::config::setting::{self, Setting};

use crate::support::readers::missing;
use crate::support::scenario::Scenario;
use crate::support::server::{Kind, Server};
use crate::support::system::example;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The rows of the table with this heading, each as its cells.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let lines = document.lines().skip_while(|line| *line != heading).skip(2);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The contents of the code blocks in this language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    document.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_settings_table_is_that_of_the_code() {
    let row = |setting: &&Setting| {
        let flag = setting.flag.map(|flag| format!(" / `--{flag}`")).unwrap_or_default();
        let alias = setting.aliases.first().map(|alias| format!(" (alias `{alias}`)")).unwrap_or_default();
        let default = if setting.default == "-" { "–".to_owned() } else { format!("`{}`", setting.default) };
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
fn every_flag_stands_in_the_readme_and_no_other() {
    let readme = document("README.md");
    let ours = definitions();
    let flags: BTreeSet<_> = ours.get_arguments().filter_map(|argument| argument.get_long()).collect();
    let unsaid: Vec<_> = flags.iter().filter(|flag| !readme.contains(&format!("--{flag}"))).collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
    let words = readme.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let mentioned =
        words.filter_map(|word| word.strip_prefix("--")).filter(|word| word.starts_with(char::is_alphabetic));
    // Those of the application, of cargo and of clap.
    let others = ["port", "example", "release", "path", "help", "version"];
    let unknown: Vec<_> = mentioned.filter(|word| !flags.contains(word) && !others.contains(word)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = document(name);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.starts_with("https://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { name } else { file };
            assert!(Path::new(ROOT).join(file).exists(), "{name}: {target}");
            let slug = |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
            let known = |line: &str| line.starts_with('#') && slug(line) == heading;
            assert!(heading.is_empty() || document(file).lines().any(known), "{name}: {target}");
        }
    }
}

#[test]
fn every_crate_of_the_release_binary_has_a_reason() {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["tree", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}", "--target"];
    let tree = Command::new(env!("CARGO")).args(arguments).arg(target).current_dir(ROOT).output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let contributing = document("CONTRIBUTING.md");
    let rows = table(&contributing, "| crate | for | why this one | bytes | kept by |");
    let named: BTreeSet<_> =
        rows.iter().flat_map(|row| row[0].split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')).collect();
    let crates: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let unsaid: Vec<_> = crates.iter().filter(|name| **name != "vault-exec" && !named.contains(**name)).collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}

/// Runs a command of the README as its reader would, with the program in PATH and a Vault at hand.
fn followed(command: &str) -> Output {
    let server = Server::shared(Kind::Embedded).unwrap();
    let scenario = Scenario::new(server).secret(&json!({"DATABASE_URL": "postgres://db/shop"})).kubernetes();
    let programs = Path::new(env!("CARGO_BIN_EXE_vault-exec")).parent().unwrap();
    let path = std::env::join_paths([programs, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", command]).env_clear().env("PATH", path).current_dir(scenario.file("."));
    if command.contains("--check") {
        shell.envs(scenario.given_env());
    }
    shell.output().unwrap()
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let readme = document("README.md");
    let mut commands: Vec<_> = blocks(&readme, "sh").into_iter().flat_map(str::lines).collect();
    commands.retain(|command| match *command {
        // This is it.
        "cargo test" => false,
        // What cargo would start.
        "cargo run --example quickstart" => {
            let shown = Command::new(example("quickstart")).output().unwrap();
            let (said, log) = (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
            assert!(shown.status.success(), "{log}");
            for line in ["DATABASE_URL=post…", "POST auth/token/revoke-self -> 204", "(exit code 66)", "(exit code 75)"]
            {
                assert!(said.contains(line), "{line} in {said}");
            }
            assert!(log.contains("missing: SMTP_HOST") && log.contains("sealed (0 of 1 keys given)"), "{log}");
            false
        }
        _ => true,
    });
    assert_eq!(commands.len(), 3);
    for command in commands {
        let output = followed(command);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty(), "{command}");
    }
}

#[test]
fn the_manifests_of_the_readme_are_valid_where_they_are_said_to_be() {
    let validate = Path::new(ROOT).join("target/tools/bin/kubernetes-validate");
    if !validate.exists() && !missing("kubernetes-validate in target/tools") {
        return;
    }
    let readme = document("README.md");
    let manifests = blocks(&readme, "yaml");
    assert_eq!(manifests.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    for manifest in manifests {
        let file = folder.path().join("manifest.yaml");
        fs::write(&file, manifest).unwrap();
        let versions: &[&str] =
            if manifest.contains("fileKeyRef") { &["1.35.0", "1.37.0"] } else { &["1.34.0", "1.37.0"] };
        for version in versions {
            let output = Command::new(&validate).args(["--version", version, "--strict"]).arg(&file).output().unwrap();
            assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
}
