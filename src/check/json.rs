//! The report for machines: one JSON object, the verdict first. [`FIELDS`](super::FIELDS) says what each member holds.

use serde_json::{Value, json};

use super::report::{Failure, Outcome, Report, Row, Stage};
use crate::config::InEffect;

/// The number that says what the members mean.
const SCHEMA: u8 = 1;

/// A value as it is written. `serde_json` would sort the members of an object.
enum Node {
    /// In one line.
    Leaf(Value),
    /// A member a line, in this order.
    Object(Vec<(&'static str, Node)>),
    /// An object after the other.
    List(Vec<Node>),
}

impl Report {
    /// The report as JSON.
    pub(super) fn to_json(&self) -> String {
        let mut text = String::new();
        self.node().write(&mut text, 0);
        text.push('\n');
        text
    }

    fn node(&self) -> Node {
        let failure = self.failure();
        Node::Object(vec![
            leaf("schema", json!(SCHEMA)),
            leaf("exit_code", json!(self.code())),
            leaf("verdict", json!(self.verdict())),
            leaf("failed_step", json!(failure.map(|it| it.step))),
            leaf("cause", json!(failure.map(in_one_line))),
            leaf("explanation", json!(self.explanation)),
            leaf("remedy", json!(failure.and_then(|it| it.remedy.as_ref()))),
            leaf("warnings", json!(self.warnings)),
            ("settings", Node::List(self.settings.iter().map(setting).collect())),
            ("steps", Node::List(self.steps.iter().map(step).collect())),
            ("variables", Node::List(self.variables.iter().map(variable).collect())),
        ])
    }
}

fn leaf(name: &'static str, value: Value) -> (&'static str, Node) {
    (name, Node::Leaf(value))
}

/// The cause, whose problems have a line each in the text.
fn in_one_line(failure: &Failure) -> String {
    failure.cause.replace('\n', " ")
}

fn setting(setting: &InEffect) -> Node {
    Node::Object(vec![
        leaf("name", json!(setting.name)),
        leaf("value", json!(setting.value)),
        leaf("from", json!(setting.from)),
    ])
}

fn step(step: &Stage) -> Node {
    let elapsed = u64::try_from(step.time.as_millis()).unwrap_or(u64::MAX);
    let mut members = vec![
        leaf("step", json!(step.name)),
        leaf("outcome", json!(step.outcome.word())),
        leaf("elapsed_ms", json!(elapsed)),
    ];
    if let Outcome::Failed(failure) = &step.outcome {
        members.extend([
            leaf("exit_code", json!(failure.code)),
            leaf("cause", json!(in_one_line(failure))),
            leaf("remedy", json!(failure.remedy)),
            leaf("status", json!(failure.status)),
        ]);
    }
    members.extend(step.facts.iter().map(|(name, fact)| leaf(name, fact.clone())));
    members.push(leaf("details", json!(step.outcome.lines())));
    Node::Object(members)
}

fn variable(row: &Row) -> Node {
    let mut members = vec![
        leaf("name", json!(row.name)),
        leaf("type", json!(row.kind)),
        leaf("good", json!(row.good)),
        leaf("state", json!(row.state)),
    ];
    if !row.paths.is_empty() {
        members.push(leaf("paths", json!(row.paths)));
    }
    Node::Object(members)
}

impl Node {
    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Leaf(value) => out.push_str(&value.to_string()),
            Self::Object(members) => {
                write_lines(out, ['{', '}'], depth, members, |(name, node), out| {
                    out.extend(["\"", name, "\": "]);
                    node.write(out, depth + 1);
                });
            }
            Self::List(nodes) => write_lines(out, ['[', ']'], depth, nodes, |node, out| node.write(out, depth + 1)),
        }
    }
}

/// The items between brackets, each in lines of its own; without any, the brackets alone.
fn write_lines<T>(
    out: &mut String,
    [open, close]: [char; 2],
    depth: usize,
    items: &[T],
    write: impl Fn(&T, &mut String),
) {
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    out.push(open);
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        new_line(out, depth + 1);
        write(item, out);
    }
    if !items.is_empty() {
        new_line(out, depth);
    }
    out.push(close);
}
