//! Each example does on the real server what it says, and its whole output is compared.

use std::process::Command;

use serde_json::json;
use vault_testkit::certs::certs;
use vault_testkit::server::Listener;

use crate::support::{Corner, example, with_corner};

/// How an example ended, and all that it said.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn success(stdout: &str) -> Self {
        Self { code: Some(0), stdout: stdout.into(), stderr: String::new() }
    }

    fn failure(stderr: &str) -> Self {
        Self { code: Some(1), stdout: String::new(), stderr: stderr.into() }
    }
}

/// Runs the example `name` with the settings of a pod of `corner` and no other variable.
fn run(corner: &Corner, name: &str, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(example(name));
    command.args(arguments).env_clear();
    command.env("VAULT_ADDR", corner.server.addr(Listener::Plain));
    command.env("VAULT_ROLE", &corner.name).env("VAULT_K8S_TOKEN_PATH", corner.login().jwt);
    let output = command.output().expect("it runs");
    // The names of a run are those of the expectations: each has a corner of its own.
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("text");
        text.replace(&corner.server.addr(Listener::Plain), "ADDR").replace(&corner.name, "NAME")
    };
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn from_env_prints_the_keys_of_a_secret_and_leaves_no_token() {
    with_corner("from_env_prints_the_keys_of_a_secret_and_leaves_no_token", |corner| {
        let secret = json!({"username": "shop-user", "password": "hunter2-hunter2"});
        corner.server.write_secret("", &corner.name, "prod", &secret);
        let read = run(corner, "from_env", &[&corner.name, "prod"]);
        assert_eq!(read, Outcome::success("NAME/prod, version 1:\n  password\n  username\n"));
        let absent = run(corner, "from_env", &[&corner.name, "absent"]);
        assert_eq!(absent, Outcome::failure("from_env: vault at ADDR: nothing at NAME/absent\n"));
        assert_eq!(run(corner, "from_env", &[]), Outcome::failure("from_env: usage: from_env MOUNT PATH\n"));
        assert_eq!((corner.count("auth/kubernetes/login"), corner.live_tokens()), (2, 0));
    });
}

#[test]
fn builder_takes_nothing_from_the_environment_and_tells_what_it_does() {
    with_corner("builder_takes_nothing_from_the_environment_and_tells_what_it_does", |corner| {
        corner.server.write_secret("", &corner.name, "prod", &json!({"a": "1", "b": "2"}));
        let jwt = corner.login().jwt.display().to_string();
        let over = |listener, role: &str, more: &[&str]| {
            let address = corner.server.addr(listener);
            run(corner, "builder", &[&[address.as_str(), role, &jwt, &corner.name, "prod"], more].concat())
        };
        let said = "login: done\nread: done\nNAME/prod: 2 keys\nthe token is revoked\n";
        assert_eq!(over(Listener::Plain, &corner.name, &[]), Outcome::success(said));
        let ca = certs().ca.certificate_file.display().to_string();
        assert_eq!(over(Listener::Tls, &corner.name, &[&ca]), Outcome::success(said));
        let refused = "builder: vault at ADDR: the login at auth/kubernetes with role absent was answered with 400: invalid \
                       role name \"absent\"\n";
        let none = "the token is not revoked: there is none\n".to_owned();
        let expected = Outcome { stdout: none, ..Outcome::failure(refused) };
        assert_eq!(over(Listener::Plain, "absent", &[]), expected);
        let usage = "builder: usage: builder ADDRESS ROLE JWT_FILE MOUNT PATH [CA_FILE]\n";
        assert_eq!(run(corner, "builder", &["only"]), Outcome::failure(usage));
        assert_eq!(corner.live_tokens(), 0);
    });
}

#[test]
fn history_goes_through_the_versions_of_a_secret_and_leaves_none() {
    with_corner("history_goes_through_the_versions_of_a_secret_and_leaves_none", |corner| {
        let said = "\
write: version 1
write on top of version 1: version 2
write on top of version 1 again: a conflict, the latest version is 2
patch: version 3, with the keys token, user
delete: the latest version is deleted
undelete: version 3 is back, with the keys token, user
rollback to version 1: version 4, with the keys password, user
metadata: the latest version is 4
  version 1
  version 2, destroyed
  version 3
  version 4
delete_all: nothing is left
";
        let arguments = [corner.name.as_str(), "history"];
        // What is left of the first run would be a conflict for the second.
        assert_eq!(run(corner, "history", &arguments), Outcome::success(said));
        assert_eq!(run(corner, "history", &arguments), Outcome::success(said));
        corner.server.write_secret("", &corner.name, "history", &json!({"theirs": "1"}));
        let taken = "history: vault at ADDR: the write of NAME/history was answered with 400: check-and-set parameter did \
                     not match the current version; the latest version is 1\n";
        assert_eq!(run(corner, "history", &arguments), Outcome::failure(taken));
        assert_eq!(corner.live_tokens(), 0);
    });
}
