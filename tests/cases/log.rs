//! What is said, where, and in which form; and that no value and no token is ever part of it.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, pipe2, write};
use serde_json::{Value, json};

use crate::support::expect::Expect;
use crate::support::on_both;
use crate::support::raw::{READ, Raw, Reply};
use crate::support::scenario::Scenario;
use crate::support::server::Server;
use crate::support::system::names;

on_both! {
    at_debug_each_variable_is_named_and_sensitive_names_are_masked,
    in_json_every_line_is_one_object,
    in_json_the_final_error_is_an_object_too,
    a_level_silences_what_is_below_it,
    the_global_level_of_rust_log_counts_when_there_is_no_other,
    the_final_error_stands_in_the_termination_log,
    a_start_leaves_the_termination_log_alone,
    a_termination_log_that_cannot_be_written_is_a_warning,
    a_misspelt_setting_is_warned_about,
}

const DONE: &str = "INFO  vault-exec: {any}; token revoked";

fn scenario(server: &Server) -> Scenario<'_> {
    Scenario::new(server)
        .secret(&json!({"DB_PASSWORD": "hunter-two", "apikey": "key-value", "URL": "url-value"}))
        .kubernetes()
}

fn started() -> Expect {
    Expect::started().env([("DB_PASSWORD", "hunter-two"), ("apikey", "key-value"), ("URL", "url-value")])
}

fn at_debug_each_variable_is_named_and_sensitive_names_are_masked(server: &Server) {
    for level in ["debug", "TRACE"] {
        scenario(server).env("VAULT_LOG_LEVEL", level).run().expect(started().stderr([
            "DEBUG vault-exec: status: done in {any}ms",
            "DEBUG vault-exec: login: done in {any}ms",
            "DEBUG vault-exec: read: done in {any}ms",
            "DEBUG vault-exec: DB_PASSWORD=***masked***",
            "DEBUG vault-exec: URL",
            "DEBUG vault-exec: apikey=***masked***",
            DONE,
        ]));
    }
}

/// The lines as JSON objects, their volatile members judged and cut.
fn objects(stderr: &str) -> Vec<Value> {
    let object = |line: &str| {
        let mut object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let members = object.as_object_mut().expect("an object");
        let time = members.remove("time").expect("a time");
        humantime::parse_rfc3339(time.as_str().expect("a text")).expect("a date");
        if let Some(created) = members.remove("created") {
            humantime::parse_rfc3339(created.as_str().expect("a text")).expect("a date");
            assert!(members.remove("elapsed_ms").is_some_and(|it| it.is_u64()), "{line}");
            assert!(members.remove("message").is_some_and(|it| it.is_string()), "{line}");
        }
        object
    };
    stderr.lines().map(object).collect()
}

fn in_json_every_line_is_one_object(server: &Server) {
    let scenario = scenario(server).env("VAULT_LOG_FORMAT", "json").env("VAULT_LOG_LEVEL", "debug");
    let line = |name: &str| format!("{{\"time\":\"{{any}}Z\",\"level\":\"debug\",\"message\":\"{name}\"}}");
    let step = |name: &str| {
        format!(
            "{{\"time\":\"{{any}}Z\",\"level\":\"debug\",\"message\":\"{name}: done in {{any}}ms\",\
             \"step\":\"{name}\",\"elapsed_ms\":{{any}}}}"
        )
    };
    let outcome = scenario.run().expect(started().stderr([
        step("status"),
        step("login"),
        step("read"),
        line("DB_PASSWORD=***masked***"),
        line("URL"),
        line("apikey=***masked***"),
        "{\"time\":\"{any}Z\",\"level\":\"info\",\"message\":\"3 variables from kv/{path} version 1 of {any}\",{any}}"
            .to_owned(),
    ]));
    let path = scenario.expand("kv/{path}");
    assert_eq!(
        objects(&outcome.stderr)[6],
        json!({"level": "info", "variables": 3, "path": path, "version": 1, "token": "revoked"})
    );
}

fn in_json_the_final_error_is_an_object_too(server: &Server) {
    let scenario = scenario(server).env("VAULT_LOG_FORMAT", "json").env("VAULT_REQUIRED_KEYS", "\"quoted\"\u{1b}");
    let outcome = scenario.run().expect(Expect::done().code(66).stderr(["{{any}}"]));
    let message = scenario.expand(
        "secret kv/{path} version 1: missing: \"quoted\"\\u{1b} (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)",
    );
    assert_eq!(objects(&outcome.stderr), [json!({"level": "error", "message": message, "exit_code": 66})]);
}

fn a_level_silences_what_is_below_it(server: &Server) {
    let scenario = scenario(server).env("VAULT_LOG_LEVEL", "warn").env("VAULT_PAHT", "a typing error");
    let warning = "WARN  vault-exec: VAULT_PAHT is no setting and has no effect; did you mean VAULT_PATH?";
    scenario.run().expect(started().stderr([warning]));
    let scenario = scenario.env("VAULT_LOG_LEVEL", "error").env("RUST_LOG", "debug");
    scenario.run().expect(started().stderr([""; 0]));
    let scenario = scenario.env("VAULT_LOG_LEVEL", "off").env("VAULT_REQUIRED_KEYS", "GONE");
    scenario.run().expect(Expect::done().code(66).stderr([""; 0]));
}

fn the_global_level_of_rust_log_counts_when_there_is_no_other(server: &Server) {
    let scenario = scenario(server).env("RUST_LOG", "warn,hyper=trace,ureq=trace,rustls=trace");
    scenario.run().expect(started().stderr([""; 0]));
    let scenario = scenario.env("RUST_LOG", "off,vault_exec=info");
    scenario.run().expect(started().stderr([DONE]));
}

fn the_final_error_stands_in_the_termination_log(server: &Server) {
    let scenario = scenario(server).env("VAULT_TERMINATION_LOG", "{folder}/log").env("VAULT_REQUIRED_KEYS", "GONE");
    let message =
        "secret kv/{path} version 1: missing: GONE (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)";
    let written = || fs::read_to_string(scenario.file("log")).expect("a termination log");
    scenario.run().expect_failure(66, message);
    assert_eq!(written(), scenario.expand(&format!("vault-exec: {message}\n")));
    assert_eq!(fs::metadata(scenario.file("log")).expect("a file").permissions().mode() & 0o777, 0o600);
    // What a former container left there is replaced.
    fs::write(scenario.file("log"), "x".repeat(4000)).expect("a file is written");
    scenario.run().expect_failure(66, message);
    assert_eq!(written(), scenario.expand(&format!("vault-exec: {message}\n")));
}

fn a_start_leaves_the_termination_log_alone(server: &Server) {
    let scenario = scenario(server).env("VAULT_TERMINATION_LOG", "{folder}/log");
    scenario.run().expect(started());
    assert!(!scenario.file("log").exists());
}

fn a_termination_log_that_cannot_be_written_is_a_warning(server: &Server) {
    let error = "ERROR vault-exec: secret kv/{path} version 1: missing: GONE \
                 (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)";
    for (name, fault) in [
        ("link", "a symbolic link, where a file is expected"),
        ("dangling", "a symbolic link, where a file is expected"),
        ("hard", "a file with other names (hard links)"),
        ("fifo", "a FIFO, where a file is expected"),
        ("socket", "a socket, where a file is expected"),
        ("directory", "a directory, where a file is expected"),
        ("../../../../../../../../dev/full", "a device, where a file is expected"),
        ("none/log", "No such file or directory (os error 2)"),
        ("\u{1b}[31m\u{202e}/log", "No such file or directory (os error 2)"),
    ] {
        let scenario = scenario(server).env("VAULT_REQUIRED_KEYS", "GONE");
        let at = |name: &str| scenario.file(name);
        fs::write(at("target"), "untouched").expect("a file is written");
        symlink(at("target"), at("link")).expect("a link");
        symlink("nowhere", at("dangling")).expect("a link");
        fs::hard_link(at("target"), at("hard")).expect("a link");
        mkfifo(&at("fifo"), Mode::S_IRWXU).expect("a FIFO");
        fs::create_dir(at("directory")).expect("a directory");
        let _socket = UnixListener::bind(at("socket")).expect("a socket");
        // Somebody who waits at the FIFO gets nothing.
        let waiting = fs::File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(at("fifo"));
        let before = names(&at(""));
        let scenario = scenario.env("VAULT_TERMINATION_LOG", format!("{{folder}}/{name}"));
        let said = name.replace('\u{1b}', "\\u{1b}").replace('\u{202e}', "\\u{202e}");
        let warning = format!(
            "WARN  vault-exec: termination log {{folder}}/{said}: {fault}; \
             correct VAULT_TERMINATION_LOG, or set it to none"
        );
        scenario.run().expect(Expect::done().code(66).stderr([error, &warning]));
        assert_eq!(fs::read_to_string(scenario.file("target")).expect("a file"), "untouched");
        assert_eq!(names(&scenario.file("")), before);
        let mut received = String::new();
        waiting.expect("a reader").read_to_string(&mut received).expect("nothing to read");
        assert_eq!(received, "");
    }
}

fn a_misspelt_setting_is_warned_about(server: &Server) {
    let scenario = scenario(server).env("VAULT_ADRR", "http://elsewhere").env("VAULT_PORT_8200_TCP", "tcp://10.0.0.1");
    scenario.run().expect(
        started()
            .stderr(["WARN  vault-exec: VAULT_ADRR is no setting and has no effect; did you mean VAULT_ADDR?", DONE]),
    );
}

#[test]
fn a_reader_of_the_log_who_reads_nothing_stops_nobody() {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
    while write(&writer, &[b'x'; 4096]).is_ok() {}
    // The description is shared: what the program is given blocks.
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let raw = Raw::start([(READ, vec![Reply::json(403, &json!({"errors": []}))])]);
    let scenario = Scenario::against(&raw);
    let mut program = Command::new(env!("CARGO_BIN_EXE_vault-exec"));
    program.args(["--", "true"]).env_clear().envs(scenario.given_env()).env("VAULT_LOG_LEVEL", "debug");
    let start = Instant::now();
    assert_eq!(program.stderr(writer).status().unwrap().code(), Some(77));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    raw.expect_whole_run();
    drop(reader);
}
