//! What each answer, and each lack of one, comes to.

use std::time::Duration;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    let mut answer = Answer::canned(status, body);
    answer.location = "https://leader.example:8200/v1/secret-path".into();
    answer.retry_after = Some(Duration::from_secs(7)).filter(|_| status == 429);
    answer
}

const LOGIN: Step = Step::Login { mount: "kubernetes", role: "shop" };
const READ: Step = Step::Read { mount: "kv", path: "shop/prod", version: None, handed_in: false };

#[test]
fn every_status_has_one_code_and_one_rule_for_trying_again() {
    use Code::{Absent, Config, Denied, NotReady, NotVault};
    use Retry::{After, Never, Soon};
    let vault = r#"{"errors":["no"]}"#;
    for (step, status, body, code, retry) in [
        (LOGIN, 307, "", NotVault, Never),
        (LOGIN, 400, vault, Config, Never),
        (READ, 400, vault, Config, Never),
        (READ, 400, "Bad Request", NotVault, Never),
        (READ, 401, "", Denied, Never),
        (LOGIN, 403, vault, Denied, Never),
        (Step::Status, 403, "<html>", Denied, Never),
        (READ, 404, r#"{"errors":[]}"#, Absent, Never),
        (READ, 404, "<html>", NotVault, Never),
        (LOGIN, 404, vault, Config, Never),
        (Step::Status, 404, "<html>", NotVault, Never),
        (READ, 405, vault, NotVault, Never),
        (READ, 408, "", NotReady, Soon),
        (READ, 412, vault, NotReady, Soon),
        (READ, 418, vault, NotVault, Never),
        (READ, 429, vault, NotReady, After(Duration::from_secs(7))),
        (READ, 500, vault, NotReady, Soon),
        (READ, 501, vault, NotVault, Never),
        (READ, 502, "<html>", NotReady, Soon),
        (LOGIN, 503, r#"{"errors":["Vault is sealed"]}"#, NotReady, Soon),
        (READ, 504, "", NotReady, Soon),
        (READ, 599, "", NotReady, Soon),
        (READ, 204, "", NotVault, Never),
    ] {
        let fault = of_status(step, &answer(status, body), &Scrubber::default());
        assert_eq!((fault.code, fault.retry), (code, retry), "{} {status} {body}", step.name());
    }
}

#[test]
fn sentences_name_the_subject_the_cause_and_the_remedy() {
    let say = |step, status, body: &str| of_status(step, &answer(status, body), &Scrubber::default()).to_string();
    for (said, sentence) in [
        (
            say(READ, 403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#),
            "the read of kv/shop/prod was answered with 403: 1 error occurred: * permission denied; \
             check VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: \
             path \"kv/data/shop/prod\" { capabilities = [\"read\"] }",
        ),
        (
            say(READ, 404, r#"{"data":{"data":null,"metadata":{"version":3,"destroyed":true}}}"#),
            "kv/shop/prod version 3 was destroyed; write a new version, or pin another one with VAULT_SECRET_VERSION",
        ),
        (
            say(
                Step::Read { mount: "kv", path: "data/shop", version: Some(2), handed_in: false },
                404,
                r#"{"errors":[]}"#,
            ),
            "no version 2 at kv/data/shop; leave data/ out of VAULT_PATH: it is added by itself",
        ),
        (
            say(LOGIN, 307, ""),
            "the login at auth/kubernetes with role shop was redirected to leader.example:8200 (307); \
             redirects are not followed; point VAULT_ADDR at the active service",
        ),
    ] {
        assert_eq!(said, sentence);
    }
}

#[test]
fn a_part_of_the_url_that_a_setting_holds_as_well_is_named() {
    for (mount, path, hint) in [
        ("kv", "shop/prod", None),
        ("kv", "kvs/prod", None),
        ("kv", "data/prod", Some("leave data/ out of VAULT_PATH: it is added by itself")),
        ("kv/data", "prod", Some("leave /data out of VAULT_MOUNT_POINT: it is added by itself")),
        ("kv", "kv/prod", Some("leave kv/ out of VAULT_PATH: the mount is added by itself")),
    ] {
        assert_eq!(doubled(mount, path).as_deref(), hint, "{mount} {path}");
    }
    let login = denied(Step::Login { mount: "auth/kubernetes", role: "shop" });
    assert_eq!(login, "leave auth/ out of VAULT_K8S_AUTH_MOUNT_POINT: it is added by itself");
}

#[test]
fn what_this_process_lacks_is_not_the_servers_fault() {
    let none = |errno: Errno| {
        let error = ureq::Error::Io(std::io::Error::from_raw_os_error(errno as i32));
        let none = NoAnswer { error, limit: Limit { setting: None, length: Duration::ZERO }, through_proxy: false };
        of_transport(&none, &Scrubber::default()).code
    };
    assert_eq!([none(Errno::EMFILE), none(Errno::ECONNREFUSED)], [Code::System, Code::Unreachable]);
}

#[test]
fn through_a_proxy_the_proxy_is_suspected_whatever_the_names_say() {
    let remedy = |error| {
        let none = NoAnswer { error, limit: Limit { setting: None, length: Duration::ZERO }, through_proxy: true };
        of_transport(&none, &Scrubber::default()).remedy
    };
    let unresolved = Unresolved { host: "my-proxy".into(), reason: "unknown".into() };
    let suspected = "check VAULT_PROXY_ADDR, which everything goes through, then VAULT_ADDR";
    assert_eq!(remedy(ureq::Error::Io(std::io::Error::other(unresolved))), suspected);
    let refused = remedy(ureq::Error::ConnectProxyFailed("403".into()));
    assert_eq!(refused, "check VAULT_PROXY_ADDR, and that the proxy lets CONNECT through to Vault");
}

#[test]
fn a_body_cut_short_is_tried_again_only_where_the_connection_marked_its_end() {
    let cut = json::Fault::Syntax { cut_short: true, line: 1, column: 9 };
    let mut answer = answer(200, r#"{"data":"#);
    assert_eq!(of_body(&answer, &cut, &Scrubber::default()).retry, Retry::Never);
    answer.ends_with_connection = true;
    assert_eq!(
        (of_body(&answer, &cut, &Scrubber::default()).code, of_body(&answer, &cut, &Scrubber::default()).retry),
        (Code::Unreachable, Retry::Soon)
    );
}

#[test]
fn a_body_that_the_time_limit_leaves_unread_is_late_and_tried_again() {
    let fault = of_body(&answer(200, "{}"), &json::Fault::Interrupted, &Scrubber::default());
    assert_eq!((fault.code, fault.retry), (Code::Unreachable, Retry::Soon));
    assert_eq!(
        fault.to_string(),
        "no complete answer within 1m (VAULT_TIMEOUT); raise the time limit, or the CPU limit of the container"
    );
}
