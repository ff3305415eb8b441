//! Who starts the program and holds its signals: a terminal, whose keys and end are signals, and an init of a container.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use vault_testkit::raw::{LOGIN, READ, Raw, Reply, STATUS};
use vault_testkit::{missing, tally};

use crate::support::expect::Expect;
use crate::support::launch::with_usual_signals;
use crate::support::scenario::{PROGRAM, Scenario};

fn hanging(step: &'static str) -> Raw {
    Raw::start([(step, vec![Reply::Hang(Vec::new())])])
}

#[test]
fn below_tini_a_signal_ends_it_as_anywhere() {
    if !std::path::Path::new("/usr/bin/tini").exists() && !missing("tini") {
        return tally::note("skipped", "below_tini_a_signal_ends_it_as_anywhere");
    }
    for (step, asked, revokes) in [(STATUS, 1, 0), (LOGIN, 2, 0), (READ, 3, 1)] {
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
            let raw = hanging(step);
            // As a subreaper it need not be process 1.
            let scenario = Scenario::against(&raw).program("/usr/bin/tini").options(["-s", "--", PROGRAM]);
            let mut started = scenario.start();
            raw.await_requests(asked);
            started.signal(signal);
            let line = format!("ERROR vault-exec: {signal}: ended by it during start-up");
            let outcome = started.finish().expect(Expect::done().code(128 + signal as i32).stderr([line]));
            assert!(outcome.after_signal.as_secs() < 1, "{:?}", outcome.after_signal);
            assert_eq!(raw.requests().len(), asked + revokes);
        }
    }
}

/// A terminal's two ends. No other test's process may inherit them, or it never ends.
fn terminal() -> (PtyMaster, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let typist = posix_openpt(flags).expect("a terminal");
    grantpt(&typist).and_then(|()| unlockpt(&typist)).expect("the right to it");
    let mut open = File::options();
    open.read(true).write(true).custom_flags(flags.bits());
    let terminal = open.open(ptsname_r(&typist).expect("a name")).expect("its other end");
    (typist, terminal)
}

#[test]
fn in_the_foreground_of_a_terminal_its_keys_and_its_end_are_signals() {
    for (key, signal) in [(Some(b'\x03'), SIGINT), (Some(b'\x1c'), SIGQUIT), (None, SIGHUP)] {
        for (step, asked, revokes) in [(STATUS, 1, 0), (READ, 3, 1)] {
            let raw = hanging(step);
            let scenario = Scenario::against(&raw);
            let (typist, terminal) = terminal();
            // The one process of a new session, with the terminal as its own.
            let mut command = Command::new("setsid");
            command.args(["--ctty", PROGRAM, "--", "true"]).env_clear().envs(scenario.given_env());
            command.stdin(terminal).stdout(Stdio::null()).stderr(Stdio::piped());
            let process = with_usual_signals(&mut command).spawn().expect("setsid starts");
            drop(command);
            raw.await_requests(asked);
            let mut typist = Some(typist);
            match key {
                Some(key) => typist.as_mut().expect("open").write_all(&[key]).expect("a key"),
                None => drop(typist.take()),
            }
            let output = process.wait_with_output().expect("an end");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(128 + signal as i32), "{said}");
            assert!(said.ends_with(&format!("{signal}: ended by it during start-up\n")), "{said}");
            assert_eq!(raw.requests().len(), asked + revokes);
        }
    }
}
