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
use vault_testkit::on_both;
use vault_testkit::raw::{READ, Raw, Reply};
use vault_testkit::server::Server;

use crate::support::expect::Expect;
use crate::support::scenario::Scenario;
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
    variables_that_were_there_with_another_value_are_named,
}

const DONE: &str = "INFO  vault-exec: {any}; token revoked";

fn scenario(server: &Server) -> Scenario<'_> {
    Scenario::new(server)
        .secret(&json!({"DB_PASSWORD": "hunter-two", "apikey": "key-value", "HOST": "host-value"}))
        .kubernetes()
}

fn started() -> Expect {
    Expect::started().env([("DB_PASSWORD", "hunter-two"), ("apikey", "key-value"), ("HOST", "host-value")])
}

fn at_debug_each_variable_is_named_and_sensitive_names_are_masked(server: &Server) {
    for level in ["debug", "TRACE"] {
        scenario(server).env("VAULT_LOG_LEVEL", level).run().expect(started().stderr([
            "DEBUG vault-exec: status: done in {any}ms",
            "DEBUG vault-exec: login: done in {any}ms",
            "DEBUG vault-exec: read: done in {any}ms",
            "DEBUG vault-exec: DB_PASSWORD=***masked***",
            "DEBUG vault-exec: HOST",
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
        line("HOST"),
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
    let scenario = scenario(server).env("VAULT_LOG_FORMAT", "json").env("VAULT_REQUIRED_KEYS", "a\"quoted\"\u{1b}");
    let outcome = scenario.run().expect(Expect::done().code(66).stderr(["{{any}}"]));
    let message = scenario.expand(
        "secret kv/{path} version 1: missing: a\"quoted\"\\u{1b} (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)",
    );
    assert_eq!(objects(&outcome.stderr), [json!({"level": "error", "message": message, "exit_code": 66})]);
}

fn a_level_silences_what_is_below_it(server: &Server) {
    let scenario = scenario(server).env("VAULT_LOG_LEVEL", "warn").env("VAULT_PAHT", "a typing error");
    let warning = "WARN  vault-exec: VAULT_PAHT is no setting and has no effect";
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
        scenario.run().expect(Expect::done().code(66).stderr([&warning, error]));
        assert_eq!(fs::read_to_string(scenario.file("target")).expect("a file"), "untouched");
        assert_eq!(names(&scenario.file("")), before);
        let mut received = String::new();
        waiting.expect("a reader").read_to_string(&mut received).expect("nothing to read");
        assert_eq!(received, "");
    }
}

fn a_misspelt_setting_is_warned_about(server: &Server) {
    let scenario = scenario(server).env("VAULT_ADRR", "http://elsewhere").env("VAULT_PORT_8200_TCP", "tcp://10.0.0.1");
    scenario.run().expect(started().stderr(["WARN  vault-exec: VAULT_ADRR is no setting and has no effect", DONE]));
}

fn variables_that_were_there_with_another_value_are_named(server: &Server) {
    let secret = json!({"AUTH_REQUIRED": "false", "SAME": "same", "NEW": "new", "A\u{1b}": "odd"});
    let keys = "AUTH_REQUIRED,SAME,NEW";
    let scenario = Scenario::new(server).secret(&secret).kubernetes().env("AUTH_REQUIRED", "true").env("SAME", "same");
    let scenario = scenario.env("VAULT_KEYS", keys);
    let env = [("AUTH_REQUIRED", "false"), ("SAME", "same"), ("NEW", "new")];
    let line = |more: &str| {
        let times = "status {any}, login {any}, read {any}, revoke {any}";
        [format!("INFO  vault-exec: 3 variables from kv/{{path}} version 1 of {{any}}Z{more}; {times}; token revoked")]
    };
    scenario.run().expect(Expect::started().env(env).stderr(line("; overwritten: AUTH_REQUIRED")));
    let scenario = scenario.env("VAULT_LOG_FORMAT", "json");
    let outcome = scenario.run();
    assert_eq!(objects(&outcome.stderr)[0]["overwritten"], "AUTH_REQUIRED", "{}", outcome.describe());
    let scenario = scenario.env("VAULT_LOG_FORMAT", "text").unset("AUTH_REQUIRED");
    scenario.run().expect(Expect::started().env(env).stderr(line("")));
    // A file overwrites nothing that its reader has.
    let scenario = scenario.env("AUTH_REQUIRED", "true").no_command().options(["--env-file", "-"]);
    let outcome = scenario.run();
    assert!(outcome.code() == 0 && !outcome.stderr.contains("overwritten"), "{}", outcome.describe());
}

/// A run on a secret of these members, whose names and values are the same.
fn run_on(names: &[String], change: impl Fn(Scenario<'static>) -> Scenario<'static>) -> (i32, String) {
    let members: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), json!("v"))).collect();
    let raw = Raw::start([(READ, vec![Reply::secret(&Value::Object(members).to_string())])]);
    let scenario = change(Scenario::against(&raw));
    let outcome = scenario.run();
    (outcome.code(), outcome.stderr.clone())
}

#[test]
fn long_names_are_cut_and_many_are_counted_in_every_line() {
    let long = format!("TOKEN_{}", "X".repeat(65_530));
    let cut = format!("TOKEN_{}…", "X".repeat(94));
    // A variable of that name: too long for no kernel.
    let (code, said) = run_on(std::slice::from_ref(&long), |it| it.env("VAULT_LOG_LEVEL", "debug").env(&long, "other"));
    assert_eq!(code, 0, "{said:.999}");
    assert!(said.contains(&format!("DEBUG vault-exec: {cut}=***masked***\n")), "{said:.999}");
    assert!(said.contains(&format!("; overwritten: {cut}; status")) && said.len() < 2000, "{said:.999}");

    let bad = format!("{}\u{1b}", "B".repeat(65_536));
    let (code, said) = run_on(&[bad], |it| it);
    assert_eq!(code, 65);
    assert!(said.contains(&format!("no name for a variable: \"{}…\" (rename", "B".repeat(100))), "{said:.999}");

    let overwritten: Vec<_> = (0..500).map(|n| format!("NAME_{n:03}")).collect();
    let (code, said) = run_on(&overwritten, |it| overwritten.iter().fold(it, |it, name| it.env(name, "other")));
    let listed = overwritten[..60].join(", ");
    assert_eq!(code, 0, "{said:.999}");
    assert!(said.contains(&format!("; overwritten: {listed} and 440 more; status")), "{said:.999}");
}

#[test]
fn a_message_is_no_longer_than_what_the_kubelet_keeps_and_says_what_it_left_out() {
    let denied: Vec<_> = (0..20_000).map(|n| format!("LD_PRELOAD{n}")).collect();
    let conflicts: Vec<_> = (0..3000).map(|n| format!("é_{n}")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let (code, said) = run_on(&[denied, conflicts].concat(), |it| it.env("VAULT_TERMINATION_LOG", &log));
    assert_eq!(code, 65);
    let written = fs::read_to_string(&log).expect("a termination log");
    assert!(written.len() <= 4096 && said.len() < 4200, "{} and {}", written.len(), said.len());
    for part in [
        " more (rename the key, or permit it with VAULT_ALLOW_NAMES); ",
        " more (rename the key, or leave it out with VAULT_KEYS)\n",
    ] {
        assert!(written.contains(part), "{written}");
    }
    // Where it is another part that is long, the end is left out.
    let path = "p".repeat(5000);
    let (code, said) = run_on(&[], |it| it.env("VAULT_TERMINATION_LOG", &log).env("VAULT_PATH", &path));
    assert_eq!(code, 66, "{said}");
    let written = fs::read_to_string(&log).expect("a termination log");
    assert!(written.len() <= 4096 && written.ends_with(" bytes more)\n"), "{written}");
    assert!(said.trim_end().ends_with(written.trim_start_matches("vault-exec: ").trim_end()), "{said}");
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
