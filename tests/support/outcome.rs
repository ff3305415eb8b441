//! The whole outcome of a run: status, both streams, what the application saw, what the server was asked.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use vault_testkit::server::Asked;

use super::child_report::ChildReport;
use super::expect::Expect;
use super::scenario::Scenario;

/// What a run of the program came to.
pub(crate) struct Outcome<'a> {
    pub(crate) scenario: &'a Scenario<'a>,
    pub(crate) status: ExitStatus,
    pub(crate) elapsed: Duration,
    /// From the last signal to the end.
    pub(crate) after_signal: Duration,
    pub(crate) stdout: String,
    /// As it was written, with timestamps.
    pub(crate) stderr: String,
    pub(crate) pid: u32,
    /// `None`: the application was not started.
    pub(crate) child: Option<ChildReport>,
    /// What the server was asked on behalf of this scenario; of several runs of it, all.
    pub(crate) asked: Vec<Asked>,
    /// Live tokens with the scenario's policy, before and after.
    pub(crate) tokens_before: usize,
    pub(crate) tokens_after: usize,
}

impl Outcome<'_> {
    /// The exit code, or 1000+n when it died of signal n.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 1000 + self.status.signal().unwrap_or_default())
    }

    /// The lines on standard error, without their timestamps.
    pub(crate) fn log(&self) -> Vec<&str> {
        self.stderr.lines().map(without_timestamp).collect()
    }

    /// The server's view, e.g. `["update auth/kubernetes/login", "read kv/data/{path}", …]`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.asked.iter().map(|asked| format!("{} {}", asked.operation, asked.path)).collect()
    }

    /// How many connections those requests came over.
    pub(crate) fn connections(&self) -> usize {
        let mut numbers: Vec<_> = self.asked.iter().map(|asked| asked.connection).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    }

    /// Compares everything with what was expected.
    pub(crate) fn expect(self, expect: Expect) -> Self {
        expect.check(&self);
        self
    }

    /// It failed with this code, this one error line on standard error and nothing else anywhere.
    pub(crate) fn expect_failure(self, code: i32, message: &str) -> Self {
        self.expect(Expect::failure(code, message))
    }

    /// The server was asked exactly this, in this order; placeholders as in the scenario.
    pub(crate) fn expect_requests<const N: usize>(self, requests: [&str; N]) -> Self {
        assert_eq!(self.requests(), requests.map(|it| self.scenario.expand(it)), "{}", self.describe());
        self
    }

    /// For a failed assertion.
    pub(crate) fn describe(&self) -> String {
        let Self { status, stdout, stderr, .. } = self;
        let requests = self.requests().join("\n");
        format!("{status}\n--- stdout\n{stdout}--- stderr\n{stderr}--- requests\n{requests}\n")
    }
}

/// Cuts `2026-11-22T09:48:23.123Z ` off.
fn without_timestamp(line: &str) -> &str {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd.dddZ ";
    let fits = |(byte, shape): (u8, &u8)| {
        if *shape == b'd' { byte.is_ascii_digit() } else { byte == *shape }
    };
    match line.split_at_checked(SHAPE.len()) {
        Some((stamp, rest)) if stamp.bytes().zip(SHAPE).all(fits) => rest,
        _ => line,
    }
}
