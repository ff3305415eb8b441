//! The settings of `deploy/` for AppRole and for CI jobs, in a start of the program at a real server that
//! `deploy/vault/setup.sh` has set up.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_testkit::jwt::Signer;
use vault_testkit::server::{Kind, Listener, Server, on};
use vault_testkit::{openbao, unique};

use super::systemd::Unit;
use super::{ci, deploy};
use crate::support::expect::Expect;
use crate::support::scenario::{PROGRAM, Scenario};

/// A namespace of the real server that the script has set up, with the secret of the example.
struct Site<'a> {
    server: &'a Server,
    namespace: String,
    folder: TempDir,
}

impl<'a> Site<'a> {
    fn set_up(server: &'a Server, settings: &[(&str, &str)]) -> Self {
        let (namespace, folder) = (unique(), tempfile::tempdir().unwrap());
        server.must("POST", &format!("sys/namespaces/{namespace}"), &json!({}));
        let mut setup = Command::new("sh");
        setup.arg(deploy("vault/setup.sh")).env_clear().env("PATH", "/usr/bin:/bin").envs(settings.iter().copied());
        setup.env("CLI", openbao::program().unwrap()).env("HOME", folder.path());
        setup.env("VAULT_TOKEN", server.root_token()).env("VAULT_ADDR", server.addr(Listener::Plain));
        let output = setup.env("VAULT_NAMESPACE", &namespace).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        server.await_writes(&namespace, "kv");
        let data = json!({"DATABASE_URL": "postgres://db/shop", "API_KEY": "a-secret-key", "OTHER": "not-selected"});
        server.must_in(&namespace, "POST", "kv/data/shop/prod", &json!({"data": data}));
        Self { server, namespace, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn live_tokens(&self) -> usize {
        self.server.live_tokens(&self.namespace, "shop")
    }
}

/// The unit's command line and settings, with the server's address, the role id and the folders of the test.
#[test]
fn the_unit_starts_with_a_wrapped_secret_id_once() {
    on(Kind::OpenBao, "the_unit_starts_with_a_wrapped_secret_id_once", |server| {
        let unit = Unit::read("systemd/approle/shop.service");
        let site = Site::set_up(server, &[("METHOD", "approle")]);
        let mut settings = unit.environment();
        assert_eq!(settings.insert("VAULT_ADDR", "{addr}"), Some("https://vault.example:8200"));
        let role_id = server.must_in(&site.namespace, "GET", "auth/approle/role/shop/role-id", &Value::Null);
        let role_id = role_id["data"]["role_id"].as_str().unwrap();
        assert!(settings.insert("VAULT_APPROLE_ROLE_ID", role_id).is_some());
        let scenario = Scenario::offline().at(&server.addr(Listener::Plain)).env("VAULT_NAMESPACE", &site.namespace);
        let scenario = settings
            .iter()
            .fold(scenario, |scenario, (name, value)| scenario.env(name, value.replace("%d", "{folder}/credentials")));
        let (_, application) = unit.command_line();
        let scenario = scenario.args(&application[1..]).hides(role_id).hides("a-secret-key").hides("not-selected");

        let wrapped = server.wrapped_secret_id(&site.namespace, "approle", "shop", &json!({}), 600);
        let (credential, _) = unit.one("LoadCredential").split_once(':').unwrap();
        fs::create_dir(scenario.file("credentials")).unwrap();
        fs::write(scenario.file("credentials").join(credential), format!("{wrapped}\n")).unwrap();
        let scenario = scenario.hides(&wrapped);
        let secret = [("DATABASE_URL", "postgres://db/shop"), ("API_KEY", "a-secret-key")];
        scenario.run().expect(Expect::started().env(secret));
        assert_eq!(site.live_tokens(), 0);
        // A supervisor does not repeat what ends with 77.
        scenario.run().expect_failure(
            77,
            "vault at {addr}: the wrapping token is used up, expired or unknown to the server; \
             make a new one, and look into the audit log: somebody else may have used it; unset VAULT_UNWRAP if it was never wrapped",
        );
        let last = unit.one("RestartPreventExitStatus");
        assert!(last.split(' ').any(|code| code == "77"), "{last}");
    });
}

/// A server that gives out this ID token, to one who asks.
fn github(jwt: &str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/token?api-version=2.0", listener.local_addr().unwrap());
    let body = json!({"count": 1, "value": jwt}).to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let _ = stream.write_all(answer.as_bytes());
    });
    url
}

/// What a CI runs in a shell: the script with these settings, `vault-exec` on PATH, and `./deploy`, which prints its
/// environment. They are told the address and the namespace of the test's server.
fn job(site: &Site, script: &str, settings: &Value, own: &[(&str, &str)]) -> Output {
    let folder = site.file("job");
    if !folder.exists() {
        fs::create_dir(&folder).unwrap();
        symlink(PROGRAM, folder.join("vault-exec")).unwrap();
        fs::write(folder.join("deploy"), "#!/bin/sh\nenv\n").unwrap();
        fs::set_permissions(folder.join("deploy"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(&folder).env_clear();
    bash.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    for (name, value) in settings.as_object().unwrap() {
        bash.env(name, value.as_str().unwrap());
    }
    bash.env("VAULT_ADDR", site.server.addr(Listener::Plain)).env("VAULT_NAMESPACE", &site.namespace);
    bash.envs(own.iter().copied()).output().unwrap()
}

/// The job gets the secret, and nothing that it could log in with again.
fn assert_deployed(site: &Site, output: &Output, jwt: &str) {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|it| String::from_utf8(it.clone()).unwrap());
    assert!(output.status.success(), "{stdout}{stderr}");
    let lines: Vec<_> = stdout.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    for line in ["DATABASE_URL=postgres://db/shop", "API_KEY=a-secret-key"] {
        assert!(lines.contains(&line), "{stdout}");
    }
    let given = lines.join("\n");
    for hidden in [jwt, "not-selected", "VAULT_JWT", "ACTIONS_ID_TOKEN"] {
        assert!(!given.contains(hidden) && !stderr.contains(hidden), "{hidden}: {stdout}{stderr}");
    }
    assert_eq!(site.live_tokens(), 0);
}

#[test]
fn the_jobs_of_both_cis_deploy_with_their_id_token_and_no_other() {
    let (Some(github_job), Some(gitlab_job)) = (ci::read(ci::FILES[0]), ci::read(ci::FILES[1])) else { return };
    on(Kind::OpenBao, "the_jobs_of_both_cis_deploy", |server| {
        let signer = Signer::default();
        let keys = tempfile::NamedTempFile::new().unwrap();
        fs::write(keys.path(), signer.public_key()).unwrap();
        let keys = keys.path().to_str().unwrap();

        let (job_of, issuer) = (&github_job["jobs"]["deploy"], "https://token.actions.githubusercontent.com");
        let settings = [("METHOD", "jwt-github"), ("JWT_REPOSITORY", "acme/shop"), ("JWT_PUBKEYS_FILE", keys)];
        let site = Site::set_up(server, &settings);
        let script = job_of["steps"][1]["run"].as_str().unwrap();
        let run = |claims: Value| {
            let jwt = signer.sign(&claims);
            let url = github(&jwt);
            let own = [("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token"), ("ACTIONS_ID_TOKEN_REQUEST_URL", &url)];
            (job(&site, script, &job_of["env"], &own), jwt)
        };
        let claims = |reference: &str| {
            json!({
                "iss": issuer, "sub": "repo:acme/shop:ref:refs/heads/main", "aud": "vault", "repository": "acme/shop",
                "ref": reference,
            })
        };
        let (output, jwt) = run(claims("refs/heads/main"));
        assert_deployed(&site, &output, &jwt);
        let (output, _) = run(claims("refs/heads/another"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(77) && said.contains("claim \"ref\" does not match"), "{said}");

        let job_of = &gitlab_job["deploy"];
        let settings = [("METHOD", "jwt-gitlab"), ("JWT_PROJECT", "acme/shop"), ("JWT_PUBKEYS_FILE", keys)];
        let site = Site::set_up(server, &settings);
        let [script] = &job_of["script"].as_array().unwrap()[..] else { panic!("one line") };
        let run = |protected: &str| {
            let jwt = signer.sign(&json!({
                "iss": "https://gitlab.com", "sub": "project_path:acme/shop:ref_type:branch:ref:main", "aud": "vault",
                "project_path": "acme/shop", "ref": "main", "ref_type": "branch", "ref_protected": protected,
            }));
            (job(&site, script.as_str().unwrap(), &job_of["variables"], &[("VAULT_JWT", &jwt)]), jwt)
        };
        let (output, jwt) = run("true");
        assert_deployed(&site, &output, &jwt);
        let (output, _) = run("false");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(77) && said.contains("claim \"ref_protected\" does not match"), "{said}");
    });
}
