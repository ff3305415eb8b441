//! docs/troubleshooting.md: a section for each exit code, and in it what a run with this code says, word for word.

use std::collections::BTreeSet;

use vault_exec::cli::EXIT_CODES;
use vault_testkit::server::{Kind, Server, skip};

use super::faults::{Told, on_a_server, report, without_a_server};
use super::{blocks_of, document, sections, table};
use crate::support::dry_run::{squeezed, timeless};

const NAME: &str = "docs/troubleshooting.md";

/// The heading of a code's section.
fn heading(code: &str, meaning: &str) -> String {
    format!("{code}: {meaning}")
}

/// Lines with their codes, times and dates taken out.
fn comparable(told: Vec<Told>) -> BTreeSet<(i32, String)> {
    told.into_iter().map(|(code, line)| (code, timeless(&line))).collect()
}

/// What the document says that runs say. `None`: a code that is not one number.
fn written() -> BTreeSet<(i32, String)> {
    let text = document(NAME);
    let lines = sections(&text).into_iter().flat_map(|(heading, section)| {
        let code = heading.split_once(':').map_or("", |it| it.0);
        // The signal of the example is SIGTERM.
        let code = if code == "128+n" { Some(143) } else { code.parse().ok() };
        let blocks = blocks_of(NAME, section).into_iter().filter(|block| block.language == "text");
        let lines: Vec<_> = blocks.flat_map(|block| block.text.lines().map(timeless).collect::<Vec<_>>()).collect();
        lines.into_iter().filter_map(move |line| Some((code?, line)))
    });
    lines.collect()
}

/// What no run can be made to say.
const NOT_PROVOKED: [(i32, &str); 1] = [(70, "ERROR vault-exec: internal error at src/run.rs:42:9; please report it")];

#[test]
fn every_exit_code_has_its_section() {
    let text = document(NAME);
    let codes = [("0", "started")].into_iter().chain(EXIT_CODES.iter().copied());
    let expected: Vec<_> = codes.map(|(code, meaning)| heading(code, meaning)).collect();
    let headings = sections(&text).into_iter().map(|(heading, _)| heading.to_owned());
    let found: Vec<_> = headings.filter(|it| it.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!(found, expected);
    let links = table(&text, "| code | what | usually |").into_iter().map(|row| {
        let what = row[1].split(']').next().unwrap_or_default().trim_start_matches('[');
        heading(&row[0], what)
    });
    assert_eq!(links.collect::<Vec<_>>(), expected);
}

#[test]
fn what_the_sections_quote_is_what_a_run_says() {
    let server = Server::shared(Kind::Embedded).expect("the embedded one");
    let (Some(of_server), Some(others)) = (on_a_server(server), without_a_server()) else { return };
    let mut said = comparable([of_server, others].concat());
    said.extend(NOT_PROVOKED.map(|(code, line)| (code, line.to_owned())));
    let written = written();
    let list = |it: BTreeSet<&(i32, String)>| {
        it.iter().map(|(code, line)| format!("{code}\t{line}")).collect::<Vec<_>>().join("\n")
    };
    let [unsaid, unwritten] = [written.difference(&said), said.difference(&written)].map(|it| list(it.collect()));
    assert!(unsaid.is_empty() && unwritten.is_empty(), "no run says:\n{unsaid}\n{NAME} lacks:\n{unwritten}");
}

#[test]
fn the_real_server_makes_it_say_the_same() {
    let Some(real) = Server::shared(Kind::OpenBao) else {
        skip("the_real_server_makes_it_say_the_same");
        return;
    };
    let embedded = Server::shared(Kind::Embedded).expect("the embedded one");
    let (Some(real), Some(embedded)) = (on_a_server(real), on_a_server(embedded)) else { return };
    assert_eq!(comparable(real), comparable(embedded));
}

#[test]
fn the_report_is_one_that_check_makes() {
    let text = document(NAME);
    let (_, section) = *sections(&text).iter().find(|it| it.0 == "Ask the program itself").expect("a section");
    let shown = blocks_of(NAME, section).into_iter().find(|block| block.language == "text").expect("a report");
    let server = Server::shared(Kind::OpenBao).or_else(|| Server::shared(Kind::Embedded)).expect("a server");
    // The server sorts the policies, and that of the tests has another name; the columns are as wide as the names.
    let same = |report: &str| report.replace("shop,default", "default,shop");
    let (made, shown) = (same(&report(server)), squeezed(&shown.text));
    assert!(made.ends_with(&shown), "{shown}\nis not the end of\n{made}");
}
