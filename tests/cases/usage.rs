//! The command line, its outputs and their ends, and settings that cannot be used.

use nix::sys::signal::Signal;
use vault_testkit::raw::{Raw, Reply, STATUS};

use crate::support::expect::Expect;
use crate::support::launch::Inherit;
use crate::support::scenario::Scenario;

const USAGE: &str = "usage: vault-exec [OPTIONS] [--] COMMAND [ARG]..., more by --help";

#[test]
fn a_command_line_that_is_not_understood_is_64_before_anything_else() {
    let raw = Raw::start([]);
    for (options, cause) in [
        (&[][..], "no COMMAND and no --env-file given"),
        (&["--"], "no COMMAND and no --env-file given"),
        (&["--wait=1s"], "no COMMAND and no --env-file given"),
        (&["--nope", "true"], "unexpected argument '--nope' found"),
        (&["-x"], "unexpected argument '-x' found"),
        (&["--keys"], "a value is required for '--keys <KEYS>' but none was supplied"),
        (
            &["--requires", "A", "true"],
            "unexpected argument '--requires' found (a similar argument exists: '--require')",
        ),
        (&["--token", "hvs.x", "true"], "unexpected argument '--token' found"),
        (&["--\u{1b}[31m", "true"], "unexpected argument '--\\u{1b}[31m' found"),
    ] {
        for scenario in [Scenario::offline(), Scenario::against(&raw)] {
            let scenario = scenario.no_command().options(options);
            scenario.run().expect_failure(64, &format!("{cause}; {USAGE}"));
        }
    }
    assert_eq!(raw.connections(), 0);
}

#[test]
fn help_and_version_go_to_standard_output_and_are_no_error() {
    let version = concat!("vault-exec ", env!("CARGO_PKG_VERSION"), "\n");
    for option in ["--version", "-V"] {
        Scenario::offline().no_command().options([option]).run().expect(Expect::done().stdout(version));
    }
    for option in ["--help", "-h"] {
        let scenario = Scenario::offline().no_command().options([option]).env("VAULT_ADDR", "garbage");
        let outcome = scenario.run().expect(Expect::done().any_stdout());
        assert!(outcome.stdout.contains("Usage: vault-exec [OPTIONS] [--] COMMAND"), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("VAULT_REQUIRED_KEYS"), "{}", outcome.stdout);
    }
}

/// An output that nobody reads, in each way that this can be.
fn nobody_reads(descriptor: i32) -> [Vec<Inherit>; 3] {
    [
        vec![Inherit::NoReader(descriptor)],
        vec![Inherit::NoReader(descriptor), Inherit::Ignored(Signal::SIGPIPE)],
        vec![Inherit::Closed(descriptor)],
    ]
}

#[test]
fn help_that_nobody_reads_is_no_error_either() {
    for option in ["--help", "--version"] {
        for inherited in nobody_reads(1) {
            let scenario = Scenario::offline().no_command().options([option]).inherit(inherited);
            scenario.run().expect(Expect::done().stderr([""; 0]));
        }
    }
}

#[test]
fn an_error_that_nobody_reads_keeps_its_code() {
    for inherited in nobody_reads(2) {
        let raw = Raw::start([(STATUS, vec![Reply::with(302, "Location: http://elsewhere.example/\r\n", b"")])]);
        let scenario = Scenario::against(&raw).inherit(inherited);
        let termination = scenario.env("VAULT_TERMINATION_LOG", "{folder}/log");
        termination.run().expect(Expect::done().code(76).stderr([""; 0]));
        let written = std::fs::read_to_string(termination.file("log")).expect("a termination log");
        assert!(written.starts_with("vault-exec: vault at http://"), "{written}");
    }
}

#[test]
fn log_lines_that_nobody_reads_hinder_no_start() {
    for inherited in nobody_reads(2) {
        let raw = Raw::start([]);
        let scenario = Scenario::against(&raw).inherit(inherited).env("VAULT_LOG_LEVEL", "debug");
        scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([""; 0]));
        raw.expect_whole_run();
    }
}

#[test]
fn every_setting_that_cannot_be_used_has_a_line_of_its_own_and_nothing_is_asked() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw)
        .env("VAULT_TOKEN", "not a-token")
        .env("VAULT_PATH", "a//b")
        .env("VAULT_KEYS", "A,B:A")
        .env("VAULT_ON_CONFLICT", "merge")
        .env("VAULT_SKIP_VERIFY", "yes")
        .env("VAULT_WAIT", "5m")
        .env("VAULT_TERMINATION_LOG", "{folder}/log");
    let faults = [
        "VAULT_SKIP_VERIFY = \"yes\": not a boolean; write true or false",
        "VAULT_PATH = \"a//b\": a part of it is empty, . or ..; write it without these",
        "VAULT_KEYS = \"A,B:A\": two keys become A; give one of them another name",
        "VAULT_ON_CONFLICT = \"merge\": unknown; write overwrite, keep or error",
        "VAULT_TOKEN: holds bytes that no token has; give the token alone, in visible ASCII",
        "VAULT_WAIT = \"5m\": longer than VAULT_STARTUP_TIMEOUT; raise that one, or wait less",
    ];
    let lines = faults.map(|fault| format!("ERROR vault-exec: {fault}"));
    scenario.hides("not a-token").run().expect(Expect::done().code(78).stderr(lines));
    assert_eq!(raw.connections(), 0);
}
