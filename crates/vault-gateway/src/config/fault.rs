//! What is wrong with a configuration: all of it, a line each.

use std::cell::RefCell;
use std::fmt;

/// The exit code of a file that is missing: `EX_NOINPUT` of
/// [sysexits](https://man.freebsd.org/cgi/man.cgi?query=sysexits).
pub const MISSING: u8 = 66;

/// The exit code of a configuration that is wrong: `EX_CONFIG`.
pub const CONFIGURATION: u8 = 78;

/// Whether something is wrong, or only not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The configuration has to be changed.
    Wrong,
    /// A file that is named is not there.
    Missing,
}

/// One thing that is wrong. Its `Display` is one line: file and line where they are known, then the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The configuration file; `None` where it is not about the file, or the file is not known.
    pub file: Option<String>,
    /// The line of the file, from 1.
    pub line: Option<usize>,
    /// The place, what is wrong there, and what to do about it: `[[tenant]] "team-a" mount: CAUSE; REMEDY`.
    pub text: String,
    /// Whether it is a file that is missing.
    pub kind: FaultKind,
}

impl Fault {
    /// Something that has to be changed, without a file and a line.
    pub fn new(text: impl Into<String>) -> Self {
        Self { file: None, line: None, text: text.into(), kind: FaultKind::Wrong }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.text)
    }
}

/// All that is wrong with a configuration; at least one fault. Its `Display` is a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// All of them; `None` where there is none.
    pub(super) fn of(faults: Vec<Fault>) -> Option<Self> {
        (!faults.is_empty()).then_some(Self(faults))
    }

    /// 66 where nothing is wrong but that files are missing, else 78.
    pub fn exit_code(&self) -> u8 {
        if self.0.iter().all(|fault| fault.kind == FaultKind::Missing) { MISSING } else { CONFIGURATION }
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Why a value cannot be used; its place is known by whoever asked for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub cause: String,
    pub remedy: String,
    pub kind: FaultKind,
}

impl Bad {
    /// A value that has to be changed.
    pub fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into(), kind: FaultKind::Wrong }
    }

    /// A file that is not there.
    pub fn missing(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind: FaultKind::Missing, ..Self::new(cause, remedy) }
    }

    /// The fault of this place in this line.
    pub fn at(self, place: &str, line: Option<usize>) -> Fault {
        let Self { cause, remedy, kind } = self;
        Fault { file: None, line, text: format!("{place}: {cause}; {remedy}"), kind }
    }
}

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Found(RefCell<Vec<Fault>>);

impl Found {
    /// One more.
    pub fn push(&self, fault: Fault) {
        self.0.borrow_mut().push(fault);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them.
    pub fn faults(self) -> Vec<Fault> {
        self.0.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_files_are_66_and_anything_else_is_78() {
        let wrong = || Bad::new("is wrong", "write it well").at("listen", Some(3));
        let missing = || Bad::missing("is missing", "put it there").at("[tls] key", None);
        for (faults, code) in [
            (vec![missing()], 66),
            (vec![missing(), missing()], 66),
            (vec![wrong()], 78),
            (vec![missing(), wrong()], 78),
        ] {
            assert_eq!(Faults(faults.clone()).exit_code(), code, "{faults:?}");
        }
        let both = Faults(vec![missing(), wrong()]);
        assert_eq!(both.to_string(), "[tls] key: is missing; put it there\nline 3: listen: is wrong; write it well");
    }

    #[test]
    fn a_fault_begins_with_file_and_line_where_they_are_known() {
        let file = || Some("g.toml".to_owned());
        for (file, line, text) in [
            (None, None, "x: y; z"),
            (None, Some(7), "line 7: x: y; z"),
            (file(), None, "g.toml: x: y; z"),
            (file(), Some(7), "g.toml:7: x: y; z"),
        ] {
            assert_eq!(Fault { file, line, ..Fault::new("x: y; z") }.to_string(), text);
        }
    }
}
