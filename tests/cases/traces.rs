//! What the kernel sees of a run: the files it opens, where values are written to, what a crash leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use nix::sys::resource::Resource;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use vault_testkit::certs::certs;
use vault_testkit::missing;
use vault_testkit::raw::{READ, Raw, Reply, TOKEN};
use vault_testkit::unshare::permitted;

use crate::support::expect::Expect;
use crate::support::launch::{Inherit, apply};
use crate::support::leaks::found;
use crate::support::scenario::{PROGRAM, Scenario, child_program};
use crate::support::system::strace;

const VALUE: &str = "a-raw-secret";

/// Runs it under strace and returns the calls up to the application's start.
fn calls(scenario: Scenario) -> Option<Vec<String>> {
    let log = scenario.file("strace");
    strace(&log)?;
    let options = ["-f", "-v", "-s", "1000000", "-e", "trace=%file,%desc,%network,%process,prctl", "-o"];
    let options = options.map(Into::into).into_iter().chain([log.clone().into_os_string(), PROGRAM.into()]);
    let scenario = scenario.program("/usr/bin/strace").first(options);
    assert_eq!(scenario.run().code(), 0);
    let text = fs::read_to_string(log).expect("a log");
    // The first is the program's own start.
    let calls = text.lines().map(str::to_owned).collect::<Vec<_>>();
    let own = calls.iter().skip(1).take_while(|it| !it.contains("execve(")).cloned().collect();
    Some(own)
}

#[test]
fn no_file_is_opened_that_is_not_expected() {
    let raw = Raw::start([]);
    let Some(calls) = calls(Scenario::against(&raw)) else { return };
    let name = |call: &String| call.split('"').nth(1).map(str::to_owned);
    let opened: BTreeSet<_> = calls.iter().filter(|it| it.contains("open")).filter_map(name).collect();
    // The loader's, the C library's and the runtime's, by their names without versions.
    let expected =
        ["/etc/ld.so.", "/lib/", "/lib64/", "/usr/lib", "/proc/self/maps", "/proc/self/cgroup", "/sys/fs/cgroup"];
    let other: Vec<_> = opened.iter().filter(|it| !expected.iter().any(|begin| it.starts_with(begin))).collect();
    // And COMMAND, to see whether the kernel can execute it, and what tells whether somebody traces the start.
    let own =
        |it: &str| it.ends_with("/jwt") || it == child_program().to_str().expect("a text") || it == "/proc/self/status";
    assert!(other.len() == 3 && other.iter().all(|it| own(it)), "{other:#?}");
}

#[test]
fn it_is_closed_to_onlookers_before_it_looks_at_any_file_or_sends_anything() {
    let raw = Raw::start([]);
    let with_ca = || {
        let scenario = Scenario::against(&raw).env("VAULT_CACERT", "{folder}/ca.pem");
        fs::copy(&certs().ca.certificate_file, scenario.file("ca.pem")).expect("a copy");
        scenario
    };
    for scenario in [
        with_ca().command(["sh", "-c", "exit 0"]).env("PATH", "/nowhere:/usr/bin"),
        with_ca().no_command().options(["--env-file={folder}/app.env"]),
        with_ca().options(["--check"]).env("VAULT_LOG_LEVEL", "error"),
    ] {
        let Some(calls) = calls(scenario) else { return };
        let closed = calls.iter().position(|call| call.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0"));
        let (before, after) = calls.split_at(closed.unwrap_or_else(|| panic!("never closed:\n{}", calls.join("\n"))));
        // The loader's, and whether the kubelet has made a file for the last words.
        let expected = ["/etc/ld.so.", "/lib/", "/lib64/", "/usr/lib", "/dev/termination-log"];
        let named = before.iter().filter_map(|call| call.split('"').nth(1)).filter(|name| name.starts_with('/'));
        let early: Vec<_> = named.filter(|name| !expected.iter().any(|begin| name.starts_with(begin))).collect();
        assert_eq!(early, Vec::<&str>::new());
        assert!(!before.iter().any(|call| call.contains("socket(") || call.contains("connect(")), "{before:#?}");
        for read in ["ca.pem", "/jwt", "connect("] {
            assert!(after.iter().any(|call| call.contains(read)), "{read}: {after:#?}");
        }
    }
}

#[test]
fn a_passthrough_closes_nothing() {
    let Some(calls) = calls(Scenario::offline()) else { return };
    assert!(!calls.iter().any(|call| call.contains("prctl(")), "{calls:#?}");
}

/// The program under strace, which is a tracer.
fn traced(raw: &Raw) -> Option<Scenario<'static>> {
    let scenario = Scenario::against(raw);
    strace(&scenario.file("strace"))?;
    Some(scenario.program("/usr/bin/strace").options(["-f", "-o", "{folder}/strace", PROGRAM]))
}

#[test]
fn a_start_that_is_traced_says_so_once_and_is_refused_where_that_is_wanted() {
    let raw = Raw::start([]);
    let Some(scenario) = traced(&raw) else { return };
    let warning = "WARN  vault-exec: process {any} traces this start and can read its secrets; \
                   VAULT_REFUSE_TRACED=true makes that an error";
    let outcome = scenario.run();
    // strace is the process that was started, and the application not its like in every respect.
    assert_eq!((outcome.code(), outcome.log().len()), (0, 2), "{}", outcome.describe());
    let tracer = outcome.pid.to_string();
    assert_eq!(outcome.log()[0], warning.replace("{any}", &tracer));
    raw.expect_whole_run();

    let raw = Raw::start([]);
    let refusing = || traced(&raw).expect("as before").env("VAULT_REFUSE_TRACED", "true");
    let said = "process {any} traces this start and can read its secrets; end it, or take VAULT_REFUSE_TRACED out";
    refusing().run().expect_failure(71, said);
    refusing().no_command().options(["--check", "--env-file={folder}/app.env"]).run().expect_failure(71, said);
    raw.expect_requests([]);
    // A setting that cannot be used is told first.
    let said = "VAULT_TIMEOUT = \"soon\": {any}";
    refusing().env("VAULT_TIMEOUT", "soon").run().expect_failure(78, said);
}

#[test]
fn without_a_tracer_or_without_proc_nothing_is_said() {
    let raw = Raw::start([]);
    Scenario::against(&raw).env("VAULT_REFUSE_TRACED", "true").run().expect(Expect::started().env([("A", VALUE)]));
    let test = "without_a_tracer_or_without_proc_nothing_is_said";
    if !permitted(test, &["--mount"]) || traced(&raw).is_none() {
        return;
    }
    let script = "mount -t tmpfs none /proc && exec \"$@\"";
    let scenario = Scenario::against(&raw).env("PATH", "/usr/bin:/bin").env("VAULT_REFUSE_TRACED", "true");
    let scenario = scenario.command(["/bin/echo", "started"]).program("/usr/bin/unshare");
    let options = ["--mount", "/bin/sh", "-c", script, "sh", "/usr/bin/strace", "-o", "{folder}/strace", PROGRAM];
    scenario.options(options).run().expect(Expect::done().stdout("started\n"));
}

#[test]
fn a_value_is_written_to_the_applications_environment_only() {
    let raw = Raw::start([]);
    let Some(calls) = calls(Scenario::against(&raw)) else { return };
    let holding = calls.iter().filter(|call| found(VALUE, call).is_some());
    // It comes in by one read, and the execve is left out here.
    let kinds: BTreeSet<_> = holding.filter_map(|it| it.split_whitespace().nth(1)?.split('(').next()).collect();
    assert!(kinds.is_subset(&["read", "recvfrom"].into()), "{kinds:?}");
}

#[test]
fn a_value_is_written_to_the_env_file_only_and_the_token_to_the_server() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).no_command().options(["--env-file={folder}/app.env"]);
    let Some(calls) = calls(scenario) else { return };
    let writes = |secret: &str| -> Vec<_> {
        let writing = |call: &&String| ["write(", "writev(", "sendto(", "pwrite64("].iter().any(|it| call.contains(it));
        let held = calls.iter().filter(writing).filter(|call| found(secret, call).is_some());
        held.filter_map(|it| it.split(['(', ',']).nth(1)?.parse::<u32>().ok()).collect()
    };
    let descriptor = |call: &str| -> BTreeSet<u32> {
        let opening = calls.iter().filter(|it| it.contains(call));
        opening.filter_map(|it| it.rsplit("= ").next()?.parse().ok()).collect()
    };
    let [value, token] = [writes(VALUE), writes(TOKEN)];
    assert_eq!(value.len(), 1, "{value:?}");
    assert!(descriptor("app.env.vault-exec.").contains(&value[0]), "{value:?}");
    assert_eq!(token.len(), 2, "the read and the revoke: {token:?}");
    assert!(token.iter().all(|it| descriptor("socket(").contains(it)), "{token:?}");
}

#[test]
fn a_crash_leaves_no_core_file() {
    let everything = Inherit::Limit(Resource::RLIMIT_CORE, u64::MAX);
    for signal in [Signal::SIGABRT, Signal::SIGILL] {
        // A process that hides nothing leaves one, where the machine lets any.
        let folder = tempfile::tempdir().expect("a folder");
        let mut open = Command::new("/bin/sleep");
        apply(open.arg("60").current_dir(&folder), std::slice::from_ref(&everything));
        let mut open = open.spawn().expect("it starts");
        nix::sys::signal::kill(Pid::from_raw(open.id().try_into().expect("a pid")), signal).expect("a signal is sent");
        if !open.wait().expect("an end").core_dumped() {
            missing("core files");
            return;
        }
        let raw = Raw::start([(READ, vec![Reply::Hang(Vec::new())])]);
        let scenario = Scenario::against(&raw).inherit([everything.clone()]);
        let mut started = scenario.start();
        raw.await_requests(3);
        started.signal(signal);
        let outcome = started.finish();
        assert_eq!(outcome.code(), 1000 + signal as i32, "{}", outcome.describe());
        assert!(!outcome.status.core_dumped(), "a core file with a token in it");
    }
}
