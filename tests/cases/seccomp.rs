//! A container's seccomp profile that denies a call: whichever it is, a start ends soon, with a code and a sentence, or
//! goes well without it; no application starts half-prepared, and no token is left behind.

use std::fs;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::Resource;
use vault_testkit::raw::{LOGIN, Raw};
use vault_testkit::unshare::permitted as may_unshare;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::launch::Inherit;
use crate::support::outcome::Outcome;
use crate::support::scenario::{PROGRAM, Scenario};
use crate::support::seccomp::{Denied, calls, permitted};
use crate::support::system::names;

faults! { FAULTS, scripted;
    a_call_that_guards_the_process_is_needed_before_anything_is_asked: "a seccomp profile without `prctl`, `rt_sigaction`, `rt_sigprocmask` or `signalfd4`", Settings, 71, AtOnce;
    a_call_that_the_network_needs_is_named: "a seccomp profile without `pipe2`, `clone3`, `socket`, `getsockopt`, `setsockopt` or `poll`", Connect, 71, AtOnce;
    a_profile_without_execve_costs_the_token_and_starts_nothing: "a seccomp profile without `execve`", Handover, 71 | 126, AtOnce;
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Passthrough,
    Command,
    File,
}

/// How it ends when a call is denied.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// As if nothing were denied.
    Well,
    /// With this code and a line that holds this text.
    Error(i32, String),
    /// The C library or its loader cannot do without, and says so before there is a token.
    InTheLibrary,
    /// With this code; the sentence cannot be written either.
    Unsaid(i32),
}

/// A server for the name `localhost`, which has to be looked up, and no more than a second of processor time.
fn scenario(run: Run, raw: &Raw, denied: impl IntoIterator<Item = Denied>) -> Scenario<'static> {
    let inherited =
        [Inherit::Limit(Resource::RLIMIT_CPU, 1)].into_iter().chain(denied.into_iter().map(Inherit::Denied));
    let scenario = match run {
        Run::Passthrough => Scenario::offline(),
        Run::Command | Run::File => Scenario::against(raw).at(&raw.addr().replace("127.0.0.1", "localhost")),
    };
    let scenario = match run {
        Run::File => scenario.no_command().options(["--env-file={folder}/app.env"]),
        Run::Passthrough | Run::Command => scenario.command(["/bin/echo", "started"]),
    };
    scenario.inherit(inherited)
}

fn expected(run: Run, call: &str, errno: Errno) -> End {
    let no_call = errno == Errno::ENOSYS;
    let refused =
        |call: &str| End::Error(71, format!("system call {call}: {}; the container's seccomp profile", errno.desc()));
    match call {
        "arch_prctl" | "close" | "mmap" | "mprotect" | "newfstatat" | "openat" | "pread64" | "read" => {
            End::InTheLibrary
        }
        "write" if run == Run::File => End::Unsaid(74),
        // It starts, and `echo` cannot write either.
        "write" => End::Unsaid(1),
        _ if run == Run::Passthrough => End::Well,
        "prctl" | "rt_sigaction" | "rt_sigprocmask" | "signalfd4" | "pipe2" | "socket" | "getsockopt"
        | "setsockopt" | "recvfrom" => refused(call),
        "poll" | "ppoll" => refused("poll or ppoll"),
        // Where there is none at all, the C library makes threads by another.
        "clone3" if no_call => End::Well,
        "clone3" => refused("clone3 or clone"),
        // EPERM can be a firewall's answer.
        "connect" | "sendto" if no_call => refused(call),
        "connect" | "sendto" => End::Error(
            69,
            "connecting is not permitted; a firewall, a network policy or the container's seccomp profile forbids it"
                .into(),
        ),
        // The look-up of a name: the library gives up, or the name.
        "futex" => End::InTheLibrary,
        "lseek" => End::Error(69, "localhost does not resolve".into()),
        "fchmod" | "fremovexattr" | "renameat" | "fcntl" if run == Run::File => {
            End::Error(73, format!("{} while ", errno.desc()))
        }
        "fsync" => End::Error(
            74,
            format!(
                "{} while syncing a temporary file beside it; the container's seccomp profile may forbid the call",
                errno.desc()
            ),
        ),
        _ => End::Well,
    }
}

/// What a run came to, judged by everything that it left.
fn ended(run: Run, raw: &Raw, outcome: &Outcome) -> End {
    let whole = outcome.describe();
    let asked = raw.requests();
    let [logins, revokes] = [LOGIN, "revoke"].map(|step| asked.iter().filter(|it| it.contains(step)).count());
    assert_eq!(logins, revokes, "a token is left behind: {asked:?}\n{whole}");
    let code = outcome.code();
    let started = outcome.stdout == "started\n";
    let written =
        fs::read_to_string(outcome.scenario.file("app.env")).is_ok_and(|it| it == "export A='a-raw-secret'\n");
    let left: Vec<_> = names(&outcome.scenario.file("")).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(left, Vec::<String>::new(), "{whole}");
    assert_eq!(started || written, code == 0, "{whole}");
    let lines = outcome.log();
    let errors: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("ERROR vault-exec: ")).collect();
    match (code, &errors[..]) {
        (0, []) => assert_eq!(logins, usize::from(run != Run::Passthrough), "{whole}"),
        (_, [error]) => return End::Error(code, (*error).to_owned()),
        (1 | 74, []) if lines.is_empty() => return End::Unsaid(code),
        (127 | 1006 | 1011, []) if logins == 0 => return End::InTheLibrary,
        _ => panic!("no end that is known\n{whole}"),
    }
    End::Well
}

fn hold(run: Run, expected: &End, denied: &[Denied]) {
    let raw = Raw::start([]);
    let scenario = scenario(run, &raw, denied.iter().copied());
    let outcome = scenario.run();
    let end = ended(run, &raw, &outcome);
    let same = match (&end, expected) {
        (End::Error(code, said), End::Error(wanted, part)) => code == wanted && said.contains(part.as_str()),
        (end, expected) => end == expected,
    };
    assert!(same, "{run:?} {denied:?}: {end:?}, and expected was {expected:?}\n{}", outcome.describe());
}

/// Every call that such a run makes, denied alone.
fn each_call_denied(run: Run) {
    if !permitted() {
        return;
    }
    let Some(calls) = calls(scenario(run, &Raw::start([]), [])) else { return };
    assert!(calls.len() > 10, "{calls:?}");
    for (name, call) in calls {
        for errno in [Errno::EPERM, Errno::ENOSYS] {
            hold(run, &expected(run, &name, errno), &[Denied::always(call, errno)]);
        }
    }
}

#[test]
fn a_passthrough_needs_no_call_but_those_of_the_loader_and_execve() {
    each_call_denied(Run::Passthrough);
}

#[test]
fn a_run_ends_well_or_with_a_sentence_whichever_call_is_denied() {
    each_call_denied(Run::Command);
}

#[test]
fn an_env_file_is_written_or_there_is_a_sentence_whichever_call_is_denied() {
    each_call_denied(Run::File);
}

fn a_call_that_guards_the_process_is_needed_before_anything_is_asked() {
    denied_one_by_one(&[
        ("prctl", libc::SYS_prctl),
        ("rt_sigaction", libc::SYS_rt_sigaction),
        ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
        ("signalfd4", libc::SYS_signalfd4),
    ]);
}

fn a_call_that_the_network_needs_is_named() {
    denied_one_by_one(&[
        ("pipe2", libc::SYS_pipe2),
        ("socket", libc::SYS_socket),
        ("poll", libc::SYS_poll),
        ("getsockopt", libc::SYS_getsockopt),
        ("setsockopt", libc::SYS_setsockopt),
    ]);
    if permitted() {
        let [clone3, clone] = [(libc::SYS_clone3, Errno::ENOSYS), (libc::SYS_clone, Errno::EPERM)];
        let denied = [clone, clone3].map(|(call, errno)| Denied::always(call, errno));
        hold(Run::Command, &expected(Run::Command, "clone3", Errno::EPERM), &denied);
    }
}

fn denied_one_by_one(calls: &[(&str, libc::c_long)]) {
    for (name, call) in calls.iter().filter(|_| permitted()) {
        for errno in [Errno::EPERM, Errno::ENOSYS] {
            for run in [Run::Command, Run::File] {
                hold(run, &expected(run, name, errno), &[Denied::always(*call, errno)]);
            }
        }
    }
}

fn a_profile_without_execve_costs_the_token_and_starts_nothing() {
    if !permitted() {
        return;
    }
    let not_permitted = "command /bin/echo: not permitted; the file has capabilities that this container drops, or its \
                         seccomp profile forbids execve";
    let no_call = "command /bin/echo: system call execve: Function not implemented; the container's seccomp profile or \
                   limits may forbid it";
    for (errno, code, said) in [(Errno::EPERM, 126, not_permitted), (Errno::ENOSYS, 71, no_call)] {
        let denied = Denied::always(libc::SYS_execve, errno);
        hold(Run::Command, &End::Error(code, said.into()), &[denied]);
    }
}

#[test]
fn a_file_that_may_not_be_made_is_a_file_error_and_a_name_for_a_thread_is_not_needed() {
    if !permitted() {
        return;
    }
    let flags = |flag: i32| Some((2, flag.cast_unsigned(), flag.cast_unsigned()));
    for errno in [Errno::EPERM, Errno::ENOSYS] {
        let openat = |flag| Denied { argument: flags(flag), ..Denied::always(libc::SYS_openat, errno) };
        let said = |doing: &str| End::Error(73, format!("app.env: {} while {doing}", errno.desc()));
        hold(Run::File, &said("creating a temporary file beside it"), &[openat(libc::O_CREAT)]);
        hold(Run::File, &said("opening its directory"), &[openat(libc::O_DIRECTORY)]);
        let name = (0, u32::MAX, libc::PR_SET_NAME.cast_unsigned());
        let naming = Denied { argument: Some(name), ..Denied::always(libc::SYS_prctl, errno) };
        hold(Run::Command, &End::Well, &[naming]);
    }
}

#[test]
fn a_dry_run_that_may_not_ask_for_its_rights_finds_them_out() {
    if !permitted() {
        return;
    }
    for errno in [Errno::EPERM, Errno::ENOSYS] {
        let raw = Raw::start([]);
        let scenario = scenario(Run::File, &raw, [Denied::always(libc::SYS_faccessat2, errno)]).options(["--check"]);
        let outcome = scenario.run().expect(Expect::done().any_stdout());
        assert!(outcome.stdout.contains("can be written"), "{}", outcome.describe());
        raw.expect_whole_run();
    }
}

#[test]
fn without_any_source_of_random_numbers_nothing_is_asked() {
    let test = "without_any_source_of_random_numbers_nothing_is_asked";
    if !permitted() || !may_unshare(test, &["--mount"]) {
        return;
    }
    for (errno, desc) in [(Errno::EPERM, "Operation not permitted"), (Errno::ENOSYS, "Function not implemented")] {
        let raw = Raw::start([]);
        let script = "mount -t tmpfs none /dev && exec \"$@\"";
        let scenario = Scenario::against(&raw).inherit([Inherit::Denied(Denied::always(libc::SYS_getrandom, errno))]);
        let scenario =
            scenario.program("/usr/bin/unshare").options(["--mount", "/bin/sh", "-c", script, "sh", PROGRAM]);
        scenario.env("PATH", "/usr/bin:/bin").run().expect_failure(
            71,
            &format!("system call getrandom: {desc}; the container's seccomp profile or limits may forbid it"),
        );
        raw.expect_requests([]);
    }
}
