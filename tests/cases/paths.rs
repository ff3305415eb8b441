//! Several paths in `VAULT_PATH`: one session, all or nothing, and who gives a variable.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::on_both;
use vault_testkit::raw::{READ, Raw, Reply};
use vault_testkit::server::Server;

use crate::support::dry_run::{assert_check, assert_says};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

on_both! {
    two_paths_are_read_in_one_session_and_each_is_told_with_its_version,
    three_paths_give_their_variables_in_the_order_of_names,
    equal_values_are_no_clash,
    listed_keys_come_from_whichever_path_has_them_under_their_new_names,
    a_version_of_its_own_is_for_a_single_path,
    in_json_each_path_has_an_entry,
    an_env_file_is_sorted_whatever_the_order_of_the_paths,
    a_token_whose_uses_the_reads_spend_is_not_revoked,
    a_dry_run_tells_each_path_and_who_gives_what,
    a_dry_run_names_both_paths_of_a_clash,
    a_dry_run_reads_past_a_path_that_is_absent,
    a_dry_run_reads_past_a_path_that_is_denied_and_judges_the_rest,
    a_dry_run_explains_each_path_that_failed_with_a_token_too,
    a_program_reads_of_each_path_in_the_report,
}

faults! { FAULTS_ON_BOTH, on_both;
    two_paths_with_different_values_are_both_named: "two paths that give a variable different values", Secret, 65, AtOnce;
    what_is_missing_is_missing_in_all_paths: "keys that none of several paths has", Secret, 66, AtOnce;
    one_path_that_is_absent_starts_nothing: "a path without a secret, one of several", Read, 66, AtOnce;
    one_path_that_is_denied_starts_nothing: "no rule in the policy for one of several paths", Read, 77, AtOnce;
    a_token_with_too_few_uses_is_told_before_it_fails: "a token with fewer uses than there are paths", Read, 77, AtOnce;
}

faults! { FAULTS, scripted;
    a_list_of_paths_is_judged_entry_by_entry: "`VAULT_PATH`: a path that is empty or named twice, a version for several", Settings, 78, AtOnce;
    one_path_with_a_key_that_stands_twice_is_named: "a key that stands twice, in one of several paths", Secret, 65, AtOnce;
}

const LOGIN: &str = "update auth/kubernetes/login";
const REVOKE: &str = "update auth/token/revoke-self";
const APP: &str = "read kv/data/{name}/app";
const COMMON: &str = "read kv/data/{name}/common";

/// Two secrets and a login; both are read.
fn two<'a>(server: &'a Server, app: &Value, common: &Value) -> Scenario<'a> {
    let scenario = Scenario::new(server).secret(app).secret_at("common", common).kubernetes();
    scenario.env("VAULT_PATH", "{name}/app, {name}/common").env("VAULT_MAX_RETRIES", "0")
}

fn plain(server: &Server) -> Scenario<'_> {
    two(server, &json!({"Z": "of-app-z", "A": "of-app-a"}), &json!({"M": "of-common"}))
}

fn two_paths_are_read_in_one_session_and_each_is_told_with_its_version(server: &Server) {
    let scenario = plain(server).secret_at("common", &json!({"M": "of-common-2"})).env("VAULT_LOG_LEVEL", "debug");
    let lines = [
        "DEBUG vault-exec: status: done in {any}",
        "DEBUG vault-exec: login: done in {any}",
        "DEBUG vault-exec: read: done in {any}",
        "DEBUG vault-exec: read: done in {any}",
        "DEBUG vault-exec: A",
        "DEBUG vault-exec: M",
        "DEBUG vault-exec: Z",
        "INFO  vault-exec: 3 variables from kv/{name}/app version 1 of {any}Z, kv/{name}/common version 2 of {any}Z; \
         status {any}, login {any}, read {any}, revoke {any}; token revoked",
    ];
    let env = [("A", "of-app-a"), ("M", "of-common-2"), ("Z", "of-app-z")];
    let outcome = scenario.run().expect(Expect::started().env(env).stderr(lines));
    assert_eq!(outcome.connections(), 1);
    outcome.expect_requests([LOGIN, APP, COMMON, REVOKE]);
}

fn three_paths_give_their_variables_in_the_order_of_names(server: &Server) {
    let scenario = plain(server).secret_at("third", &json!({"B": "of-third"}));
    let scenario = scenario.env("VAULT_PATH", "/{name}/third/,{name}/common,{name}/app");
    let line = "INFO  vault-exec: 4 variables from kv/{name}/third version 1 of {any}, kv/{name}/common version 1 of \
                {any}, kv/{name}/app version 1 of {any}; token revoked";
    let env = [("A", "of-app-a"), ("B", "of-third"), ("M", "of-common"), ("Z", "of-app-z")];
    let outcome = scenario.run().expect(Expect::started().env(env).stderr([line]));
    let child = outcome.child.as_ref().expect("started");
    let names: Vec<_> = child.env.iter().filter_map(|entry| entry.split(|byte| *byte == b'=').next()).collect();
    assert!(names.ends_with(&[b"A", b"B", b"M", b"Z"]), "{}", outcome.describe());
    outcome.expect_requests([LOGIN, "read kv/data/{name}/third", COMMON, APP, REVOKE]);
}

fn equal_values_are_no_clash(server: &Server) {
    let scenario = two(server, &json!({"A": "the-same", "N": "1"}), &json!({"N": 1, "A": "the-same", "B": null}));
    let line = "INFO  vault-exec: 3 variables from kv/{name}/app {any}, kv/{name}/common {any}; token revoked";
    scenario.run().expect(Expect::started().env([("A", "the-same"), ("N", "1"), ("B", "")]).stderr([line]));
}

fn two_paths_with_different_values_are_both_named(server: &Server) {
    let (app, common) = (json!({"A": "one-value", "B": "same", "C": "x"}), json!({"A": "other-value", "B": "same"}));
    let scenario = two(server, &app, &common).env("VAULT_REQUIRED_KEYS", "A");
    let from = "secret kv/{name}/app version 1, kv/{name}/common version 1: ";
    let clash = |name: &str| {
        format!(
            "{from}different values: {name} of kv/{{name}}/app and kv/{{name}}/common (write one value, or take it out of \
             all but one)"
        )
    };
    scenario.run().expect_failure(65, &clash("A")).expect_requests([LOGIN, APP, COMMON, REVOKE]);
    // Under its new name, and into a file.
    let scenario = scenario.env("VAULT_KEYS", "A:RENAMED,B").env("VAULT_REQUIRED_KEYS", "RENAMED");
    scenario.run().expect_failure(65, &clash("RENAMED"));
    let scenario = scenario.no_command().options(["--env-file", "{folder}/app.env"]);
    scenario.run().expect_failure(65, &clash("RENAMED"));
    assert!(!scenario.file("app.env").exists());
    // Who leaves it out has none.
    let scenario = scenario.env("VAULT_KEYS", "B,C").unset("VAULT_REQUIRED_KEYS");
    assert_eq!(scenario.run().code(), 0);
}

fn listed_keys_come_from_whichever_path_has_them_under_their_new_names(server: &Server) {
    let scenario = two(server, &json!({"db.url": "a-url", "LD_PRELOAD": "x"}), &json!({"PORT": 80, "OTHER": "x"}));
    let scenario = scenario.env("VAULT_KEYS", "PORT,db.url:DB_URL").env("VAULT_REQUIRED_KEYS", "DB_URL,PORT");
    scenario.run().expect(Expect::started().env([("DB_URL", "a-url"), ("PORT", "80")]));
}

fn what_is_missing_is_missing_in_all_paths(server: &Server) {
    let scenario = plain(server).env("VAULT_KEYS", "A,M,K").env("VAULT_REQUIRED_KEYS", "A,M,Z,GONE");
    scenario.run().expect_failure(
        66,
        "secret kv/{name}/app version 1, kv/{name}/common version 1: \
         missing key: K (add it to the secret, or take it out of VAULT_KEYS); \
         left out by VAULT_KEYS: Z (add it to VAULT_KEYS, or take it out of VAULT_REQUIRED_KEYS); \
         missing: GONE (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)",
    );
}

fn one_path_that_is_absent_starts_nothing(server: &Server) {
    let absent = |path: &str, remedy: &str| format!("vault at {{addr}}: nothing at kv/{path}; {remedy}");
    let check = "check VAULT_PATH, VAULT_SECRET_VERSION and VAULT_NAMESPACE, and that VAULT_MOUNT_POINT is a KV version 2 mount";
    let scenario = plain(server).env("VAULT_PATH", "{name}/app,{name}/none,{name}/common");
    let none = "read kv/data/{name}/none";
    scenario.run().expect_failure(66, &absent("{name}/none", check)).expect_requests([LOGIN, APP, none, REVOKE]);
    // What stands in front of it is read as it is written, and told.
    let rules = "path \"kv/data/*\" { capabilities = [\"read\"] }";
    server.write_policy("", &scenario.name, rules);
    let scenario = scenario.env("VAULT_PATH", "{name}/common,data/{name}/app");
    let doubled = "leave data/ out of VAULT_PATH: it is added by itself";
    scenario.run().expect_failure(66, &absent("data/{name}/app", doubled));
}

fn one_path_that_is_denied_starts_nothing(server: &Server) {
    let scenario = plain(server).env("VAULT_PATH", "{name}/app,other/{name}");
    let message = "vault at {addr}: the read of kv/other/{name} was answered with 403: 1 error occurred: * permission denied; \
                   check VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: \
                   path \"kv/data/other/{name}\" { capabilities = [\"read\"] }";
    scenario.run().expect_failure(77, message).expect_requests([LOGIN, APP, "read kv/data/other/{name}", REVOKE]);
}

fn a_version_of_its_own_is_for_a_single_path(server: &Server) {
    let scenario = plain(server).env("VAULT_SECRET_VERSION", "1");
    let cause = "the version of one secret, and VAULT_PATH names several; leave it out, or write one path";
    scenario.run().expect_failure(78, &format!("VAULT_SECRET_VERSION = \"1\": {cause}")).expect_requests([]);
    let started = || Expect::started().env([("A", "of-app-a"), ("Z", "of-app-z")]);
    scenario.env("VAULT_PATH", "{name}/app").run().expect(started());
}

fn a_list_of_paths_is_judged_entry_by_entry() {
    let scenario = Scenario::offline().env("VAULT_ADDR", "http://127.0.0.1:1").env("VAULT_TOKEN", "hvs.not-looked-at");
    let said = |paths: &str, lines: &[&str]| {
        let scenario = Scenario::offline().env("VAULT_ADDR", "http://127.0.0.1:1").env("VAULT_TOKEN", "hvs.not-sent");
        let lines = lines.iter().map(|line| format!("ERROR vault-exec: {line}"));
        scenario.env("VAULT_PATH", paths).run().expect(Expect::done().code(78).stderr(lines));
    };
    let empty = |held: &str| format!("VAULT_PATH = \"{held}\": a path in it is empty; take the comma beside it out");
    for held in ["a,,b", "a,", ",a", ","] {
        said(held, &[&empty(held)]);
    }
    said("shop/a, /shop/a/", &["VAULT_PATH = \"/shop/a/\": named twice; name each path once"]);
    let all = "shop/a,,shop/b#KEY,../x,shop/a";
    let version = "VAULT_SECRET_VERSION = \"2\": the version of one secret, and VAULT_PATH names several; leave it out, or \
                   write one path";
    let lines = [
        &empty(all),
        "VAULT_PATH = \"shop/b#KEY\": names a key behind #; write the path alone, and the key in VAULT_KEYS",
        "VAULT_PATH = \"../x\": a part of it is empty, . or ..; write it without these",
        "VAULT_PATH = \"shop/a\": named twice; name each path once",
        version,
        "VAULT_TIMEOUT = \"soon\": not a duration; write one such as 500ms, 30s or 1m30s",
    ];
    let scenario = scenario.env("VAULT_PATH", all).env("VAULT_SECRET_VERSION", "2").env("VAULT_TIMEOUT", "soon");
    let lines = lines.map(|line| format!("ERROR vault-exec: {line}"));
    scenario.run().expect(Expect::done().code(78).stderr(lines));
}

fn in_json_each_path_has_an_entry(server: &Server) {
    let scenario = plain(server).env("VAULT_LOG_FORMAT", "json");
    let outcome = scenario.run();
    let mut record: Value = serde_json::from_str(&outcome.stderr).expect("one JSON value");
    let members = record.as_object_mut().expect("an object");
    for another_each_time in ["time", "message", "elapsed_ms"] {
        assert!(members.remove(another_each_time).is_some(), "{another_each_time}: {}", outcome.stderr);
    }
    for entry in record["paths"].as_array_mut().expect("a list") {
        let created = entry.as_object_mut().expect("an object").remove("created").expect("a time");
        humantime::parse_rfc3339(created.as_str().expect("a text")).expect("a date");
    }
    let entry = |path: &str| json!({"path": scenario.expand(path), "version": 1});
    let paths = [entry("kv/{name}/app"), entry("kv/{name}/common")];
    assert_eq!(record, json!({"level": "info", "variables": 3, "paths": paths, "token": "revoked"}));
}

fn an_env_file_is_sorted_whatever_the_order_of_the_paths(server: &Server) {
    let written = |paths: &str| {
        let scenario = plain(server).env("VAULT_PATH", paths).no_command().options(["--env-file", "{folder}/app.env"]);
        scenario.run().expect(Expect::done());
        fs::read_to_string(scenario.file("app.env")).expect("an env file")
    };
    let content = written("{name}/app,{name}/common");
    let names: Vec<_> = content.lines().filter_map(|line| line.split_once('=')).map(|it| it.0).collect();
    assert_eq!(names, ["export A", "export M", "export Z"], "{content}");
    assert_eq!(written("{name}/common,{name}/app"), content);
}

fn a_token_whose_uses_the_reads_spend_is_not_revoked(server: &Server) {
    let scenario = plain(server).role(&json!({"token_num_uses": 2}));
    let line = "INFO  vault-exec: 3 variables from {any}; token not revoked (the reads were all of its uses)";
    let env = [("A", "of-app-a"), ("M", "of-common"), ("Z", "of-app-z")];
    scenario.run().expect(Expect::started().env(env).stderr([line])).expect_requests([LOGIN, APP, COMMON]);
    let scenario = plain(server).role(&json!({"token_num_uses": 3}));
    let line = "INFO  vault-exec: 3 variables from {any}; token revoked";
    scenario.run().expect(Expect::started().env(env).stderr([line])).expect_requests([LOGIN, APP, COMMON, REVOKE]);
}

fn a_token_with_too_few_uses_is_told_before_it_fails(server: &Server) {
    let scenario = plain(server).role(&json!({"token_num_uses": 1}));
    let warning = "WARN  vault-exec: the login's token has 1 use, and VAULT_PATH names 2 paths; raise token_num_uses of the \
                   role, or set it to 0";
    let error = "ERROR vault-exec: vault at {addr}: the read of kv/{name}/common was answered with 403: {any}";
    scenario.run().expect(Expect::done().code(77).stderr([warning, error]));
    let report = scenario.options(["--check"]).run().stdout.clone();
    assert_says(&report, warning.strip_prefix("WARN  vault-exec: ").expect("a warning"));
}

/// A server with two secrets, of which these are the answers.
fn raw(app: Vec<Reply>, common: Vec<Reply>) -> (Raw, Scenario<'static>) {
    let raw = Raw::start([(READ, app), ("kv/data/shop/common", common)]);
    let scenario = Scenario::against(&raw).env("VAULT_PATH", "shop/app,shop/common");
    (raw, scenario)
}

fn one_path_with_a_key_that_stands_twice_is_named() {
    let twice = Reply::secret(r#"{"A":"a-raw-secret","A":"another-secret"}"#);
    let denied = Reply::secret(r#"{"LD_PRELOAD":"a-raw-secret","N":"a\u0000b"}"#);
    let (raw, scenario) = raw(vec![twice], vec![denied]);
    // What is missing may stand where nothing could be read.
    scenario.env("VAULT_REQUIRED_KEYS", "GONE").hides("another-secret").run().expect_failure(
        65,
        "secret kv/shop/app, kv/shop/common version 7: \
         duplicate key: data.data.A of kv/shop/app (write the secret again with one of the two); \
         denied: LD_PRELOAD of kv/shop/common (rename the key, or permit it with VAULT_ALLOW_NAMES); \
         a NUL byte in: N of kv/shop/common (no variable can hold one; encode the value)",
    );
    assert!(raw.requests().iter().any(|it| it.contains("revoke-self")), "{:?}", raw.requests());
}

#[test]
fn each_path_has_its_own_tries() {
    let busy = || Reply::json(503, &json!({"errors": []}));
    let well = |data: &str| Reply::secret(data);
    let app = vec![busy(), well(r#"{"A":"a-raw-secret"}"#)];
    let common = vec![busy(), well(r#"{"B":"another-secret"}"#)];
    let (raw, scenario) = raw(app, common);
    let scenario = scenario.env("VAULT_MAX_RETRIES", "1").env("VAULT_LOG_LEVEL", "warn").hides("another-secret");
    let line = |path: &str| {
        format!(
            "WARN  vault-exec: read: the read of kv/shop/{path} was answered with 503{{any}}; try 1 of 2, the next in {{any}}"
        )
    };
    let env = [("A", "a-raw-secret"), ("B", "another-secret")];
    scenario.run().expect(Expect::started().env(env).stderr([line("app"), line("common")]));
    let reads = raw.requests().iter().filter(|it| it.contains("kv/data")).count();
    assert_eq!(reads, 4, "{:?}", raw.requests());
}

/// What the first path gave is a secret to the second as well.
#[test]
fn a_value_of_one_path_is_shown_by_no_answer_for_another() {
    for check in ["", "--check"] {
        let refused = Reply::json(403, &json!({"errors": ["no a-value-of-the-first for you"]}));
        let (_raw, scenario) = raw(vec![Reply::secret(r#"{"A":"a-value-of-the-first"}"#)], vec![refused]);
        let scenario = scenario.hides("a-value-of-the-first").env("VAULT_LOG_LEVEL", "debug");
        let scenario = scenario.options(Some(check).filter(|it| !it.is_empty()));
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 77, "{}", outcome.describe());
        assert!(format!("{}{}", outcome.stdout, outcome.stderr).contains("no *** for"), "{}", outcome.describe());
    }
    // Nor by the line that tells of a clash.
    let secret = |value: &str| vec![Reply::secret(&format!(r#"{{"A":"{value}"}}"#))];
    let (_raw, scenario) = raw(secret("a-value-of-the-first"), secret("a-value-of-the-other"));
    let scenario = scenario.hides("a-value-of-the-first").hides("a-value-of-the-other").env("VAULT_LOG_LEVEL", "debug");
    assert_eq!(scenario.run().code(), 65);
    let scenario = scenario.options(["--check", "--report", "json"]);
    assert_eq!(scenario.run().code(), 65);
}

fn a_dry_run_tells_each_path_and_who_gives_what(server: &Server) {
    let scenario = two(server, &json!({"Z": "of-app", "SAME": "same"}), &json!({"M": 1, "SAME": "same"}));
    assert_check(scenario.env("Z", "another"), 0, "paths");
}

fn a_dry_run_names_both_paths_of_a_clash(server: &Server) {
    let scenario = two(server, &json!({"A": "one-value", "LD_PRELOAD": "x"}), &json!({"A": "other-value", "B": "b"}));
    assert_check(scenario.env("VAULT_REQUIRED_KEYS", "GONE"), 65, "paths_clash");
}

fn a_dry_run_reads_past_a_path_that_is_absent(server: &Server) {
    let scenario = plain(server).env("VAULT_PATH", "{name}/none,{name}/common");
    // It may be in the one that was not read.
    assert_check(scenario.env("VAULT_REQUIRED_KEYS", "GONE"), 66, "paths_absent");
}

fn a_dry_run_reads_past_a_path_that_is_denied_and_judges_the_rest(server: &Server) {
    let scenario = two(server, &json!({"A": "one-value", "LD_PRELOAD": "x"}), &json!({"A": "other-value"}));
    let scenario = scenario.env("VAULT_PATH", "{name}/app,other/{name},{name}/common");
    assert_check(scenario, 77, "paths_denied");
}

fn a_dry_run_explains_each_path_that_failed_with_a_token_too(server: &Server) {
    let scenario = plain(server).token(&json!({})).env("VAULT_PATH", "{name}/none,other/{name}");
    assert_check(scenario, 66, "paths_none");
}

fn a_program_reads_of_each_path_in_the_report(server: &Server) {
    let scenario = plain(server).env("VAULT_PATH", "{name}/app,other/{name}").options(["--check", "--report", "json"]);
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 77, "{}", outcome.describe());
    let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
    let of = |name: &str| -> Vec<Value> {
        let steps = report["steps"].as_array().expect("a list").iter().filter(|step| step["step"] == name);
        steps.map(|step| json!([step["outcome"], step["mount"], step["path"], step["version"]])).collect()
    };
    let (app, other) = (scenario.expand("{name}/app"), scenario.expand("other/{name}"));
    assert_eq!(of("read"), [json!(["ok", "kv", app, 1]), json!(["failed", "kv", other, null])]);
    assert_eq!(of("preflight"), [json!(["note", null, other, null])]);
    let explained = report["explanation"].as_str().expect("a text");
    assert!(explained.starts_with(&format!("kv/{other}: ")), "{explained}");
    let variable = json!({"name": "A", "type": "string", "good": true, "state": format!("ok; from kv/{app}"), "paths": [format!("kv/{app}")]});
    assert_eq!(report["variables"][0], variable);
}

#[test]
fn a_dry_run_does_not_ask_for_a_path_when_the_server_failed_at_the_one_before() {
    let busy = Reply::json(503, &json!({"errors": []}));
    let (raw, scenario) = raw(vec![busy.clone()], vec![busy]);
    let scenario = scenario.env("VAULT_MAX_RETRIES", "0").options(["--check", "--report", "json"]);
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 75, "{}", outcome.describe());
    let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
    let steps = report["steps"].as_array().expect("a list").iter().filter(|step| step["step"] == "read");
    let reads: Vec<_> = steps.map(|step| json!([step["outcome"], step["path"]])).collect();
    assert_eq!(reads, [json!(["failed", "shop/app"]), json!(["skipped", null])]);
    assert!(!raw.requests().iter().any(|it| it.contains("shop/common")), "{:?}", raw.requests());
}

#[test]
fn what_was_read_first_is_struck_out_however_much_is_read_after_it() {
    let (raw, scenario) = raw(Vec::new(), Vec::new());
    let paths: Vec<String> = (0..40).map(|n| format!("many/{n}")).collect();
    for (n, path) in paths.iter().enumerate() {
        let secret = format!(r#"{{"KEY_{n}":"value-of-path-{n}-secret"}}"#);
        raw.script(Box::leak(format!("kv/data/{path}").into_boxed_str()), vec![Reply::secret(&secret)]);
    }
    let said = json!({"errors": ["upstream: value-of-path-0-secret, value-of-path-39-secret"]});
    raw.script("kv/data/last", vec![Reply::json(403, &said)]);
    let scenario = scenario.env("VAULT_PATH", format!("{},last", paths.join(",")));
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 77, "{}", outcome.describe());
    assert!(outcome.stderr.contains("answered with 403: upstream: ***, ***;"), "{}", outcome.stderr);
}
