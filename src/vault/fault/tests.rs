//! What each answer, and each lack of one, comes to.

use std::time::Duration;

use super::*;
use crate::text::Foreign;

fn answer(status: u16, body: &str) -> Answer {
    let mut answer = Answer::canned(status, body);
    answer.location = Foreign::new("https://leader.example:8200/v1/secret-path");
    answer.retry_after = Some(Duration::from_secs(7)).filter(|_| status == 429);
    answer
}

const LOGIN: Step = Step::Login { mount: "kubernetes", role: "shop" };
const READ: Step = Step::Read { mount: "kv", path: "shop/prod", version: None, handed_in: false };

/// What `answer` to a request of `step` comes to, in the namespace `team`.
fn judged(step: Step, answer: &Answer, namespace: Option<&str>) -> Fault {
    let path = match step {
        Step::Status => "sys/seal-status",
        Step::Login { .. } => "auth/kubernetes/login",
        Step::Revoke => "auth/token/revoke-self",
        _ => "kv/data/shop/prod?version=3",
    };
    of_status(
        &Asked { step, at: "http://vault.example:8200/prefix", path, namespace, scrubber: &Scrubber::default() },
        answer,
    )
}

#[test]
fn every_status_has_one_code_and_one_rule_for_trying_again() {
    use Code::{Absent, Config, Denied, NotReady, NotVault};
    use Retry::{Again, Never, Patience, Quick, Soon};
    let vault = r#"{"errors":["no"]}"#;
    let seconds = Duration::from_secs;
    for (step, status, body, code, retry) in [
        (LOGIN, 307, "", NotVault, Never),
        (LOGIN, 400, vault, Config, Never),
        (READ, 400, vault, Config, Never),
        (READ, 400, "Bad Request", NotVault, Never),
        (READ, 400, "", Config, Never),
        (LOGIN, 400, "", Config, Never),
        (Step::Status, 400, "", NotVault, Never),
        (READ, 401, "", Denied, Never),
        (LOGIN, 403, vault, Denied, Never),
        (LOGIN, 403, r#"{"errors":["permission denied"]}"#, Denied, Again),
        (READ, 403, r#"{"errors":["permission denied"]}"#, Denied, Never),
        (Step::Revoke, 403, r#"{"errors":["permission denied"]}"#, Denied, Never),
        (Step::Status, 403, "<html>", Denied, Never),
        (READ, 404, r#"{"errors":[]}"#, Absent, Never),
        (READ, 404, r#"{"errors":["namespace not found"]}"#, Config, Never),
        (READ, 404, "<html>", NotVault, Never),
        (READ, 404, "", Absent, Never),
        (LOGIN, 404, "", Config, Never),
        (LOGIN, 404, vault, Config, Never),
        (Step::Status, 404, vault, Config, Never),
        (Step::Status, 404, "<html>", NotVault, Never),
        (Step::Status, 404, "", NotVault, Never),
        (READ, 405, vault, Config, Never),
        (LOGIN, 405, "", Config, Never),
        (READ, 405, "<html>", NotVault, Never),
        (READ, 408, "", NotReady, Soon),
        (READ, 412, vault, NotReady, Quick(seconds(0))),
        (LOGIN, 413, r#"{"errors":["http: request body too large"]}"#, Config, Never),
        (READ, 418, vault, NotVault, Never),
        (READ, 429, vault, NotReady, Patience(seconds(7))),
        (READ, 429, "<html>", NotReady, Patience(seconds(7))),
        (READ, 429, r#"{"errors":[]}"#, NotReady, Quick(seconds(7))),
        (Step::Status, 429, r#"{"errors":[]}"#, NotReady, Patience(seconds(7))),
        (READ, 431, "431 Request Header Fields Too Large", Config, Never),
        (READ, 500, vault, NotReady, Soon),
        (READ, 501, vault, NotVault, Never),
        (READ, 502, "<html>", NotReady, Soon),
        (LOGIN, 503, r#"{"errors":["Vault is sealed"]}"#, NotReady, Soon),
        (READ, 504, "", NotReady, Soon),
        (READ, 599, "", NotReady, Soon),
        (READ, 204, "", NotVault, Never),
    ] {
        let fault = judged(step, &answer(status, body), None);
        assert_eq!((fault.code, fault.retry), (code, retry), "{} {status} {body}", step.name());
    }
}

/// What a server says, and what follows: code, rule and remedy.
#[test]
fn words_are_believed_where_a_status_misleads() {
    use Code::{Config, Denied, NotReady};
    let quick = Retry::Quick(Duration::ZERO);
    let behind = "the node has not caught up yet: try again, or address the active one";
    let other = "auth/kubernetes is not of type kubernetes; set VAULT_K8S_AUTH_MOUNT_POINT to a mount that is";
    let unset = "write auth/kubernetes/config on the server: the method is enabled, but not set up";
    let upgrade = "the KV mount becomes one of version 2: try again when the server has done that";
    for (step, status, said, code, retry, remedy) in [
        (
            READ,
            400,
            "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and \
             will resume service shortly.",
            NotReady,
            quick,
            upgrade,
        ),
        (
            READ,
            400,
            "Waiting for the primary to upgrade from non-versioned to versioned data. This backend will be unavailable \
             for a brief period and will resume service when the primary is finished.",
            NotReady,
            quick,
            upgrade,
        ),
        (LOGIN, 400, "failed to persist lease entry: cannot write to readonly storage", NotReady, quick, behind),
        (Step::Revoke, 400, "Cannot write to readonly storage", NotReady, quick, behind),
        (LOGIN, 400, "cannot write to storage during setup", NotReady, quick, behind),
        (LOGIN, 500, "could not load backend configuration", Config, Retry::Never, unset),
        (READ, 500, "could not load backend configuration", NotReady, Retry::Soon, not_ready()),
        (LOGIN, 400, "could not load configuration", Config, Retry::Never, other),
        (LOGIN, 500, "missing role_id", Config, Retry::Never, other),
        (LOGIN, 400, "no client certificate found", Config, Retry::Never, other),
        (LOGIN, 404, "1 error occurred:\n\t* unsupported path\n\n", Config, Retry::Never, other),
        (LOGIN, 405, "1 error occurred:\n\t* unsupported operation\n\n", Config, Retry::Never, other),
        (
            LOGIN,
            500,
            "could not parse UID from claims",
            Denied,
            Retry::Never,
            "it is no service account's JWT; correct VAULT_K8S_TOKEN_PATH",
        ),
        (
            READ,
            503,
            "namespace is sealed",
            NotReady,
            Retry::Soon,
            "unseal the namespace team (VAULT_NAMESPACE): the server is unsealed, the namespace is not",
        ),
        (
            LOGIN,
            503,
            "API access to this namespace has been locked by an administrator - \"team/\" must be unlocked to gain access.",
            NotReady,
            Retry::Soon,
            "unlock the namespace team (VAULT_NAMESPACE)",
        ),
        (
            READ,
            403,
            "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n",
            Denied,
            Retry::Never,
            "the server does not know the token that it gave out a moment ago: check that VAULT_ADDR leads to one cluster; \
             VAULT_NAMESPACE is team",
        ),
        (
            READ,
            404,
            "namespace not found",
            Config,
            Retry::Never,
            "check VAULT_NAMESPACE and VAULT_MOUNT_POINT, and the path in VAULT_ADDR; VAULT_NAMESPACE is team",
        ),
    ] {
        let body = format!("{{\"errors\":[{}]}}", serde_json::to_string(said).unwrap());
        let fault = judged(step, &answer(status, &body), Some("team"));
        let mut remedy = remedy.to_owned();
        if matches!(code, Config | Denied) && !remedy.ends_with("team") {
            remedy.push_str("; VAULT_NAMESPACE is team");
        }
        assert_eq!((fault.code, fault.retry, fault.remedy), (code, retry, remedy), "{said}");
    }
}

fn not_ready() -> &'static str {
    "look at the server's log: it may be starting, sealed or without a leader"
}

#[test]
fn a_redirect_is_told_by_where_it_leads() {
    let read = "/v1/kv/data/shop/prod";
    let (standby, https) = ("the node does not lead", "redirects are not followed; write https://");
    let (moved, login) = ("redirects are not followed; write that host", "redirects are not followed; a login page");
    for (step, status, location, code, begins) in [
        (READ, 307, format!("http://leader.example:8200{read}?version=3"), Code::NotReady, standby),
        (READ, 307, format!("https://leader.example:8200{read}"), Code::NotReady, standby),
        (READ, 307, format!("http://vault.example:8200{read}"), Code::NotReady, standby),
        (READ, 307, read.to_owned(), Code::NotReady, standby),
        (LOGIN, 307, "http://leader/v1/auth/kubernetes/login".into(), Code::NotReady, standby),
        (Step::Revoke, 307, "http://leader/v1/auth/token/revoke-self".into(), Code::NotReady, standby),
        (Step::Status, 307, "http://leader/v1/sys/seal-status".into(), Code::NotVault, moved),
        (READ, 308, format!("http://leader.example:8200{read}"), Code::NotVault, moved),
        (READ, 307, format!("https://vault.example{read}"), Code::NotVault, https),
        (Step::Status, 301, "https://VAULT.example/".into(), Code::NotVault, https),
        (LOGIN, 307, "https://vault.example/v1/auth/kubernetes/login".into(), Code::NotVault, https),
        (READ, 302, "https://login.example/oauth2/start?rd=x".into(), Code::NotVault, login),
        (READ, 307, "http://leader/v1/kv/data/shop/other".into(), Code::NotVault, login),
        (READ, 302, "/login".into(), Code::NotVault, login),
        (READ, 302, String::new(), Code::NotVault, login),
    ] {
        let mut redirect = answer(status, "");
        redirect.location = Foreign::new(location.as_str());
        let fault = judged(step, &redirect, None);
        assert_eq!((fault.code, fault.remedy.starts_with(begins)), (code, true), "{location}: {fault}");
        assert_eq!(fault.retry, if code == Code::NotReady { Retry::Soon } else { Retry::Never }, "{location}");
    }
}

#[test]
fn what_is_vaults_and_no_version_of_a_secret_is_told_as_what_it_is() {
    let shape = || json::Fault::Shape { member: "data".into(), expected: "an object" };
    for (step, body, code, said) in [
        (
            READ,
            r#"{"request_id":"x","lease_duration":2764800,"data":{"A":"b"}}"#,
            Code::Config,
            "the read of kv/shop/prod gave data without a version, as a KV version 1 mount does; \
             set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one",
        ),
        (
            READ,
            r#"{"request_id":"x","lease_duration":2764800,"data":{"data":{"A":"b"}}}"#,
            Code::Config,
            "the read of kv/shop/prod gave data without a version, as a KV version 1 mount does; \
             set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one",
        ),
        (
            READ,
            r#"{"request_id":"x","data":{"data":null,"metadata":{"version":3}}}"#,
            Code::Absent,
            "kv/shop/prod version 3 holds nothing: null was written; \
             write a new version, or pin another one with VAULT_SECRET_VERSION",
        ),
        (
            READ,
            r#"{"data":null,"wrap_info":{"token":"s.wrapped","creation_path":"kv/data/shop/prod"}}"#,
            Code::Denied,
            "the read of kv/shop/prod was answered with a wrapped token instead; take the control group off this path, \
             or X-Vault-Wrap-TTL out of the proxy in between: nobody unwraps it here",
        ),
        (
            READ,
            r#"{"data":null,"wrap_info":{"token":"s.wrapped","creation_path":"sys/control-group/request"}}"#,
            Code::Denied,
            "the read of kv/shop/prod was answered with a wrapped token instead; a control group wants each request \
             approved, which a start-up cannot wait for: take it off this path",
        ),
        (
            LOGIN,
            r#"{"auth":null,"wrap_info":{"token":"s.wrapped","creation_path":"auth/kubernetes/login"}}"#,
            Code::Denied,
            "the login at auth/kubernetes with role shop was answered with a wrapped token instead; take the control \
             group off this path, or X-Vault-Wrap-TTL out of the proxy in between: nobody unwraps it here",
        ),
    ] {
        let scrubber = Scrubber::default();
        let asked = Asked { step, at: "", path: "", namespace: None, scrubber: &scrubber };
        let fault = of_body(&asked, &answer(200, body), &shape());
        assert_eq!((fault.code, fault.to_string().as_str(), fault.retry), (code, said, Retry::Never));
        let hidden = if body.contains("s.wrapped") { "***" } else { "s.wrapped" };
        assert_eq!(scrubber.clean(&["s.wrapped"]), hidden);
    }
}

#[test]
fn a_time_that_is_none_is_left_out() {
    let gone = |time: &str| {
        let body = format!(r#"{{"data":{{"data":null,"metadata":{{"version":3,"deletion_time":"{time}"}}}}}}"#);
        judged(READ, &answer(404, &body), None).cause
    };
    assert_eq!(gone("2026-01-02T03:04:05.5Z"), "kv/shop/prod version 3 was deleted at 2026-01-02T03:04:05.5Z");
    assert_eq!(gone("a-secret"), "kv/shop/prod version 3 was deleted");
}

#[test]
fn sentences_name_the_subject_the_cause_and_the_remedy() {
    let say = |step, status, body: &str| judged(step, &answer(status, body), None).to_string();
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
            say(LOGIN, 302, ""),
            "the login at auth/kubernetes with role shop was redirected to leader.example:8200 (302); \
             redirects are not followed; a login page or a proxy stands there: point VAULT_ADDR at Vault itself",
        ),
        (
            say(LOGIN, 403, r#"{"errors":["permission denied"]}"#),
            "the login at auth/kubernetes with role shop was answered with 403: permission denied; \
             Vault gives no reason: check that auth/kubernetes is enabled, that its role shop allows this address, and \
             that the TokenReview works: the reviewer JWT, its right system:auth-delegator, the API server as Vault \
             reaches it",
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
        ("kv", "kv/data/shop/prod", Some("write VAULT_PATH=shop/prod: the mount and data/ are added by themselves")),
        ("team/kv", "team/kv/data/prod", Some("write VAULT_PATH=prod: the mount and data/ are added by themselves")),
        ("kv", "v1/kv/metadata/prod", Some("write VAULT_PATH=prod: the mount and data/ are added by themselves")),
        (
            "kv",
            "secret/data/prod",
            Some(
                "if secret is the mount, write VAULT_MOUNT_POINT=secret and VAULT_PATH=prod: data/ is added by itself",
            ),
        ),
        ("kv", "kv/prod", Some("leave kv/ out of VAULT_PATH: the mount is added by itself")),
    ] {
        assert_eq!(doubled(mount, path).as_deref(), hint, "{mount} {path}");
    }
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
    let scrubber = Scrubber::default();
    let asked = Asked { step: READ, at: "", path: "", namespace: None, scrubber: &scrubber };
    let mut answer = answer(200, r#"{"data":"#);
    assert_eq!(of_body(&asked, &answer, &cut).retry, Retry::Never);
    answer.ends_with_connection = true;
    let fault = of_body(&asked, &answer, &cut);
    assert_eq!((fault.code, fault.retry), (Code::Unreachable, Retry::Soon));
}

#[test]
fn a_body_that_the_time_limit_leaves_unread_is_late_and_tried_again() {
    let scrubber = Scrubber::default();
    let asked = Asked { step: READ, at: "", path: "", namespace: None, scrubber: &scrubber };
    let fault = of_body(&asked, &answer(200, "{}"), &json::Fault::Interrupted);
    assert_eq!((fault.code, fault.retry), (Code::Unreachable, Retry::Soon));
    assert_eq!(
        fault.to_string(),
        "no complete answer within 1m (VAULT_TIMEOUT); raise the time limit, or the CPU limit of the container"
    );
}
