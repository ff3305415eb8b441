//! `deploy/ci`: held against the schemas of GitHub and GitLab; what a job runs is run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;
use vault_testkit::{missing, tools};

use super::{deploy, installed, tool};

pub(super) const FILES: &[&str] = &["ci/github.yml", "ci/gitlab.yml"];

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/ci.py");

/// The file as its CI reads it, once it fits the schema; `None` without the schemas.
pub(super) fn read(file: &str) -> Option<Value> {
    let kind = if file.ends_with("github.yml") { "github-workflows" } else { "gitlab-ci" };
    let schemas = fs::read_dir(tools().join("lib")).into_iter().flatten().flatten();
    if !schemas.into_iter().any(|it| it.path().join("site-packages/check_jsonschema").is_dir()) {
        missing("check-jsonschema in target/tools");
        return None;
    }
    let json = tool(installed("python3"), |it| it.args([READER, kind]).arg(deploy(file)))?;
    Some(serde_json::from_slice(&json).unwrap())
}

fn settings(job: &Value) -> BTreeMap<&str, &str> {
    job.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

#[test]
fn both_jobs_fit_their_schemas_and_log_in_as_setup_sh_lets_them() {
    let (Some(github), Some(gitlab)) = (read(FILES[0]), read(FILES[1])) else { return };
    let (github, gitlab) = (&github["jobs"]["deploy"], &gitlab["deploy"]);
    let expected = |mount| {
        BTreeMap::from([
            ("VAULT_ADDR", "https://vault.example:8200"),
            ("VAULT_AUTH_METHOD", "jwt"),
            ("VAULT_AUTH_MOUNT", mount),
            ("VAULT_ROLE", "shop"),
            ("VAULT_PATH", "shop/prod"),
            ("VAULT_KEYS", "DATABASE_URL,API_KEY"),
            ("VAULT_REQUIRED", "true"),
        ])
    };
    assert_eq!(settings(&github["env"]), expected("jwt-github"));
    assert_eq!(settings(&gitlab["variables"]), expected("jwt-gitlab"));
    // The one right that GitHub needs for an ID token, and the variable that GitLab writes it into.
    assert_eq!(github["permissions"]["id-token"], "write");
    assert_eq!(gitlab["id_tokens"]["VAULT_JWT"]["aud"], "vault");
    assert_eq!(gitlab["script"].as_array().unwrap(), &["vault-exec -- ./deploy"]);
}

/// The step of GitHub's job, with somebody in the place of GitHub and of vault-exec.
#[test]
fn the_step_asks_for_an_id_token_and_keeps_it_to_itself() {
    let Some(workflow) = read(FILES[0]) else { return };
    let step = workflow["jobs"]["deploy"]["steps"][1]["run"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("vault-exec");
    fs::write(&program, "#!/bin/sh\necho \"$*\"\nenv\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |status: &'static str, body: &'static str| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/token?api-version=2.0", listener.local_addr().unwrap());
        let github = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let lines: Vec<_> =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|it| !it.is_empty()).collect();
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            (&stream).write_all(answer.as_bytes()).unwrap();
            lines
        });
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step]).env_clear();
        bash.env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
        bash.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token").env("ACTIONS_ID_TOKEN_REQUEST_URL", url);
        let output = bash.output().unwrap();
        let asked = github.join().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), asked)
    };
    let (good, said, asked) = run("200 OK", r#"{"count": 1, "value": "the.id.token"}"#);
    assert!(good, "{said}");
    assert_eq!(asked[0], "GET /token?api-version=2.0&audience=vault HTTP/1.1");
    assert!(asked.contains(&"Authorization: bearer request-token".to_owned()), "{asked:?}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], ["::add-mask::the.id.token", "-- ./deploy"]);
    assert!(lines.contains(&"VAULT_JWT=the.id.token"), "{said}");
    assert!(!said.contains("ACTIONS_ID_TOKEN_REQUEST"), "{said}");

    // Without one, nothing is started.
    for (status, body) in [("403 Forbidden", "{}"), ("200 OK", "{}")] {
        let (good, said, _) = run(status, body);
        assert_eq!((good, said.as_str()), (false, ""), "{status}");
    }
}
