//! What fails: at the first write it ends the watch as it ends any start; after it, nothing does.

use std::fs;

use serde_json::json;
use vault_testkit::raw::{LOGIN, READ, Raw, Reply, STATUS};
use vault_testkit::server::Server;
use vault_testkit::{eventually, on_both};

use super::{OPTIONS, await_content, content, end, health, watched, write};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;
use crate::support::system::free_port;

on_both! {
    a_file_that_cannot_be_replaced_is_told_once_and_tried_again_without_a_further_change,
    a_file_that_somebody_removes_or_changes_is_there_again_within_an_interval,
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_vault-exec");

fn refusal(status: u16) -> Reply {
    Reply::json(status, &json!({"errors": ["no"]}))
}

#[test]
fn the_first_write_fails_as_any_start_does_with_the_same_line_and_code() {
    type Case = (&'static str, Vec<Reply>, &'static [(&'static str, &'static str)], i32);
    let cases: Vec<Case> = vec![
        (STATUS, vec![Reply::json(200, &json!({"initialized": true, "sealed": true, "t": 3, "progress": 1}))], &[], 75),
        (LOGIN, vec![refusal(400)], &[], 78),
        (LOGIN, vec![refusal(403)], &[], 77),
        (READ, vec![refusal(403)], &[], 77),
        (READ, vec![refusal(404)], &[], 66),
        (READ, vec![refusal(503)], &[("VAULT_MAX_RETRIES", "1")], 75),
        (READ, vec![Reply::secret(r#"{"A":"x","LD_PRELOAD":"x"}"#)], &[], 65),
        (READ, vec![Reply::secret(r#"{"A":"x","A":"y"}"#)], &[], 65),
        (READ, vec![Reply::secret(r#"{"B":"x"}"#)], &[("VAULT_REQUIRED_KEYS", "A")], 66),
        (READ, vec![Reply::secret(r#"{"A":"x"}"#)], &[("VAULT_ENV_FILE", "{folder}/none/app.env")], 73),
        (
            READ,
            vec![Reply::secret(r#"{"A":"x"}"#)],
            &[("VAULT_K8S_TOKEN_PATH", "{folder}/none"), ("VAULT_AUTH_METHOD", "kubernetes")],
            66,
        ),
    ];
    for (step, replies, variables, code) in cases {
        let run = |watch: bool| {
            let raw = Raw::start([(step, replies.clone())]);
            let scenario = Scenario::against(&raw).no_command().env("VAULT_ENV_FILE", "{folder}/app.env");
            let scenario = variables.iter().fold(scenario, |scenario, (name, value)| scenario.env(name, value));
            let scenario = if watch { scenario.env("VAULT_WATCH", "1s") } else { scenario };
            let outcome = scenario.run();
            let folder = scenario.file("").display().to_string();
            let log = outcome.log().join("\n").replace(folder.trim_end_matches('/'), "{folder}");
            let revokes = raw.requests().iter().filter(|it| it.contains("revoke-self")).count();
            // Pauses and times are drawn, and the JWT is older at the second run.
            let log = log.replace(&raw.addr(), "{addr}");
            let log = [" tries in ", ", expires in "]
                .iter()
                .fold(log, |log, from| log.split(from).next().unwrap_or_default().to_owned());
            (outcome.code(), without_pause(&log), revokes, scenario.file("app.env").exists())
        };
        let (plain, watched) = (run(false), run(true));
        assert_eq!((plain.0, plain.3), (code, false), "{plain:?}");
        assert_eq!(watched, plain);
    }
}

/// The lines without how long the next try is away.
fn without_pause(log: &str) -> String {
    let lines = log.lines().map(|line| line.split("the next in ").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn a_file_that_cannot_be_replaced_is_told_once_and_tried_again_without_a_further_change(server: &Server) {
    let port = free_port();
    let scenario = watched(server, &json!({"A": "first"})).options(["--listen", &format!("127.0.0.1:{port}")]);
    let started = scenario.start();
    started.await_log("app.env created");
    let file = scenario.file("app.env");
    fs::remove_file(&file).expect("a file");
    fs::create_dir(&file).expect("a folder in its place");
    write(server, &scenario, &json!({"A": "second"}));
    started.await_log("a directory is in the way; remove it or choose another path; ");
    let (status, body) = health(port);
    assert_eq!((status, &body["status"]), (200, &json!("failing")));
    // It is tried again at each interval, and not told again.
    let metric = |name: &str| super::get(port, "/metrics").is_some_and(|(_, text)| text.contains(name));
    eventually("it was tried again", || metric("vault_exec_file_writes_total{result=\"failed\"} 2"));
    fs::remove_dir(&file).expect("the folder is empty");
    await_content(&scenario, "export A='second'\n");
    eventually("it is well again", || health(port).1["status"] == "ok");
    let outcome = end(started).expect(Expect::done().any_stderr());
    let told = outcome.log().into_iter().filter(|line| line.contains("in the way")).count();
    assert_eq!(told, 1, "{}", outcome.describe());
}

fn a_file_that_somebody_removes_or_changes_is_there_again_within_an_interval(server: &Server) {
    let scenario = watched(server, &json!({"A": "first"})).with_command([
        "/bin/sh",
        "-c",
        "echo $VAULT_EXEC_FILE > $VAULT_EXEC_FILE.told",
    ]);
    let started = scenario.start();
    started.await_log("app.env created");
    fs::remove_file(scenario.file("app.env")).expect("a file");
    await_content(&scenario, "export A='first'\n");
    assert!(!scenario.file("app.env.told").exists(), "it holds what it held");
    fs::write(scenario.file("app.env"), "export A='foreign'\n").expect("a file");
    await_content(&scenario, "export A='first'\n");
    eventually("the hook ran", || scenario.file("app.env.told").exists());
    let outcome = end(started).expect(Expect::done().any_stderr());
    let became = |what: &str| outcome.log().into_iter().filter(|line| line.ends_with(what)).count();
    assert_eq!((became("app.env created"), became("app.env replaced")), (2, 1), "{}", outcome.describe());
}

/// The new content is in place then, and whoever is to be told of it is told once it is known to last.
#[test]
fn a_change_whose_directory_cannot_be_synced_is_told_to_the_hook_all_the_same() {
    let secret = |version| {
        let metadata = json!({"created_time": "2026-01-02T03:04:05Z", "destroyed": false, "version": version});
        Reply::json(200, &json!({"data": {"data": {"A": format!("value-{version}")}, "metadata": metadata}}))
    };
    let raw = Raw::start([(READ, vec![secret(1), secret(2)])]);
    // The file and its directory for the first write, the file and its directory for the change.
    let strace = ["-D", "-qq", "-o", "{folder}/trace", "-e", "inject=fsync:error=EIO:when=4", PROGRAM];
    let scenario =
        Scenario::against(&raw).program("strace").options(strace).options(OPTIONS).env("PATH", "/usr/bin:/bin");
    let scenario = scenario.with_command(["/bin/sh", "-c", "cp $VAULT_EXEC_FILE $VAULT_EXEC_FILE.told"]);
    let started = scenario.start();
    started.await_log("I/O error while syncing its directory, with the new file in place");
    eventually("the hook ran", || {
        fs::read_to_string(scenario.file("app.env.told")).is_ok_and(|it| it.contains("value-2"))
    });
    let outcome = end(started).expect(Expect::done().any_stderr());
    assert!(outcome.log().iter().all(|line| !line.contains("stays as it is")), "{}", outcome.describe());
}

#[test]
fn a_later_version_in_which_a_key_stands_twice_leaves_the_file() {
    let raw =
        Raw::start([(READ, vec![Reply::secret(r#"{"A":"x"}"#), Reply::secret(r#"{"A":"hidden-1","A":"hidden-2"}"#)])]);
    let scenario = Scenario::against(&raw).no_command().options(OPTIONS).hides("hidden-1").hides("hidden-2");
    let started = scenario.start();
    started.await_log("the key A stands twice");
    assert_eq!(content(&scenario), "export A='x'\n");
    end(started).expect(Expect::done().any_stderr());
}
