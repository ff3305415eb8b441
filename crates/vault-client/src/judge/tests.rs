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

fn a_login() -> Step {
    Step::Login { mount: "kubernetes".into(), role: "shop".into() }
}

fn a_read() -> Step {
    Step::Read { mount: "kv".into(), path: "shop/prod".into(), version: None, handed_in: false }
}

/// What `answer` to a request of `step` comes to, in the namespace `team`.
fn judged(step: Step, answer: &Answer, namespace: Option<&str>) -> Fault {
    let path = match &step {
        Step::Status => "sys/seal-status",
        Step::Login { .. } => "auth/kubernetes/login",
        Step::Revoke => "auth/token/revoke-self",
        _ => "kv/data/shop/prod?version=3",
    };
    of_status(
        &Asked { step: &step, at: "http://vault.example:8200/prefix", path, namespace, scrubber: &Scrubber::default() },
        answer,
    )
}

#[test]
fn every_status_has_one_code_and_one_rule_for_trying_again() {
    use ErrorKind::{Denied, NotFound, NotReady, NotVault, Rejected};
    use Retry::{Again, Never, Patience, Quick, Soon};
    let vault = r#"{"errors":["no"]}"#;
    let seconds = Duration::from_secs;
    for (step, status, body, code, retry) in [
        (a_login(), 307, "", NotVault, Never),
        (a_login(), 400, vault, Rejected, Never),
        (a_read(), 400, vault, Rejected, Never),
        (a_read(), 400, "Bad Request", NotVault, Never),
        (a_read(), 400, "", Rejected, Never),
        (a_login(), 400, "", Rejected, Never),
        (Step::Status, 400, "", NotVault, Never),
        (a_read(), 401, "", Denied, Never),
        (a_login(), 403, vault, Denied, Never),
        (a_login(), 403, r#"{"errors":["permission denied"]}"#, Denied, Again),
        (a_read(), 403, r#"{"errors":["permission denied"]}"#, Denied, Never),
        (Step::Revoke, 403, r#"{"errors":["permission denied"]}"#, Denied, Never),
        (Step::Status, 403, "<html>", Denied, Never),
        (a_read(), 404, r#"{"errors":[]}"#, NotFound, Never),
        (a_read(), 404, r#"{"errors":["namespace not found"]}"#, Rejected, Never),
        (a_read(), 404, "<html>", NotVault, Never),
        (a_read(), 404, "", NotFound, Never),
        (a_login(), 404, "", Rejected, Never),
        (a_login(), 404, vault, Rejected, Never),
        (Step::Status, 404, vault, Rejected, Never),
        (Step::Status, 404, "<html>", NotVault, Never),
        (Step::Status, 404, "", NotVault, Never),
        (a_read(), 405, vault, Rejected, Never),
        (a_login(), 405, "", Rejected, Never),
        (a_read(), 405, "<html>", NotVault, Never),
        (a_read(), 408, "", NotReady, Soon),
        (a_read(), 412, vault, NotReady, Quick(seconds(0))),
        (a_login(), 413, r#"{"errors":["http: request body too large"]}"#, Rejected, Never),
        (a_read(), 418, vault, NotVault, Never),
        (a_read(), 429, vault, NotReady, Patience(seconds(7))),
        (a_read(), 429, "<html>", NotReady, Patience(seconds(7))),
        (a_read(), 429, r#"{"errors":[]}"#, NotReady, Quick(seconds(7))),
        (Step::Status, 429, r#"{"errors":[]}"#, NotReady, Patience(seconds(7))),
        (a_read(), 431, "431 Request Header Fields Too Large", Rejected, Never),
        (a_read(), 500, vault, NotReady, Soon),
        (a_read(), 501, vault, NotVault, Never),
        (a_read(), 502, "<html>", NotReady, Soon),
        (a_login(), 503, r#"{"errors":["Vault is sealed"]}"#, NotReady, Soon),
        (a_read(), 504, "", NotReady, Soon),
        (a_read(), 599, "", NotReady, Soon),
        (a_read(), 204, "", NotVault, Never),
    ] {
        let fault = judged(step.clone(), &answer(status, body), None);
        assert_eq!((fault.kind, fault.retry), (code, retry), "{} {status} {body}", step.name());
    }
}

/// What a server says, and what follows: code, rule and remedy.
#[test]
fn words_are_believed_where_a_status_misleads() {
    use ErrorKind::{Denied, NotReady, Rejected};
    let quick = Retry::Quick(Duration::ZERO);
    let behind = "the node has not caught up yet: try again, or address the active one";
    let other = "auth/kubernetes is not of type kubernetes; set VAULT_K8S_AUTH_MOUNT_POINT to a mount that is";
    let unset = "write auth/kubernetes/config on the server: the method is enabled, but not set up";
    let upgrade = "the KV mount becomes one of version 2: try again when the server has done that";
    for (step, status, said, code, retry, remedy) in [
        (
            a_read(),
            400,
            "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and \
             will resume service shortly.",
            NotReady,
            quick,
            upgrade,
        ),
        (
            a_read(),
            400,
            "Waiting for the primary to upgrade from non-versioned to versioned data. This backend will be unavailable \
             for a brief period and will resume service when the primary is finished.",
            NotReady,
            quick,
            upgrade,
        ),
        (a_login(), 400, "failed to persist lease entry: cannot write to readonly storage", NotReady, quick, behind),
        (Step::Revoke, 400, "Cannot write to readonly storage", NotReady, quick, behind),
        (a_login(), 400, "cannot write to storage during setup", NotReady, quick, behind),
        (a_login(), 500, "could not load backend configuration", Rejected, Retry::Never, unset),
        (a_read(), 500, "could not load backend configuration", NotReady, Retry::Soon, not_ready()),
        (a_login(), 400, "could not load configuration", Rejected, Retry::Never, other),
        (a_login(), 500, "missing role_id", Rejected, Retry::Never, other),
        (a_login(), 400, "no client certificate found", Rejected, Retry::Never, other),
        (a_login(), 404, "1 error occurred:\n\t* unsupported path\n\n", Rejected, Retry::Never, other),
        (a_login(), 405, "1 error occurred:\n\t* unsupported operation\n\n", Rejected, Retry::Never, other),
        (
            a_login(),
            500,
            "could not parse UID from claims",
            Denied,
            Retry::Never,
            "it is no service account's JWT; correct VAULT_K8S_TOKEN_PATH",
        ),
        (
            a_read(),
            503,
            "namespace is sealed",
            NotReady,
            Retry::Soon,
            "unseal the namespace team (VAULT_NAMESPACE): the server is unsealed, the namespace is not",
        ),
        (
            a_login(),
            503,
            "API access to this namespace has been locked by an administrator - \"team/\" must be unlocked to gain access.",
            NotReady,
            Retry::Soon,
            "unlock the namespace team (VAULT_NAMESPACE)",
        ),
        (
            a_read(),
            403,
            "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n",
            Denied,
            Retry::Never,
            "the server does not know the token that it gave out a moment ago: check that VAULT_ADDR leads to one cluster; \
             VAULT_NAMESPACE is team",
        ),
        (
            a_read(),
            404,
            "namespace not found",
            Rejected,
            Retry::Never,
            "check VAULT_NAMESPACE and VAULT_MOUNT_POINT, and the path in VAULT_ADDR; VAULT_NAMESPACE is team",
        ),
    ] {
        let body = format!("{{\"errors\":[{}]}}", serde_json::to_string(said).unwrap());
        let fault = judged(step, &answer(status, &body), Some("team"));
        let mut remedy = remedy.to_owned();
        if matches!(code, Rejected | Denied) && !remedy.ends_with("team") {
            remedy.push_str("; VAULT_NAMESPACE is team");
        }
        assert_eq!((fault.kind, fault.retry, fault.remedy), (code, retry, remedy), "{said}");
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
        (a_read(), 307, format!("http://leader.example:8200{read}?version=3"), ErrorKind::NotReady, standby),
        (a_read(), 307, format!("https://leader.example:8200{read}"), ErrorKind::NotReady, standby),
        (a_read(), 307, format!("http://vault.example:8200{read}"), ErrorKind::NotReady, standby),
        (a_read(), 307, read.to_owned(), ErrorKind::NotReady, standby),
        (a_login(), 307, "http://leader/v1/auth/kubernetes/login".into(), ErrorKind::NotReady, standby),
        (Step::Revoke, 307, "http://leader/v1/auth/token/revoke-self".into(), ErrorKind::NotReady, standby),
        (Step::Status, 307, "http://leader/v1/sys/seal-status".into(), ErrorKind::NotVault, moved),
        (a_read(), 308, format!("http://leader.example:8200{read}"), ErrorKind::NotVault, moved),
        (a_read(), 307, format!("https://vault.example{read}"), ErrorKind::NotVault, https),
        (Step::Status, 301, "https://VAULT.example/".into(), ErrorKind::NotVault, https),
        (a_login(), 307, "https://vault.example/v1/auth/kubernetes/login".into(), ErrorKind::NotVault, https),
        (a_read(), 302, "https://login.example/oauth2/start?rd=x".into(), ErrorKind::NotVault, login),
        (a_read(), 307, "http://leader/v1/kv/data/shop/other".into(), ErrorKind::NotVault, login),
        (a_read(), 302, "/login".into(), ErrorKind::NotVault, login),
        (a_read(), 302, String::new(), ErrorKind::NotVault, login),
    ] {
        let mut redirect = answer(status, "");
        redirect.location = Foreign::new(location.as_str());
        let fault = judged(step, &redirect, None);
        assert_eq!((fault.kind, fault.remedy.starts_with(begins)), (code, true), "{location}: {fault}");
        assert_eq!(fault.retry, if code == ErrorKind::NotReady { Retry::Soon } else { Retry::Never }, "{location}");
    }
}

#[test]
fn what_is_vaults_and_no_version_of_a_secret_is_told_as_what_it_is() {
    let shape = || json::Fault::Shape { member: "data".into(), expected: "an object" };
    for (step, body, code, said) in [
        (
            a_read(),
            r#"{"request_id":"x","lease_duration":2764800,"data":{"A":"b"}}"#,
            ErrorKind::Rejected,
            "the read of kv/shop/prod gave data without a version, as a KV version 1 mount does; \
             set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one",
        ),
        (
            a_read(),
            r#"{"request_id":"x","lease_duration":2764800,"data":{"data":{"A":"b"}}}"#,
            ErrorKind::Rejected,
            "the read of kv/shop/prod gave data without a version, as a KV version 1 mount does; \
             set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one",
        ),
        (
            a_read(),
            r#"{"request_id":"x","data":{"data":null,"metadata":{"version":3}}}"#,
            ErrorKind::NotFound,
            "kv/shop/prod version 3 holds nothing: null was written; \
             write a new version, or pin another one with VAULT_SECRET_VERSION",
        ),
        (
            a_read(),
            r#"{"data":null,"wrap_info":{"token":"s.wrapped","creation_path":"kv/data/shop/prod"}}"#,
            ErrorKind::Denied,
            "the read of kv/shop/prod was answered with a wrapped token instead; take the control group off this path, \
             or X-Vault-Wrap-TTL out of the proxy in between: nobody unwraps it here",
        ),
        (
            a_read(),
            r#"{"data":null,"wrap_info":{"token":"s.wrapped","creation_path":"sys/control-group/request"}}"#,
            ErrorKind::Denied,
            "the read of kv/shop/prod was answered with a wrapped token instead; a control group wants each request \
             approved, which a start-up cannot wait for: take it off this path",
        ),
        (
            a_login(),
            r#"{"auth":null,"wrap_info":{"token":"s.wrapped","creation_path":"auth/kubernetes/login"}}"#,
            ErrorKind::Denied,
            "the login at auth/kubernetes with role shop was answered with a wrapped token instead; take the control \
             group off this path, or X-Vault-Wrap-TTL out of the proxy in between: nobody unwraps it here",
        ),
    ] {
        let scrubber = Scrubber::default();
        let asked = Asked { step: &step, at: "", path: "", namespace: None, scrubber: &scrubber };
        let fault = of_body(&asked, &answer(200, body), &shape());
        assert_eq!((fault.kind, fault.to_string().as_str(), fault.retry), (code, said, Retry::Never));
        let hidden = if body.contains("s.wrapped") { "***" } else { "s.wrapped" };
        assert_eq!(scrubber.clean(&["s.wrapped"]), hidden);
    }
}

#[test]
fn a_time_that_is_none_is_left_out() {
    let gone = |time: &str| {
        let body = format!(r#"{{"data":{{"data":null,"metadata":{{"version":3,"deletion_time":"{time}"}}}}}}"#);
        judged(a_read(), &answer(404, &body), None).cause
    };
    assert_eq!(gone("2026-01-02T03:04:05.5Z"), "kv/shop/prod version 3 was deleted at 2026-01-02T03:04:05.5Z");
    assert_eq!(gone("a-secret"), "kv/shop/prod version 3 was deleted");
}

#[test]
fn sentences_name_the_subject_the_cause_and_the_remedy() {
    let say = |step, status, body: &str| judged(step, &answer(status, body), None).to_string();
    for (said, sentence) in [
        (
            say(a_read(), 403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#),
            "the read of kv/shop/prod was answered with 403: 1 error occurred: * permission denied; \
             check VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: \
             path \"kv/data/shop/prod\" { capabilities = [\"read\"] }",
        ),
        (
            say(a_read(), 404, r#"{"data":{"data":null,"metadata":{"version":3,"destroyed":true}}}"#),
            "kv/shop/prod version 3 was destroyed; write a new version, or pin another one with VAULT_SECRET_VERSION",
        ),
        (
            say(
                Step::Read { mount: "kv".into(), path: "data/shop".into(), version: Some(2), handed_in: false },
                404,
                r#"{"errors":[]}"#,
            ),
            "no version 2 at kv/data/shop; leave data/ out of VAULT_PATH: it is added by itself",
        ),
        (
            say(a_login(), 302, ""),
            "the login at auth/kubernetes with role shop was redirected to leader.example:8200 (302); \
             redirects are not followed; a login page or a proxy stands there: point VAULT_ADDR at Vault itself",
        ),
        (
            say(a_login(), 403, r#"{"errors":["permission denied"]}"#),
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
        let error = ureq::Error::Io(io::Error::from_raw_os_error(errno as i32));
        let none = NoAnswer { error, limit: Limit::Own, length: Duration::ZERO, through_proxy: false, sent: false };
        of_transport(&none, &Scrubber::default()).kind
    };
    assert_eq!([none(Errno::EMFILE), none(Errno::ECONNREFUSED)], [ErrorKind::System, ErrorKind::Unreachable]);
}

#[test]
fn through_a_proxy_the_proxy_is_suspected_whatever_the_names_say() {
    let remedy = |error| {
        let none = NoAnswer { error, limit: Limit::Own, length: Duration::ZERO, through_proxy: true, sent: false };
        of_transport(&none, &Scrubber::default()).remedy
    };
    let unresolved = Unresolved { host: "my-proxy".into(), reason: "unknown".into() };
    let suspected = "check VAULT_PROXY_ADDR, which everything goes through, then VAULT_ADDR";
    assert_eq!(remedy(ureq::Error::Io(io::Error::other(unresolved))), suspected);
    let refused = remedy(ureq::Error::ConnectProxyFailed("403".into()));
    assert_eq!(refused, "check VAULT_PROXY_ADDR, and that the proxy lets CONNECT through to Vault");
}

#[test]
fn a_body_cut_short_is_tried_again_only_where_the_connection_marked_its_end() {
    let cut = json::Fault::Syntax { cut_short: true, line: 1, column: 9 };
    let scrubber = Scrubber::default();
    let asked = Asked { step: &a_read(), at: "", path: "", namespace: None, scrubber: &scrubber };
    let mut answer = answer(200, r#"{"data":"#);
    assert_eq!(of_body(&asked, &answer, &cut).retry, Retry::Never);
    answer.ends_with_connection = true;
    let fault = of_body(&asked, &answer, &cut);
    assert_eq!((fault.kind, fault.retry), (ErrorKind::Unreachable, Retry::Soon));
}

#[test]
fn a_body_that_the_time_limit_leaves_unread_is_late_and_tried_again() {
    let scrubber = Scrubber::default();
    let asked = Asked { step: &a_read(), at: "", path: "", namespace: None, scrubber: &scrubber };
    let fault = of_body(&asked, &answer(200, "{}"), &json::Fault::Interrupted);
    assert_eq!((fault.kind, fault.retry), (ErrorKind::Unreachable, Retry::Soon));
    assert_eq!(
        fault.to_string(),
        "no complete answer within 1m (VAULT_TIMEOUT); raise the time limit, or the CPU limit of the container"
    );
}
