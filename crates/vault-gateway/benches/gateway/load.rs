//! A load of 16 connections, by [wrk](https://github.com/wg/wrk).

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use vault_testkit::{scratch, unique};

/// Seconds of one load.
const SECONDS: u32 = 3;

/// What wrk is told of its requests, and what it prints at its end: requests, microseconds, the microseconds within which
/// 99 of 100 were answered, and failures, which a status from 400 on is as well.
const END: &str = "function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format('figures %d %d %d %d', summary.requests, summary.duration, latency:percentile(99), failed))
end
";

/// One request, to be sent again and again.
pub(crate) struct Load {
    url: String,
    script: PathBuf,
}

/// What came of a load.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) requests: f64,
    /// Requests a second.
    pub(crate) a_second: f64,
    /// Milliseconds within which 99 of 100 requests were answered.
    pub(crate) p99: f64,
}

pub(crate) fn is_installed() -> bool {
    Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

impl Load {
    /// Requests with this method, this URL and one header; a POST has an empty object as its body.
    pub(crate) fn new(method: &str, url: String, (name, value): (&str, &str)) -> Self {
        let body = if method == "POST" { "wrk.body = '{}'\n" } else { "" };
        let script = scratch(&unique()).join("load.lua");
        let text = format!("wrk.method = '{method}'\nwrk.headers['{name}'] = '{value}'\n{body}{END}");
        fs::write(&script, text).expect("the script is written");
        Self { url, script }
    }

    /// Loads once. Every answer has to be a good one.
    pub(crate) fn run(&self) -> Rate {
        let mut wrk = Command::new("wrk");
        wrk.args(["--threads", "1", "--connections", "16", "--duration"]).arg(format!("{SECONDS}s"));
        let output = wrk.arg("--script").arg(&self.script).arg(&self.url).output().expect("wrk runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let figures = said.lines().find_map(|line| line.strip_prefix("figures ")).unwrap_or_default();
        let figures: Vec<f64> = figures.split(' ').filter_map(|figure| figure.parse().ok()).collect();
        let [requests, micros, p99, failed] = figures[..] else { panic!("wrk says: {said}") };
        assert!(failed < 0.5, "{failed} requests of {} failed:\n{said}", self.url);
        Rate { requests, a_second: requests / micros * 1e6, p99: p99 / 1000.0 }
    }
}
