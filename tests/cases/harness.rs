//! The tests' own tools: what the observed application reports has to be true, a builder has to see what
//! a run leaves behind, and an expectation has to be able to fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use serde_json::{Value, json};
use vault_testkit::http::Call;
use vault_testkit::on_both;
use vault_testkit::server::Server;

use crate::support::child_report::ChildReport;
use crate::support::expect::Expect;
use crate::support::fault_table::{Bound, Fault, Step};
use crate::support::scenario::{Scenario, child_program};

on_both! {
    a_start_is_told_from_everything_that_is_not_quite_one,
    a_failure_is_one_exact_line_and_no_secret,
    a_token_left_behind_and_each_request_are_seen,
    a_namespace_is_a_world_of_its_own,
}

#[test]
fn the_child_reports_exactly_what_it_inherits() {
    let mut command = Command::new("sh");
    // Ignored PIPE and USR1, closed input, one extra descriptor, an empty argument.
    let script = "trap '' PIPE USR1; exec 7</dev/null <&-; exec \"$0\" '' 'two words' --exit=3";
    let output = command.env_clear().env("A", "1\n2").env("B", "").args(["-c", script]).arg(child_program()).output();
    let output = output.expect("sh runs");
    let report = ChildReport::parse(&output.stdout);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(report.argv[1..], [b"".to_vec(), b"two words".to_vec(), b"--exit=3".to_vec()]);
    assert!(report.env.contains(&b"A=1\n2".to_vec()) && report.env.contains(&b"B=".to_vec()), "{report:?}");
    // Whoever started the tests may have left further ones open.
    assert!(!report.descriptors.contains_key(&0), "{report:?}");
    assert_eq!(report.descriptors[&7], "/dev/null");
    // Bit n-1 stands for signal n: USR1 is 10, PIPE is 13.
    let ignored = u64::from_str_radix(&report.status["SigIgn"], 16).expect("a mask");
    assert_eq!(ignored & 0x1200, 0x1200);
    assert_eq!(report.status["SigBlk"], "0000000000000000");
    assert_eq!(report.status["Threads"], "1");
    assert!(report.dumpable);
    assert_eq!(report.errors, Vec::<String>::new());
}

#[test]
fn a_baseline_has_the_given_environment_and_nothing_else() {
    let scenario = Scenario::offline().env("A", "1").args(["x"]);
    let report = scenario.baseline();
    assert_eq!(report.env, [b"A=1"]);
    assert_eq!(report.descriptors[&0], "/dev/null");
    assert_eq!(report.surroundings(), scenario.baseline().surroundings());
}

/// A stand-in for the program that hands on everything but the credentials.
fn handing_on(scenario: Scenario) -> Scenario {
    scenario.program("/usr/bin/env").options(["-u", "VAULT_TOKEN"])
}

/// A stand-in that runs a line of shell.
fn shell<'a>(scenario: Scenario<'a>, line: &str) -> Scenario<'a> {
    scenario.program("/bin/sh").options(["-c", line])
}

fn fails(expectation: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(expectation)).is_err()
}

fn a_start_is_told_from_everything_that_is_not_quite_one(server: &Server) {
    let scenario = handing_on(Scenario::new(server).secret(&json!({"A": "a-secret"})).token(&json!({})).args(["x"]));
    scenario.run().expect(Expect::started()).expect_requests([]);
    assert!(fails(|| drop(scenario.run().expect(Expect::started().env([("A", "a-secret")])))), "a missing variable");
    assert!(fails(|| drop(scenario.run().expect(Expect::started().untouched()))), "a token that should be there");
    assert!(fails(|| drop(scenario.run().expect(Expect::done()))), "a start that should not be");
    assert!(fails(|| drop(scenario.run().expect(Expect::started().code(1)))), "another code");
    assert!(fails(|| drop(scenario.run().expect(Expect::started().stderr(["a line"])))), "a missing line");
    for change in ["trap '' USR1;", "exec 9</dev/null;", "umask 077;", "ulimit -n 64;", "echo;", "echo x >&2;", "cd /;"]
    {
        let scenario = shell(Scenario::offline(), &format!("{change} unset PWD; exec \"$@\""));
        assert!(fails(|| drop(scenario.run().expect(Expect::started()))), "{change}");
    }
    shell(Scenario::offline(), "unset PWD; exec \"$@\"").run().expect(Expect::started());
}

fn a_failure_is_one_exact_line_and_no_secret(server: &Server) {
    let line = "2026-11-22T09:48:23.123Z ERROR vault-exec: {addr} said 403 (reason 7)";
    let secret = json!({"A": "a-secret"});
    let failing = |more: &str| {
        let line = format!("echo '{line}' >&2; {more} exit 77");
        shell(Scenario::new(server).secret(&secret), &line)
    };
    failing("").run().expect_failure(77, "{addr} said 403 (reason {any})");
    let refuses = |scenario: Scenario, code, message| fails(|| drop(scenario.run().expect_failure(code, message)));
    assert!(refuses(failing(""), 76, "{addr} said 403 (reason 7)"));
    assert!(refuses(failing(""), 77, "{addr} said 403"));
    assert!(refuses(failing("echo more >&2;"), 77, "{addr} said 403 (reason 7)"));
    assert!(refuses(failing("echo more;"), 77, "{addr} said 403 (reason 7)"));
    assert!(refuses(failing("").secret(&json!({"B": "reason 7"})), 77, "{addr} said 403 (reason 7)"));
}

fn a_token_left_behind_and_each_request_are_seen(server: &Server) {
    let waits = "until [ -e \"$GATE\" ]; do /bin/sleep 0.01; done; exit 1";
    let scenario = shell(Scenario::new(server).secret(&json!({"A": "1"})).kubernetes(), waits);
    let scenario = scenario.env("GATE", "{folder}/gate");
    let started = scenario.start();
    let jwt = std::fs::read_to_string(scenario.file("jwt")).expect("a JWT");
    let login = json!({"role": scenario.name, "jwt": jwt}).to_string();
    let made = server.send(&Call { body: Some(login), ..Call::new("POST", "auth/kubernetes/login") }).json();
    let token = made["auth"]["client_token"].as_str().map(str::to_owned);
    let path = format!("kv/data/{}", scenario.path());
    let read = server.send(&Call { token: token.clone(), ..Call::new("GET", &path) });
    assert_eq!(read.json()["data"]["data"], json!({"A": "1"}));
    std::fs::write(scenario.file("gate"), "").expect("the gate opens");
    let outcome = started.finish().expect_requests(["update auth/kubernetes/login", "read kv/data/{path}"]);
    assert_eq!((outcome.tokens_before, outcome.tokens_after), (0, 1));
    let asked: Vec<_> = outcome.asked.iter().map(|asked| asked.with_token).collect();
    assert_eq!(asked, [false, true]);
    assert!(fails(|| drop(outcome.expect(Expect::done().code(1)))), "a token that was left behind");
    server.send(&Call { token, ..Call::new("POST", "auth/token/revoke-self") });
}

fn a_namespace_is_a_world_of_its_own(server: &Server) {
    let scenario = handing_on(Scenario::in_namespace(server).secret(&json!({"A": "1"})).kubernetes().token(&json!({})));
    let env = scenario.given_env();
    assert_eq!(
        server.must_in(
            env["VAULT_NAMESPACE"].to_str().expect("a text"),
            "GET",
            &format!("kv/data/{}", scenario.path()),
            &Value::Null
        )["data"]["data"],
        json!({"A": "1"})
    );
    let outcome = scenario.run().expect(Expect::started());
    assert_eq!(outcome.tokens_after, 1);
}

#[test]
fn a_row_that_says_another_thing_than_its_runs_do_fails_its_test() {
    let row = |step, codes: &'static [i32]| Fault { what: "", step, codes, bound: Bound::AtOnce, test: "" };
    let run = || drop(Scenario::offline().env("VAULT_ADDR", "no URL").run());
    row(Step::Settings, &[78]).hold(run);
    for wrong in [row(Step::Settings, &[77]), row(Step::Settings, &[77, 78]), row(Step::Read, &[78])] {
        assert!(fails(|| wrong.hold(run)), "{:?} {:?}", wrong.step, wrong.codes);
    }
}

#[test]
fn what_the_tests_have_inherited_is_not_passed_on() {
    // Nor a descriptor that another test has open just now, whose name may change between two looks at it.
    let script = "for it in /proc/$$/fd/*; do it=${it##*/}; ((it < 3)) || eval \"exec $it>&-\"; done
                  trap '' HUP INT QUIT TERM PIPE USR1 XFSZ; exec \"$0\" \"$@\"";
    let tests = [
        "cases::signals::in_a_call::scripted",
        "cases::signals::one_that_was_ignored_stays_so",
        "cases::parents::in_the_foreground_of_a_terminal_its_keys_and_its_end_are_signals",
        "cases::exec::passthrough_is_env",
    ];
    let mut command = Command::new("bash");
    command.args(["-c", script]).arg(std::env::current_exe().expect("this program")).arg("--exact").args(tests);
    // One after the other: a terminal that one of them opens is a descriptor that another's child would inherit.
    let output = command.arg("--test-threads=1").output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("4 passed; 0 failed"), "{said}");
}

#[test]
fn a_secret_in_any_place_fails_the_run() {
    for line in ["echo a-secret >&2", "echo a-secret", "echo YS1zZWNyZXQ=", "printf a-sec; echo; printf ret"] {
        assert!(fails(|| drop(shell(Scenario::offline().hides("a-secret"), line).run())), "{line}");
    }
    for file in ["log", ".app.env.vault-exec.123456"] {
        let scenario = shell(Scenario::offline().hides("a-secret"), "echo a-secret >\"$FILE\"");
        let scenario = scenario.env("FILE", format!("{{folder}}/{file}")).env("VAULT_TERMINATION_LOG", "{folder}/log");
        assert!(fails(|| drop(scenario.run())), "{file}");
    }
}
