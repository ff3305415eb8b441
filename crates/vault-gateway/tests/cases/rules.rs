//! Rules on the running service, and what a dry run says of them.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use vault_testkit::server::{Kind, on};

use crate::support::Corner;
use crate::support::gateway::program;

fn explain(corner: &Corner, claims: &Value, method: &str, target: &str) -> (Option<i32>, String) {
    let file = corner.folder.join("claims.json");
    fs::write(&file, claims.to_string()).expect("a file");
    let mut command = program("http://127.0.0.1:1");
    command.arg("--config").arg(corner.folder.join("gateway.toml")).arg("--check").arg("--as").arg(file);
    let Output { status, stdout, stderr } = command.args([method, target]).output().expect("it runs");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn a_dry_run_decides_as_the_service_does() {
    on(Kind::Embedded, "a_dry_run_decides_as_the_service_does", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({}));
        let mut tables = corner.tables();
        tables.rules.push_str(
            "[[rule]]\nname = \"not the vault\"\ntenant = \"team-a\"\nclaim = { roles = [\"guest\", \"reader\"] }\n\
             paths = [\"shared/vault/**\"]\nallow = []\ndeny = [\"read\"]\n",
        );
        let gateway = corner.start(&tables);
        for (roles, method, target) in [
            (json!(["reader"]), "GET", "/vault/secrets/shared/a"),
            (json!("reader"), "GET", "/vault/secrets/shared/a"),
            (json!(["Reader"]), "GET", "/vault/secrets/shared/a"),
            (json!(["reader"]), "GET", "/vault/secrets/shared/vault/a"),
            (json!(["reader", "admin"]), "GET", "/vault/secrets/shared/vault/a"),
            (json!(["admin"]), "GET", "/vault/secrets/shared/vault/a"),
            (json!(["reader"]), "GET", "/vault/secrets/apps/shop/config"),
            (json!(["reader"]), "GET", "/vault/secrets/apps/shop/config/x"),
            (json!(["reader"]), "GET", "/vault/secrets/apps/a%2Fb/config"),
            (json!(["reader"]), "DELETE", "/vault/secrets/shared/a"),
            (json!(["reader"]), "GET", "/vault/secrets/shared/a?version=1"),
            (json!(["reader"]), "GET", "/vault/list"),
            (json!(["reader"]), "GET", "/vault/list/shared"),
            (json!(["admin"]), "GET", "/vault/list"),
            (json!({"is": "reader"}), "GET", "/vault/secrets/shared/a"),
            (json!({"is": "admin"}), "GET", "/vault/secrets/shared/vault/a"),
            (json!(["admin"]), "POST", "/vault/token/renew"),
            (json!(["reader"]), "POST", "/vault/token/renew"),
        ] {
            let claims = json!({"iss": "https://idp.example", "sub": "ci", "tenant": "team-a", "roles": roles});
            let (code, report) = explain(&corner, &claims, method, target);
            let reply = gateway.ask(&format!("{method} {target}"), &corner.issuer.token(&claims));
            let denied = reply.problem() == "denied";
            assert_eq!(
                code,
                Some(if denied { 77 } else { 0 }),
                "{roles} {method} {target}: {}\n{report}",
                reply.status
            );
        }
    });
}

#[test]
fn a_dry_run_says_which_pair_of_which_rule_fails() {
    on(Kind::Embedded, "a_dry_run_says_which_pair_of_which_rule_fails", |server| {
        let corner = Corner::of(server);
        corner.write(&corner.tables());
        let name = &corner.name;
        let claims =
            |roles: &str| json!({"iss": "https://idp.example", "sub": "ci", "tenant": "team-a", "roles": roles});
        assert_eq!(
            explain(&corner, &claims("reader"), "GET", "/vault/secrets/shared/a%2Fb"),
            (
                Some(0),
                format!(
                    "tenant: team-a\nupstream: {name}/shared/a/b\nread: allowed by rule \"readers\"\n  \
                     rule \"admins\": the claim roles is not \"admin\"\n  rule \"readers\": allows it\ndecision: allowed\n"
                )
            )
        );
        assert_eq!(
            explain(&corner, &claims("reader"), "GET", "/vault/secrets/x"),
            (
                Some(77),
                format!(
                    "tenant: team-a\nupstream: {name}/x\nread: denied: no rule allows it\n  \
                     rule \"admins\": the claim roles is not \"admin\"\n  \
                     rule \"readers\": the path matches none of apps/*/config, shared/**\ndecision: denied\n"
                )
            )
        );
        let (code, report) =
            explain(&corner, &json!({"iss": "https://idp.example", "tenant": "team-b"}), "GET", "/vault/list");
        let none = "tenant: none: \"team-b\" in tenant is not configured; write one of team-a there, or add [[tenant]]";
        assert_eq!((code, report), (Some(77), format!("{none}\ndecision: denied\n")));
        let (code, report) = explain(&corner, &claims("reader"), "GET", "/vault/secrets/../x");
        assert_eq!(code, Some(77), "{report}");
        assert!(report.contains("refused: 400 path: "), "{report}");
        assert_eq!(
            explain(&corner, &json!({"iss": "https://other.example"}), "GET", "/vault/list"),
            (
                Some(77),
                "issuer: none: iss is \"https://other.example\", which is no issuer of the configuration; write one of \
                 \"https://idp.example\", byte for byte, or add [[issuer]]\ndecision: denied\n"
                    .into()
            )
        );
    });
}

#[test]
fn a_faulty_configuration_ends_with_78_and_a_missing_file_with_66() {
    on(Kind::Embedded, "a_faulty_configuration_ends_with_78_and_a_missing_file_with_66", |server| {
        let corner = Corner::of(server);
        let check = |arguments: &[&str]| {
            let output = program("http://127.0.0.1:1").args(arguments).output().expect("it runs");
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            (output.status.code(), text)
        };
        let mut tables = corner.tables();
        let file = corner.write(&tables);
        let file = file.to_str().unwrap();
        assert_eq!(
            check(&["--config", file, "--check"]),
            (Some(0), "the configuration is good: 1 tenant, 1 issuer\n".into())
        );
        tables.top.push_str("lisen = 1\n");
        tables.tenant.push_str("mout = \"x\"\n");
        corner.write(&tables);
        let (code, said) = check(&["--config", file, "--check"]);
        assert_eq!((code, said.lines().count()), (Some(78), 2), "{said}");
        assert!(said.lines().all(|line| line.starts_with("vault-gateway: ")), "{said}");
        let lines: Vec<_> = said.lines().map(|line| line.split(": ").nth(1).unwrap_or_default()).collect();
        assert_eq!(lines, [format!("{file}:17"), format!("{file}:4")], "{said}");
        let (code, said) = check(&["--config", "/nowhere/gateway.toml"]);
        assert_eq!((code, said.lines().count()), (Some(66), 1), "{said}");
        for arguments in [
            &[][..],
            &["--config"],
            &["--check"],
            &["--config", file, "--as", "x"],
            &["--config", file, "GET", "/"],
            &["--nonsense"],
        ] {
            let (code, said) = check(arguments);
            assert_eq!((code, said.lines().count()), (Some(64), 1), "{arguments:?}: {said}");
        }
        let mut tables = corner.tables();
        tables.issuer = tables.issuer.replace("jwks.json", "nope.json");
        tables.tenant = tables.tenant.replace("/jwt\"", "/nope\"");
        tables.top = tables.top.replace("/audit.log", "/nope/audit.log");
        corner.write(&tables);
        for arguments in [&["--config", file][..], &["--config", file, "--check"]] {
            let (code, said) = check(arguments);
            assert_eq!((code, said.lines().count()), (Some(66), 3), "{said}");
        }
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut tables = corner.tables();
        tables.top = tables.top.replacen("127.0.0.1:0", &taken.local_addr().unwrap().to_string(), 1);
        corner.write(&tables);
        assert_eq!(check(&["--config", file]).0, Some(71));
    });
}

/// The program without a variable but these.
fn check_with(file: &Path, variables: &[(&str, &str)]) -> (Option<i32>, Vec<String>) {
    let mut command = program("");
    command.env_clear().envs(variables.iter().copied()).arg("--config").arg(file).arg("--check");
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    (status.code(), text.lines().map(str::to_owned).collect())
}

#[test]
fn the_file_its_files_and_the_environment_are_one_report() {
    on(Kind::Embedded, "the_file_its_files_and_the_environment_are_one_report", |server| {
        let corner = Corner::of(server);
        let mut tables = corner.tables();
        tables.tenant = "[[tenant]]\nname = \"team-a\"\nrole = \"a\"\n[[tenant]]\nname = \"team-b\"\nmount = \"b\"\n\
                         role = \"b\"\n"
            .into();
        tables.more = "[limits]\nburst = 1\n".into();
        let config = corner.write(&tables);
        fs::write(corner.folder.join("jwks.json"), "[]").expect("a file");
        let (code, lines) = check_with(&config, &[("VAULT_ADRR", "https://vault.example"), ("HOME", "/nowhere")]);
        let file = config.display();
        assert_eq!(code, Some(78), "{lines:?}");
        for (line, part) in [
            (
                0,
                "vault-gateway: warning: VAULT_ADRR is no setting and has no effect; did you mean VAULT_ADDR?"
                    .to_owned(),
            ),
            (1, "[limits] burst: has no effect without rate".to_owned()),
            (
                2,
                format!(
                    "vault-gateway: {file}: [[issuer]] \"https://idp.example\" jwks: the key set is no JSON object"
                ),
            ),
            (3, "vault-gateway: each tenant: VAULT_ADDR: unset, but VAULT_ADRR is set".to_owned()),
            (4, "vault-gateway: each tenant: it has no way to log in; write token_file, or auth_method".to_owned()),
        ] {
            assert!(lines.get(line).is_some_and(|it| it.contains(&part)), "{line} {part}: {lines:#?}");
        }
        assert_eq!(lines.len(), 5, "{lines:#?}");
    });
}
