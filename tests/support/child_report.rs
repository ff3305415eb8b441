//! Reads what `child.rs` wrote.

use std::collections::BTreeMap;

/// Everything that an application inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChildReport {
    pub(crate) argv: Vec<Vec<u8>>,
    /// `NAME=value` entries, raw and in order.
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) pid: u32,
    pub(crate) exe: Vec<u8>,
    pub(crate) cwd: Vec<u8>,
    /// Descriptor → what it leads to.
    pub(crate) descriptors: BTreeMap<u32, String>,
    /// The chosen lines of `/proc/self/status`.
    pub(crate) status: BTreeMap<String, String>,
    pub(crate) limits: Vec<String>,
    pub(crate) dumpable: bool,
    /// What the child could not find out.
    pub(crate) errors: Vec<String>,
}

impl ChildReport {
    /// Panics when the report is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut report = Self::default();
        let mut whole = false;
        for record in bytes.strip_suffix(b"\0").unwrap_or(bytes).split(|byte| *byte == 0) {
            let colon = record.iter().position(|byte| *byte == b':').expect("a record has a kind");
            let value = record[colon + 1..].to_vec();
            let text = || String::from_utf8_lossy(&value).into_owned();
            match &record[..colon] {
                b"argv" => report.argv.push(value),
                b"env" => report.env.push(value),
                b"pid" => report.pid = text().parse().expect("a number"),
                b"exe" => report.exe = value,
                b"cwd" => report.cwd = value,
                b"dumpable" => report.dumpable = value == b"true",
                b"limit" => report.limits.push(text()),
                b"error" => report.errors.push(text()),
                b"fd" => {
                    let text = text();
                    let (number, target) = text.split_once(' ').expect("number and target");
                    report.descriptors.insert(number.parse().expect("a number"), target.to_owned());
                }
                b"status" => {
                    let text = text();
                    let (name, value) = text.split_once(':').expect("a line of /proc/self/status");
                    report.status.insert(name.to_owned(), value.trim().to_owned());
                }
                b"end" => whole = true,
                other => panic!("unknown record {:?}", String::from_utf8_lossy(other)),
            }
        }
        assert!(whole, "the child's report is cut short");
        report
    }

    /// The environment as texts, sorted, to compare where the order does not count.
    pub(crate) fn sorted_env(&self) -> Vec<String> {
        let mut env: Vec<_> = self.env.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
        env.sort();
        env
    }

    /// What must be as it would be without `vault-exec` in between: everything but arguments, environment
    /// and pid.
    pub(crate) fn surroundings(&self) -> Self {
        let mut report = Self { argv: Vec::new(), env: Vec::new(), pid: 0, ..self.clone() };
        for target in report.descriptors.values_mut().filter(|target| target.starts_with("pipe:")) {
            // Each run has pipes of its own.
            "pipe".clone_into(target);
        }
        report
    }
}
