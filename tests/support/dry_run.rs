//! A scenario run in earnest and as `--check`, and the three of them held against each other: the real run, the report
//! as text, the report as JSON.

use std::fs;

use serde_json::Value;
use vault_exec::check::FIELDS;
use vault_testkit::certs::certs;

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

/// The same of the dry run alone.
fn assert_report(scenario: Scenario, code: i32, snapshot: &str) {
    let scenario = scenario.first(["--check"]);
    let text = dry(&scenario, code);
    let scenario = scenario.first(["--report", "json"]);
    let json: Value = serde_json::from_str(&dry(&scenario, code)).expect("one JSON value");
    assert_eq!(json["exit_code"], code);
    assert_known_fields(&json);
    let report = rendered(&json);
    assert_eq!(squeezed(&text), squeezed(&report), "text and JSON say the same");
    assert_snapshot(snapshot, &normalised(&scenario, &report));
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
    assert_fits(&outcome.stdout);
    outcome.stdout
}

/// No line of a report as text is longer than a terminal is wide.
pub(crate) fn assert_fits(report: &str) {
    let long: Vec<_> = report.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(report.starts_with('{') || long.is_empty(), "longer than 80 columns: {long:#?}");
}

/// A report says this, wherever its lines are broken.
pub(crate) fn assert_says(report: &str, text: &str) {
    assert!(squeezed(report).contains(&squeezed(text)), "nowhere: {text}\n{report}");
}

/// Each member of the JSON report is one of the table of fields.
pub(crate) fn assert_known_fields(json: &Value) {
    let known = |kind: &str, value: &Value| {
        let names = value.as_object().expect("an object").keys();
        let step = value["step"].as_str().unwrap_or_default();
        let is_known = |name: &&String| FIELDS.iter().any(|(of, it, _)| it == name && (*of == kind || *of == step));
        let unknown: Vec<_> = names.filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{kind} {step}: {unknown:?} is not in the table of fields");
    };
    known("report", json);
    for (list, kind) in [("settings", "setting"), ("steps", "step"), ("variables", "variable")] {
        json[list].as_array().expect("a list").iter().for_each(|it| known(kind, it));
    }
}

/// The JSON report in the words of the text, each row in one line.
fn rendered(json: &Value) -> String {
    let rows = |name: &str| json[name].as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut lines = Vec::new();
    let mut table = |name: &str, header: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            let header = Some(format!("  {header}")).filter(|header| !header.trim().is_empty());
            lines.extend([vec![name.to_owned()], header.into_iter().collect(), rows, vec![String::new()]].concat());
        }
    };
    let setting = |row: &Value| {
        let name = text(&row["name"]);
        let from = row["from"].as_str().map_or("default".into(), |from| from.replacen(&name, "environment", 1));
        format!("  {name} | {from} | {}", text(&row["value"]))
    };
    table("Settings", "NAME | FROM | VALUE", rows("settings").iter().map(setting).collect());
    let step = |step: &Value| {
        assert!(step["elapsed_ms"].is_u64(), "{step}");
        let (outcome, name) = (text(&step["outcome"]), text(&step["step"]));
        let time = if outcome == "skipped" { "" } else { "{time}" };
        let details: Vec<_> = step["details"].as_array().expect("a list").iter().map(text).collect();
        let details = details.join("\n                               ");
        format!("  {outcome:7}  {name:10}  {time:6}  {details}")
    };
    table("Steps", "OUTCOME  STEP        TIME    WHAT", rows("steps").iter().map(step).collect());
    let variable = |row: &Value| format!("  {} | {} | {}", text(&row["name"]), text(&row["type"]), text(&row["state"]));
    table("Variables", "NAME | TYPE | STATE", rows("variables").iter().map(variable).collect());
    table("Warnings", "", rows("warnings").iter().map(|it| format!("  {}", text(it))).collect());
    lines.push(text(&json["verdict"]));
    for (part, name) in [("cause", "cause"), ("explanation", "note"), ("remedy", "remedy")] {
        let text = json[part].as_str().map(|it| it.replace('\n', "\n          "));
        lines.extend(text.map(|it| format!("  {name:6}  {it}")));
    }
    lines.join("\n")
}

/// A report without what two runs or two layouts differ in: times, white space, the lines between columns.
pub(crate) fn squeezed(report: &str) -> String {
    let mut words = Vec::new();
    for line in report.lines() {
        let mut row: Vec<_> = line.split_whitespace().filter(|it| *it != "|").map(str::to_owned).collect();
        let is_row = line.starts_with("  ") && !line.starts_with("   ");
        if let Some(time) = row.get_mut(2).filter(|it| is_row && is_duration(it)) {
            "{time}".clone_into(time);
        }
        words.extend(row);
    }
    timeless(&words.join(" ")).replace(' ', "")
}

/// Everything replaced that is another at each run, or that the two servers tell of themselves.
fn normalised(scenario: &Scenario, report: &str) -> String {
    let given = |name: &str| scenario.given_env().get(name).map(|it| it.to_string_lossy().into_owned());
    let namespace = given("VAULT_NAMESPACE").filter(|it| it.starts_with("case-"));
    let names = ["{path}", "{folder}", "{name}"].map(|name| (scenario.expand(name), name));
    let folder = |path: &std::path::Path| path.parent().expect("a folder").display().to_string();
    let folders = [(folder(&child_program()), "{examples}"), (folder(&certs().ca.certificate_file), "{certs}")];
    let given = [(given("VAULT_ADDR"), "{addr}"), (namespace, "{namespace}")];
    let given = given.map(|(text, name)| (text.unwrap_or_default(), name));
    let all = given.into_iter().chain(names).chain(folders).filter(|(text, _)| !text.is_empty());
    let report = all.fold(report.to_owned(), |report, (text, name)| report.replace(&text, name));
    report.lines().map(timeless).collect::<Vec<_>>().join("\n")
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
