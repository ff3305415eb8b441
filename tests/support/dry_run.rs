//! A scenario run in earnest and as `--check`, and the three of them held against each other: the real run, the report
//! as text, the report as JSON.

use std::fs;

use serde_json::Value;

use super::certs::certs;
use super::expect::Expect;
use super::scenario::{Scenario, child_program};
use super::system::names;

/// What a real run may leave in the scenario's folder.
const TRACES: [&str; 2] = ["report", "app.env"];

/// Both ways come to this exit code; the dry one starts, writes and leaves behind nothing, and its report is the
/// snapshot, which holds no secret.
pub(crate) fn assert_check(scenario: Scenario, code: i32, snapshot: &str) {
    let real = scenario.run();
    assert_eq!(real.code(), code, "the real run\n{}", real.describe());
    drop(real);
    for trace in TRACES {
        let _ = fs::remove_file(scenario.file(trace));
    }
    assert_report(scenario, code, snapshot);
}

/// The same of the dry run alone, for what no real run does.
pub(crate) fn assert_report(scenario: Scenario, code: i32, snapshot: &str) {
    let scenario = scenario.first(["--check"]);
    let text = dry(&scenario, code);
    let scenario = scenario.first(["--report", "json"]);
    let json: Value = serde_json::from_str(&dry(&scenario, code)).expect("one JSON value");
    assert_eq!(json["exit_code"], code);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let text = normalised(&scenario, &text);
    assert_eq!(words(&normalised(&scenario, &rendered(&json))), words(&text), "text and JSON say the same");
    // The defaults are the same in all of them; one test of their own has them in full.
    let lines: Vec<_> = text.lines().filter(|line| !line.ends_with("| default")).collect();
    assert_snapshot(snapshot, &lines.join("\n"));
}

/// Compares with `tests/cases/snapshots/NAME.snap`. With `CI` set, `insta` writes nothing; elsewhere what differs is
/// put beside it, as `NAME.snap.new`, or with `INSTA_UPDATE=always` in its place.
pub(crate) fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../cases/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Runs it as it is and returns the report.
fn dry(scenario: &Scenario, code: i32) -> String {
    let folder = scenario.file("");
    let before = names(&folder);
    let outcome = scenario.run().expect(Expect::done().code(code).any_stdout().stderr::<&str>([]));
    assert_eq!(names(&folder), before, "something was written");
    outcome.stdout
}

/// The JSON report in the words of the text.
fn rendered(json: &Value) -> String {
    let rows = |name: &str| json[name].as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut lines = vec!["Settings".to_owned()];
    lines.extend(
        rows("settings")
            .iter()
            .map(|row| format!("  {}  {}  {}", text(&row["name"]), text(&row["value"]), text(&row["from"]))),
    );
    lines.push("Steps".to_owned());
    for step in rows("steps") {
        assert!(step["elapsed_ms"].is_u64(), "{step}");
        let outcome = text(&step["outcome"]);
        let time = if outcome == "skipped" { "" } else { "0ms" };
        let details: Vec<_> = step["details"].as_array().expect("a list").iter().map(text).collect();
        let details = details.join("\n                               ");
        lines.push(format!("  {outcome:7}  {:10}  {time:>6}  {details}", text(&step["step"])));
    }
    let variables = rows("variables");
    lines.extend((!variables.is_empty()).then(|| "Variables".to_owned()));
    lines.extend(
        variables
            .iter()
            .map(|row| format!("  {}  {}  {}", text(&row["name"]), text(&row["type"]), text(&row["state"]))),
    );
    lines.push(text(&json["verdict"]));
    lines.join("\n")
}

/// Everything replaced that is another at each run, or that the two servers tell of themselves.
fn normalised(scenario: &Scenario, report: &str) -> String {
    let address = scenario.given_env().get("VAULT_ADDR").map(|it| it.to_string_lossy().into_owned());
    let names = ["{path}", "{folder}", "{name}"].map(|name| (scenario.expand(name), name));
    let folder = |path: &std::path::Path| path.parent().expect("a folder").display().to_string();
    let folders = [(folder(&child_program()), "{examples}"), (folder(&certs().ca.certificate_file), "{certs}")];
    let address = [(address.unwrap_or_default(), "{addr}")];
    let all = address.into_iter().chain(names).chain(folders).filter(|(text, _)| !text.is_empty());
    let report = all.fold(report.to_owned(), |report, (text, name)| report.replace(&text, name));
    let mut section = "";
    let mut lines = Vec::new();
    for line in report.lines() {
        section = if line.starts_with(' ') || line.is_empty() { section } else { line };
        lines.push(match section {
            // The columns are as wide as an address or a path happens to be.
            "Settings" => {
                line.trim().split("  ").filter(|it| !it.is_empty()).map(str::trim).collect::<Vec<_>>().join(" | ")
            }
            "Steps" => step(line),
            _ => line.to_owned(),
        });
    }
    lines.join("\n")
}

/// A line of the steps, without its times.
fn step(line: &str) -> String {
    const TIME: std::ops::Range<usize> = 23..29;
    let mut line = line.to_owned();
    if line.get(TIME).is_some_and(|time| !time.trim().is_empty()) {
        line.replace_range(TIME, "{time}");
    }
    timeless(&line)
}

/// The words in which no two runs are alike, each replaced by what it is: a date, a duration, the version of the server.
pub(crate) fn timeless(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let bare = word.trim_start_matches('(').trim_end_matches([',', ';', ')']);
        let name = match bare {
            "" => return word.to_owned(),
            time if time.starts_with("20") && time.ends_with('Z') => "{date}",
            time if is_duration(time) => "{duration}",
            _ if is_version(bare) => "{version}",
            _ => return word.to_owned(),
        };
        word.replace(bare, name)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `350ms`, `2.5s`, `1m30s`, `3d`.
fn is_duration(word: &str) -> bool {
    let units = word.split(|c: char| c.is_ascii_digit() || c == '.').filter(|unit| !unit.is_empty());
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(|c: char| c.is_ascii_alphabetic())
        && units.into_iter().all(|unit| matches!(unit, "ms" | "s" | "m" | "h" | "d"))
}

/// `2.7.2`
fn is_version(word: &str) -> bool {
    word.split('.').count() == 3 && word.split('.').all(|part| part.parse::<u32>().is_ok())
}
