//! What shells make of variables by their names: sourced from a file of format `sh`, and found in the environment at their
//! start. No name that means something to one of them is written, and none that is accepted gets code run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use vault_exec::secrets::name::{Verdict, judge};
use vault_exec::secrets::shell::{arithmetic_names, special_names};
use vault_exec::sink::format::Format;
use vault_testkit::raw::{READ, Raw, Reply};

use crate::support::expect::Expect;
use crate::support::scenario::Scenario;
use crate::support::shells::{Shell, environment, installed, words};

/// Subscripts that a shell evaluates; `path` is an array that zsh always has. The command needs no search.
const EVALUATED: [&str; 2] = ["a[$({folder}/run)]", "path[$({folder}/run)]"];

/// A folder with a program that leaves a mark behind.
struct Trap(tempfile::TempDir);

impl Trap {
    fn set() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let trap = Self(folder);
        fs::write(trap.0.path().join("run"), trap.filled("#!/bin/sh\n: >{folder}/mark\n")).expect("a file");
        fs::set_permissions(trap.0.path().join("run"), fs::Permissions::from_mode(0o755)).expect("a mode");
        trap
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{folder}", self.path().to_str().expect("a text"))
    }

    /// Whether it was run since it was last asked.
    fn was_run(&self) -> bool {
        fs::remove_file(self.path().join("mark")).is_ok()
    }

    /// What a command has in its environment that was started after `content` was sourced.
    fn source(&self, shell: &Shell, content: &[u8]) -> Vec<u8> {
        fs::write(self.path().join("app.env"), content).expect("a file");
        shell.run(". ./app.env && exec /usr/bin/env -0", &[("LC_ALL", "C.UTF-8")], self.path())
    }
}

#[test]
fn every_variable_that_a_shell_has_at_its_start_is_refused_by_sh() {
    for shell in installed() {
        let variables = shell.variables();
        assert!(variables.contains("PWD") || variables.contains("PATH"), "{:?}: {variables:?}", shell.words);
        let written: Vec<_> = variables.iter().filter(|name| Format::Sh.check(name, "v").is_ok()).collect();
        assert!(written.is_empty(), "{:?} has {written:?}", shell.words);
    }
}

#[test]
fn every_name_that_sh_takes_reaches_the_application_through_every_shell() {
    // Every word of the shells' programs, so that a variable that no manual names is among them.
    let mut names = words();
    names.extend(
        special_names()
            .flat_map(|name| [name.to_lowercase(), name.to_uppercase(), format!("{name}_"), format!("_{name}")]),
    );
    names.extend(["if", "then", "export", "readonly", "function", "in", "time", "a", "x", "name"].map(str::to_owned));
    names.retain(|name| Format::Sh.check(name, "v").is_ok());
    assert!(names.len() > 5000, "{}", names.len());
    let trap = Trap::set();
    for value in EVALUATED.map(|it| trap.filled(it)).into_iter().chain(["plain text".into(), "7".into()]) {
        // An environment holds only so much.
        for names in Vec::from_iter(&names).chunks(4000) {
            let variables: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
            let content = Format::Sh.render(&variables).expect("each of them passed");
            let content = content.bytes().expect("one file");
            for shell in installed() {
                let found = environment(&trap.source(&shell, content));
                let lost: Vec<_> = names.iter().filter(|name| found.get(name.as_str()) != Some(&value)).collect();
                assert!(lost.is_empty() && !trap.was_run(), "{:?} with {value} loses {lost:.9999?}", shell.words);
            }
        }
    }
}

/// Commands that have a shell look at its variables.
const SESSION: &str = "cd /\ncd /tmp\npushd /\npopd\n/bin/sleep 0\n(exit 3)\nread x </dev/null\nnosuchcommand\nfc -l\n\
                       select x in a; do break; done </dev/null\ngetopts a x\necho *\nexit\n";

#[test]
fn no_name_that_is_accepted_gets_code_run_by_a_shell_that_starts_with_it() {
    let names: BTreeSet<_> = special_names().filter(|name| judge(name, &[]) == Verdict::Good).collect();
    assert!(names.len() > 150, "{}", names.len());
    let trap = Trap::set();
    for value in ["{folder}/run", "$({folder}/run)", "`{folder}/run`", "{folder}/run;", EVALUATED[0], EVALUATED[1]] {
        let value = trap.filled(value);
        let variables: Vec<_> =
            names.iter().map(|name| (*name, value.as_str())).chain([("PATH", "/usr/bin:/bin")]).collect();
        for shell in installed() {
            shell.run(SESSION, &variables, trap.path());
            assert!(!trap.was_run(), "{:?} runs {value}", shell.words);
            shell.interact(SESSION, &variables, trap.path());
            assert!(!trap.was_run(), "{:?} runs {value} for somebody who types", shell.words);
        }
    }
}

/// Evaluated where the tests cannot go: by a mail check or a history, at a line editor's terminal, by an FTP client.
const UNSEEN: [&str; 8] = ["BAUD", "JOBMAX", "LINENO", "LISTMAX", "LOGCHECK", "PERIOD", "SHLVL", "ZFTP_TMOUT"];

#[test]
fn a_name_that_is_arithmetic_to_a_shell_runs_what_stands_in_its_value() {
    let trap = Trap::set();
    let shells = installed();
    let runs = |name: &str, value: &str| {
        let content = format!("export {name}='{value}'\n");
        shells.iter().any(|shell| {
            trap.source(shell, content.as_bytes());
            shell.interact(SESSION, &[(name, value), ("PATH", "/usr/bin:/bin")], trap.path());
            trap.was_run()
        })
    };
    let harmless: Vec<_> = arithmetic_names()
        .filter(|name| !UNSEEN.contains(name) && !EVALUATED.iter().any(|value| runs(name, &trap.filled(value))))
        .collect();
    // With fewer shells fewer are seen.
    assert!(harmless.is_empty() || shells.len() < 10, "why are these denied? {harmless:?}");
}

#[test]
fn no_permission_makes_sh_write_a_name_that_means_something_to_a_shell() {
    let names: BTreeSet<_> = special_names().collect();
    let secret: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!("a[$(id)]"))).collect();
    let raw = Raw::start([(READ, vec![Reply::secret(&Value::Object(secret).to_string())])]);
    let allowed = names.iter().copied().collect::<Vec<_>>().join(",");
    let scenario = Scenario::against(&raw).no_command().env("VAULT_ALLOW_NAMES", allowed);
    let scenario = scenario.options(["--env-file", "{folder}/app.env"]);
    let outcome = scenario.run();
    assert_eq!((outcome.code(), outcome.log().len()), (65, 1), "{}", outcome.describe());
    let beginning = "format sh cannot carry: ARGC (a name that means something to zsh), ARGV0 (a name that means something to \
                     zsh), A__z (a name that means something to ksh), BASH (a name that means something to bash), ";
    let more = names.len() - outcome.stderr.matches("(a name that means something to ").count();
    let end = format!(" and {more} more (rename the key with VAULT_KEYS=key:NAME; kubernetes, docker, ");
    assert!(outcome.stderr.contains(beginning) && outcome.stderr.contains(&end), "{}", outcome.stderr);
    assert!(!scenario.file("app.env").exists());
}

#[test]
fn names_that_a_shell_drops_are_warned_about_exactly_where_it_drops_them() {
    let secret = json!({"spring.datasource.password": "dotted-value", "a-b": "dashed-value", "PLAIN": "plain-value"});
    for shell in installed() {
        let raw = Raw::start([(READ, vec![Reply::secret(&secret.to_string())])]);
        let script = "exec /usr/bin/env -0";
        for by in ["it", "env", "script"] {
            let scenario = Scenario::against(&raw).env("VAULT_LOG_LEVEL", "warn").hides("value");
            let applet = if shell.words[0] == "/bin/busybox" { " sh" } else { "" };
            let line = format!("#!{}{applet}\n{script}\n", shell.words[0]);
            fs::write(scenario.file("script"), line).expect("a file");
            fs::set_permissions(scenario.file("script"), fs::Permissions::from_mode(0o755)).expect("a mode");
            let words = shell.words.iter().copied();
            let scenario = match by {
                "it" => scenario.command(words.chain(["-c", script])),
                "env" => scenario.command(["/usr/bin/env", "A=b"].into_iter().chain(words).chain(["-c", script])),
                _ => scenario.command(["{folder}/script"]),
            };
            let outcome = scenario.run();
            assert_eq!(outcome.code(), 0, "{:?} {}", shell.words, outcome.describe());
            let found = environment(outcome.stdout.as_bytes());
            assert_eq!(
                found.get("PLAIN").map(String::as_str),
                Some("plain-value"),
                "{:?} {by} {}",
                shell.words,
                outcome.describe()
            );
            let kept = found.contains_key("spring.datasource.password");
            assert_eq!(kept, found.contains_key("a-b"));
            let warned = outcome.stderr.contains(
                " drops variables whose names are no identifiers: a-b, spring.datasource.password; rename the keys with \
                 VAULT_KEYS=key:NAME, or start the application without a shell",
            ) || outcome.stderr.contains("drops variables whose names are no identifiers: spring.datasource.password, a-b; ");
            assert_eq!(warned, !kept, "{:?} by {by}\n{}", shell.words, outcome.describe());
        }
    }
    let raw = Raw::start([(READ, vec![Reply::secret(&secret.to_string())])]);
    let pairs = secret
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()));
    Scenario::against(&raw).run().expect(Expect::started().env(pairs));
}
