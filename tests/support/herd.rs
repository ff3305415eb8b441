//! Many runs of one scenario at once.

use std::fmt;
use std::fs;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::child_report::ChildReport;
use super::endings::Endings;
use super::scenario::{Scenario, child_program};

/// One of them, when it has ended.
pub(crate) struct One {
    pub(crate) code: i32,
    pub(crate) elapsed: Duration,
    pub(crate) log: String,
    /// What the application was given, if it was started.
    pub(crate) env: Option<Vec<String>>,
}

/// Starts them together, and waits for the last.
pub(crate) fn of(scenario: &Scenario, size: usize) -> Vec<One> {
    make_room(size as u64);
    let gate = Barrier::new(size);
    std::thread::scope(|scope| {
        let run = |number| {
            let gate = &gate;
            move || one(scenario, number, gate)
        };
        let running: Vec<_> = (0..size).map(|number| scope.spawn(run(number))).collect();
        running.into_iter().map(|it| it.join().expect("a run is watched to its end")).collect()
    })
}

fn one(scenario: &Scenario, number: usize, gate: &Barrier) -> One {
    let file = |kind: &str| scenario.file(&format!("{number}.{kind}"));
    let (report, log) = (file("report"), file("log"));
    let reports = format!("--report={}", report.display());
    let mut command = scenario.one_of_many(["--".into(), child_program().into(), reports.into()], &log);
    gate.wait();
    let begin = Instant::now();
    let status = command.status().expect("the program starts");
    let elapsed = begin.elapsed();
    One {
        code: status.code().unwrap_or(1000),
        elapsed,
        log: fs::read_to_string(log).expect("the log can be read"),
        env: fs::read(report).ok().map(|report| ChildReport::parse(&report).sorted_env()),
    }
}

/// The embedded server's end of each connection is here, and there is a log file for each run until it has started.
pub(super) fn make_room(size: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let wanted = (4 * size + 256).min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).expect("up to the hard limit");
    }
}

/// What they came to, as a table.
pub(crate) struct Summary<'a>(pub(crate) &'a [One]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut endings = Endings::default();
        self.0.iter().for_each(|one| endings.note(one.code));
        let mut times: Vec<_> = self.0.iter().map(|one| one.elapsed.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let tries = self.0.iter().map(|one| one.log.matches("; try ").count()).sum::<usize>();
        let [first, half, last] = [0, times.len() / 2, times.len() - 1].map(|index| times[index]);
        write!(
            f,
            "{endings}\nended after {first:.1} s (first), {half:.1} s (half), {last:.1} s (last); retries: {tries}"
        )
    }
}

/// The most of `instants` within any window of this length.
pub(crate) fn densest(mut instants: Vec<Instant>, window: Duration) -> usize {
    instants.sort();
    let within = |from: usize| instants[from..].iter().take_while(|it| **it - instants[from] < window).count();
    (0..instants.len()).map(within).max().unwrap_or_default()
}
