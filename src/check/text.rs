//! The report for people: tables of 80 columns, the verdict and its cause last.

use std::fmt::Write as _;

use super::report::{Outcome, Report, Stage};
use crate::cli::EXIT_CODES;
use vault_client::Seconds;

/// No line is longer.
const WIDTH: usize = 80;

/// No name in a table is longer; what is cut ends in `…`.
const LONGEST_NAME: usize = 32;

/// More rows are counted and not shown: who writes the secret must not fill the screen.
const MOST_ROWS: usize = 1000;

const PLAIN: &str = "";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";

impl Outcome {
    /// The outcome in a word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Note(_) => "note",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }

    fn colour(&self) -> &'static str {
        match self {
            Self::Ok(_) => GREEN,
            Self::Note(_) => BOLD,
            Self::Failed(_) => RED,
            Self::Skipped(_) => YELLOW,
        }
    }

    /// What there is to say of it, in sentences.
    pub(super) fn lines(&self) -> Vec<&str> {
        match self {
            Self::Ok(said) | Self::Note(said) => vec![said],
            Self::Failed(failure) => failure.lines.iter().map(String::as_str).collect(),
            Self::Skipped(reason) => vec![reason],
        }
    }
}

impl Stage {
    /// Its time; one that was not made has none.
    fn time(&self) -> String {
        if matches!(self.outcome, Outcome::Skipped(_)) { String::new() } else { Seconds(self.time).to_string() }
    }
}

impl Report {
    /// Tables with a heading each, and the verdict at the end.
    pub(super) fn to_text(&self, colours: bool) -> String {
        let mut page = Page { text: String::new(), colours };
        if !self.settings.is_empty() {
            self.write_settings(&mut page);
        }
        self.write_steps(&mut page);
        if !self.variables.is_empty() {
            self.write_variables(&mut page);
        }
        if !self.warnings.is_empty() {
            page.heading("Warnings");
            self.warnings.iter().for_each(|warning| page.row(&[], &[warning], YELLOW));
        }
        self.write_verdict(&mut page);
        page.text
    }

    fn write_settings(&self, page: &mut Page) {
        page.heading("Settings");
        let from = |it: &crate::config::InEffect| match &it.from {
            None => "default".to_owned(),
            // The name stands beside it.
            Some(from) => from.replacen(it.name, "environment", 1),
        };
        let rows: Vec<_> = self.settings.iter().map(|it| (it.name, from(it), it.value.as_deref())).collect();
        let widths = [width("NAME", rows.iter().map(|it| it.0)), width("FROM", rows.iter().map(|it| it.1.as_str()))];
        page.header(&[("NAME", widths[0]), ("FROM", widths[1])], "VALUE");
        for (name, from, value) in &rows {
            let cells = [(*name, widths[0], PLAIN), (from.as_str(), widths[1], PLAIN)];
            page.row(&cells, &[value.unwrap_or("-")], PLAIN);
        }
    }

    fn write_steps(&self, page: &mut Page) {
        page.heading("Steps");
        let times: Vec<_> = self.steps.iter().map(Stage::time).collect();
        let widths = [
            width("OUTCOME", self.steps.iter().map(|it| it.outcome.word())),
            width("STEP", self.steps.iter().map(|it| it.name)),
            width("TIME", times.iter().map(String::as_str)),
        ];
        page.header(&[("OUTCOME", widths[0]), ("STEP", widths[1]), ("TIME", widths[2])], "WHAT");
        for (step, time) in self.steps.iter().zip(&times) {
            let outcome = (step.outcome.word(), widths[0], step.outcome.colour());
            page.row(&[outcome, (step.name, widths[1], PLAIN), (time, widths[2], PLAIN)], &step.outcome.lines(), PLAIN);
        }
    }

    fn write_variables(&self, page: &mut Page) {
        page.heading("Variables");
        let rows = &self.variables[..self.variables.len().min(MOST_ROWS)];
        let kind = |kind: Option<&'static str>| kind.unwrap_or("-");
        let widths =
            [width("NAME", rows.iter().map(|it| it.name.as_str())), width("TYPE", rows.iter().map(|it| kind(it.kind)))];
        page.header(&[("NAME", widths[0]), ("TYPE", widths[1])], "STATE");
        for row in rows {
            let cells = [(row.name.as_str(), widths[0], PLAIN), (kind(row.kind), widths[1], PLAIN)];
            page.row(&cells, &[&row.state], if row.good { GREEN } else { RED });
        }
        if let more @ 1.. = self.variables.len() - rows.len() {
            page.row(&[], &[&format!("and {more} more")], PLAIN);
        }
    }

    fn write_verdict(&self, page: &mut Page) {
        page.text.push('\n');
        page.paragraph(&self.verdict(), if self.failure().is_some() { RED } else { GREEN });
        let Some(failure) = self.failure() else { return };
        let mut part = |name: &str, text: &str| {
            page.row(&[(name, "remedy".len(), BOLD)], &text.lines().collect::<Vec<_>>(), PLAIN);
        };
        part("cause", &failure.cause);
        self.explanation.iter().for_each(|explanation| part("note", explanation));
        failure.remedy.iter().for_each(|remedy| part("remedy", remedy));
    }

    /// What the run would do, as a sentence.
    pub(super) fn verdict(&self) -> String {
        let Some(failure) = self.failure() else { return self.would.clone() };
        let code = failure.code.to_string();
        let meaning = EXIT_CODES.iter().find(|(number, _)| *number == code).map_or("", |(_, meaning)| meaning);
        format!("would fail with exit code {code} ({meaning}) at the step {}", failure.step)
    }
}

/// The text as it grows.
struct Page {
    text: String,
    colours: bool,
}

/// A text in a table, the width of its column, and its colour.
type Cell<'a> = (&'a str, usize, &'static str);

impl Page {
    fn heading(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.paragraph(text, BOLD);
    }

    fn header(&mut self, columns: &[(&'static str, usize)], last: &str) {
        let cells: Vec<Cell> = columns.iter().map(|(name, width)| (*name, *width, PLAIN)).collect();
        self.row(&cells, &[last], PLAIN);
    }

    fn paragraph(&mut self, text: &str, colour: &str) {
        for line in wrapped(text, WIDTH) {
            self.paint(&line, colour);
            self.text.push('\n');
        }
    }

    /// The cells, each cut to its column, and the `last` texts, each of which goes on under itself.
    fn row(&mut self, cells: &[Cell], last: &[&str], colour: &str) {
        let indent: usize = 2 + cells.iter().map(|(_, width, _)| width + 2).sum::<usize>();
        let mut lines = last.iter().flat_map(|text| wrapped(text, WIDTH - indent));
        self.text.push_str("  ");
        for (text, width, colour) in cells {
            let text = cut(text, *width);
            self.paint(&text, colour);
            self.blanks(width - text.chars().count() + 2);
        }
        self.paint(&lines.next().unwrap_or_default(), colour);
        self.end_line();
        for line in lines {
            self.blanks(indent);
            self.paint(&line, colour);
            self.end_line();
        }
    }

    fn paint(&mut self, text: &str, colour: &str) {
        if self.colours && !colour.is_empty() && !text.is_empty() {
            let _ = write!(self.text, "{colour}{text}\x1b[0m");
        } else {
            self.text.push_str(text);
        }
    }

    fn blanks(&mut self, count: usize) {
        self.text.extend(std::iter::repeat_n(' ', count));
    }

    /// Without the blanks that were to lead to an empty cell.
    fn end_line(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }
}

/// The width of a column: that of its longest text, the heading included, within bounds.
fn width<'a>(heading: &str, texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).fold(heading.len(), usize::max).min(LONGEST_NAME)
}

/// `text`, ending in `…` where it is longer than `width`.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// `text` in lines of at most `width` characters, broken between words. A word that is longer than a line is broken
/// behind one of `/,=&`, else anywhere.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut column) = (Vec::new(), String::new(), 0);
    for (n, word) in text.split(' ').enumerate() {
        let mut word: Vec<char> = word.chars().collect();
        if n > 0 && column + 1 + word.len() <= width {
            line.push(' ');
            column += 1;
        } else if column > 0 {
            lines.push(std::mem::take(&mut line));
            column = 0;
        }
        while word.len() > width {
            let joint = word[..width].iter().rposition(|c| "/,=&".contains(*c));
            let rest = word.split_off(joint.map_or(width, |at| at + 1));
            lines.push(word.iter().collect());
            word = rest;
        }
        column += word.len();
        line.extend(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::report::{Facts, Failure, Row};
    use crate::config::InEffect;

    fn report() -> Report {
        let setting = |name, value: &str, from: &str| InEffect {
            name,
            value: Some(value.to_owned()),
            from: Some(from.to_owned()).filter(|from| !from.is_empty()),
        };
        let step =
            |name, millis, outcome| Stage { name, time: Duration::from_millis(millis), outcome, facts: Facts::new() };
        let cause = "vault at https://vault.vault.svc:8200: the read of kv/shop/prod was answered with 403";
        let remedy = "check VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token allows the read";
        let failure = Failure {
            step: "read",
            code: 77,
            lines: vec![format!("{cause}; {remedy}")],
            cause: cause.to_owned(),
            remedy: Some(remedy.to_owned()),
            status: Some(403),
        };
        let row = |name: &str, kind, good, state: &str| Row {
            name: name.to_owned(),
            kind,
            good,
            state: state.to_owned(),
            paths: Vec::new(),
        };
        Report {
            settings: vec![
                setting("VAULT_ADDR", "https://vault.vault.svc:8200", "VAULT_ADDR"),
                setting("VAULT_REQUIRED_KEYS", "DATABASE_URL,SMTP_HOST,SMTP_USER", "VAULT_REQUIRED_KEYS, --require"),
            ],
            steps: vec![
                step("status", 3, Outcome::Ok("initialised and unsealed, version 2.7.2".to_owned())),
                step("read", 61_500, Outcome::Failed(failure)),
                step("secrets", 0, Outcome::Skipped("there is no secret")),
            ],
            variables: vec![
                row("DATABASE_URL", Some("string"), true, "ok"),
                row(&"SMTP_".repeat(10), None, false, "missing"),
            ],
            warnings: vec![
                "VAULT_REQUIRED_KEY is no setting and has no effect; did you mean VAULT_REQUIRED_KEYS?".to_owned(),
            ],
            would: String::new(),
            explanation: Some("the mount kv is there".to_owned()),
        }
    }

    #[test]
    fn a_page_has_a_heading_for_each_column_and_goes_on_under_it() {
        let page = "\
Settings
  NAME                 FROM                    VALUE
  VAULT_ADDR           environment             https://vault.vault.svc:8200
  VAULT_REQUIRED_KEYS  environment, --require  DATABASE_URL,SMTP_HOST,SMTP_USER

Steps
  OUTCOME  STEP     TIME  WHAT
  ok       status   3ms   initialised and unsealed, version 2.7.2
  failed   read     1m1s  vault at https://vault.vault.svc:8200: the read of
                          kv/shop/prod was answered with 403; check
                          VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of
                          the token allows the read
  skipped  secrets        there is no secret

Variables
  NAME                              TYPE    STATE
  DATABASE_URL                      string  ok
  SMTP_SMTP_SMTP_SMTP_SMTP_SMTP_S…  -       missing

Warnings
  VAULT_REQUIRED_KEY is no setting and has no effect; did you mean
  VAULT_REQUIRED_KEYS?

would fail with exit code 77 (denied) at the step read
  cause   vault at https://vault.vault.svc:8200: the read of kv/shop/prod was
          answered with 403
  note    the mount kv is there
  remedy  check VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token
          allows the read
";
        assert_eq!(report().to_text(false), page);
        let coloured = report().to_text(true);
        assert_eq!(
            ["[1m", "[31m", "[32m", "[33m", "[0m"]
                .iter()
                .fold(coloured, |text, code| text.replace(&format!("\x1b{code}"), "")),
            page
        );
    }

    #[test]
    fn a_thousand_variables_are_shown_and_the_rest_is_counted() {
        let mut report = report();
        let row = |n| Row {
            name: format!("V{n}"),
            kind: Some("string"),
            good: true,
            state: "ok".to_owned(),
            paths: Vec::new(),
        };
        report.variables = (0..1003).map(row).collect();
        let text = report.to_text(false);
        assert!(text.contains("\n  V999  string  ok\n  and 3 more\n") && !text.contains("V1000"));
    }

    #[test]
    fn a_text_is_broken_between_words_and_a_long_word_at_a_joint() {
        for (text, lines) in [
            ("", &[""][..]),
            ("one two", &["one two"]),
            ("twelve chars and", &["twelve chars", "and"]),
            ("see /a/long/path/of it", &["see", "/a/long/", "path/of it"]),
            ("abcdefghijklmnop", &["abcdefghijkl", "mnop"]),
            ("a  b", &["a  b"]),
            ("grün grün grün", &["grün grün", "grün"]),
        ] {
            assert_eq!(wrapped(text, 12), lines, "{text}");
        }
    }

    #[test]
    fn a_column_is_as_wide_as_its_texts_and_never_wider_than_a_name_may_be() {
        let long = "ü".repeat(70_000);
        assert_eq!(width("NAME", ["A", "DB_HOST"].into_iter()), 7);
        assert_eq!(width("NAME", ["A"].into_iter()), 4);
        assert_eq!(width("NAME", [long.as_str()].into_iter()), LONGEST_NAME);
        assert_eq!(cut(&long, 4), "üüü…");
        assert_eq!(cut("four", 4), "four");
    }
}
