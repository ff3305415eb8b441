//! Commands that cannot be run here: their syntax, and that the programs' own help, or the project, knows what they name.

use std::path::Path;
use std::process::{Command, Output};

use vault_exec::cli::definitions;

use super::{ROOT, document};
use crate::support::readers::missing;

/// Folders of the project; a word that begins so is a file in it.
const FOLDERS: [&str; 7] = ["deploy/", "docs/", "examples/", "fuzz/", "src/", "tests/", ".ci/"];

/// Panics where something in the commands is not as it should be.
pub(super) fn check(name: &str, script: &str) {
    let parsed = Command::new("sh").args(["-n", "-c", script]).output().expect("a shell runs");
    assert!(parsed.status.success(), "{name}: {}", String::from_utf8_lossy(&parsed.stderr));
    let script = script.replace("\\\n", " ");
    for command in script.split(['\n', '|', ';', '(', ')']).flat_map(|line| line.split("&&")) {
        let words: Vec<_> = command.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        let is_setting = |word: &&&str| word.contains('=') && !word.starts_with('-');
        let words = &words[words.iter().take_while(is_setting).count()..];
        let Some((program, rest)) = words.split_first() else { continue };
        files(name, words);
        // What stands after `--` is another command.
        let end = rest.iter().position(|word| *word == "--").unwrap_or(rest.len());
        match Path::new(program).file_name().and_then(|it| it.to_str()) {
            Some("vault-exec") => own_flags(name, &rest[..end]),
            Some("bao" | "vault") => flags_of(name, &bao(), "-", &rest[..end], &["-h"]),
            Some("kubectl") => flags_of(name, "kubectl", "--", &rest[..end], &["--help"]),
            Some("just") => recipes(name, rest),
            _ => {}
        }
        if rest.get(end + 1).is_some_and(|word| word.ends_with("vault-exec")) {
            check(name, &rest[end + 1..].join(" "));
        }
    }
}

fn files(name: &str, words: &[&str]) {
    for word in words {
        let path = word.rsplit('=').next().unwrap_or_default();
        let is_ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
        assert!(!is_ours || Path::new(ROOT).join(path).exists(), "{name}: {path} is not there");
    }
}

fn own_flags(name: &str, words: &[&str]) {
    let ours = definitions();
    let flags: Vec<_> = ours.get_arguments().filter_map(|argument| argument.get_long()).collect();
    for flag in words.iter().filter_map(|word| word.strip_prefix("--")) {
        let flag = flag.split('=').next().unwrap_or_default();
        assert!(flags.contains(&flag) || ["help", "version"].contains(&flag), "{name}: vault-exec has no --{flag}");
    }
}

fn recipes(name: &str, words: &[&str]) {
    let recipes = document("justfile");
    for word in words.iter().filter(|word| !word.contains('=') && !word.starts_with(|c: char| c.is_ascii_digit())) {
        let known = |line: &str| line.strip_prefix(word).is_some_and(|rest| rest.starts_with([':', ' ']));
        assert!(recipes.lines().any(known), "{name}: no recipe {word}");
    }
}

fn bao() -> String {
    Path::new(ROOT).join("target/tools/bin/bao").display().to_string()
}

/// Asks the program for help about its subcommand, which has to know every flag.
fn flags_of(name: &str, program: &str, dash: &str, words: &[&str], help: &[&str]) {
    let ask = |words: &[&str]| Command::new(program).args(words).args(help).env_clear().envs(path()).output();
    if ask(&[]).is_err() {
        // Nothing installs kubectl, which is large and checks little here.
        let _ = program == "kubectl" || missing(program);
        return;
    }
    let flags = words.iter().filter(|word| word.len() > 1 && word.starts_with('-'));
    let flags: Vec<_> = flags.map(|word| word.split('=').next().unwrap_or_default()).collect();
    // Words before the first one that is no subcommand; a flag's value can stand between.
    let plain: Vec<_> = words.iter().filter(|word| word.chars().all(|c| c.is_ascii_lowercase())).copied().collect();
    let text = |output: Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let about = |from: usize, length: usize| {
        let output = ask(plain.get(from..from + length)?).ok().filter(|output| output.status.success())?;
        Some(text(output)).filter(|text| flags.iter().all(|flag| knows(text, flag, dash) || global(program, flag)))
    };
    let places = (0..plain.len()).flat_map(|from| [(from, 2), (from, 1)]);
    let found = places.into_iter().any(|(from, length)| about(from, length).is_some());
    assert!(found, "{name}: {program} does not know {words:?}");
}

fn path() -> Option<(&'static str, std::ffi::OsString)> {
    std::env::var_os("PATH").map(|path| ("PATH", path))
}

/// Whether the help has this flag, or its long form.
fn knows(help: &str, flag: &str, dash: &str) -> bool {
    let short = flag.len() == 2 && dash == "--" && help.contains(&format!("{flag}, --"));
    short
        || help.split_whitespace().any(|word| word.split('=').next().unwrap_or_default().trim_end_matches(',') == flag)
}

/// A flag of kubectl that all its commands have.
fn global(program: &str, flag: &str) -> bool {
    program == "kubectl" && ["--namespace", "-n", "--context"].contains(&flag)
}
