//! `measure COMMAND [ARG]...` runs a command and prints what it took: µs of wall time, µs of processor time, and the
//! largest resident set of any of its processes in KiB.
//!
//! A program of its own because it has to be small: the kernel counts the memory of the process that starts another one
//! as the other's.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let mut command = Command::new(words.next().expect("a command"));
    command.args(words).stdout(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("it starts");
    let wall = started.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is counted");
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{} {cpu} {}", wall.as_micros(), usage.max_rss());
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
