//! A run under way: its output as it comes, signals to it, and its end.

use std::fs;
use std::io::Read;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::child_report::ChildReport;
use super::fault_table;
use super::leaks;
use super::outcome::Outcome;
use super::scenario::Scenario;

/// How long a run may take before it is killed and the test fails.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A process that ends with its test, whatever comes of that: a watch would go on for ever.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // One that was waited for is left alone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program under way.
pub(crate) struct Started<'a> {
    scenario: &'a Scenario<'a>,
    process: Process,
    output: [Stream; 2],
    begin: Instant,
    /// When the last signal was sent.
    signalled: Instant,
    tokens_before: usize,
}

impl<'a> Started<'a> {
    /// Takes over a process that was just started for `scenario`.
    pub(super) fn new(scenario: &'a Scenario<'a>, mut process: Child, begin: Instant, tokens_before: usize) -> Self {
        let output = [Stream::of(process.stdout.take()), Stream::of(process.stderr.take())];
        Self { scenario, process: Process(process), output, begin, signalled: begin, tokens_before }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.0.id().try_into().expect("a pid"))
    }

    /// Waits until a line on standard error holds `text`.
    pub(crate) fn await_log(&self, text: &str) {
        self.output[1].await_text(text, LIMIT);
    }

    /// The same on standard output.
    pub(crate) fn await_output(&self, text: &str) {
        self.output[0].await_text(text, LIMIT);
    }

    /// Waits for a line on standard error that begins so.
    pub(crate) fn await_line(&self, start: &str) -> String {
        self.output[1].await_line(start, LIMIT)
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.signal_to(self.pid(), signal);
    }

    /// The same where the program is not the process that was started, but one below it.
    pub(crate) fn signal_to(&mut self, pid: Pid, signal: Signal) {
        nix::sys::signal::kill(pid, signal).expect("a signal is sent");
        self.signalled = Instant::now();
    }

    /// Waits for the end, within the scenario's limit.
    pub(crate) fn finish(mut self) -> Outcome<'a> {
        let status = self.wait();
        let elapsed = self.begin.elapsed();
        let after_signal = self.signalled.elapsed();
        let [stdout, stderr] = self.output.map(Stream::whole);
        let scenario = self.scenario;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        let outcome = Outcome {
            scenario,
            status,
            elapsed,
            after_signal,
            stdout: text(stdout),
            stderr: text(stderr),
            pid: self.process.0.id(),
            child: fs::read(scenario.report()).ok().map(|report| ChildReport::parse(&report)),
            asked: scenario
                .server
                .filter(|_| scenario.observed)
                .map_or_else(Vec::new, |server| server.asked(&scenario.name)),
            tokens_before: self.tokens_before,
            tokens_after: scenario.live_tokens(),
        };
        fault_table::note(&outcome);
        leaks::look_through(&outcome);
        outcome
    }

    fn wait(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.process.0.try_wait().expect("a child can be asked") {
                return status;
            }
            if self.begin.elapsed() > LIMIT {
                let _ = self.process.0.kill();
                let _ = self.process.0.wait();
                panic!("still running after {LIMIT:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// An output, read beside everything else, so that a full pipe stops nobody.
pub(super) struct Stream {
    read: Arc<(Mutex<Vec<u8>>, Condvar)>,
    reader: JoinHandle<()>,
}

impl Stream {
    pub(super) fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let mut stream = stream.expect("a piped stream");
        let read: Arc<(Mutex<Vec<u8>>, Condvar)> = Arc::default();
        let shared = Arc::clone(&read);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer).expect("output can be read") {
                    0 => break,
                    n => shared.0.lock().expect("no panic").extend_from_slice(&buffer[..n]),
                }
                shared.1.notify_all();
            }
        });
        Self { read, reader }
    }

    pub(super) fn await_text(&self, text: &str, limit: Duration) {
        let absent = |read: &mut Vec<u8>| !String::from_utf8_lossy(read).contains(text);
        let read = self.read.0.lock().expect("no panic");
        let (read, waited) = self.read.1.wait_timeout_while(read, limit, absent).expect("no panic");
        assert!(!waited.timed_out(), "never said: {text}\n{}", String::from_utf8_lossy(&read));
    }

    fn await_line(&self, start: &str, limit: Duration) -> String {
        let line = |read: &[u8]| {
            let text = String::from_utf8_lossy(read).into_owned();
            text.split_inclusive('\n').find(|line| line.starts_with(start) && line.ends_with('\n')).map(str::to_owned)
        };
        let read = self.read.0.lock().expect("no panic");
        let (read, _) = self.read.1.wait_timeout_while(read, limit, |read| line(read).is_none()).expect("no panic");
        line(&read).unwrap_or_else(|| panic!("never said: {start}\n{}", String::from_utf8_lossy(&read)))
    }

    pub(super) fn whole(self) -> Vec<u8> {
        self.reader.join().expect("output is read");
        std::mem::take(&mut *self.read.0.lock().expect("no panic"))
    }
}
