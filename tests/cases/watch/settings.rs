//! What a watch is asked for with, and what does not go together.

use vault_testkit::raw::Raw;

use super::end;
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;
use crate::support::system::free_port;

faults! { FAULTS, scripted;
    an_address_that_cannot_be_had_is_told_before_anything_is_asked: "watch: the address of the listener is taken, or none of this machine", Settings, 71, AtOnce;
}

const USAGE: &str = "usage: vault-exec [OPTIONS] [--] COMMAND [ARG]..., more by --help";

#[test]
fn what_flags_ask_for_that_does_not_go_together_is_64() {
    for (options, message) in [
        (&["--watch", "1s"][..], "--watch keeps an env file current; add --env-file PATH"),
        (
            &["--watch", "1s", "--env-file", "-"],
            "--watch keeps a file current, and - is standard output; give --env-file a path",
        ),
        (&["--env-file", "/f", "--listen", "[::]:80"], "--listen goes with --watch"),
        (&["--env-file", "/f", "--notify", "HUP:nginx"], "--notify goes with --watch"),
    ] {
        let scenario = Scenario::offline().no_command().options(options);
        scenario.run().expect_failure(64, &format!("{message}; {USAGE}"));
    }
    let message =
        "COMMAND and --env-file go together only with --watch; add --watch DURATION, or leave one of them out";
    let scenario = Scenario::offline().options(["--env-file", "/f"]);
    scenario.run().expect_failure(64, &format!("{message}; {USAGE}"));
}

#[test]
fn what_variables_ask_for_that_does_not_go_together_is_78() {
    let with = |variables: &[(&str, &str)]| {
        let scenario = Scenario::against(&Raw::start([])).no_command();
        variables.iter().fold(scenario, |scenario, (name, value)| scenario.env(name, value))
    };
    let unset = "goes with VAULT_WATCH, which is unset; set it, or leave this out";
    for (variables, message) in [
        (
            &[("VAULT_WATCH", "1s")][..],
            "VAULT_WATCH = \"1s\": keeps an env file current, and there is none; set VAULT_ENV_FILE, or leave this out".to_owned(),
        ),
        (
            &[("VAULT_WATCH", "1s"), ("VAULT_ENV_FILE", "-")],
            "VAULT_WATCH = \"1s\": keeps a file current, and VAULT_ENV_FILE is standard output; give it a path".to_owned(),
        ),
        (
            &[("VAULT_WATCH", "999ms"), ("VAULT_ENV_FILE", "/f")],
            "VAULT_WATCH = \"999ms\": less than a second; write 1s or more".to_owned(),
        ),
        (
            &[("VAULT_HEALTH_LISTEN", "[::]:80"), ("VAULT_ENV_FILE", "/f")],
            format!("VAULT_HEALTH_LISTEN = \"[::]:80\": {unset}"),
        ),
        (&[("VAULT_NOTIFY", "HUP:x"), ("VAULT_ENV_FILE", "/f")], format!("VAULT_NOTIFY = \"HUP:x\": {unset}")),
        (&[("VAULT_STALE_LIMIT", "1h"), ("VAULT_ENV_FILE", "/f")], format!("VAULT_STALE_LIMIT = \"1h\": {unset}")),
        (
            &[("VAULT_WATCH", "60s"), ("VAULT_STALE_LIMIT", "70s"), ("VAULT_ENV_FILE", "/f")],
            "VAULT_STALE_LIMIT = \"70s\": not longer than VAULT_WATCH and a sixth, in which nothing is read; write three times \
             VAULT_WATCH or more"
                .to_owned(),
        ),
        (
            &[("VAULT_WATCH", "1s"), ("VAULT_ENV_FILE", "/f"), ("VAULT_HEALTH_LISTEN", "8080")],
            "VAULT_HEALTH_LISTEN = \"8080\": not an address with a port; write ADDRESS:PORT, such as 127.0.0.1:8080 or \
             [::]:8080"
                .to_owned(),
        ),
    ] {
        with(variables).run().expect_failure(78, &message);
    }
}

#[test]
fn parts_of_a_watch_beside_an_application_are_judged_too() {
    for (variables, message) in [
        (
            &[("VAULT_NOTIFY", "HUP:x")][..],
            "VAULT_NOTIFY = \"HUP:x\": goes with VAULT_WATCH, which is unset; set it, or leave this out",
        ),
        (
            &[("VAULT_WATCH", "1s"), ("VAULT_NOTIFY", "KILL:x")],
            "VAULT_NOTIFY = \"KILL:x\": a signal that no program can act on; write one that it reloads at, such as HUP",
        ),
    ] {
        let scenario = Scenario::against(&Raw::start([]));
        let scenario = variables.iter().fold(scenario, |scenario, (name, value)| scenario.env(name, value));
        scenario.run().expect_failure(78, message);
    }
}

#[test]
fn with_variables_alone_command_is_the_application_and_a_warning_says_so() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).env("VAULT_WATCH", "1s").env("VAULT_ENV_FILE", "{folder}/app.env");
    let lines = [
        "WARN  vault-exec: VAULT_ENV_FILE has no effect, because COMMAND is given: {folder}/app.env is not written; unset it, \
         or leave COMMAND out",
        "WARN  vault-exec: VAULT_WATCH has no effect, because COMMAND is the application: nothing is kept current; give \
         --env-file or --watch as a flag to have COMMAND run after changes",
        "INFO  vault-exec: {any}",
    ];
    scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr(lines));
    assert!(!scenario.file("app.env").exists());
}

fn an_address_that_cannot_be_had_is_told_before_anything_is_asked() {
    let raw = Raw::start([]);
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let taken = taken.local_addr().map(|at| (at, taken)).expect("a bound listener has an address");
    let (in_use, elsewhere) = (taken.0.to_string(), "192.0.2.1:8081".to_owned());
    let use_another = "is in use; write another port, or end what listens there";
    let use_ours = "is no address of this machine; write one that it has";
    for (listen, why) in [(in_use, use_another), (elsewhere, use_ours)] {
        let scenario = Scenario::against(&raw).no_command().options(super::OPTIONS).options(["--listen", &listen]);
        scenario.run().expect_failure(71, &format!("VAULT_HEALTH_LISTEN: {listen} {why}"));
        assert!(!scenario.file("app.env").exists() && raw.requests().is_empty());
    }
}

#[test]
fn a_dry_run_says_what_is_kept_current_and_finds_command_and_port_first() {
    let raw = Raw::start([]);
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let check = || {
        let options = ["--check", "--env-file", "{folder}/app.env", "--watch", "30s", "--listen", &listen];
        Scenario::against(&raw).options(options)
    };
    let scenario = check().command(["/bin/sh"]);
    let outcome = scenario.run().expect(Expect::done().any_stdout());
    let said = format!("kept current every 30s; /bin/sh runs after changes; health and metrics at {listen}");
    let flat = outcome.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(&said), "{}", outcome.describe());
    assert!(!scenario.file("app.env").exists());

    let scenario = check().command(["/no/such/program"]);
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 127, "{}", outcome.describe());
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let scenario = check().no_command();
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 71, "{}", outcome.describe());
    let message = format!("VAULT_HEALTH_LISTEN: {listen} is in use; write another port, or end what listens there");
    let scenario = Scenario::against(&raw).no_command().options(super::OPTIONS).options(["--listen", &listen]);
    let before = raw.requests().len();
    scenario.run().expect_failure(71, &message);
    assert_eq!(raw.requests().len(), before, "nothing is read before the port is had");
    drop(taken);
}

#[test]
fn a_pinned_version_and_inline_auth_are_warned_about() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).no_command().options(super::OPTIONS);
    let scenario = scenario.env("VAULT_SECRET_VERSION", "7").env("VAULT_INLINE_AUTH", "true");
    let started = scenario.start();
    started.await_log("app.env created");
    let outcome = end(started);
    let warnings: Vec<_> = outcome.log().into_iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(
        warnings,
        [
            "WARN  vault-exec: VAULT_INLINE_AUTH has no effect: what VAULT_WATCH keeps current is read with one token; an \
             ordinary login is made",
            "WARN  vault-exec: VAULT_SECRET_VERSION names the version that VAULT_WATCH reads again: it never changes; leave it \
             out for the latest",
        ]
    );
}
