//! What a run of a program costs, and how two kinds of runs compare.

mod build;
mod process;

use std::fmt;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

pub use build::{built, built_as};
pub use process::Process;

/// What a run took, with all processes that it waited for.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Milliseconds from start to end.
    pub wall: f64,
    /// Milliseconds of processor time, user and system.
    pub cpu: f64,
    /// The largest resident set of any of its processes.
    pub peak_kib: u64,
}

impl Cost {
    /// Runs a command to its end, which has to be a good one.
    pub fn of(command: &Command) -> Self {
        static MEASURE: LazyLock<PathBuf> = LazyLock::new(|| built("vault-testkit", "--example", "measure", ""));
        let name = command.get_program().display().to_string();
        let mut measuring = under(Command::new(&*MEASURE), command);
        let text = finished(&name, &mut measuring).expect("it came to its end before");
        let number =
            |index| -> u64 { text.split_whitespace().nth(index).and_then(|it| it.parse().ok()).expect("three") };
        Self { wall: milliseconds(number(0)), cpu: milliseconds(number(1)), peak_kib: number(2) }
    }

    /// Runs every command this often, by turns, since the speed of a machine drifts; the costs of each.
    pub fn by_turns(commands: &[Command], rounds: usize) -> Vec<Vec<Self>> {
        let mut costs = vec![Vec::new(); commands.len()];
        // The first round fills caches and counts for nothing.
        for round in 0..=rounds {
            for (command, costs) in commands.iter().zip(&mut costs) {
                let cost = Self::of(command);
                costs.extend((round > 0).then_some(cost));
            }
        }
        costs
    }
}

#[allow(clippy::cast_precision_loss, reason = "no run takes 2^52 µs")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

/// `command` as what `wrapper` is to run, with the environment that it was given.
pub fn under(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args()).env_clear();
    wrapper.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapper
}

/// Runs a command to its end, which has to be a good one, and returns what it printed. Some of the others hang now and
/// then: such a run is ended and taken again, which is said. Nothing where none ends.
pub fn finished(name: &str, command: &mut Command) -> Option<String> {
    const LIMIT: Duration = Duration::from_secs(10);
    for _ in 0..3 {
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().expect("it starts");
        let group = Pid::from_raw(child.id().try_into().expect("a process"));
        let (ended, killer) = mpsc::channel::<()>();
        let watch = thread::spawn(move || {
            let hung = killer.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
            hung && killpg(group, Signal::SIGKILL).is_ok()
        });
        let mut said = String::new();
        child.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
        let status = child.wait().expect("it was started");
        drop(ended);
        if !watch.join().expect("no panic") {
            assert!(status.success(), "{name} ended with {status}");
            return Some(said);
        }
        eprintln!("{name} did not end within {LIMIT:?}; taken again");
    }
    None
}

/// The middle of some numbers, and the range of the middle 80 % of them.
#[derive(Clone, Copy)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    /// Of these numbers, of which there is one at least.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |tenths: usize| sorted[(sorted.len() - 1) * tenths / 10];
        Self { median: at(5), low: at(1), high: at(9) }
    }

    /// One figure of one side divided by that of the other, round by round.
    pub fn ratio(ours: &[Cost], others: &[Cost], figure: fn(&Cost) -> f64) -> Self {
        Self::of(ours.iter().zip(others).map(|(ours, other)| figure(ours) / figure(other)))
    }
}

/// `1.16 (1.09 to 1.22)`, with as many digits as the formatter is told.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.low, self.high)
    }
}

/// The middle of the peaks, in KiB.
pub fn peak(costs: &[Cost]) -> u64 {
    let mut peaks: Vec<_> = costs.iter().map(|cost| cost.peak_kib).collect();
    peaks.sort_unstable();
    peaks[peaks.len() / 2]
}

/// As `1.23 MB`.
pub fn megabytes(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}

/// As `1.2 MiB`.
pub fn mebibytes(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

/// Prints a table in Markdown; `what` is the head of its first column.
pub fn print(what: &str, columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    println!("\n| {what} | {} |\n|---{}|", columns.join(" | "), "|---".repeat(columns.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}
