//! `--env-file` from the server to the file: each format's bytes, the settings of the file, standard output, and what
//! is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::unistd::{getegid, geteuid};
use serde_json::{Value, json};
use vault_testkit::on_both;
use vault_testkit::server::Server;

use crate::support::expect::Expect;
use crate::support::scenario::Scenario;
use crate::support::system::{is_root, names};

on_both! {
    each_format_has_its_bytes_and_the_file_its_mode_and_owner,
    an_unchanged_file_is_not_touched_and_a_changed_one_is_replaced,
    the_variables_choose_format_mode_and_owner,
    the_flag_beats_the_variable_and_a_command_beats_it_too,
    standard_output_has_the_file_and_nothing_else,
    a_terminal_gets_secrets_only_by_force,
    no_log_shows_a_value,
    what_a_format_cannot_carry_is_refused_with_every_name_and_the_formats_that_could,
    what_no_format_can_carry_is_said_to_be_so,
    missing_keys_and_what_the_format_cannot_carry_are_one_error,
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_vault-exec");

/// The login, the read and the revoke; the status call is in no server's log.
const REQUESTS: [&str; 3] = ["update auth/kubernetes/login", "read kv/data/{path}", "update auth/token/revoke-self"];

/// Each format, with the file that [`secret`] makes and the one without variables.
const FORMATS: [(&str, &str, &str); 7] = [
    ("sh", "export A='two words'\nexport B='say \"$5\" \\o/ # now'\nexport N='12'\n", ""),
    ("kubernetes", "A='two words'\nB='say \"$5\" \\o/ # now'\nN='12'\n", ""),
    ("docker", "A=two words\nB=say \"$5\" \\o/ # now\nN=12\n", ""),
    ("compose", "A=\"two words\"\nB=\"say \\\"\\$5\\\" \\\\o/ # now\"\nN=\"12\"\n", ""),
    ("systemd", "A='two words'\nB='say \"$5\" \\o/ # now'\nN='12'\n", ""),
    ("dotenv", "A='two words'\nB='say \"$5\" \\o/ # now'\nN='12'\n", ""),
    ("json", "{\n  \"A\": \"two words\",\n  \"B\": \"say \\\"$5\\\" \\\\o/ # now\",\n  \"N\": \"12\"\n}\n", "{}\n"),
];

fn secret() -> Value {
    json!({"N": 12, "B": "say \"$5\" \\o/ # now", "A": "two words"})
}

/// A secret, a login and no COMMAND.
fn scenario<'a>(server: &'a Server, secret: &Value) -> Scenario<'a> {
    Scenario::new(server).secret(secret).kubernetes().no_command()
}

/// The line at the end of a run that went well.
fn done(what: &str, end: &str) -> [String; 1] {
    let times = "status {any}, login {any}, read {any}, revoke {any}";
    [format!("INFO  vault-exec: {what} of 20{{any}}Z; {times}; token revoked; {end}")]
}

/// Permission bits, user and group.
fn mode_and_owner(file: &Path) -> (u32, u32, u32) {
    let metadata = fs::metadata(file).expect("a file");
    (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
}

fn each_format_has_its_bytes_and_the_file_its_mode_and_owner(server: &Server) {
    for (format, content, _) in FORMATS {
        let options = ["--env-file", "{folder}/app.env", "--format", format];
        let scenario = scenario(server, &secret()).options(options);
        let line = done("3 variables from kv/{path} version 1", "{folder}/app.env created");
        let outcome = scenario.run().expect(Expect::done().stderr(line)).expect_requests(REQUESTS);
        assert_eq!(outcome.connections(), 1);
        let file = scenario.file("app.env");
        assert_eq!(fs::read_to_string(&file).expect("a file"), content, "{format}");
        assert_eq!(mode_and_owner(&file), (0o600, geteuid().as_raw(), getegid().as_raw()));
        assert_eq!(names(&scenario.file("")), ["app.env", "jwt"]);
    }
}

fn an_unchanged_file_is_not_touched_and_a_changed_one_is_replaced(server: &Server) {
    let scenario = scenario(server, &json!({"A": "first value"})).options(["--env-file", "{folder}/app.env"]);
    let runs = |scenario: &Scenario, version: u8, end: &str| {
        let what = format!("1 variable from kv/{{path}} version {version}");
        scenario.run().expect(Expect::done().stderr(done(&what, &format!("{{folder}}/app.env {end}"))));
        let metadata = fs::metadata(scenario.file("app.env")).expect("a file");
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec())
    };
    let created = runs(&scenario, 1, "created");
    assert_eq!(runs(&scenario, 1, "unchanged"), created);
    // A new version with the same values.
    let scenario = scenario.secret(&json!({"A": "first value"}));
    assert_eq!(runs(&scenario, 2, "unchanged"), created);

    let scenario = scenario.secret(&json!({"A": "second value"}));
    assert_ne!(runs(&scenario, 3, "replaced"), created);
    let file = scenario.file("app.env");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "export A='second value'\n");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("a mode is set");
    runs(&scenario, 3, "replaced");
    assert_eq!(mode_and_owner(&file).0, 0o600);
}

fn the_variables_choose_format_mode_and_owner(server: &Server) {
    let scenario = scenario(server, &secret()).env("VAULT_ENV_FILE", "{folder}/app.env");
    let scenario = scenario.env("VAULT_ENV_FILE_FORMAT", "docker").env("VAULT_ENV_FILE_MODE", "0440");
    let (owner, ids) = if is_root() {
        ("1234:5678".to_owned(), (1234, 5678))
    } else {
        (format!("{}", geteuid()), (geteuid().as_raw(), getegid().as_raw()))
    };
    let scenario = scenario.env("VAULT_ENV_FILE_OWNER", owner);
    for end in ["created", "unchanged"] {
        let line = done("3 variables from kv/{path} version 1", &format!("{{folder}}/app.env {end}"));
        scenario.run().expect(Expect::done().stderr(line));
        assert_eq!(mode_and_owner(&scenario.file("app.env")), (0o440, ids.0, ids.1));
        assert_eq!(fs::read_to_string(scenario.file("app.env")).expect("a file"), FORMATS[2].1);
    }
}

fn the_flag_beats_the_variable_and_a_command_beats_it_too(server: &Server) {
    let flag = scenario(server, &secret()).env("VAULT_ENV_FILE", "{folder}/other").env("VAULT_ENV_FILE_FORMAT", "json");
    let flag = flag.options(["--env-file", "{folder}/app.env", "--format=sh"]);
    flag.run().expect(Expect::done()).expect_requests(REQUESTS);
    assert_eq!(names(&flag.file("")), ["app.env", "jwt"]);
    assert_eq!(fs::read_to_string(flag.file("app.env")).expect("a file"), FORMATS[0].1);

    let command = Scenario::new(server).secret(&json!({"A": "a value"})).kubernetes();
    let command = command.env("VAULT_ENV_FILE", "{folder}/app.env");
    let warning = "WARN  vault-exec: VAULT_ENV_FILE has no effect, because COMMAND is given: {folder}/app.env is not written; unset it, or leave COMMAND out";
    let lines = [warning, "INFO  vault-exec: {any}"];
    command.run().expect(Expect::started().env([("A", "a value")]).stderr(lines));
    assert!(!command.file("app.env").exists());
}

fn standard_output_has_the_file_and_nothing_else(server: &Server) {
    for (format, content, _) in FORMATS {
        let scenario = scenario(server, &secret()).options(["--env-file", "-", "--format", format]);
        let line = done("3 variables from kv/{path} version 1", "standard output written");
        scenario.run().expect(Expect::done().stdout(content).stderr(line)).expect_requests(REQUESTS);
        assert_eq!(names(&scenario.file("")), ["jwt"]);
    }
}

fn a_terminal_gets_secrets_only_by_force(server: &Server) {
    let on_terminal = |options: &str| {
        let command = format!("{PROGRAM} {options} 2>\"$LOG\"");
        let scenario =
            scenario(server, &json!({"A": "a value"})).env("LOG", "{folder}/log").env("PATH", "/usr/bin:/bin");
        scenario.program("script").options(["-qec", &command, "/dev/null"])
    };
    for (options, variable) in [("--env-file -", ""), ("", "-")] {
        let scenario = on_terminal(options).env("VAULT_ENV_FILE", variable);
        scenario.run().expect(Expect::done().code(64)).expect_requests([]);
        let log = fs::read_to_string(scenario.file("log")).expect("a log");
        let line = "ERROR vault-exec: standard output is a terminal, where secrets do not belong; redirect it, or add \
                    --force; usage: vault-exec [OPTIONS] [--] COMMAND [ARG]..., more by --help\n";
        assert!(log.ends_with(line) && log.lines().count() == 1, "{log}");
    }
    let scenario = on_terminal("--env-file - --force");
    scenario.run().expect(Expect::done().stdout("export A='a value'\r\n")).expect_requests(REQUESTS);
}

fn no_log_shows_a_value(server: &Server) {
    let secret = json!({"DB_HOST": "host-value", "API_KEY": "key-value", "TREE": {"leaf": "leaf-value"}});
    for (level, format) in [("trace", "text"), ("trace", "json"), ("debug", "json")] {
        let scenario = scenario(server, &secret).hidden("leaf-value");
        let scenario = scenario.env("VAULT_LOG_LEVEL", level).env("VAULT_LOG_FORMAT", format).env("RUST_LOG", "trace");
        let scenario = scenario.options(["--env-file", "-"]);
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 0, "{}", outcome.describe());
        assert!(outcome.stderr.contains("API_KEY=***masked***"), "{}", outcome.stderr);
        for secret in scenario.secrets() {
            assert!(!outcome.stderr.contains(secret), "{secret}\n{}", outcome.stderr);
        }
        let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object());
        assert_eq!(outcome.stderr.lines().all(is_json), format == "json", "{}", outcome.stderr);
    }
}

fn what_a_format_cannot_carry_is_refused_with_every_name_and_the_formats_that_could(server: &Server) {
    let secret = json!({"GOOD": "fine-value", "TEXT": "two\nlines-of-it", "TAIL": "ends-with-cr\r", "NONE": null});
    let refused = |format: &str, message: &str| {
        let options = ["--env-file", "{folder}/app.env", "--format", format];
        let scenario = scenario(server, &secret).options(options);
        fs::write(scenario.file("app.env"), "old").expect("a file is written");
        scenario.run().expect_failure(65, message).expect_requests(REQUESTS);
        assert_eq!(fs::read(scenario.file("app.env")).expect("a file"), b"old");
        assert_eq!(names(&scenario.file("")), ["app.env", "jwt"]);
    };
    refused(
        "docker",
        "secret kv/{path} version 1: format docker cannot carry: TAIL (a carriage return at a line's end), TEXT (a \
         newline) (sh, compose, systemd, json, dir can carry all of them)",
    );
    refused(
        "kubernetes",
        "secret kv/{path} version 1: format kubernetes cannot carry: NONE (an empty value) (sh, compose, systemd, json, \
         dir can carry all of them)",
    );
    refused(
        "dotenv",
        "secret kv/{path} version 1: format dotenv cannot carry: TAIL (a carriage return) (sh, compose, systemd, json, dir can \
         carry all of them)",
    );
}

fn what_no_format_can_carry_is_said_to_be_so(server: &Server) {
    let secret = json!({"NUL": "a\u{0}b-value", "two words": "fine-value"});
    let file = |format: &str| scenario(server, &secret).options(["--env-file", "-", "--format", format]);
    let message = "secret kv/{path} version 1: format sh cannot carry: NUL (a NUL character), two words (a name other than \
                   letters, digits and underscores, beginning with no digit) (rename the key with \
                   VAULT_KEYS=key:NAME; json can carry all of them)";
    file("sh").run().expect_failure(65, message);
    let content = "{\n  \"NUL\": \"a\\u0000b-value\",\n  \"two words\": \"fine-value\"\n}\n";
    file("json").run().expect(Expect::done().stdout(content));
}

fn missing_keys_and_what_the_format_cannot_carry_are_one_error(server: &Server) {
    let secret = json!({"QUOTE": "it's-one", "PATH": "/evil-bin", "GOOD": "fine-value"});
    let scenario = scenario(server, &secret).options(["--require", "GOOD,ABSENT", "--require=GONE"]);
    let scenario = scenario.options(["--env-file", "{folder}/app.env", "--format", "kubernetes"]);
    let message = "secret kv/{path} version 1: denied: PATH (rename the key, or permit it with VAULT_ALLOW_NAMES); missing: \
                   ABSENT, GONE (add it to the secret, or take it out of VAULT_REQUIRED_KEYS); format kubernetes cannot \
                   carry: QUOTE (a single quote) (sh, docker, compose, systemd, dotenv, json, dir can carry all of them)";
    scenario.run().expect_failure(65, message).expect_requests(REQUESTS);
    assert_eq!(names(&scenario.file("")), ["jwt"]);
}

#[test]
fn bad_settings_of_the_file_are_reported_together_before_anything_is_asked() {
    let scenario = Scenario::offline().no_command().env("VAULT_ENV_FILE", "{folder}/app.env");
    let scenario = scenario.env("VAULT_ENV_FILE_FORMAT", "yaml").env("VAULT_ENV_FILE_MODE", "01777");
    let scenario = scenario.env("VAULT_ENV_FILE_OWNER", "root");
    let lines = [
        "ERROR vault-exec: VAULT_ENV_FILE_FORMAT = \"yaml\": not one of sh, kubernetes, docker, compose, systemd, dotenv, \
         json, dir; write one of these",
        "ERROR vault-exec: VAULT_ENV_FILE_MODE = \"01777\": not a file mode; write octal digits up to 0777, such as 0640",
        "ERROR vault-exec: VAULT_ENV_FILE_OWNER = \"root\": not an owner; write numbers, uid or uid:gid",
    ];
    scenario.run().expect(Expect::done().code(78).stderr(lines));
    assert_eq!(names(&scenario.file("")), Vec::<String>::new());
}

#[test]
fn without_an_address_each_format_has_a_file_without_variables() {
    for (format, _, empty) in FORMATS {
        let options = ["--env-file", "{folder}/app.env", "--format", format];
        let scenario = Scenario::offline().no_command().options(options);
        for end in ["created", "unchanged"] {
            let line = format!("INFO  vault-exec: VAULT_ADDR is unset: {{folder}}/app.env {end}, without variables");
            scenario.run().expect(Expect::done().stderr([line]));
        }
        assert_eq!(fs::read_to_string(scenario.file("app.env")).expect("a file"), empty, "{format}");
        assert_eq!(mode_and_owner(&scenario.file("app.env")).0, 0o600);
        let scenario = Scenario::offline().no_command().options(["--env-file", "-", "--format", format]);
        let line = "INFO  vault-exec: VAULT_ADDR is unset: standard output written, without variables";
        scenario.run().expect(Expect::done().stdout(empty).stderr([line]));
    }
}

#[test]
fn without_an_address_nothing_is_written_where_one_is_required() {
    let scenario = Scenario::offline().no_command().env("VAULT_REQUIRED", "1");
    let scenario = scenario.options(["--env-file", "{folder}/app.env"]);
    let message = "VAULT_ADDR: unset, and VAULT_REQUIRED is true; set it to Vault's https:// URL";
    scenario.run().expect_failure(78, message);
    assert_eq!(names(&scenario.file("")), Vec::<String>::new());
}

#[test]
fn a_file_and_a_command_on_one_command_line_are_refused() {
    let usage = "COMMAND and --env-file go together only with --watch; add --watch DURATION, or leave one of them out; usage: vault-exec \
                 [OPTIONS] [--] COMMAND [ARG]..., more by --help";
    Scenario::offline().options(["--env-file", "{folder}/app.env"]).run().expect_failure(64, usage);
}
