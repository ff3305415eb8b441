//! What a process takes while it runs.

use std::fs;
use std::process::Child;

use nix::time::ClockId;
use nix::unistd::Pid;

/// A process that is measured from beside it.
#[derive(Clone, Copy)]
pub struct Process(Pid);

impl Process {
    /// That of a child.
    pub fn of(child: &Child) -> Self {
        Self(Pid::from_raw(child.id().try_into().expect("a pid")))
    }

    /// This one.
    pub fn own() -> Self {
        Self(Pid::this())
    }

    /// Milliseconds of processor time so far, user and system, of all its threads. The clock counts nanoseconds, and threads
    /// that have ended too.
    pub fn cpu(self) -> f64 {
        let clock = ClockId::pid_cpu_clock_id(self.0).expect("a process has a clock");
        let now = clock.now().expect("a clock tells the time");
        std::time::Duration::from(now).as_secs_f64() * 1000.0
    }

    /// What is resident of it, in KiB, with the pages that it shares with others.
    pub fn resident_kib(self) -> u64 {
        // The number in `status` is that of the last time that the processors' counts were added up.
        // Only root may read the former of a process that cannot be dumped.
        self.kib("smaps_rollup", "Rss:").or_else(|| self.kib("status", "VmRSS:")).expect("a process has memory")
    }

    /// The most that was resident of it so far, in KiB.
    pub fn peak_kib(self) -> u64 {
        self.kib("status", "VmHWM:").expect("a process has memory")
    }

    fn kib(self, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.0)).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB")?.trim().parse().ok())
    }
}
