//! What SECURITY.md says of each fault. A row belongs to a test and comes from the same lines as the test does, and the
//! test fails where its runs end otherwise than the row says: in another step, with another code, or too late.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use super::outcome::Outcome;

/// A row of the table.
pub(crate) struct Fault {
    pub(crate) what: &'static str,
    pub(crate) step: Step,
    /// The exit codes; 0 is a start, or a file that was written.
    pub(crate) codes: &'static [i32],
    pub(crate) bound: Bound,
    pub(crate) test: &'static str,
}

/// Where a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Before anything was asked.
    Settings,
    Connect,
    Status,
    /// The JWT or token file, after the status check.
    Credential,
    /// A wrapping token is looked up, and unwrapped if it is a good one.
    Unwrap,
    Login,
    /// The login, whether it comes along with the read or not.
    Along,
    Read,
    /// The read went well, what it brought did not.
    Secret,
    /// All was read, and what comes after it failed.
    Handover,
    Revoke,
    /// Each of status, login and read.
    Each,
}

/// How long it takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// There is nothing to wait for.
    AtOnce,
    /// Nor in any try; between them are the pauses of the settings.
    Pauses,
    /// Each try has `VAULT_TIMEOUT`.
    Tries,
    /// All of it together.
    Budget,
    /// `VAULT_WAIT`
    Wait,
    /// What a revoke that gets no answer may take.
    Revoke,
}

/// What a machine that is busy with other tests may take for what takes a hundredth of it alone.
const SLACK: Duration = Duration::from_secs(3);

/// And for each request: some runs send thousands.
const SLACK_OF_A_REQUEST: Duration = Duration::from_millis(10);

impl Step {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Connect => "connect",
            Self::Status => "status",
            Self::Credential => "credential",
            Self::Unwrap => "unwrap",
            Self::Login => "login",
            Self::Along => "login or read",
            Self::Read => "read",
            Self::Secret => "secret",
            Self::Handover => "hand-over",
            Self::Revoke => "revoke",
            Self::Each => "status, login, read",
        }
    }

    /// What the server was asked last, a revoke left aside; the status check is in the log of the scripted server only.
    fn last_asked(self) -> BTreeSet<&'static str> {
        match self {
            Self::Settings | Self::Connect => ["nothing"].into(),
            Self::Status | Self::Credential => ["nothing", "status"].into(),
            // A real server's log of a wrapping token does not say whose it is.
            Self::Unwrap => ["nothing", "unwrap"].into(),
            // A real server does not log what is asked in a namespace that is none.
            Self::Login => ["nothing", "login"].into(),
            Self::Along => ["login", "read"].into(),
            Self::Read | Self::Secret | Self::Handover | Self::Revoke => ["read"].into(),
            Self::Each => ["status", "login", "read"].into(),
        }
    }
}

impl Bound {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::Pauses => "at once, and the pauses",
            Self::Tries => "`VAULT_TIMEOUT` a try",
            Self::Budget => "`VAULT_STARTUP_TIMEOUT`, revoke + 1 s",
            Self::Wait => "`VAULT_WAIT`",
            Self::Revoke => "2 s",
        }
    }

    fn of(self, outcome: &Outcome) -> Duration {
        let env = outcome.scenario.given_env();
        let text = |name: &str| env.get(name).and_then(|value| value.to_str()?.parse().ok());
        let time = |name: &str, default: &str| -> Duration {
            let text: String = text(name).unwrap_or_else(|| default.to_owned());
            // What is no duration is never waited for.
            humantime::parse_duration(&text).unwrap_or_default()
        };
        let tries = text("VAULT_MAX_RETRIES").and_then(|text| text.parse::<u32>().ok()).unwrap_or(3).saturating_add(1);
        match self {
            // The tests have pauses of no length.
            Self::AtOnce | Self::Pauses => Duration::ZERO,
            Self::Tries => time("VAULT_TIMEOUT", "30s") * tries,
            Self::Budget => time("VAULT_STARTUP_TIMEOUT", "2m") + Duration::from_secs(1),
            Self::Wait => time("VAULT_WAIT", "0s"),
            Self::Revoke => Duration::from_secs(2),
        }
    }
}

/// What a run of the present test came to.
struct Seen {
    code: i32,
    last_asked: &'static str,
    /// For each bound, whether it was kept.
    too_late: Vec<Bound>,
    whole: String,
}

thread_local! {
    static SEEN: RefCell<Vec<Seen>> = const { RefCell::new(Vec::new()) };
}

/// Every run's outcome comes by here.
pub(crate) fn note(outcome: &Outcome) {
    let asked = outcome.scenario.raw_requests().unwrap_or_else(|| outcome.requests());
    let word = |request: &String| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path {
            "sys/seal-status" => Some("status"),
            _ if path.starts_with("sys/health") => Some("status"),
            _ if path.contains("revoke") => None,
            _ if path.starts_with("sys/wrapping/") => Some("unwrap"),
            _ if path.starts_with("auth/") => Some("login"),
            _ => Some("read"),
        }
    };
    let slack = SLACK + SLACK_OF_A_REQUEST * u32::try_from(asked.len()).expect("a number of requests");
    let bounds = [Bound::AtOnce, Bound::Pauses, Bound::Tries, Bound::Budget, Bound::Wait, Bound::Revoke];
    let seen = Seen {
        code: outcome.code(),
        last_asked: asked.iter().rev().find_map(word).unwrap_or("nothing"),
        too_late: bounds.into_iter().filter(|bound| outcome.elapsed > bound.of(outcome) + slack).collect(),
        whole: format!("{:?} {}", outcome.elapsed, outcome.describe()),
    };
    SEEN.with_borrow_mut(|all| all.push(seen));
}

impl Fault {
    /// Runs its test and holds it to the row. Where the test was skipped there is nothing to hold.
    pub(crate) fn hold(&self, test: impl FnOnce()) {
        SEEN.take();
        test();
        let mut seen = SEEN.take();
        if seen.is_empty() {
            return;
        }
        // A run that goes well before or after one that does not is its control.
        seen.retain(|it| it.code != 0 || self.codes.contains(&0));
        let codes: BTreeSet<_> = seen.iter().map(|it| it.code).collect();
        assert_eq!(codes, self.codes.iter().copied().collect(), "{}: exit codes", self.test);
        let steps = self.step.last_asked();
        for it in &seen {
            assert!(steps.contains(it.last_asked), "{}: {}\n{}", self.test, it.last_asked, it.whole);
            assert!(!it.too_late.contains(&self.bound), "{}: too late\n{}", self.test, it.whole);
        }
        if self.step == Step::Each {
            assert_eq!(seen.iter().map(|it| it.last_asked).collect::<BTreeSet<_>>(), steps, "{}", self.test);
        }
    }
}

/// Makes tests of functions, and their rows of the table: what the fault is, in which step, with which exit code, within
/// which time. `scripted` functions take nothing, `on_both` and `on_openbao` ones a server.
macro_rules! faults {
    ($table:ident, $kind:ident;
     $($test:ident: $what:literal, $step:ident, $($code:literal)|+, $bound:ident;)+) => {
        pub(crate) const $table: &[$crate::support::fault_table::Fault] = &[$(
            $crate::support::fault_table::Fault {
                what: $what,
                step: $crate::support::fault_table::Step::$step,
                codes: &[$($code),+],
                bound: $crate::support::fault_table::Bound::$bound,
                test: stringify!($test),
            }
        ),+];
        $($crate::support::fault_table::faults!(@$kind $table $test);)+
    };
    (@scripted $table:ident $test:ident) => {
        mod $test {
            #[test]
            fn scripted() {
                let row = super::$table.iter().find(|row| row.test == stringify!($test));
                row.expect("a row").hold(super::$test);
            }
        }
    };
    (@on_openbao $table:ident $test:ident) => {
        mod $test {
            #[test]
            fn openbao() {
                let row = super::$table.iter().find(|row| row.test == stringify!($test)).expect("a row");
                let body = |server: &_| row.hold(|| super::$test(server));
                vault_testkit::server::on(vault_testkit::server::Kind::OpenBao, stringify!($test), body);
            }
        }
    };
    (@on_both $table:ident $test:ident) => {
        mod $test {
            use vault_testkit::server::{Kind, on};

            fn hold(kind: Kind) {
                let row = super::$table.iter().find(|row| row.test == stringify!($test)).expect("a row");
                on(kind, stringify!($test), |server| row.hold(|| super::$test(server)));
            }

            #[test]
            fn embedded() {
                hold(Kind::Embedded);
            }

            #[test]
            fn openbao() {
                hold(Kind::OpenBao);
            }
        }
    };
}
pub(crate) use faults;
