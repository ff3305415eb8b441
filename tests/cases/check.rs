//! `--check` where nothing is wrong, or only the target is: what would be handed over, to whom, and how it is shown.

use std::process::Command;

use serde_json::{Value, json};
use vault_testkit::on_both;
use vault_testkit::raw::{Raw, Reply, STATUS};
use vault_testkit::server::Server;

use crate::support::dry_run::{assert_check, assert_fits, assert_says, assert_snapshot};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

on_both! {
    a_good_run_is_told_in_full,
    it_asks_what_a_real_run_asks_and_only_after_a_refusal_more,
    a_program_reads_facts_and_no_sentences,
    an_env_file_is_told_and_not_written,
    a_variable_for_the_env_file_names_the_target_as_well,
    without_a_target_the_variables_are_told_and_the_code_is_the_runs,
    a_conflict_is_judged_in_each_way,
    a_token_handed_in_is_told_and_left_alone,
    a_token_that_may_not_look_itself_up_is_good_enough,
    the_read_comes_first_where_a_token_has_a_single_use,
    a_namespace_that_the_server_has_is_no_warning,
    a_format_that_cannot_carry_a_value_is_told_with_the_reason,
    an_env_file_that_cannot_be_made_is_told,
    a_name_of_any_length_is_cut_in_the_report,
    a_command_that_is_not_found_does_not_keep_the_rest_from_being_told,
}

fn scenario(server: &Server) -> Scenario<'_> {
    let secret = json!({"DB_HOST": "db.example", "DB_PASSWORD": "s3cret-value", "PORT": 5432, "NONE": null});
    Scenario::new(server).secret(&secret).kubernetes()
}

fn a_good_run_is_told_in_full(server: &Server) {
    assert_check(scenario(server).options(["--wait", "1s", "--require", "PORT"]), 0, "good");
}

fn it_asks_what_a_real_run_asks_and_only_after_a_refusal_more(server: &Server) {
    let good = scenario(server).options(["--check"]);
    let [login, revoke] = ["update auth/kubernetes/login", "update auth/token/revoke-self"];
    let outcome = good.run().expect_requests([login, "read kv/data/{path}", revoke]);
    assert_eq!(outcome.connections(), 1);
    let denied = scenario(server).env("VAULT_PATH", "other/{name}").options(["--check"]);
    let preflight = ["read sys/internal/ui/mounts/kv/other/{name}", "update sys/capabilities-self"];
    denied.run().expect_requests([login, "read kv/data/other/{name}", preflight[0], preflight[1], revoke]);
}

fn a_program_reads_facts_and_no_sentences(server: &Server) {
    let report = |scenario: Scenario| {
        let scenario = scenario.options(["--check", "--report", "json"]);
        let outcome = scenario.run();
        assert!(outcome.stdout.starts_with("{\n  \"schema\": 1,\n  \"exit_code\": "), "{}", outcome.stdout);
        let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
        (report, scenario.name.clone(), scenario.path())
    };
    let step = |report: &Value, name: &str| {
        let mut steps = report["steps"].as_array().expect("a list").iter();
        let mut step = steps.find(|step| step["step"] == name).cloned().expect(name);
        for another_each_time in ["elapsed_ms", "details", "age_seconds", "created_time"] {
            step.as_object_mut().expect("an object").remove(another_each_time);
        }
        step
    };

    let (good, name, path) = report(scenario(server));
    for field in ["failed_step", "cause", "explanation", "remedy"] {
        assert_eq!(good[field], Value::Null, "{field}");
    }
    let credential = step(&good, "credential");
    assert_eq!(credential["subject"], "system:serviceaccount:default:app");
    assert_eq!(credential["audience"], json!(["https://kubernetes.default.svc"]));
    assert!(credential["expires_in_seconds"].as_i64() > Some(0), "{credential}");
    let mut login = step(&good, "login");
    login["policies"].as_array_mut().expect("a list").sort_by_key(ToString::to_string);
    let ttl = login["ttl_seconds"].take();
    assert!((1..=2_764_800).contains(&ttl.as_u64().expect("a number")), "{ttl}");
    let policies = json!([name, "default"]);
    let expected =
        json!({"step": "login", "outcome": "ok", "method": "kubernetes", "policies": policies, "ttl_seconds": null});
    assert_eq!(login, expected);
    let expected = json!({"step": "read", "outcome": "ok", "mount": "kv", "path": path, "version": 1});
    assert_eq!(step(&good, "read"), expected);
    let read = good["steps"].as_array().expect("a list").iter().find(|step| step["step"] == "read").expect("a read");
    let written = humantime::parse_rfc3339(read["created_time"].as_str().expect("a text")).expect("a time");
    assert!(
        written.elapsed().expect("in the past").as_secs() < 60 && read["age_seconds"].as_u64() < Some(60),
        "{read}"
    );
    assert_eq!(step(&good, "secrets"), json!({"step": "secrets", "outcome": "ok", "variables": 4}));
    assert_eq!(step(&good, "revoke"), json!({"step": "revoke", "outcome": "ok", "revoked": true}));
    let none = json!({"name": "NONE", "type": "null", "good": true, "state": "ok"});
    assert_eq!(good["variables"][2], none);

    let (denied, ..) = report(scenario(server).env("VAULT_PATH", "other/{name}"));
    assert_eq!((&denied["exit_code"], &denied["failed_step"]), (&json!(77), &json!("read")));
    let read = step(&denied, "read");
    assert_eq!((&read["exit_code"], &read["status"], &read["outcome"]), (&json!(77), &json!(403), &json!("failed")));
    for field in ["cause", "remedy"] {
        assert!(denied[field].is_string() && denied[field] == read[field], "{field}: {denied}");
    }
    let mount = step(&denied, "preflight");
    assert_eq!((&mount["mount_type"], &mount["mount_version"]), (&json!("kv"), &json!("2")));
    assert_ne!(mount["may_read"], json!(true));

    let secret = json!({"LD_PRELOAD": "a-value", "é": 1, "OTHER": true});
    let (refused, ..) = report(scenario(server).secret(&secret).env("VAULT_REQUIRED_KEYS", "GONE"));
    let cause = refused["cause"].as_str().expect("a text");
    assert!(cause.contains(" denied: LD_PRELOAD (") && !cause.contains('\n'), "{cause}");
    assert_eq!(step(&refused, "secrets")["cause"], cause);
    let refused: Vec<_> = refused["variables"].as_array().expect("a list").iter().map(|it| &it["type"]).collect();
    assert_eq!(json!(refused), json!(["boolean", "string", "number", null]));
}

fn an_env_file_is_told_and_not_written(server: &Server) {
    let scenario = scenario(server).no_command().options(["--env-file", "{folder}/app.env", "--format", "json"]);
    assert_check(scenario, 0, "good_file");
}

fn a_variable_for_the_env_file_names_the_target_as_well(server: &Server) {
    assert_check(scenario(server).no_command().env("VAULT_ENV_FILE", "{folder}/app.env"), 0, "good_file_variable");
}

fn without_a_target_the_variables_are_told_and_the_code_is_the_runs(server: &Server) {
    assert_check(scenario(server).no_command(), 64, "good_without_target");
}

fn a_conflict_is_judged_in_each_way(server: &Server) {
    let conflict = |mode| {
        let scenario = scenario(server).env("VAULT_ON_CONFLICT", mode);
        scenario.env("DB_HOST", "db.example").env("PORT", "80").env("NONE", "something")
    };
    for (mode, code) in [("overwrite", 0), ("keep", 0), ("error", 65)] {
        assert_check(conflict(mode), code, &format!("conflict_{mode}"));
    }
    let only = |mode, value| {
        let scenario = scenario(server).secret(&json!({"ONLY": "of-vault"})).env("VAULT_ON_CONFLICT", mode);
        let scenario = scenario.env("ONLY", value).options(["--check"]);
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 0, "{}", outcome.describe());
        outcome.stdout
    };
    let kept_out = only("keep", "of-the-pod");
    assert_says(&kept_out, "0 variables; 1 kept out by VAULT_ON_CONFLICT=keep");
    assert!(!kept_out.contains("good"), "{kept_out}");
    assert_says(&only("keep", "of-vault"), "1 variable, good");
    assert_check(conflict("error").no_command(), 64, "conflict_error_without_target");
}

fn a_token_handed_in_is_told_and_left_alone(server: &Server) {
    assert_check(scenario(server).token(&json!({})), 0, "good_token");
}

fn a_token_that_may_not_look_itself_up_is_good_enough(server: &Server) {
    assert_check(scenario(server).token(&json!({"no_default_policy": true})), 0, "good_token_without_look_up");
}

fn the_read_comes_first_where_a_token_has_a_single_use(server: &Server) {
    let report = |text| {
        let scenario = scenario(server).token(&json!({"num_uses": 1})).options(["--check", "--report", text]);
        // Its use is gone, and the token with it.
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 0, "{}", outcome.describe());
        outcome.stdout
    };
    assert_says(&report("text"), "method token; the read shows that it is good, nothing more is told of it");
    assert_says(&report("json"), "\"exit_code\": 0");
}

fn a_namespace_that_the_server_has_is_no_warning(server: &Server) {
    let scenario = Scenario::in_namespace(server).secret(&json!({"DB_HOST": "db.example"})).kubernetes();
    assert_check(scenario, 0, "good_namespace");
}

fn a_format_that_cannot_carry_a_value_is_told_with_the_reason(server: &Server) {
    let secret = json!({"GOOD": "plain-value", "TEXT": "two\nlines-of-it", "NUL": "a\u{0}b-value", "a-b": "x"});
    let scenario = scenario(server).secret(&secret).no_command().options(["--require", "GOOD,ABSENT"]);
    let scenario = scenario.options(["--env-file", "{folder}/app.env", "--format", "docker"]);
    assert_check(scenario, 65, "format");
}

fn an_env_file_that_cannot_be_made_is_told(server: &Server) {
    let scenario = scenario(server).no_command().options(["--env-file", "{folder}/none/app.env"]);
    assert_check(scenario, 73, "file_without_directory");
}

fn a_name_of_any_length_is_cut_in_the_report(server: &Server) {
    for length in [33, 65_536, 70_000] {
        let scenario = scenario(server).secret(&json!({"K".repeat(length): "v", "A": "v"})).options(["--check"]);
        let outcome = scenario.run().expect(Expect::done().any_stdout().stderr::<&str>([]));
        assert_fits(&outcome.stdout);
        let row = format!("\n  {}…  string  ok\n", "K".repeat(31));
        assert!(outcome.stdout.contains(&row), "{}", outcome.stdout);
    }
}

fn a_command_that_is_not_found_does_not_keep_the_rest_from_being_told(server: &Server) {
    let scenario = scenario(server).no_command().options(["--", "no-such-command"]).env("PATH", "/nowhere");
    assert_check(scenario, 127, "command_not_found");
}

#[test]
fn without_an_address_the_report_is_short() {
    assert_check(Scenario::offline(), 0, "passthrough");
    let file = |path: &str| Scenario::offline().no_command().options(["--env-file", path]);
    assert_check(file("{folder}/app.env"), 0, "passthrough_file");
    assert_check(file("{folder}/none/app.env"), 73, "passthrough_file_without_directory");
    assert_check(Scenario::offline().env("VAULT_REQUIRED", "true"), 78, "passthrough_forbidden");
    assert_check(Scenario::offline().no_command(), 64, "passthrough_without_target");
    let not_looked_at = Scenario::offline().env("VAULT_TIMEOUT", "soon").options(["--check"]);
    let report = not_looked_at.run().expect(Expect::done().any_stdout().stderr::<&str>([]));
    assert_says(&report.stdout, "those that count without VAULT_ADDR can be used");
    let bad = Scenario::offline().no_command().env("VAULT_LOG_LEVEL", "loud");
    assert_check(bad, 64, "settings_without_target");
}

#[test]
fn a_namespace_that_the_server_cannot_have_is_a_warning() {
    // As HashiCorp's Community edition answers, on a standby too.
    for status in [200, 429] {
        let said = json!({"initialized": true, "sealed": false, "version": "1.21.0", "enterprise": false});
        let raw = Raw::start([("sys/health", vec![Reply::json(status, &said)])]);
        assert_check(Scenario::against(&raw).env("VAULT_NAMESPACE", "team"), 0, "namespace_without_effect");
        assert!(raw.requests().contains(&"GET sys/health".to_owned()));
    }
    let raw = Raw::start([("sys/health", vec![Reply::json(200, &json!({"enterprise": true}))])]);
    let scenario = Scenario::against(&raw).env("VAULT_NAMESPACE", "team").options(["--check"]);
    assert!(!scenario.run().stdout.contains("Warnings"));
    let raw = Raw::start([]);
    Scenario::against(&raw).options(["--check"]).run();
    raw.expect_whole_run();
}

#[test]
fn a_server_that_keeps_its_version_to_itself_is_ready_all_the_same() {
    let status = json!({"initialized": true, "sealed": false, "version": ""});
    let raw = Raw::start([(STATUS, vec![Reply::json(200, &status)])]);
    assert_check(Scenario::against(&raw), 0, "version_redacted");
}

#[test]
fn with_verbose_every_setting_stands_in_columns_with_where_it_came_from() {
    let scenario = Scenario::offline().env("VAULT_ROLE", "shop").env("VAULT_TOKEN", "hvs.s3cret-value");
    let scenario = scenario.env("VAULT_CACERT_BYTES", "s3cret-value").env("VAULT_REQUIRED_KEYS", "A, B");
    let scenario = scenario.env("BAO_CLIENT_TIMEOUT", "5").env("VAULT_ALLOW_NAMES", " ");
    let scenario = scenario.options(["--check", "--verbose", "--wait=2s", "--require=C"]);
    let outcome = scenario.run().expect(Expect::done().code(66).any_stdout().stderr::<&str>([]));
    assert!(!outcome.stdout.contains("s3cret"), "{}", outcome.stdout);
    let (settings, _) = outcome.stdout.split_once("\n\n").expect("sections");
    assert_snapshot("settings_in_columns", settings);
}

#[test]
fn colours_are_for_terminals_where_no_color_is_unset_or_empty() {
    let coloured = |rest: &str, no_color: Option<&str>| {
        let command = format!("{} --check {rest}", env!("CARGO_BIN_EXE_vault-exec"));
        let mut script = Command::new("script");
        script.env_clear().envs(no_color.map(|value| ("NO_COLOR", value))).args(["-qec", &command, "/dev/null"]);
        let output = script.output().expect("script, of util-linux");
        let text = String::from_utf8(output.stdout).expect("a text");
        assert!(output.status.success() && text.contains("VAULT_ADDR is unset"), "{text}");
        text.contains('\x1b')
    };
    assert!(coloured("-- env", None));
    assert!(coloured("-- env", Some("")));
    assert!(!coloured("-- env", Some("1")));
    assert!(!coloured("-- env | cat", None));
    assert!(!coloured("--report json -- env", None));
}
