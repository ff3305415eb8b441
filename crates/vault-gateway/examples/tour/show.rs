//! What the tour prints.

use serde_json::Value;

use crate::stage::{Ask, Stage};

/// The headers of an answer that the tour is about.
const HEADERS: [&str; 3] = ["etag", "cache-status", "location"];

/// The members of an audit line that fit on the terminal.
const MEMBERS: [&str; 7] = ["action", "path", "version", "decision", "rule", "cache", "status"];

/// The next thing that is shown, and what to see in it.
pub(crate) fn heading(title: &str, what: &str) {
    println!("\n== {title}\n   {what}\n");
}

/// Each line of a text, indented.
pub(crate) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A request and its answer.
pub(crate) fn exchange(stage: &Stage, ask: &Ask) {
    let condition = ask.condition.map_or_else(String::new, |tag| format!("  If-Match: {tag}"));
    println!("   > {} {}{condition}", ask.method, ask.target);
    if let Some(body) = &ask.body {
        println!("   > {body}");
    }
    let answer = stage.ask(ask);
    let header = |name: &&str| Some(format!("  {name}: {}", answer.headers.get(*name)?.to_str().ok()?));
    println!("   < {}{}", answer.status, HEADERS.iter().filter_map(header).collect::<String>());
    println!("   < {}", answer.body);
}

/// A dry run and what it prints.
pub(crate) fn dry_run(stage: &Stage, method: &str, target: &str) {
    println!("   $ vault-gateway --config gateway.toml --check --as claims.json {method} {target}");
    println!("{}", indented(&stage.explain(method, target)));
}

/// The audit log in columns, and its last line whole.
pub(crate) fn audit(stage: &Stage) {
    let lines = stage.audit();
    let texts = |line: &Value| MEMBERS.map(|name| text(&line[name]));
    let rows: Vec<_> = std::iter::once(MEMBERS.map(str::to_owned)).chain(lines.iter().map(texts)).collect();
    let widths: Vec<_> = (0..MEMBERS.len()).map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("   {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    let last = lines.last().map_or_else(String::new, Value::to_string);
    println!("\n   The last one whole; vault_request_id is the one in Vault's own audit log:\n   {last}");
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
