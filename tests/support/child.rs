//! What the tests put where an application would be: it writes down everything that it inherited,
//! NUL-terminated, and ends. `main` is C's, because Rust's own start-up changes SIGPIPE and opens closed
//! descriptors.
//!
//! `--report=PATH` says where to (standard output otherwise), `--exit=N` with which code; other arguments are
//! only reported. Each record is `kind:value`; the kinds are those that `child_report.rs` reads.
//!
//! With `--follow=FILE` it is an application that reloads: it prints what the file holds, again at each HUP, and ends at
//! TERM.
#![no_main]

use std::ffi::{c_char, c_int};
use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;

use nix::sys::signal::{SigSet, Signal};

/// The lines of `/proc/self/status` that an application can tell apart.
const STATUS: [&str; 9] = ["SigBlk", "SigIgn", "SigCgt", "ShdPnd", "Threads", "Umask", "NoNewPrivs", "Uid", "CapEff"];

#[allow(unsafe_code, reason = "an exported name is the only way to come before Rust's own start-up")]
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    // Read from the kernel: exact bytes, in order, malformed entries included.
    let arguments = fs::read("/proc/self/cmdline").unwrap_or_default();
    let mut report = descriptors();
    let mut record = |kind: &str, value: &[u8]| {
        report.extend_from_slice(kind.as_bytes());
        report.push(b':');
        report.extend_from_slice(value);
        report.push(0);
    };
    let records = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes.split_inclusive(|byte| *byte == 0).map(|it| it.strip_suffix(b"\0").unwrap_or(it).to_vec()).collect()
    };
    let arguments = records(&arguments);
    let option = |name: &str| {
        let texts = arguments.iter().filter_map(|argument| str::from_utf8(argument).ok());
        texts.filter_map(|text| text.strip_prefix(name)).next_back().map(str::to_owned)
    };
    if let Some(file) = option("--follow=") {
        return follow(&file);
    }
    for argument in &arguments {
        record("argv", argument);
    }
    match fs::read("/proc/self/environ") {
        Ok(environment) => records(&environment).iter().for_each(|entry| record("env", entry)),
        Err(error) => record("error", format!("/proc/self/environ: {error}").as_bytes()),
    }
    record("pid", std::process::id().to_string().as_bytes());
    let dumpable = nix::sys::prctl::get_dumpable().unwrap_or_default();
    record("dumpable", dumpable.to_string().as_bytes());
    record("exe", fs::read_link("/proc/self/exe").unwrap_or_default().as_os_str().as_bytes());
    record("cwd", fs::read_link("/proc/self/cwd").unwrap_or_default().as_os_str().as_bytes());
    for line in fs::read_to_string("/proc/self/status").unwrap_or_default().lines() {
        if STATUS.iter().any(|name| line.split(':').next() == Some(name)) {
            record("status", line.as_bytes());
        }
    }
    for line in fs::read_to_string("/proc/self/limits").unwrap_or_default().lines().skip(1) {
        record("limit", line.as_bytes());
    }
    record("end", b"");

    let written = match option("--report=") {
        Some(path) => fs::write(path, &report),
        None => std::io::stdout().write_all(&report).and_then(|()| std::io::stdout().flush()),
    };
    let code = option("--exit=").and_then(|code| code.parse().ok()).unwrap_or(0);
    if written.is_ok() { code } else { 125 }
}

/// Prints what `file` holds, and again at each HUP, until TERM.
fn follow(file: &str) -> c_int {
    let signals: SigSet = [Signal::SIGHUP, Signal::SIGTERM].into_iter().collect();
    let mut why = "start";
    while signals.thread_block().is_ok() {
        let content = fs::read_to_string(file).unwrap_or_else(|error| error.to_string());
        println!("{why}: {content:?}");
        match signals.wait() {
            Ok(Signal::SIGHUP) => why = "HUP",
            _ => return 0,
        }
    }
    125
}

/// The open descriptors with what they lead to, without the one that lists them.
fn descriptors() -> Vec<u8> {
    let mut report = Vec::new();
    let Ok(folder) = fs::File::open("/proc/self/fd") else {
        return report;
    };
    let own = folder.as_raw_fd();
    // The listing opens one more, which is gone when its link is read.
    for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let number = entry.file_name();
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        if number.to_str() != Some(&own.to_string()) && !target.to_string_lossy().ends_with("/fd") {
            report.extend_from_slice(format!("fd:{} ", number.to_string_lossy()).as_bytes());
            report.extend_from_slice(target.as_os_str().as_bytes());
            report.push(0);
        }
    }
    report
}
