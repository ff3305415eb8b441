//! Who is told of a change: a process by a signal, and COMMAND.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::json;
use vault_testkit::raw::{READ, Raw, Reply};
use vault_testkit::server::Server;
use vault_testkit::{eventually, on_both};

use super::{OPTIONS, await_content, end, health, lines, watched, write};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;
use crate::support::system::free_port;

on_both! {
    the_order_is_file_signal_command_and_command_has_no_credential,
}

/// A program that stands in the folder of `scenario`.
fn script(scenario: &Scenario, name: &str, body: &str) -> PathBuf {
    let path = scenario.file(name);
    fs::write(&path, format!("#!/bin/sh\ncd {} || exit 9\n{body}\n", scenario.file("").display())).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path
}

/// A process that ends with the test, whatever comes of that.
struct Listening(Child);

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process of this name that writes a line into `told` for each HUP, with what the env file holds then.
fn process(scenario: &Scenario, name: &str) -> Listening {
    // A shell heeds a trap between two commands.
    let body = "trap 'echo \"signal $(cat app.env)\" >> told' HUP\necho ready >> told\nwhile :; do sleep 0.1; done";
    script(scenario, "body", body);
    let shell = scenario.file(name);
    fs::copy("/bin/sh", &shell).expect("a shell of this name");
    let child = Listening(Command::new(shell).arg(scenario.file("body")).spawn().expect("it starts"));
    eventually("the process is ready", || lines(&scenario.file("told")) == ["ready"]);
    child
}

fn the_order_is_file_signal_command_and_command_has_no_credential(server: &Server) {
    let name = vault_testkit::unique();
    let scenario = watched(server, &json!({"A": "first"})).env("VAULT_TOKEN_NOTE", "kept").token(&json!({}));
    let scenario = scenario.unset("VAULT_ROLE").options(["--notify", &format!("hup:{name}")]);
    let hook = script(
        &scenario,
        "hook",
        "echo \"hook $VAULT_EXEC_FILE $VAULT_EXEC_SECRET_VERSION [$VAULT_TOKEN] $VAULT_TOKEN_NOTE\" >> told",
    );
    let scenario = scenario.with_command([hook]);
    let _listening = process(&scenario, &name);
    let started = scenario.start();
    started.await_log("app.env created");
    write(server, &scenario, &json!({"A": "second"}));
    await_content(&scenario, "export A='second'\n");
    started.await_log("succeeded");
    eventually("both were told", || lines(&scenario.file("told")).len() == 3);
    let mut told = lines(&scenario.file("told"));
    told[1..].sort();
    let hooked = format!("hook {} 2 [] kept", scenario.file("app.env").display());
    assert_eq!(told, ["ready".to_owned(), hooked, "signal export A='second'".to_owned()]);
    let outcome = end(started).expect(Expect::done().any_stderr());
    let log = outcome.log().join("\n");
    assert!(log.contains(&format!("INFO  vault-exec: notify HUP:{name}: sent to 1 process")), "{log}");
}

/// A watch whose secret is another one at each read, with this hook.
fn restless(body: &str, options: &[&str]) -> (Raw, Scenario<'static>) {
    let secret = |number| {
        let metadata = json!({"created_time": "2026-01-02T03:04:05Z", "destroyed": false, "version": number});
        Reply::json(200, &json!({"data": {"data": {"A": format!("value-{number}")}, "metadata": metadata}}))
    };
    let raw = Raw::start([(READ, (1..100).map(secret).collect())]);
    let scenario = Scenario::against(&raw).no_command().options(OPTIONS).options(options);
    let hook = script(&scenario, "hook", body);
    (raw, scenario.with_command([hook]))
}

#[test]
fn a_hook_that_fails_is_a_warning_shown_in_health_and_ends_nothing() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let (_raw, scenario) = restless("test -e fine || { echo failed >> told; exit 3; }", &["--listen", &listen]);
    let started = scenario.start();
    started.await_log("hook: ended with code 3");
    eventually("health shows it", || health(port).1["hook_ok"] == false);
    fs::write(scenario.file("fine"), "").expect("a file");
    eventually("health shows that it is over", || health(port).1["hook_ok"] == true);
    let outcome = end(started).expect(Expect::done().any_stderr());
    let log = outcome.log().join("\n");
    assert!(log.contains("ended with code 3; it runs again after the next change"), "{log}");
}

#[test]
fn a_hook_that_hangs_is_ended_with_its_children_and_refreshes_go_on() {
    let (raw, scenario) = restless("trap '' TERM; echo $$ >> told; sleep 600 & wait; sleep 600", &[]);
    let scenario = scenario.env("VAULT_TIMEOUT", "1s");
    let started = scenario.start();
    started.await_log("took too long and was ended");
    let before = raw.requests().len();
    raw.await_requests(before + 2);
    end(started).expect(Expect::done().any_stderr());
    let leaders = lines(&scenario.file("told"));
    eventually("no member of a group is left", || {
        leaders.iter().all(|leader| {
            let group = nix::unistd::Pid::from_raw(leader.parse().expect("a number"));
            nix::sys::signal::killpg(group, None) == Err(nix::errno::Errno::ESRCH)
        })
    });
}

#[test]
fn a_hook_that_is_called_as_the_process_to_signal_is_not_signalled() {
    let name = vault_testkit::unique();
    let (_raw, scenario) = restless("true", &["--notify", &format!("HUP:{name}")]);
    let program = scenario.file(&name);
    fs::copy("/bin/sleep", &program).expect("a program of this name");
    // It runs still when the next change comes.
    let scenario = scenario.with_command([program.as_os_str(), "1.5".as_ref()]);
    let started = scenario.start();
    started.await_log("succeeded");
    let outcome = end(started).expect(Expect::done().any_stderr());
    let log = outcome.log().join("\n");
    assert!(log.contains("no process of that name is found") && !log.contains("sent to"), "{log}");
}

#[test]
fn a_hook_that_runs_at_the_end_is_ended_within_a_second() {
    let (raw, scenario) = restless("trap '' TERM; echo $$ >> told; while :; do sleep 0.1; done", &[]);
    let started = scenario.start();
    eventually("the hook runs", || !lines(&scenario.file("told")).is_empty());
    end(started).expect(Expect::done().any_stderr());
    assert_eq!(raw.requests().iter().filter(|it| it.contains("revoke-self")).count(), 1);
}

#[test]
fn what_a_hook_writes_goes_to_standard_error_and_a_flood_delays_nothing() {
    let (raw, scenario) = restless("echo out; echo err >&2; head -c 3000000 /dev/zero | tr '\\0' 'x'", &[]);
    let started = scenario.start();
    started.await_log("hook: succeeded");
    let before = raw.requests().len();
    raw.await_requests(before + 2);
    let outcome = end(started);
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (0, ""));
    for line in ["out", "err"] {
        assert!(outcome.stderr.lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn changes_while_a_hook_runs_are_joined_into_one_more_run() {
    let body = "echo \"$VAULT_EXEC_SECRET_VERSION\" >> told; test -s pipe.open || { read _ < gate; }";
    let (raw, scenario) = restless(body, &[]);
    nix::unistd::mkfifo(&scenario.file("gate"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let started = scenario.start();
    eventually("the hook runs", || lines(&scenario.file("told")).len() == 1);
    let before = raw.requests().len();
    raw.await_requests(before + 3);
    fs::write(scenario.file("pipe.open"), "open").expect("a file");
    fs::write(scenario.file("gate"), "go\n").expect("it is read");
    eventually("the hook ran again", || lines(&scenario.file("told")).len() >= 2);
    let told = lines(&scenario.file("told"));
    assert_eq!(told[0], "2");
    let next: u64 = told[1].parse().expect("a number");
    assert!(next >= 4, "those in between are joined: {told:?}");
    end(started).expect(Expect::done().any_stderr());
}

#[test]
fn a_pid_file_and_a_name_that_lead_to_nobody_are_a_warning_and_a_metric() {
    let port = free_port();
    let (_raw, scenario) =
        restless("true", &["--listen", &format!("127.0.0.1:{port}"), "--notify", "HUP:{folder}/no.pid"]);
    let started = scenario.start();
    started.await_log("the PID file cannot be read: No such file or directory; check its path and mode");
    eventually("health shows it", || health(port).1["notified"] == false);
    end(started).expect(Expect::done().any_stderr());
}
