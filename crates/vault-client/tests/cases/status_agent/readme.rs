//! The README of the example: what is typed there is run, and what it shows is what comes out.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;
use vault_testkit::server::Listener;
use vault_testkit::{root, scratch, tools};

use super::{Agent, Ask, token, with_static};
use crate::support::{example, with_corner};

/// Stands in front of what a command has said.
const MARK: &str = "\u{1}";

/// A file of the example.
fn file(name: &str) -> String {
    let folder = root().join("crates/vault-client/examples/status_agent");
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of the README's table with this heading, as cells without marks.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = file("README.md");
    let lines = text.lines().skip_while(|line| *line != heading).skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|it| it.trim().replace('`', "")).collect();
    lines.map(cells).collect()
}

/// The fenced blocks of the README in this language.
fn blocks(language: &str) -> Vec<String> {
    let text = file("README.md");
    let parts = text.split("\n```").skip(1).step_by(2);
    let blocks = parts.filter_map(|block| block.split_once('\n')).filter(|(own, _)| *own == language);
    blocks.map(|(_, block)| format!("{block}\n")).collect()
}

/// The function that signs.
fn function() -> String {
    let found: Vec<_> = blocks("sh").into_iter().filter(|block| block.contains("call() {")).collect();
    let [function] = &found[..] else { panic!("{found:?}") };
    function.clone()
}

/// What is typed in the sessions, each with what it shows.
fn typed() -> Vec<(String, String)> {
    let mut typed: Vec<(String, String)> = Vec::new();
    for line in blocks("console").iter().flat_map(|block| block.lines()) {
        match (line.strip_prefix("$ "), typed.last_mut()) {
            (Some(command), _) => typed.push((command.to_owned(), String::new())),
            (None, Some((_, shown))) => shown.extend([line, "\n"]),
            (None, None) => panic!("{line}"),
        }
    }
    typed
}

/// The same without what differs from one run to the next: points in time, and counts of seconds and reads.
fn steady(text: &str) -> String {
    let line = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(mut fields)) => {
            for (name, value) in &mut fields {
                let passes = name.contains("seconds") || name == "refreshes" || name == "time";
                if passes && !value.is_null() {
                    *value = "…".into();
                }
            }
            Value::Object(fields).to_string()
        }
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_readme_types_shows_what_it_says() {
    with_corner("what_the_readme_types_shows_what_it_says", |corner| {
        let folder = scratch("status-agent-readme");
        fs::write(folder.join(".vault-token"), corner.server.root_token()).expect("a file");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").to_string();
        let (server, typed) = (corner.server.addr(Listener::Plain), typed());
        let here = |text: &str| text.replace("http://127.0.0.1:8200", &server).replace("127.0.0.1:8080", &free);

        let mut script = format!("set -e\nexec 2>&1\ntrap 'kill $agent 2>/dev/null || true' EXIT\n{}", function());
        for (command, _) in &typed {
            script.extend(["printf '", MARK, "'\n", &here(command), "\n"]);
            if command.starts_with("bao secrets enable") {
                // A new mount is not writable at once.
                script += "until bao kv metadata delete -mount=status_panel none >/dev/null 2>&1; do :; done\n";
            }
        }
        let programs = [tools().join("bin"), example("status_agent").parent().expect("a folder").to_owned()];
        let path = programs.map(|it| it.display().to_string()).join(":") + ":/usr/local/bin:/usr/bin:/bin";
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(&folder).stdin(Stdio::null());
        shell.env_clear().env("PATH", path).env("HOME", &folder).env("AGENT_LISTEN", &free);
        let output = shell.output().expect("a shell");
        let said = String::from_utf8(output.stdout).expect("text");

        let mut shown = said.split(MARK).skip(1);
        for (command, expected) in &typed {
            let shown = shown.next().unwrap_or_else(|| panic!("nothing ran {command}\n{said}"));
            assert_eq!(steady(shown), steady(&here(expected)), "$ {command}\n{shown}");
        }
        assert_eq!(output.status.code(), Some(0), "{said}");
    });
}

#[test]
fn the_readme_has_the_signature_of_its_example() {
    let found: Vec<_> = blocks("text").into_iter().filter(|block| block.starts_with("v1=")).collect();
    let body = r#"{"command":"restart","service":"web"}"#;
    let ask =
        Ask::made((1_767_323_045, "nonce-0123456789"), "panel", "0123456789abcdef", ("POST", "/command?dry=1", body));
    assert_eq!(found, [ask.header("X-Agent-Signature") + "\n"]);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(super::hex(ring::digest::digest(&ring::digest::SHA256, b"").as_ref()), empty);
}

#[test]
fn a_token_and_a_body_of_any_text_are_signed_right_by_the_function_of_the_readme() {
    let odd = format!("{} 'quoted' \"$HOME\" \\n ü {}", token(1), token(2));
    let agent = Agent::start(with_static(&odd));
    let script = format!("{}\ncall panel \"$@\"", function());
    let call = |arguments: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &script, "call"]).args(arguments);
        shell.env("token", &odd).env("AGENT", format!("http://{}", agent.at()));
        let output = shell.output().expect("a shell");
        assert!(output.status.success());
        agent.count(&Ask::unsigned("GET", arguments[1]));
        agent.last_decision()
    };
    assert_eq!(call(&["GET", "/status?a=%20&b=%C3%BC"]), "accepted");
    assert_eq!(call(&["POST", "/command", "a ü\n\t'\"$x\\"]), "accepted");
    assert_eq!(call(&["POST", "/command", "{}"]), "accepted");
    agent.end(nix::sys::signal::Signal::SIGTERM);
}

#[test]
fn the_tables_of_the_readme_are_those_of_the_code() {
    let source = file("settings.rs");
    let reads = source.split("reader.read(").skip(1).map(|it| it.split_once(", |").map_or(it, |(call, _)| call));
    let defaults = reads.map(|call| {
        let mut words = call.split('"').skip(1).step_by(2);
        let name = words.next().expect("a name").to_owned();
        (name, words.next().filter(|_| call.contains("Some(")).unwrap_or("–").to_owned())
    });
    let told = rows("| variable | default | meaning |").into_iter().map(|row| (row[0].clone(), row[1].clone()));
    let own = told.filter(|(name, _)| name.starts_with("AGENT_") && name != "AGENT_TOKEN");
    assert_eq!(own.collect::<BTreeSet<_>>(), defaults.collect::<BTreeSet<_>>());

    let source = file("guard.rs");
    let names =
        source.split_once("fn name(self)").and_then(|(_, rest)| rest.split_once("\n    }\n")).expect("a table").0;
    let words = names.split('"').skip(1).step_by(2).map(str::to_owned);
    let told = rows("| check | answer | `reason` in the audit log |");
    let told = told.iter().flat_map(|row| row[2].split(", ").map(str::to_owned));
    assert_eq!(told.collect::<BTreeSet<_>>(), words.collect::<BTreeSet<_>>());

    let files: BTreeSet<_> = rows("| file | what it has |").into_iter().map(|row| row[0].clone()).collect();
    let folder = fs::read_dir(root().join("crates/vault-client/examples/status_agent")).expect("a folder");
    let paths = folder.map(|entry| entry.expect("an entry").path());
    let stems = paths.filter(|it| it.extension().is_some_and(|end| end == "rs")).map(|it| it.with_extension(""));
    let names = stems.map(|it| it.file_name().expect("a name").display().to_string());
    let sources = names.map(|name| format!("[{name}.rs]({name}.rs)"));
    assert_eq!(files, sources.collect::<BTreeSet<_>>());
}
