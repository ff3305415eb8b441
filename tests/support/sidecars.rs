//! Many sidecars of one scenario at once.

use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vault_testkit::openbao::spawn_bound;

use super::herd::make_room;
use super::scenario::Scenario;

/// How long the slowest may take to its file, and to its end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sidecars that run; each has a file of its own.
pub(crate) struct Sidecars {
    running: Vec<Running>,
}

struct Running {
    process: Child,
    file: PathBuf,
    log: PathBuf,
}

impl Sidecars {
    /// Starts them together, and waits for the last file.
    pub(crate) fn start(scenario: &Scenario, size: usize) -> Self {
        make_room(size as u64);
        let start = |number| {
            let [file, log] = ["env", "log"].map(|kind| scenario.file(&format!("{number}.{kind}")));
            let command = scenario.one_of_many(["--env-file".into(), file.clone().into()], &log);
            Running { process: spawn_bound(command), file, log }
        };
        let mut sidecars = Self { running: (0..size).map(start).collect() };
        let missing = |it: &Running| !it.file.exists();
        sidecars.watch_while("the files are not there", |it| it.iter().any(missing));
        sidecars
    }

    /// Watches them for this long: none may end.
    pub(crate) fn run_for(&mut self, length: Duration) {
        let end = Instant::now() + length;
        self.watch_while("", |_| Instant::now() < end);
    }

    fn watch_while(&mut self, what: &str, goes_on: impl Fn(&[Running]) -> bool) {
        let end = Instant::now() + PATIENCE;
        while goes_on(&self.running) {
            assert!(Instant::now() < end, "not in time: {what}");
            for it in &mut self.running {
                let ended = it.process.try_wait().expect("a child can be asked");
                assert!(ended.is_none(), "ended with {ended:?}: {}", it.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends them with a signal, and returns their codes and logs.
    pub(crate) fn end(self) -> Vec<(Option<i32>, String)> {
        for it in &self.running {
            let pid = Pid::from_raw(it.process.id().try_into().expect("a pid"));
            kill(pid, Signal::SIGTERM).expect("a signal is sent");
        }
        let wait = |mut it: Running| (it.process.wait().expect("it ends").code(), it.log());
        self.running.into_iter().map(wait).collect()
    }
}

impl Running {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log can be read")
    }
}
