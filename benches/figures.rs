//! The figures that a release must keep, measured in one run and printed as a table with their limits.
//!
//! Times are ratios of interleaved runs, since the machine's own speed drifts. A figure past its limit fails the run.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_macros, unused_imports, reason = "the tests use more of it")]
mod support;

use support::scenario::Scenario;
use support::server::{Kind, Listener, Server};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vault-exec");

/// Runs of each side of a ratio.
const PAIRS: usize = 200;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|argument| argument == "--measure-memory") {
        return measure_memory(&args[2..]);
    }
    let mut rows = vec![binary_size(), passthrough(), dependencies()];
    match Server::shared(Kind::OpenBao) {
        Some(server) => rows.extend(full_run(server)),
        None if std::env::var_os("CI").is_some() => return ExitCode::FAILURE,
        None => println!("skipped: what needs OpenBao, which is not installed in target/tools"),
    }
    println!("| figure | measured | at most |\n|---|---|---|");
    for row in &rows {
        println!("| {} | {} | {} |", row.figure, row.measured, row.limit);
    }
    if rows.iter().all(|row| row.kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Row {
    figure: &'static str,
    measured: String,
    limit: &'static str,
    kept: bool,
}

fn binary_size() -> Row {
    let bytes = std::fs::metadata(PROGRAM).expect("the program is built").len();
    let measured = format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000);
    Row { figure: "binary, dynamically linked, stripped", measured, limit: "2.5 MB", kept: bytes <= 2_500_000 }
}

/// Wall time of a passthrough against `env`, pair by pair.
fn passthrough() -> Row {
    let timed = |program: &str, separator: &[&str]| {
        let start = Instant::now();
        let status = Command::new(program).args(separator).arg("true").env_remove("VAULT_ADDR").status();
        assert!(status.expect("it starts").success());
        start.elapsed()
    };
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let ours = timed(PROGRAM, &["--"]);
        ratios.push(ours.as_secs_f64() / timed("/usr/bin/env", &[]).as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let [low, median, high] = [PAIRS / 10, PAIRS / 2, PAIRS * 9 / 10].map(|n| ratios[n]);
    let measured = format!("{median:.2} × (80% of {PAIRS} pairs: {low:.2} to {high:.2})");
    Row { figure: "passthrough, wall time", measured, limit: "1.25 × `env true`", kept: median <= 1.25 }
}

fn dependencies() -> Row {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments =
        ["tree", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}", "--target", &target];
    let tree = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let tree = String::from_utf8(tree.expect("cargo runs").stdout).expect("names are text");
    let mut crates: Vec<_> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.sort_unstable();
    crates.dedup();
    Row {
        figure: "crates in the release binary",
        measured: (crates.len() - 1).to_string(),
        limit: "as few as needed",
        kept: true,
    }
}

/// A Kubernetes login over TLS with three variables, in front of `true`.
fn full_run(server: &Server) -> Vec<Row> {
    let scenario = Scenario::new(server).secret(&json!({"A": "1", "B": "2", "C": "3"})).kubernetes().tls(Listener::Tls);
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(scenario.given_env()).env("VAULT_LOG_LEVEL", "warn");
        command.stderr(Stdio::inherit()).output().expect("it starts")
    };
    let this = std::env::current_exe().expect("this program has a path");
    let memory = |arguments: &[&str]| -> u64 {
        let measure = [&["--measure-memory"], arguments].concat();
        String::from_utf8(run(&this, &measure).stdout).expect("a number").trim().parse().expect("a number")
    };
    let (floor, kib) = (memory(&["/usr/bin/true"]), memory(&[PROGRAM, "--", "/usr/bin/true"]));
    let mib = |kib: u64| format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024);
    let measured = format!("{} (`true` alone: {})", mib(kib), mib(floor));
    let memory = Row { figure: "peak memory of a full run over TLS", measured, limit: "6 MiB", kept: kib <= 6 * 1024 };

    let before = server.asked(&scenario.name).len();
    let start = Instant::now();
    assert!(run(Path::new(PROGRAM), &["--", "true"]).status.success());
    let wall = start.elapsed();
    let asked = server.asked(&scenario.name).split_off(before);
    let mut connections: Vec<_> = asked.iter().map(|asked| asked.connection).collect();
    connections.dedup();
    // The audit log does not hold the status check, which needs no token.
    let (requests, connections) = (asked.len() + 1, connections.len());
    let measured = format!("{requests}, on {connections} connection{}", if connections == 1 { "" } else { "s" });
    let kept = requests <= 4 && connections == 1;
    let requests = Row { figure: "requests of a full run", measured, limit: "4, on 1 connection", kept };

    vec![
        memory,
        requests,
        threads(&run),
        Row {
            figure: "wall time of that run, for orientation",
            measured: format!("{} ms", Duration::as_millis(&wall)),
            limit: "-",
            kept: true,
        },
    ]
}

/// Threads of a run, counted by the system calls that start one.
fn threads(run: &dyn Fn(&Path, &[&str]) -> std::process::Output) -> Row {
    let strace = Path::new("/usr/bin/strace");
    let (measured, kept) = if strace.exists() {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures.strace");
        let log_path = log.to_str().expect("a path of text");
        let traced = run(strace, &["-f", "-e", "trace=clone,clone3", "-o", log_path, PROGRAM, "--", "true"]);
        assert!(traced.status.success());
        let started = std::fs::read_to_string(&log).expect("a trace").lines().filter(|l| l.contains("clone")).count();
        (started.to_string(), started == 0)
    } else {
        ("skipped: strace is not installed".to_owned(), std::env::var_os("CI").is_none())
    };
    Row { figure: "threads started, the address being an IP", measured, limit: "0", kept }
}

/// Runs a command from this small process and prints its peak memory in KiB: the kernel counts the memory of the
/// process that starts it as its own.
fn measure_memory(command: &[std::ffi::OsString]) -> ExitCode {
    let status = Command::new(&command[0]).args(&command[1..]).status().expect("it starts");
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).expect("it is counted");
    println!("{}", usage.max_rss());
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
