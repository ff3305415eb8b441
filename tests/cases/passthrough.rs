//! Without an address: what COMMAND needs is looked for in the environment as it is, and what looks like a mistake in a
//! pod is warned about. Anything else is silent.

use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

const REMEDY: &str = "set VAULT_ADDR or the variables themselves, or write VAULT_REQUIRED=false to start without them";
const REMEDY_HIDDEN: &str =
    "unset BAO_ADDR, or set the variables themselves, or write VAULT_REQUIRED=false to start without them";

/// The variables of the scenario and the options before COMMAND.
fn scenario(env: &[(&str, &str)], options: &[&str]) -> Scenario<'static> {
    env.iter().fold(Scenario::offline().options(options), |scenario, (name, value)| scenario.env(name, value))
}

/// The words of a report, whose lines are wrapped.
pub(super) fn unwrapped(report: &str) -> String {
    report.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_required_variable_that_the_environment_has_not_is_66() {
    for (env, options, missing, because) in [
        (&[("VAULT_REQUIRED_KEYS", "DATABASE_URL")][..], &[][..], "DATABASE_URL", "VAULT_ADDR is unset"),
        (
            &[("VAULT_ADDR", " "), ("VAULT_REQUIRED_KEYS", "A,B"), ("B", "1")],
            &["--require=C"],
            "A, C",
            "VAULT_ADDR is unset",
        ),
        (&[("VAULT_ADDR", "")], &["--require", "A,B"], "A, B", "VAULT_ADDR is unset"),
        (
            &[("VAULT_ADDR", "https://vault"), ("BAO_ADDR", "")],
            &["--require", "A"],
            "A",
            "BAO_ADDR is empty and hides VAULT_ADDR",
        ),
        (
            &[("SHOP_HOME", "/shop")],
            &["--require", "shop_home,GONE"],
            "shop_home (did you mean SHOP_HOME?), GONE",
            "VAULT_ADDR is unset",
        ),
    ] {
        let remedy = if because.starts_with("BAO_ADDR") { REMEDY_HIDDEN } else { REMEDY };
        let message = format!("environment: missing: {missing}; nothing was read, because {because}; {remedy}");
        scenario(env, options).run().expect_failure(66, &message);
        let check = scenario(env, &[options, &["--check"]].concat());
        let check = check.run();
        assert!(unwrapped(&check.stdout).contains(&message), "{}", check.describe());
        check.expect(Expect::done().code(66).any_stdout().stderr([""; 0]));
    }
}

#[test]
fn a_passthrough_with_all_it_needs_or_told_to_need_nothing_is_silent() {
    for (env, options) in [
        (&[][..], &[][..]),
        (&[("VAULT_REQUIRED_KEYS", "A,B"), ("A", "1"), ("B", "")], &[][..]),
        (&[("VAULT_REQUIRED_KEYS", "A"), ("VAULT_REQUIRED", "false")], &["--require=B"]),
        (&[("VAULT_REQUIRED_KEYS", " , ")], &[]),
        (&[("VAULT_KEYS", "A;B"), ("VAULT_PATH", "a//b")], &["--keys=C"]),
        (&[("VAULT_PATH", "shop/prod"), ("VAULT_ROLE", "shop"), ("VAULT_AGENT_ADDR", "http://agent")], &[]),
        (&[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("VAULT_PATH", " "), ("VAULT_NAMESPACE", "team")], &[]),
        (&[("VAULT_HTTP_PROXY", "http://proxy"), ("DB", "vault:kv/data/shop#DB")], &[]),
    ] {
        scenario(env, options).run().expect(Expect::started().stderr([""; 0]));
    }
}

#[test]
fn in_a_pod_that_is_made_for_vault_it_is_one_warning() {
    for (env, because, set) in [
        (&[("VAULT_PATH", "shop/prod")][..], "VAULT_ADDR is unset", "VAULT_PATH is"),
        (&[("VAULT_ROLE", "shop"), ("VAULT_PATH", "a")], "VAULT_ADDR is unset", "VAULT_PATH and VAULT_ROLE are"),
        (&[("VAULT_ROLE_ID", "shop")], "VAULT_ADDR is unset", "VAULT_ROLE_ID is"),
        (&[("BAO_AGENT_ADDR", "http://agent")], "VAULT_ADDR is unset", "BAO_AGENT_ADDR is"),
        (
            &[("VAULT_PATH", "a"), ("VAULT_ADDR", "https://vault"), ("BAO_ADDR", "")],
            "BAO_ADDR is empty and hides VAULT_ADDR",
            "VAULT_PATH is",
        ),
    ] {
        let mend = if because.starts_with("BAO_ADDR") { "unset BAO_ADDR" } else { "set VAULT_ADDR" };
        let line = format!(
            "WARN  vault-exec: nothing is read from Vault, because {because}, though {set} set; {mend}, or \
             VAULT_REQUIRED=true to make this an error"
        );
        let scenario = || scenario(env, &[]).env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
        scenario().run().expect(Expect::started().stderr([&line]));
        let check = scenario().options(["--check"]);
        let check = check.run();
        let warning = line.trim_start_matches("WARN  vault-exec: ");
        assert_eq!(unwrapped(&check.stdout).matches(warning).count(), 1, "{}", check.describe());
        check.expect(Expect::done().any_stdout().stderr([""; 0]));
        let written = "INFO  vault-exec: VAULT_ADDR is unset: {folder}/app.env created, without variables";
        let file = scenario().no_command().options(["--env-file", "{folder}/app.env", "--require", "A"]);
        file.run().expect(Expect::done().stderr([&line, written]));
    }
}

#[test]
fn what_is_looked_at_must_be_usable() {
    for (env, message) in [
        (
            [("VAULT_REQUIRED_KEYS", "A;B")],
            "VAULT_REQUIRED_KEYS = \"A;B\": names separated by semicolons; write commas",
        ),
        ([("VAULT_REQUIRED", "perhaps")], "VAULT_REQUIRED = \"perhaps\": not a boolean; write true or false"),
    ] {
        scenario(&env, &[]).run().expect_failure(78, message);
    }
}
