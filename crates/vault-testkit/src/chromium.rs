//! Chromium without a window: what a page comes to once its scripts have run, and what it looks like.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::folders::{scratch, unique};
use crate::openbao::spawn_bound;
use crate::parts::missing;

const LIMIT: Duration = Duration::from_secs(60);

/// No sandbox, because it is started as root in containers; no network but loopback is meant to be asked.
const OPTIONS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--password-store=basic",
];

/// The program `chromium`. Nobody is there to answer a page: a login needs one that answers itself, as of a provider with
/// `auto_login`.
#[derive(Clone, Copy)]
pub struct Chromium(());

impl Chromium {
    /// `None` where it is missing. With `CI` set it must be there.
    pub fn find() -> Option<Self> {
        let is_there = Command::new("chromium").arg("--version").output().is_ok_and(|output| output.status.success());
        (is_there || missing("chromium; tests/install-tools installs it")).then_some(Self(()))
    }

    /// The document at `url` as HTML, after redirects and scripts.
    pub fn dump_dom(self, url: &str) -> String {
        run(&["--dump-dom", url])
    }

    /// Writes what it looks like to `file`, a PNG of 1280 by 800 pixels.
    pub fn screenshot(self, url: &str, file: &Path) {
        let file = file.to_str().expect("UTF-8");
        run(&[&format!("--screenshot={file}"), "--window-size=1280,800", "--hide-scrollbars", url]);
        assert!(Path::new(file).is_file(), "chromium has written no picture of {url}");
    }
}

/// What it prints; a profile of its own keeps it from others that run.
fn run(arguments: &[&str]) -> String {
    let folder = scratch(&format!("chromium-{}", unique()));
    let file = |name: &str| fs::File::create(folder.join(name)).expect("a file is created");
    let read = |name: &str| String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap_or_default()).into_owned();
    let mut command = Command::new("chromium");
    command.args(OPTIONS).arg(format!("--user-data-dir={}", folder.join("profile").display())).args(arguments);
    command.env("HOME", &folder).env_remove("DISPLAY").current_dir(&folder).process_group(0);
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("log"));
    let mut process = spawn_bound(command);
    let end = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = process.try_wait().expect("a child can be asked") {
            break Some(status);
        }
        if Instant::now() > end {
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // Those that it has started are in its group; they end with it or here.
    let _ = killpg(Pid::from_raw(process.id().try_into().expect("a pid")), Signal::SIGKILL);
    let _ = process.wait();
    assert!(status.is_some_and(|it| it.success()), "chromium ends with {status:?}:\n{}", read("log"));
    read("out")
}
