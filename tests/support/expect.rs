//! What a run is expected to come to. Nothing is left unsaid: what an expectation does not mention has to
//! be absent.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use super::outcome::Outcome;

/// Settings that are taken out of the application's environment.
const TAKEN_OUT: [&str; 10] = [
    "VAULT_TOKEN",
    "BAO_TOKEN",
    "VAULT_APPROLE_ROLE_ID",
    "BAO_APPROLE_ROLE_ID",
    "VAULT_APPROLE_SECRET_ID",
    "BAO_APPROLE_SECRET_ID",
    "VAULT_SECRET_ID",
    "BAO_SECRET_ID",
    "VAULT_JWT",
    "BAO_JWT",
];

/// An expected outcome. In texts, `{any}` stands for anything within a line; other placeholders as in the
/// scenario.
pub(crate) struct Expect {
    code: i32,
    started: bool,
    env: Vec<(String, OsString)>,
    without: Vec<String>,
    stdout: Option<String>,
    /// `None`: lines at info only.
    stderr: Option<Vec<String>>,
    /// Standard error is not judged, but for secrets in it.
    any_stderr: bool,
    tokens_left: isize,
}

impl Expect {
    /// The application ran in the place of the program, ended with 0, and printed nothing; its
    /// environment is what the program was given, without credentials, and what [`Expect::env`] adds.
    /// Everything else is as without the program.
    pub(crate) fn started() -> Self {
        Self {
            code: 0,
            started: true,
            env: Vec::new(),
            without: TAKEN_OUT.map(str::to_owned).to_vec(),
            stdout: Some(String::new()),
            stderr: None,
            any_stderr: false,
            tokens_left: 0,
        }
    }

    /// The program did its work by itself (`--env-file`, `--check`, `--install`).
    pub(crate) fn done() -> Self {
        Self { started: false, ..Self::started() }
    }

    /// One error line, no application.
    pub(crate) fn failure(code: i32, message: &str) -> Self {
        Self { code, ..Self::done() }.stderr([format!("ERROR vault-exec: {message}")])
    }

    /// Variables that the application has beside those that the program was given.
    pub(crate) fn env<N: Into<String>, V: Into<OsString>>(mut self, env: impl IntoIterator<Item = (N, V)>) -> Self {
        self.env.extend(env.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// A variable that is taken out beside the credentials.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.without.push(name.to_owned());
        self
    }

    /// Nothing is taken out of the environment, because the program did not look at it.
    pub(crate) fn untouched(mut self) -> Self {
        self.without.clear();
        self
    }

    /// The exit code, the application's own included.
    pub(crate) fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// The login's token is alive afterwards.
    pub(crate) fn token_left(mut self) -> Self {
        self.tokens_left = 1;
        self
    }

    /// A token that was there before is gone afterwards.
    pub(crate) fn token_gone(mut self) -> Self {
        self.tokens_left = -1;
        self
    }

    /// The exact text on standard output.
    pub(crate) fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Some(text.into());
        self
    }

    /// Standard output is not judged.
    pub(crate) fn any_stdout(mut self) -> Self {
        self.stdout = None;
        self
    }

    /// The exact lines on standard error, without timestamps.
    pub(crate) fn stderr<T: Into<String>>(mut self, lines: impl IntoIterator<Item = T>) -> Self {
        self.stderr = Some(lines.into_iter().map(Into::into).collect());
        self
    }

    /// Standard error is not judged, but for secrets in it.
    pub(crate) fn any_stderr(mut self) -> Self {
        self.any_stderr = true;
        self
    }

    /// Panics with the whole outcome where it is another one.
    pub(crate) fn check(self, outcome: &Outcome) {
        let scenario = outcome.scenario;
        let whole = outcome.describe();
        assert_eq!(outcome.code(), self.code, "exit code\n{whole}");
        if let Some(stdout) = &self.stdout {
            assert_eq!(outcome.stdout, scenario.expand(stdout), "standard output\n{whole}");
        }
        let log = outcome.log();
        match &self.stderr {
            None if self.any_stderr => {}
            None => assert!(log.iter().all(|line| line.starts_with("INFO ")), "more than information\n{whole}"),
            Some(lines) => {
                let wanted: Vec<_> = lines.iter().map(|line| scenario.expand(line)).collect();
                let equal = wanted.len() == log.len() && wanted.iter().zip(&log).all(|(it, line)| fits(it, line));
                assert!(equal, "standard error, wanted:\n{}\n{whole}", wanted.join("\n"));
            }
        }
        let tokens = outcome.tokens_before.checked_add_signed(self.tokens_left);
        assert_eq!(Some(outcome.tokens_after), tokens, "a token is left behind\n{whole}");
        match &outcome.child {
            None => assert!(!self.started, "the application was not started\n{whole}"),
            Some(_) => assert!(self.started, "the application was started\n{whole}"),
        }
        if self.started {
            self.check_child(outcome, &whole);
        }
    }

    fn check_child(&self, outcome: &Outcome, whole: &str) {
        let child = outcome.child.as_ref().expect("started");
        let mut env = outcome.scenario.given_env();
        env.retain(|name, _| !self.without.contains(name));
        env.extend(self.env.iter().cloned());
        let entry = |(name, value): (&String, &OsString)| [name.as_bytes(), b"=", value.as_bytes()].concat();
        let mut wanted: Vec<_> = env.iter().map(entry).map(|it| String::from_utf8_lossy(&it).into_owned()).collect();
        wanted.sort();
        assert_eq!(child.sorted_env(), wanted, "the application's environment\n{whole}");
        assert_eq!(child.pid, outcome.pid, "the application has the program's PID\n{whole}");
        let baseline = outcome.scenario.baseline();
        assert_eq!(child.argv, baseline.argv, "arguments\n{whole}");
        assert_eq!(child.surroundings(), baseline.surroundings(), "what it inherited\n{whole}");
    }
}

/// Whether `line` is `pattern`, `{any}` standing for anything.
fn fits(pattern: &str, line: &str) -> bool {
    match pattern.split_once("{any}") {
        None => pattern == line,
        Some((head, tail)) => line.strip_prefix(head).is_some_and(|rest| {
            let mut places = rest.char_indices().map(|(index, _)| index).chain([rest.len()]);
            places.any(|index| fits(tail, &rest[index..]))
        }),
    }
}
