//! From the secret's members to the application's environment.

use serde_json::{Value, json};
use vault_testkit::on_both;
use vault_testkit::raw::{READ, Raw, Reply};
use vault_testkit::server::Server;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

on_both! {
    each_json_type_has_its_text,
    awkward_texts_arrive_byte_for_byte,
    a_secret_without_members_starts_without_variables,
    an_older_version_can_be_pinned,
    only_the_listed_keys_are_taken_under_their_new_names,
    required_variables_that_are_there_are_no_news,
    a_variable_that_is_there_is_overwritten_kept_or_refused,
    a_denied_name_can_be_permitted,
    a_key_that_is_nearly_there_is_told,
    a_dry_run_notes_what_a_shell_drops_and_values_that_end_in_a_newline,
    credentials_are_taken_out_and_other_settings_stay,
}

faults! { FAULTS_ON_BOTH, on_both;
    names_that_cannot_or_must_not_be_set_are_told_in_one_line: "keys that no variable can or may be named after", Secret, 65, AtOnce;
    missing_keys_are_told_in_one_line: "keys that are missing", Secret, 66, AtOnce;
    a_value_too_long_for_the_kernel_is_named: "a value longer than the kernel takes", Secret, 65, AtOnce;
    values_too_long_together_are_counted: "values longer together than the kernel takes", Secret, 65, AtOnce;
    a_nul_byte_is_refused: "a NUL byte in a value", Secret, 65, AtOnce;
}

faults! { FAULTS, scripted;
    duplicate_keys_are_refused_at_every_depth: "a key that stands twice, at any depth of the secret", Secret, 65, AtOnce;
}

/// The common beginning of a refusal.
const SECRET: &str = "secret kv/{path} version 1: ";

fn scenario<'a>(server: &'a Server, secret: &Value) -> Scenario<'a> {
    Scenario::new(server).secret(secret).kubernetes()
}

fn refused(scenario: &Scenario, code: i32, problems: &str) {
    scenario.run().expect_failure(code, &format!("{SECRET}{problems}")).expect_requests([
        "update auth/kubernetes/login",
        "read kv/data/{path}",
        "update auth/token/revoke-self",
    ]);
}

fn each_json_type_has_its_text(server: &Server) {
    let secret = json!({
        "STRING": "text", "EMPTY": "", "ZERO": 0, "WHOLE": -12, "FRACTION": 1.25, "HUGE": 1e21, "TRUE": true,
        "FALSE": false, "NULL": null, "LIST": [1, "a", null, {"b": []}], "NONE": [], "OBJECT": {"z": 1, "a": {"é": "<&>"}},
        "DIGITS": "007", "WORD": "true",
    });
    scenario(server, &secret).run().expect(Expect::started().env([
        ("STRING", "text"),
        ("EMPTY", ""),
        ("ZERO", "0"),
        ("WHOLE", "-12"),
        ("FRACTION", "1.25"),
        ("HUGE", "1e+21"),
        ("TRUE", "true"),
        ("FALSE", "false"),
        ("NULL", ""),
        ("LIST", r#"[1,"a",null,{"b":[]}]"#),
        ("NONE", "[]"),
        ("OBJECT", r#"{"a":{"é":"<&>"},"z":1}"#),
        ("DIGITS", "007"),
        ("WORD", "true"),
    ]));
}

fn awkward_texts_arrive_byte_for_byte(server: &Server) {
    let long = "0123456789abcdef".repeat(100 << 6);
    let texts = [
        ("TEXT", "one\ntwo\r\n\n"),
        ("QUOTES", r#"a "b" 'c' `d` \e"#),
        ("DOLLAR", "$HOME ${HOME} $(id) $$ %d !"),
        ("BLANKS", "  \t both ends \t "),
        ("UNICODE", "Grüße, 世界 😀 \u{2028} \u{202e} \u{feff}"),
        ("CONTROL", "\u{1}\u{1b}[31m\u{7f}\u{85}"),
        ("PEM", "-----BEGIN X-----\nAAAA=\n-----END X-----\n"),
        ("EQUALS", "a=b=c"),
        ("LONG", &long),
        ("lower.case-1", "odd but possible"),
    ];
    let secret: serde_json::Map<_, _> = texts.iter().map(|(name, text)| ((*name).into(), json!(text))).collect();
    assert_eq!(long.len(), 100 << 10);
    scenario(server, &Value::Object(secret)).run().expect(Expect::started().env(texts));
}

fn a_secret_without_members_starts_without_variables(server: &Server) {
    let line = "INFO  vault-exec: 0 variables from kv/{path} version 1 of {any}; token revoked";
    scenario(server, &json!({})).run().expect(Expect::started().stderr([line]));
}

fn an_older_version_can_be_pinned(server: &Server) {
    let scenario = scenario(server, &json!({"A": "old"})).secret(&json!({"A": "new"}));
    let line = |version| format!("INFO  vault-exec: 1 variable from kv/{{path}} version {version} of {{any}}");
    scenario.run().expect(Expect::started().env([("A", "new")]).stderr([line(2)]));
    let scenario = scenario.env("VAULT_SECRET_VERSION", " 1 ");
    scenario.run().expect(Expect::started().env([("A", "old")]).stderr([line(1)]));
    let scenario = scenario.env("VAULT_SECRET_VERSION", "latest");
    scenario.run().expect(Expect::started().env([("A", "new")]).stderr([line(2)]));
}

fn only_the_listed_keys_are_taken_under_their_new_names(server: &Server) {
    let secret = json!({"db.url": "url", "k": "v", "LD_PRELOAD": "not-taken", "a b": "not-taken", "x:y": "colon"});
    let scenario = scenario(server, &secret);
    let wanted = || Expect::started().env([("DB_URL", "url"), ("k", "v"), ("XY", "colon")]);
    let keys = "db.url:DB_URL, k ,x:y:XY";
    scenario.run().expect(Expect::failure(
        65,
        &format!("{SECRET}denied: LD_PRELOAD (rename the key, or permit it with VAULT_ALLOW_NAMES)"),
    ));
    let scenario = scenario.env("VAULT_KEYS", keys).env("VAULT_REQUIRED_KEYS", "DB_URL");
    scenario.run().expect(wanted());
    scenario.env("VAULT_KEYS", "nothing").options(["--keys", keys]).run().expect(wanted());
}

fn required_variables_that_are_there_are_no_news(server: &Server) {
    let scenario = scenario(server, &json!({"A": "1", "B": "", "C": null}));
    scenario.env("VAULT_REQUIRED_KEYS", "A,B").options(["--require=C"]).run().expect(Expect::started().env([
        ("A", "1"),
        ("B", ""),
        ("C", ""),
    ]));
}

fn a_variable_that_is_there_is_overwritten_kept_or_refused(server: &Server) {
    let scenario = scenario(server, &json!({"A": "of-vault", "B": "same", "C": "new"}));
    let scenario = scenario.env("A", "of-the-pod").env("B", "same");
    let wanted = |a| Expect::started().env([("A", a), ("B", "same"), ("C", "new")]);
    scenario.run().expect(wanted("of-vault"));
    let scenario = scenario.env("VAULT_ON_CONFLICT", "overwrite");
    scenario.run().expect(wanted("of-vault"));
    let scenario = scenario.env("VAULT_ON_CONFLICT", "keep");
    let line = "INFO  vault-exec: 2 variables from {any}; kept as they were: A; {any}; token revoked";
    scenario.run().expect(wanted("of-the-pod").stderr([line]));
    let scenario = scenario.env("VAULT_ON_CONFLICT", "error");
    let problem = "already in the environment: A (take it out there, or change VAULT_ON_CONFLICT)";
    scenario.run().expect_failure(65, &format!("{SECRET}{problem}"));
}

fn a_key_that_is_nearly_there_is_told(server: &Server) {
    let mut scenario = scenario(server, &json!({"API_KEY": "a-value", "db.url": "a-value", "OTHER": "a-value"}));
    let remedy = "add it to the secret, or take it out of VAULT_REQUIRED_KEYS";
    for (required, said) in [
        ("api_key", "api_key (did you mean API_KEY?)"),
        ("API-KEY", "API-KEY (did you mean API_KEY?)"),
        ("API_KEYS,DB_URL,GONE", "API_KEYS (did you mean API_KEY?), DB_URL (did you mean db.url?), GONE"),
    ] {
        scenario = scenario.env("VAULT_REQUIRED_KEYS", required);
        scenario.run().expect_failure(66, &format!("{SECRET}missing: {said} ({remedy})"));
    }
    let scenario = scenario.unset("VAULT_REQUIRED_KEYS").env("VAULT_KEYS", "API_KEYS,OTHER");
    let remedy = "add it to the secret, or take it out of VAULT_KEYS";
    let said = format!("{SECRET}missing key: API_KEYS (did you mean API_KEY?) ({remedy})");
    scenario.run().expect_failure(66, &said);
}

fn a_dry_run_notes_what_a_shell_drops_and_values_that_end_in_a_newline(server: &Server) {
    let secret = json!({"PLAIN": "plain-value", "spring.datasource.password": "p-value", "FILE": "a\nb-value\n"});
    let newline = "\"ok; a newline ends the value\"";
    let dropped = "dash drops variables whose names are no identifiers: spring.datasource.password; rename the keys with \
                   VAULT_KEYS=key:NAME, or start the application without a shell";
    let (count, state) = ("\"3 variables; dash drops 1\"", "\"ok; dash drops it\"");
    let good = "\"3 variables, all of them good\"";
    for (command, notes) in
        [("/usr/bin/dash", [true, true, true, true, false]), ("/usr/bin/env", [false, true, false, false, true])]
    {
        let scenario = scenario(server, &secret).command([command]).options(["--check", "--report", "json"]);
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 0, "{}", outcome.describe());
        assert_eq!(
            [dropped, newline, count, state, good].map(|note| outcome.stdout.contains(note)),
            notes,
            "{}",
            outcome.describe()
        );
    }
    let env = [("PLAIN", "plain-value"), ("spring.datasource.password", "p-value"), ("FILE", "a\nb-value\n")];
    scenario(server, &secret).run().expect(Expect::started().env(env));
}

fn a_denied_name_can_be_permitted(server: &Server) {
    let scenario = scenario(server, &json!({"PYTHONPATH": "/one", "NODE_OPTIONS": "--two"}));
    let scenario = scenario.env("VAULT_ALLOW_NAMES", "PYTHONPATH").options(["--allow-name", "NODE_OPTIONS"]);
    scenario.run().expect(Expect::started().env([("PYTHONPATH", "/one"), ("NODE_OPTIONS", "--two")]));
}

fn credentials_are_taken_out_and_other_settings_stay(server: &Server) {
    let scenario = scenario(server, &json!({"A": "1"}))
        .env("VAULT_AUTH_METHOD", "kubernetes")
        .env("VAULT_TOKEN", "a-token-nobody-needs")
        .env("BAO_TOKEN", "another-of-these")
        .env("VAULT_SECRET_ID", "a-secret-id")
        .env("BAO_SECRET_ID", "another-secret-id")
        .env("VAULT_APPROLE_ROLE_ID", "a-role-id")
        .env("BAO_APPROLE_SECRET_ID", "a-third-secret-id")
        .env("VAULT_JWT", "e30.e30.a-jwt-nobody-needs")
        .env("BAO_JWT", "another-jwt")
        .env("VAULT_JWT_FILE", "stays")
        .env("VAULT_NAMESPACE", "")
        .env("VAULT_ROLE_ID", "stays")
        .env("VAULT_SOMETHING_ELSE", "stays")
        .env("TOKEN", "stays");
    let unread = ["BAO_APPROLE_SECRET_ID", "BAO_JWT", "BAO_SECRET_ID"];
    let warnings = unread.map(|name| format!("WARN  vault-exec: {name} is no setting and has no effect"));
    let last = "INFO  vault-exec: 1 variable from kv/{path} version 1 of {any}; token revoked".to_owned();
    scenario.run().expect(Expect::started().env([("A", "1")]).stderr(warnings.into_iter().chain([last])));
}

fn names_that_cannot_or_must_not_be_set_are_told_in_one_line(server: &Server) {
    let secret = json!({
        "": "empty-name", "A=B": "equals-sign", "CAFÉ": "not-ascii", "GOOD": "good", "HTTP_PROXY": "a-proxy",
        "LINE\nBREAK": "control", "Path": "any-case", "VAULT_ADDR": "elsewhere",
    });
    let scenario = scenario(server, &secret).env("VAULT_REQUIRED_KEYS", "GOOD,GONE");
    refused(
        &scenario,
        65,
        "no name for a variable: \"\", \"A=B\", \"CAFÉ\", \"LINE\\nBREAK\" \
         (rename the key, or leave it out with VAULT_KEYS); \
         denied: HTTP_PROXY, Path, VAULT_ADDR (rename the key, or permit it with VAULT_ALLOW_NAMES); \
         missing: GONE (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)",
    );
}

fn missing_keys_are_told_in_one_line(server: &Server) {
    let secret = json!({"A": "1", "B": "2"});
    let left_out = scenario(server, &secret).env("VAULT_KEYS", "A").env("VAULT_REQUIRED_KEYS", "B");
    let problem = "left out by VAULT_KEYS: B (add it to VAULT_KEYS, or take it out of VAULT_REQUIRED_KEYS)";
    refused(&left_out, 66, problem);
    let scenario = scenario(server, &secret);
    let scenario = scenario.env("VAULT_KEYS", "A:ONE,C,D:FOUR").env("VAULT_REQUIRED_KEYS", "ONE,A,B");
    let scenario = scenario.options(["--require", "FIVE"]);
    refused(
        &scenario,
        66,
        "missing key: C, D (add it to the secret, or take it out of VAULT_KEYS); \
         left out by VAULT_KEYS: A, B (add it to VAULT_KEYS, or take it out of VAULT_REQUIRED_KEYS); \
         missing: FIVE (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)",
    );
}

fn a_value_too_long_for_the_kernel_is_named(server: &Server) {
    let fits = "x".repeat((128 << 10) - "FITS=\0".len());
    let fitting = scenario(server, &json!({"FITS": fits}));
    fitting.run().expect(Expect::started().env([("FITS", &fits)]));
    let scenario = scenario(server, &json!({"BOTH": fits, "A": "1", "SHORT": format!("{fits}x")}));
    refused(
        &scenario,
        65,
        "too long for the kernel: SHORT (131074 bytes) (131072 bytes fit; use --env-file, or VAULT_KEYS)",
    );
}

fn values_too_long_together_are_counted(server: &Server) {
    let value = "x".repeat(64 << 10);
    // 576 KiB, and a stack of 2 MiB leaves 512 for arguments and environment.
    let secret: serde_json::Map<_, _> = (0..9).map(|n| (format!("V{n}"), json!(value))).collect();
    let limit = crate::support::launch::Inherit::Limit(nix::sys::resource::Resource::RLIMIT_STACK, 2 << 20);
    let scenario = scenario(server, &Value::Object(secret)).inherit([limit]);
    refused(
        &scenario,
        65,
        "too long in all for the kernel: {any} of 524288 bytes (use --env-file, or fewer keys (VAULT_KEYS))",
    );
    let scenario = scenario.options(["--keys=V1,V2,V3,V4,V5,V6,V7"]);
    let env: Vec<_> = (1..8).map(|n| (format!("V{n}"), value.clone())).collect();
    scenario.run().expect(Expect::started().env(env));
}

fn a_nul_byte_is_refused(server: &Server) {
    let scenario = scenario(server, &json!({"A": "before\u{0}after", "B": "1", "C": ["\u{0}"]}));
    refused(&scenario, 65, "a NUL byte in: A (no variable can hold one; encode the value)");
}

fn duplicate_keys_are_refused_at_every_depth() {
    for (data, named) in [
        (r#"{"A":"first-value","A":"second-value"}"#, "data.data.A"),
        (r#"{"A":{"b":1,"\u0062":2}}"#, "data.data.A"),
        (r#"{"A\nB\u001b":1,"A\nB\u001b":2}"#, r"data.data.A\nB\u{1b}"),
        (r#"{"A":[{"deep":{"er":"one-value","er":"two-value"}}]}"#, "data.data.A"),
    ] {
        let raw = Raw::start([(READ, vec![Reply::secret(data)])]);
        let message = format!("{{any}}duplicate key: {named} (write the secret again with one of the two)");
        Scenario::against(&raw).hides("value").run().expect_failure(65, &message);
        raw.expect_whole_run();
    }
}

#[test]
fn numbers_keep_the_text_that_was_received() {
    let numbers = ["1.0", "1e3", "-0", "12345678901234567890", "0.1000", "1E+2"];
    let members: Vec<_> = numbers.iter().enumerate().map(|(n, text)| format!("\"N{n}\":{text}")).collect();
    let raw = Raw::start([(READ, vec![Reply::secret(&format!("{{{}}}", members.join(",")))])]);
    let env: Vec<_> = numbers.iter().enumerate().map(|(n, text)| (format!("N{n}"), *text)).collect();
    Scenario::against(&raw).run().expect(Expect::started().env(env));
    raw.expect_whole_run();
}
