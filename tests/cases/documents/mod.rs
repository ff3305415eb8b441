//! The documents say what the code does: a file here for each way to hold them to it.

mod commands;
mod faults;
mod links;
mod login_faults;
mod logins;
mod manifests;
mod many_pods;
mod migrating;
mod names;
mod plausible;
mod reader;
mod tables;
mod troubleshooting;

use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every document, by its path.
fn documents() -> Vec<String> {
    let own = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(str::to_owned);
    let mut found = own.to_vec();
    for folder in ["docs", "deploy"] {
        below(folder, &mut found);
    }
    found[own.len()..].sort();
    found
}

fn below(folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(Path::new(ROOT).join(folder)).into_iter().flatten().flatten() {
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            below(&name, found);
        } else if entry.path().extension().is_some_and(|it| it == "md") {
            found.push(name);
        }
    }
}

/// A fenced block of a document.
struct Block {
    document: String,
    language: String,
    /// Without the fences, and without the indentation that a list gives it.
    text: String,
}

impl Block {
    fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// The blocks of these documents that are in one of these languages.
fn blocks(documents: &[String], languages: &[&str]) -> Vec<Block> {
    let all = documents.iter().flat_map(|name| blocks_of(name, &document(name)));
    all.filter(|block| languages.contains(&block.language.as_str())).collect()
}

fn blocks_of(name: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let (document, language) = (name.to_owned(), language.trim().to_owned());
                open = Some((line.len() - line.trim_start().len(), Block { document, language, text: String::new() }));
            }
            (Some(_), Some(_)) => found.extend(open.take().map(|(_, block)| block)),
            (Some((indentation, block)), None) => {
                block.text += line.get(*indentation..).unwrap_or_default();
                block.text += "\n";
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{name}: a block without an end");
    found
}

/// The rows of the table with this heading, each as its cells.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let lines = document.lines().skip_while(|line| *line != heading).skip(2);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The text below each heading of the second level.
fn sections(document: &str) -> Vec<(&str, &str)> {
    let parts = document.split("\n## ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap_or((part, ""))).collect()
}
