//! What the application is and inherits: the same as without this program in front of it, with Vault and without.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use nix::sys::resource::Resource;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use vault_testkit::raw::{READ, Raw, Reply};

use crate::support::child_report::ChildReport;
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::launch::{self, Inherit};
use crate::support::scenario::{Scenario, child_program};

faults! { FAULTS, scripted;
    a_command_that_cannot_be_started_is_found_out_before_vault_is_asked: "COMMAND: missing, a directory, no permission, no program, its interpreter missing", Settings, 126 | 127, AtOnce;
}

/// Everything unusual that a process can be born with and that goes together.
fn oddities() -> Vec<Inherit> {
    vec![
        Inherit::Entry(b"DUP=first"),
        Inherit::Entry(b"DUP=second"),
        Inherit::Entry(b"no equals sign"),
        Inherit::Entry(b"=starts with one"),
        Inherit::Entry(b"EMPTY="),
        Inherit::Entry(b"BYTES=\xff\xfe\n"),
        Inherit::Entry(b""),
        Inherit::Ignored(Signal::SIGUSR1),
        Inherit::Ignored(Signal::SIGHUP),
        Inherit::Blocked(Signal::SIGUSR2),
        Inherit::Blocked(Signal::SIGINT),
        Inherit::Open(9),
        Inherit::Limit(Resource::RLIMIT_NOFILE, 200),
        Inherit::Limit(Resource::RLIMIT_CORE, 0),
    ]
}

fn odd_arguments() -> [&'static OsStr; 7] {
    [b"".as_slice(), b"--", b"--help", b"two words", b"\xff\xfe", b"--keys=x", b"$HOME"].map(OsStr::from_bytes)
}

/// Runs it; the application has to be the one that runs when nothing stands before it, but for its environment.
fn run_like_the_baseline(scenario: &Scenario) -> (ChildReport, ChildReport) {
    let outcome = scenario.run();
    let whole = outcome.describe();
    let child = outcome.child.as_ref().unwrap_or_else(|| panic!("{whole}"));
    let baseline = scenario.baseline();
    assert_eq!(outcome.code(), 0, "{whole}");
    assert_eq!(child.pid, outcome.pid, "{whole}");
    assert_eq!(child.argv, baseline.argv, "{whole}");
    assert_eq!(child.surroundings(), baseline.surroundings(), "{whole}");
    (child.clone(), baseline)
}

fn passthrough(inherited: Vec<Inherit>) -> Scenario<'static> {
    Scenario::offline().inherit(inherited).env("A", "1").env("VAULT_TOKEN", "left alone").args(odd_arguments())
}

#[test]
fn passthrough_is_env() {
    let scenario = passthrough(oddities());
    let (child, baseline) = run_like_the_baseline(&scenario);
    assert_eq!(child.env, baseline.env);
    assert_eq!(scenario.run().stderr, "");
    // And the baseline is what `env` makes of it.
    let (child, baseline) = run_like_the_baseline(&passthrough(oddities()).program("/usr/bin/env"));
    assert_eq!(child.env, baseline.env);
}

#[test]
fn passthrough_looks_at_nothing_but_the_log_settings() {
    Scenario::offline()
        .env("VAULT_ADDR", " ")
        .env("VAULT_TIMEOUT", "garbage")
        .env("VAULT_CACERT", "/nowhere")
        .env("VAULT_SECRET_ID", "left alone")
        .run()
        .expect(Expect::started().untouched().stderr([""; 0]));
    Scenario::offline()
        .env("VAULT_LOG_LEVEL", "debug")
        .run()
        .expect(Expect::started().stderr(["DEBUG vault-exec: VAULT_ADDR is unset: passthrough"]));
    Scenario::offline()
        .env("VAULT_REQUIRED", "true")
        .run()
        .expect_failure(78, "VAULT_ADDR: unset, and VAULT_REQUIRED is true; set it to Vault's https:// URL");
}

#[test]
fn a_full_run_hands_on_everything_but_credentials_and_adds_the_secret() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).inherit(oddities()).args(odd_arguments());
    let scenario = scenario.env("VAULT_AUTH_METHOD", "kubernetes").env("VAULT_TOKEN", "x").env("BAO_SECRET_ID", "x");
    let (child, baseline) = run_like_the_baseline(&scenario);
    let mut wanted = baseline.env;
    wanted.retain(|entry| !entry.starts_with(b"VAULT_TOKEN=") && !entry.starts_with(b"BAO_SECRET_ID="));
    wanted.push(b"A=a-raw-secret".to_vec());
    assert_eq!(child.env, wanted);
    raw.expect_whole_run();
}

#[test]
fn a_secret_replaces_every_copy_of_a_repeated_variable() {
    let raw = Raw::start([]);
    let entries: [&'static [u8]; 4] = [b"A=first", b"B=kept", b"A=second", b"B=kept too"];
    let (child, _) = run_like_the_baseline(&Scenario::against(&raw).inherit(entries.map(Inherit::Entry)));
    let odd: Vec<_> = child.env.iter().filter(|entry| entry.starts_with(b"A=") || entry.starts_with(b"B=")).collect();
    assert_eq!(odd, [&b"B=kept"[..], b"B=kept too", b"A=a-raw-secret"]);
}

#[test]
fn a_broken_pipe_kills_or_not_just_as_before() {
    for inherited in [vec![], vec![Inherit::Ignored(Signal::SIGPIPE)], vec![Inherit::Blocked(Signal::SIGPIPE)]] {
        let (child, _) = run_like_the_baseline(&passthrough(inherited.clone()));
        // Bit n-1 stands for signal n: PIPE is 13.
        let ignored = u64::from_str_radix(&child.status["SigIgn"], 16).expect("a mask") & 0x1000 != 0;
        assert_eq!(ignored, matches!(inherited[..], [Inherit::Ignored(_)]));
        let raw = Raw::start([]);
        run_like_the_baseline(&Scenario::against(&raw).inherit(inherited));
    }
}

#[test]
fn standard_descriptors_that_were_closed_stay_closed() {
    for closed in [vec![0], vec![1], vec![2], vec![0, 1], vec![0, 1, 2]] {
        let inherited = || closed.iter().map(|number| Inherit::Closed(*number));
        let (child, _) = run_like_the_baseline(&Scenario::offline().inherit(inherited()));
        assert!(closed.iter().all(|number| !child.descriptors.contains_key(&(*number).try_into().expect("small"))));
        let raw = Raw::start([]);
        run_like_the_baseline(&Scenario::against(&raw).inherit(inherited()));
        raw.expect_whole_run();
    }
}

#[test]
fn signals_that_end_a_start_up_reach_the_application_as_they_were() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        for inherited in [Inherit::Ignored(signal), Inherit::Blocked(signal)] {
            let raw = Raw::start([]);
            run_like_the_baseline(&Scenario::against(&raw).inherit([inherited]));
        }
    }
}

#[test]
fn the_applications_own_exit_code_is_the_exit_code() {
    let raw = Raw::start([]);
    Scenario::offline().args(["--exit=42"]).run().expect(Expect::started().code(42));
    let scenario = Scenario::against(&raw).args(["--exit=75"]);
    scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]).code(75));
}

#[test]
fn a_name_is_searched_in_path_and_links_and_argv_0_stay_as_they_are() {
    let raw = Raw::start([]);
    for scenario in [Scenario::offline(), Scenario::against(&raw)] {
        let scenario =
            scenario.env("PATH", "/nowhere:{folder}/locked:{folder}").command(["app", "--report={folder}/report"]);
        fs::create_dir(scenario.file("locked")).expect("a directory is made");
        fs::write(scenario.file("locked/app"), "not executable").expect("a file is written");
        symlink(child_program(), scenario.file("app")).expect("a link");
        let outcome = scenario.run();
        let child = outcome.child.as_ref().unwrap_or_else(|| panic!("{}", outcome.describe()));
        assert_eq!(child.argv, [b"app".to_vec(), scenario.expand("--report={folder}/report").into_bytes()]);
    }
    // Without PATH, the usual directories are searched.
    let scenario = Scenario::offline().command(["sh", "-c", "echo found; exit 7"]);
    scenario.run().expect(Expect::done().code(7).stdout("found\n"));
    // Without `--` the command begins at the first word that is no flag.
    let child = child_program();
    let words = [child.as_os_str(), OsStr::new("--report={folder}/report"), OsStr::new("--require=x")];
    let outcome_of = Scenario::offline().no_command().options(words);
    assert_eq!(outcome_of.run().child.expect("a child").argv[2], b"--require=x");
}

/// A command that cannot be started, with what has to be in the folder for it.
struct Bad {
    command: &'static str,
    content: &'static [u8],
    mode: u32,
    code: i32,
    message: &'static str,
}

const BAD: [Bad; 10] = [
    Bad {
        command: "/dev/null",
        content: b"",
        mode: 0,
        code: 126,
        message: "command /dev/null: not a regular file; name the program itself",
    },
    Bad {
        command: "nowhere",
        content: b"",
        mode: 0,
        code: 127,
        message: "command nowhere: not found in PATH ({folder}:/nope); check the name, or give the full path",
    },
    Bad {
        command: "{folder}/nowhere",
        content: b"",
        mode: 0,
        code: 127,
        message: "command {folder}/nowhere: not found; check the name and that the image holds it",
    },
    Bad {
        command: "",
        content: b"",
        mode: 0,
        code: 127,
        message: "command \"\": not found; check the name and that the image holds it",
    },
    Bad {
        command: "{folder}/bad/below-a-file",
        content: b"",
        mode: 0o755,
        code: 127,
        message: "command {folder}/bad/below-a-file: not found; check the name and that the image holds it",
    },
    Bad {
        command: "bad",
        content: b"#!/bin/sh\n",
        mode: 0o644,
        code: 126,
        message: "command bad: no permission to execute it; check the file's mode, its owner and `noexec` mounts",
    },
    Bad {
        command: "{folder}",
        content: b"",
        mode: 0,
        code: 126,
        message: "command {folder}: not a regular file; name the program itself",
    },
    Bad {
        command: "bad",
        content: b"echo no shell is asked\n",
        mode: 0o755,
        code: 126,
        message: "command bad: not a program that the kernel can execute; a script needs `#!` in its first line",
    },
    Bad {
        command: "{folder}/bad",
        content: b"#!/nowhere/python -u\nprint()\n",
        mode: 0o755,
        code: 127,
        message: "command {folder}/bad: its interpreter /nowhere/python is not found; \
                  install it in the image, or correct the first line of the file",
    },
    Bad {
        command: "{folder}/bad",
        content: b"#!/bin/sh\r\necho\r\n",
        mode: 0o755,
        code: 127,
        message: "command {folder}/bad: its interpreter /bin/sh\\r is not found; \
                  install it in the image, or correct the first line of the file",
    },
];

fn a_command_that_cannot_be_started_is_found_out_before_vault_is_asked() {
    let raw = Raw::start([]);
    for bad in BAD {
        for scenario in [Scenario::offline(), Scenario::against(&raw)] {
            let scenario = scenario.env("PATH", "{folder}:/nope").command([bad.command]);
            if bad.mode != 0 {
                fs::write(scenario.file("bad"), bad.content).expect("a file is written");
                fs::set_permissions(scenario.file("bad"), fs::Permissions::from_mode(bad.mode)).expect("a mode is set");
            }
            scenario.run().expect_failure(bad.code, bad.message);
        }
    }
    assert_eq!(raw.connections(), 0);
}

#[test]
fn a_binary_without_its_loader_names_it() {
    let raw = Raw::start([]);
    let mut binary = fs::read(child_program()).expect("a binary");
    // The loader's path is the first text with `/ld-` in it.
    let place = binary.windows(4).position(|it| it == b"/ld-").expect("a dynamic binary");
    binary[place + 1] = b'x';
    let scenario = Scenario::against(&raw).command(["{folder}/app"]);
    fs::write(scenario.file("app"), binary).expect("a file is written");
    fs::set_permissions(scenario.file("app"), fs::Permissions::from_mode(0o755)).expect("a mode is set");
    scenario.run().expect_failure(
        127,
        "command {folder}/app: its interpreter /{any}/xd-{any} is not found; \
         install it in the image, or correct the first line of the file",
    );
    assert_eq!(raw.connections(), 0);
}

#[test]
fn while_secrets_are_held_nobody_else_reads_its_memory_or_environment() {
    let raw = Raw::start([(READ, vec![Reply::Hang(Vec::new())])]);
    let scenario = Scenario::against(&raw).inherit([Inherit::Unprivileged]);
    let mut started = scenario.start();
    raw.await_requests(3);
    let reads = |pid: Pid| {
        let mut reader = Command::new("/bin/cat");
        reader.arg(format!("/proc/{pid}/environ"));
        launch::apply(&mut reader, &[Inherit::Unprivileged]);
        reader.output().expect("cat runs").status.success()
    };
    assert!(!reads(started.pid()));
    started.signal(Signal::SIGTERM);
    assert_eq!(started.finish().code(), 143);
    // It is not for want of rights: another process of the same user can be read.
    let mut other = Command::new("/bin/cat");
    launch::apply(other.stdin(Stdio::piped()), &[Inherit::Unprivileged]);
    let mut other = other.spawn().expect("cat runs");
    assert!(reads(Pid::from_raw(other.id().try_into().expect("a pid"))));
    drop(other.stdin.take());
    other.wait().expect("cat ends");
}

#[test]
fn a_command_that_only_the_kernel_can_refuse_costs_the_token_and_no_more() {
    let raw = Raw::start([]);
    for scenario in [Scenario::offline(), Scenario::against(&raw).env("VAULT_LOG_LEVEL", "error")] {
        let scenario = scenario.command(["{folder}/busy"]);
        fs::copy("/bin/true", scenario.file("busy")).expect("a copy");
        let writer = fs::OpenOptions::new().append(true).open(scenario.file("busy")).expect("a writer");
        scenario
            .run()
            .expect_failure(126, "command {folder}/busy: the file is being written to; start it when that has ended");
        drop(writer);
    }
    raw.expect_whole_run();
}
