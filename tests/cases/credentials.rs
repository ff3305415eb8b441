//! Files that hold a credential, and those that do not: missing, empty, garbage, a directory, a FIFO, unreadable.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::stat::Mode;
use serde_json::json;
use vault_testkit::jwt::Jwt;
use vault_testkit::raw::{Gate, LOGIN, Raw, Reply};

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::launch::Inherit;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_file_without_a_jwt_is_named_with_its_likely_cause: "JWT file: missing, empty, garbage, no JWT, larger than 64 KiB, a directory, a FIFO, unreadable", Credential, 66, AtOnce;
    a_file_without_a_token_is_named_with_the_setting: "token file: the same", Credential, 66, AtOnce;
    json_in_the_place_of_a_token_is_told_as_what_it_is: "token file, JWT file: a wrapped token, or another document in JSON", Credential, 66, AtOnce;
    a_credential_that_comes_late_is_waited_for: "under `--wait`: a JWT or token file that is not there yet, or empty", Read, 0, Wait;
    a_credential_that_never_comes_is_told_after_the_wait: "the same, which never comes", Credential, 66, Wait;
}

const MOUNT: &str = "check automountServiceAccountToken and the projected volume, or correct VAULT_K8S_TOKEN_PATH";
const TOKEN: &str = "write a token into it, or correct VAULT_TOKEN_FILE";

/// What stands in the place of the file.
enum Content<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Directory,
    Fifo,
    Unreadable,
}

/// Runs with it and expects a failure that names file, cause and remedy, after the status call and before a login.
fn refused(setting: &str, content: &Content, message: &str) {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).env(setting, "{folder}/file").hides("garbage");
    let scenario = scenario.env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let file = scenario.file("file");
    match content {
        Content::Nothing => {}
        Content::Bytes(bytes) => fs::write(&file, bytes).expect("a file is written"),
        Content::Directory => fs::create_dir(&file).expect("a directory is made"),
        Content::Fifo => nix::unistd::mkfifo(&file, Mode::S_IRWXU).expect("a FIFO is made"),
        Content::Unreadable => {
            fs::write(&file, "garbage").expect("a file is written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("a mode is set");
        }
    }
    scenario.inherit([Inherit::Unprivileged]).run().expect_failure(66, message);
    raw.expect_requests(["GET sys/seal-status"]);
}

fn a_file_without_a_jwt_is_named_with_its_likely_cause() {
    let large = vec![b'x'; (64 << 10) + 1];
    for (content, cause, remedy) in [
        (Content::Nothing, "not found", MOUNT),
        (Content::Bytes(b""), "empty", MOUNT),
        (Content::Bytes(b" \n\t"), "empty", MOUNT),
        (Content::Bytes(b"garbage garbage"), "holds more than one line, or bytes that no token has", MOUNT),
        (Content::Bytes(b"gar\xffbage"), "holds more than one line, or bytes that no token has", MOUNT),
        (Content::Bytes(b"garbage.without-third"), "not a JWT", "correct VAULT_K8S_TOKEN_PATH"),
        (Content::Bytes(&large), "larger than 64 KiB", MOUNT),
        (Content::Directory, "not a regular file", MOUNT),
        (Content::Fifo, "not a regular file", MOUNT),
        (
            Content::Unreadable,
            "no permission to read it",
            "set fsGroup, or run as the user that the token is projected for",
        ),
    ] {
        refused("VAULT_K8S_TOKEN_PATH", &content, &format!("JWT file {{folder}}/file: {cause}; {remedy}"));
    }
}

fn a_file_without_a_token_is_named_with_the_setting() {
    for (content, cause) in [
        (Content::Nothing, "not found"),
        (Content::Bytes(b"\n"), "empty"),
        (Content::Bytes(b"garbage\ngarbage"), "holds more than one line, or bytes that no token has"),
        (Content::Directory, "not a regular file"),
        (Content::Fifo, "not a regular file"),
        (Content::Unreadable, "no permission to read it"),
    ] {
        refused("VAULT_TOKEN_FILE", &content, &format!("token file {{folder}}/file: {cause}; {TOKEN}"));
    }
}

const WRAPPED: &str = "holds a wrapped token in JSON; set VAULT_UNWRAP=true, or unwrap it first";

/// What agents and clients write, and what it is.
const JSON: [(&str, &str); 7] = [
    (r#"{"wrap_info":{"token":"garbage-0"}}"#, WRAPPED),
    (r#"{"token":"garbage-0","ttl":300,"creation_path":"auth/kubernetes/login"}"#, WRAPPED),
    (
        r#"{"curve25519_public_key":"garbage","encrypted_payload":"garbage"}"#,
        "holds a token that an agent has encrypted; have the agent write it without dh_type",
    ),
    (
        "{\n  \"auth\": {\"client_token\": \"garbage\"}\n}",
        "holds the answer to a login in JSON; write only its auth.client_token",
    ),
    (
        r#"{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"token":"garbage"}}"#,
        "holds an object of Kubernetes in JSON; write only its status.token",
    ),
    (r#"{"token": "garbage"}"#, "holds JSON and no token; write the token alone"),
    (r#"{"token": "garbage"#, "holds JSON and no token; write the token alone"),
];

fn json_in_the_place_of_a_token_is_told_as_what_it_is() {
    for (content, said) in JSON {
        for (setting, what) in [("VAULT_TOKEN_FILE", "token file"), ("VAULT_K8S_TOKEN_PATH", "JWT file")] {
            refused(setting, &Content::Bytes(content.as_bytes()), &format!("{what} {{folder}}/file: {said}"));
        }
    }
}

#[test]
fn json_in_the_variable_of_a_token_is_told_as_what_it_is() {
    for (content, said) in JSON {
        let scenario = Scenario::against(&Raw::start([])).env("VAULT_TOKEN", content).hides("garbage");
        scenario.run().expect_failure(78, &format!("VAULT_TOKEN: {said}"));
    }
}

/// A credential that another container is about to write, and what the run says of it until then.
const LATE: [(&str, &str, &str); 2] =
    [("VAULT_K8S_TOKEN_PATH", "JWT file", MOUNT), ("VAULT_TOKEN_FILE", "token file", TOKEN)];

/// A scenario with a credential in a file, which is not there.
fn late(raw: &Raw, setting: &str, wait: &str) -> Scenario<'static> {
    let scenario = Scenario::against(raw).env(setting, "{folder}/late").env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    scenario.env("VAULT_WAIT", wait).hides("hvs.late-token")
}

fn a_credential_that_comes_late_is_waited_for() {
    for (setting, what, _) in LATE {
        let raw = Raw::start([]);
        let scenario = late(&raw, setting, "20s");
        let started = scenario.start();
        started.await_log("not found");
        fs::write(scenario.file("late"), "\n").expect("a file is made");
        started.await_log("empty");
        let credential = if what == "JWT file" { Jwt::default().encode() } else { "hvs.late-token".to_owned() };
        fs::write(scenario.file("written"), credential).expect("a file is written");
        fs::rename(scenario.file("written"), scenario.file("late")).expect("it is put in place");
        started.finish().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
            format!("WARN  vault-exec: credential: {what} {{folder}}/late: not found; waiting up to 20s (VAULT_WAIT)"),
            format!("WARN  vault-exec: credential: {what} {{folder}}/late: empty; waiting up to 20s (VAULT_WAIT)"),
            "INFO  vault-exec: 1 variable from kv/shop/app {any}".to_owned(),
        ]));
    }
}

fn a_credential_that_never_comes_is_told_after_the_wait() {
    for (setting, what, remedy) in LATE {
        let raw = Raw::start([]);
        late(&raw, setting, "300ms").run().expect(Expect::done().code(66).stderr([
            format!(
                "WARN  vault-exec: credential: {what} {{folder}}/late: not found; waiting up to 300ms (VAULT_WAIT)"
            ),
            format!(
                "ERROR vault-exec: {what} {{folder}}/late: not found; {remedy} (waited {{any}}ms, VAULT_WAIT is 300ms)"
            ),
        ]));
        raw.expect_requests(["GET sys/seal-status"]);
    }
}

#[test]
fn a_dry_run_waits_for_a_credential_as_a_run_does() {
    for (setting, what, _) in LATE {
        let raw = Raw::start([]);
        let scenario = late(&raw, setting, "20s").options(["--check"]);
        let started = scenario.start();
        started.await_log("not found");
        let credential = if what == "JWT file" { Jwt::default().encode() } else { "hvs.late-token".to_owned() };
        fs::write(scenario.file("written"), credential).expect("a file is written");
        fs::rename(scenario.file("written"), scenario.file("late")).expect("it is put in place");
        started.finish().expect(Expect::done().any_stdout().stderr([format!(
            "WARN  vault-exec: credential: {what} {{folder}}/late: not found; waiting up to 20s (VAULT_WAIT)"
        )]));
    }
}

#[test]
fn white_space_around_a_jwt_is_no_part_of_it() {
    let raw = Raw::start([]);
    let jwt = Jwt::default().encode();
    let scenario = Scenario::against(&raw).jwt_text(&format!("\n {jwt}\r\n"));
    scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]));
    let sent: serde_json::Value = serde_json::from_str(&raw.whole_requests()[1].body).expect("JSON");
    assert_eq!(sent, json!({"role": "shop", "jwt": jwt}));
    raw.expect_whole_run();
}

#[test]
fn the_jwt_is_read_anew_at_each_try() {
    let gate = Gate::default();
    let not_yet = Reply::json(500, &json!({"errors": ["local node not active but active cluster node not found"]}));
    let raw = Raw::start([(LOGIN, vec![not_yet.held(&gate), Reply::login(&json!({}))])]);
    let scenario = Scenario::against(&raw);
    let started = scenario.start();
    raw.await_requests(2);
    let rotated = Jwt { namespace: "rotated".to_owned(), ..Jwt::default() }.encode();
    fs::write(scenario.file("jwt"), &rotated).expect("the JWT is rotated");
    gate.open();
    started.finish().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
        "WARN  vault-exec: login: the login at auth/kubernetes with role shop was answered with 500: \
         local node not active but active cluster node not found; try 1 of 4, the next in 0ms",
        "INFO  vault-exec: {any}; token revoked",
    ]));
    let sent: Vec<_> = raw.whole_requests().iter().map(|request| request.body.contains(&rotated)).collect();
    assert_eq!(sent, [false, false, true, false, false]);
}
