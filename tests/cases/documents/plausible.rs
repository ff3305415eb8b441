//! Commands that cannot be run here: their syntax, and that the programs' own help, or the project, knows what they name.

use std::path::Path;
use std::process::{Command, Output};

use vault_exec::cli::definitions;
use vault_testkit::{missing, tools};

use super::{ROOT, document};

/// Folders of the project; a word that begins so is a file in it.
const FOLDERS: [&str; 7] = ["deploy/", "docs/", "examples/", "fuzz/", "src/", "tests/", ".ci/"];

/// Says what is not as it should be in the commands.
pub(super) fn check(script: &str) -> Result<(), String> {
    let parsed = Command::new("sh").args(["-n", "-c", script]).output().map_err(|error| error.to_string())?;
    ensure(parsed.status.success(), || text(&parsed))?;
    let script = script.replace("\\\n", " ");
    let commands = script.split(['\n', '|', ';', '(', ')']).flat_map(|line| line.split("&&"));
    commands.into_iter().try_for_each(|command| {
        let words: Vec<_> = command.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        one(&words)
    })
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A single command with what stands before it.
fn one(words: &[&str]) -> Result<(), String> {
    let before = |word: &&&str| matches!(**word, "exec" | "sudo") || word.contains('=') && !word.starts_with('-');
    let words = &words[words.iter().take_while(before).count()..];
    files(words)?;
    let Some((program, rest)) = words.split_first() else { return Ok(()) };
    // What stands after `--` is another command.
    let end = rest.iter().position(|word| *word == "--").unwrap_or(rest.len());
    match Path::new(program).file_name().and_then(|it| it.to_str()) {
        Some("vault-exec") => own_flags(&rest[..end])?,
        Some("bao" | "vault") => subcommand(&bao(), &rest[..end], "-h")?,
        Some("kubectl") => kubectl(&rest[..end])?,
        Some("just") => recipes(rest)?,
        _ => {}
    }
    one(rest.get(end + 1..).unwrap_or_default())
}

fn files(words: &[&str]) -> Result<(), String> {
    words.iter().try_for_each(|word| {
        let path = word.rsplit('=').next().unwrap_or_default();
        let is_ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
        ensure(!is_ours || Path::new(ROOT).join(path).exists(), || format!("{path} is not there"))
    })
}

fn own_flags(words: &[&str]) -> Result<(), String> {
    let ours = definitions();
    let flags: Vec<_> = ours.get_arguments().filter_map(|argument| argument.get_long()).collect();
    words.iter().filter_map(|word| word.strip_prefix("--")).try_for_each(|flag| {
        let flag = flag.split('=').next().unwrap_or_default();
        ensure(flags.contains(&flag) || ["help", "version"].contains(&flag), || format!("vault-exec has no --{flag}"))
    })
}

fn recipes(words: &[&str]) -> Result<(), String> {
    let recipes = document("justfile");
    let names = words.iter().filter(|word| !word.contains('=') && !word.starts_with(|c: char| c.is_ascii_digit()));
    names.into_iter().try_for_each(|name| {
        let known = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', ' ']));
        ensure(recipes.lines().any(known), || format!("no recipe {name}"))
    })
}

fn bao() -> String {
    tools().join("bin/bao").display().to_string()
}

/// Its subcommand and flags, and that it can put the folder of `-k` together.
fn kubectl(words: &[&str]) -> Result<(), String> {
    subcommand("kubectl", words, "--help")?;
    let folder = words.iter().skip_while(|word| !matches!(**word, "-k" | "--kustomize")).nth(1);
    let Some(folder) = folder else { return Ok(()) };
    match Command::new("kubectl").arg("kustomize").arg(folder).current_dir(ROOT).output() {
        Ok(made) => ensure(made.status.success(), || text(&made)),
        Err(_) => Ok(()),
    }
}

/// Asks the program for help about its subcommand, which has to know every flag.
fn subcommand(program: &str, words: &[&str], help: &str) -> Result<(), String> {
    let ask = |words: &[&str]| Command::new(program).args(words).arg(help).output();
    if ask(&[]).is_err() {
        // Nothing installs kubectl, which is large and is asked for little here.
        let _ = program == "kubectl" || missing(program);
        return Ok(());
    }
    let flags = words.iter().filter(|word| word.len() > 1 && word.starts_with('-'));
    let flags: Vec<_> = flags.map(|word| word.split('=').next().unwrap_or_default()).collect();
    let plain = names_of(program, words);
    let about = |words: &[&str]| ask(words).ok().filter(|output| output.status.success()).map(|output| text(&output));
    // bao takes a word that it does not know for an argument, where it has subcommands too.
    let first = about(&plain[..plain.len().min(1)]).unwrap_or_default();
    let listed = |word: &&str| first.lines().any(|line| line.split_whitespace().next() == Some(word));
    let is_one = !first.contains("Subcommands:") || plain.get(1).is_none_or(listed);
    let knows_all = |about: &str| flags.iter().all(|flag| knows(about, flag) || is_global(program, flag));
    // `kubectl create secret tls` is three words deep.
    let mut deeper = [2, 3].into_iter().filter_map(|words| about(&plain[..plain.len().min(words)]));
    let known = !plain.is_empty() && is_one && deeper.any(|about| knows_all(&about));
    ensure(known, || format!("{program} does not know {words:?}"))
}

/// The words that can be a subcommand, behind flags that any of them has, with their values.
fn names_of<'a>(program: &str, words: &[&'a str]) -> Vec<&'a str> {
    let mut rest = words;
    while let Some(word) = rest.first().filter(|word| word.starts_with('-')) {
        rest = rest.get(if is_global(program, word) { 2 } else { 1 }..).unwrap_or_default();
    }
    rest.iter().take_while(|word| is_plain(word)).copied().collect()
}

/// Whether it can be a subcommand.
fn is_plain(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// Whether the help has this flag, by its long name or beside it.
fn knows(help: &str, flag: &str) -> bool {
    help.split_whitespace().any(|word| word.split('=').next().unwrap_or_default().trim_end_matches(',') == flag)
}

/// A flag of kubectl that all its commands have.
fn is_global(program: &str, flag: &str) -> bool {
    program == "kubectl" && ["--namespace", "-n", "--context"].contains(&flag)
}

#[test]
fn a_command_that_names_what_is_not_there_is_told() {
    for (good, bad) in [
        ("if true; then id; fi", "if true; then id"),
        ("cat docs/migrating.md", "cat docs/nothing.md"),
        ("A=1 vault-exec --check -- env", "A=1 vault-exec --chek -- env"),
        ("exec env -- vault-exec --keys=A env", "exec env -- vault-exec --kees=A env"),
        ("just chaos 300 10", "just chaoss 300 10"),
    ] {
        assert_eq!(check(good), Ok(()));
        assert!(check(bad).is_err(), "{bad}");
    }
    for (program, good, bad) in [
        (&*bao(), "bao policy read shop", "bao polcy read shop"),
        (&*bao(), "bao policy read shop", "bao policy reed shop"),
        (&*bao(), "bao kv get -mount=kv shop/prod", "bao kv get -mont=kv shop/prod"),
        ("kubectl", "kubectl -n shop get pods", "kubectl -n shop gett pods"),
        ("kubectl", "kubectl create secret tls a --cert=a --key=b", "kubectl create secret tls a --cart=a"),
        ("kubectl", "kubectl -n shop logs shop --previous", "kubectl -n shop apply -k tests"),
    ] {
        if Command::new(program).arg("--help").output().is_ok() {
            assert_eq!(check(good), Ok(()));
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
