//! What is written for other programs: references left in the environment, settings in their syntax, names of the
//! official clients that have no effect here.

use serde_json::json;
use vault_testkit::on_both;
use vault_testkit::raw::Raw;
use vault_testkit::server::Server;

use super::passthrough::unwrapped;
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

on_both! {
    a_reference_that_no_key_replaces_is_refused,
    a_reference_that_a_key_replaces_is_good,
    a_path_with_its_mount_and_data_is_told_both_mistakes,
}

const LEFT: &str = "another tool's reference (vault:PATH#KEY), which nothing resolves here; let VAULT_KEYS rename the key to \
                    this variable (KEY:NAME), or set VAULT_ALLOW_REFERENCES=true";

fn a_reference_that_no_key_replaces_is_refused(server: &Server) {
    let scenario = || {
        let scenario = Scenario::new(server).secret(&json!({"A": "a-secret-value"})).kubernetes();
        let scenario = scenario.env("DB", "vault:kv/data/shop#DB").env("MQ", "amqp://${bao:kv/data/mq#USER}@mq");
        scenario.env("PAGE", "https://vault.example/#top").env("SEALED", "vault:v1:8SDd3WHDOjf7mq69==")
    };
    scenario().run().expect_failure(78, &format!("DB, MQ: {LEFT}"));
    scenario()
        .env("VAULT_ON_CONFLICT", "keep")
        .env("A", ">>vault:x#y")
        .run()
        .expect_failure(78, &format!("A, DB, MQ: {LEFT}"));
    let check = scenario().options(["--check"]);
    let check = check.run();
    assert!(unwrapped(&check.stdout).contains(&format!("DB, MQ: {LEFT}")), "{}", check.describe());
    check.expect(Expect::done().code(78).any_stdout());
    let allowed = scenario().env("VAULT_ALLOW_REFERENCES", "true");
    allowed.run().expect(Expect::started().env([("A", "a-secret-value")]));
    // A file is for others to read.
    scenario().no_command().options(["--env-file", "{folder}/app.env"]).run().expect(Expect::done());
}

fn a_reference_that_a_key_replaces_is_good(server: &Server) {
    let scenario =
        Scenario::new(server).secret(&json!({"A": "a-secret-value", "B": "vault:of/the#secret"})).kubernetes();
    let scenario = scenario.env("DB", "vault:kv/data/shop#A").env("VAULT_KEYS", "A:DB,B");
    scenario.run().expect(
        Expect::started()
            .env([("DB", "a-secret-value"), ("B", "vault:of/the#secret")])
            .stderr(["INFO  vault-exec: {any}"]),
    );
}

fn a_path_with_its_mount_and_data_is_told_both_mistakes(server: &Server) {
    let scenario = Scenario::new(server).secret(&json!({"A": "a-secret-value"})).kubernetes();
    let scenario = scenario.env("VAULT_PATH", "kv/data/{path}");
    let outcome = scenario.run();
    let hint = "write VAULT_PATH={path}: the mount and data/ are added by themselves; else check VAULT_MOUNT_POINT";
    assert!(outcome.stderr.contains(&scenario.expand(hint)), "{}", outcome.describe());
    assert_eq!(outcome.code(), 77, "{}", outcome.describe());
}

#[test]
fn settings_in_another_tools_syntax_are_told_before_anything_is_asked() {
    let raw = Raw::start([]);
    let placeholder = "a placeholder that nothing has filled in; write what it stands for";
    let reference =
        "another tool's reference, which nothing resolves here; write the path in VAULT_PATH, the key in VAULT_KEYS";
    for (name, value, said) in [
        ("VAULT_PATH", "shop/prod#KEY", "names a key behind #; write the path alone, and the key in VAULT_KEYS"),
        ("VAULT_PATH", "shop?version=2", "holds a query; write the path alone, and a version in VAULT_SECRET_VERSION"),
        ("VAULT_PATH", "vault:kv/data/shop#KEY", reference),
        ("VAULT_PATH", "'shop/prod'", "in quotes, which are a part of it here; write it without them"),
        ("VAULT_NAMESPACE", "${TEAM}", placeholder),
        ("VAULT_ROLE", "$(ROLE)", placeholder),
        (
            "VAULT_ROLE",
            "auth/kubernetes/role/shop",
            "holds a /, which no role has; write its name alone, and the mount in VAULT_K8S_AUTH_MOUNT_POINT",
        ),
        ("VAULT_KEYS", "A;B", "names separated by semicolons; write commas"),
        ("VAULT_KEYS", "A B", "names separated by white space; write commas"),
        ("VAULT_REQUIRED_KEYS", "A B", "names separated by white space; write commas"),
        ("VAULT_ALLOW_NAMES", "[PATH]", "a list in brackets or quotes; write the names alone, separated by commas"),
    ] {
        Scenario::against(&raw).env(name, value).run().expect_failure(78, &format!("{name} = \"{value}\": {said}"));
    }
    let lists = Scenario::against(&raw).env("VAULT_REQUIRED_KEYS", "A\nB").options(["--allow-name=A;B"]);
    lists.run().expect(Expect::done().code(78).stderr([
        "ERROR vault-exec: VAULT_REQUIRED_KEYS = \"A\\nB\": names in lines; separate them with commas",
        "ERROR vault-exec: --allow-name = \"A;B\": names separated by semicolons; write commas",
    ]));
    let quoted = Scenario::against(&raw).env("VAULT_ADDR", "'http://127.0.0.1'");
    quoted.run().expect_failure(78, "VAULT_ADDR: in quotes, which are a part of it here; write it without them");
    let token = Scenario::against(&raw).env("VAULT_TOKEN", "vault:login");
    token.run().expect_failure(78, &format!("VAULT_TOKEN: {reference}"));
    assert_eq!(raw.connections(), 0);
}

#[test]
fn official_names_without_effect_are_warned_about() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).env("VAULT_HTTP_PROXY", "http://proxy:3128").env("BAO_MFA", "totp:123456");
    let scenario =
        scenario.env("VAULT_AGENT_ADDR", "http://agent:8100").env("VAULT_FORMAT", "json").env("BAO_ROLE", "shop");
    scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: BAO_ROLE is no setting and has no effect",
        "WARN  vault-exec: VAULT_AGENT_ADDR has no effect here: every request goes to VAULT_ADDR; set that to the agent's address",
        "WARN  vault-exec: VAULT_HTTP_PROXY has no effect here: no proxy is used; set VAULT_PROXY_ADDR",
        "WARN  vault-exec: BAO_MFA has no effect here: a login that needs MFA is refused; take MFA off the role",
        "INFO  vault-exec: {any}",
    ]));
}

#[test]
fn an_env_file_that_is_not_written_or_is_everybodys_is_warned_about() {
    let raw = Raw::start([]);
    let command = Scenario::against(&raw).env("VAULT_ENV_FILE", "{folder}/app.env").env("VAULT_ENV_FILE_MODE", "0644");
    command.run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: VAULT_ENV_FILE has no effect, because COMMAND is given: {folder}/app.env is not written; unset it, or leave COMMAND out",
        "INFO  vault-exec: {any}",
    ]));
    assert!(!command.file("app.env").exists());
    for (mode, others) in [
        ("0644", Some("read")),
        ("0602", Some("write")),
        ("0666", Some("read and write")),
        ("0640", None),
        ("0751", None),
    ] {
        let scenario = Scenario::against(&raw).no_command().options(["--env-file", "{folder}/app.env"]);
        let warning = others.map(|others| {
            format!(
                "WARN  vault-exec: VAULT_ENV_FILE_MODE {mode}: every user can {others} {{folder}}/app.env; take it from \
                 others, and name the reader with VAULT_ENV_FILE_OWNER"
            )
        });
        let lines = warning.into_iter().chain(["INFO  vault-exec: {any}".to_owned()]);
        scenario.env("VAULT_ENV_FILE_MODE", mode).run().expect(Expect::done().stderr(lines));
    }
}
