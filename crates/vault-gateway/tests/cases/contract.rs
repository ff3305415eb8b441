//! The OpenAPI document and the metrics, judged by programs of others.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vault_gateway::problem::Kind as Problem;
use vault_testkit::server::{Kind, on};
use vault_testkit::{missing, root, tools};

use crate::support::Corner;

#[test]
fn schemathesis_finds_no_answer_that_the_document_does_not_have() {
    let program = tools().join("bin/st");
    if !program.exists() && !missing("schemathesis: tests/install-tools installs it") {
        return;
    }
    on(Kind::OpenBao, "schemathesis_finds_no_answer_that_the_document_does_not_have", |server| {
        let corner = Corner::of(server);
        for version in 1..4 {
            corner.put("a/b", &json!({"K": version}));
        }
        let gateway = corner.start(&corner.tables());
        let output = Command::new(program)
            .arg("--config-file")
            .arg(root().join("tests/tools/schemathesis.toml"))
            .arg("run")
            .arg(format!("http://{}/openapi.json", gateway.ops))
            .args(["--url", &format!("http://{}", gateway.listen)])
            .args(["--header", &format!("Authorization: Bearer {}", corner.token("admin"))])
            .args(["--seed", "1", "--generation-deterministic", "--max-examples", "15"])
            .arg("--no-color")
            .current_dir(&corner.folder)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(gateway.operate("/health").status, 200);
        let broken: Vec<_> = corner.audit().into_iter().filter(|line| line["status"] == json!(500)).collect();
        assert!(broken.is_empty(), "{broken:?}");
    });
}

#[test]
fn promtool_takes_the_metrics_of_a_service_that_was_used() {
    on(Kind::Embedded, "promtool_takes_the_metrics_of_a_service_that_was_used", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let gateway = corner.start(&corner.tables());
        let admin = corner.token("admin");
        for (request, token) in [
            ("GET /vault/secrets/shared/a", &*admin),
            ("GET /vault/secrets/shared/a", &admin),
            ("GET /vault/secrets/\u{fc}b/\"a", &admin),
            ("BREW /vault/secrets/shared/a", &admin),
            ("GET /vault/secrets/shared/a", "a.b.c"),
        ] {
            gateway.ask(request, token);
        }
        let mut program = Command::new("promtool");
        program.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Ok(mut promtool) = program.spawn() else {
            missing("promtool, of the Debian package prometheus");
            return;
        };
        let text = gateway.operate("/metrics").text;
        promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it is taken");
        let output = promtool.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{text}");
    });
}

/// All texts in a document.
fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| texts(value, into)),
        Value::Object(members) => members.values().for_each(|value| texts(value, into)),
        _ => {}
    }
}

#[test]
fn every_kind_of_problem_and_no_other_is_in_the_document() {
    on(Kind::Embedded, "every_kind_of_problem_and_no_other_is_in_the_document", |server| {
        let corner = Corner::of(server);
        let gateway = corner.start(&corner.tables());
        let mut found = BTreeSet::new();
        texts(&gateway.operate("/openapi.json").json(), &mut found);
        let told: BTreeSet<_> = found.iter().filter_map(|text| text.strip_prefix("urn:vault-gateway:")).collect();
        let all: BTreeSet<_> = Problem::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(told, all);
    });
}
