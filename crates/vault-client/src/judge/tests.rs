//! What each answer, and each lack of one, comes to.

mod logins;

use std::time::Duration;

use super::*;
use crate::fault::ErrorKind;
use crate::fault::{Onward, Why};
use crate::step::{AuthMethod, TokenOf};
use crate::text::Foreign;
use crate::time::Limit;

fn answer(status: u16, body: &str) -> Answer {
    let mut answer = Answer::canned(status, body);
    answer.location = Foreign::new("https://leader.example:8200/v1/secret-path");
    answer.retry_after = Some(Duration::from_secs(7)).filter(|_| status == 429);
    answer
}

fn a_login() -> Step {
    Step::Login { method: AuthMethod::Kubernetes, mount: "kubernetes".into(), role: Some("shop".into()) }
}

fn a_read() -> Step {
    Step::Read { mount: "kv".into(), path: "shop/prod".into(), version: None, token: TokenOf::Login }
}

/// What `answer` to a request of `step` comes to.
fn judged(step: &Step, answer: &Answer) -> Fault {
    let path = match step {
        Step::Status => "sys/seal-status",
        Step::Login { .. } => "auth/kubernetes/login",
        Step::Revoke => "auth/token/revoke-self",
        _ => "kv/data/shop/prod?version=3",
    };
    of_status(&Asked { step, at: "http://vault.example:8200/prefix", path, scrubber: &Scrubber::default() }, answer)
}

#[test]
fn every_status_has_one_code_and_one_rule_for_trying_again() {
    use ErrorKind::{Denied, NotFound, NotReady, NotVault, RateLimited, Rejected};
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
        (a_read(), 429, vault, RateLimited, Patience(seconds(7))),
        (a_read(), 429, "<html>", RateLimited, Patience(seconds(7))),
        (a_read(), 429, r#"{"errors":[]}"#, NotReady, Quick(seconds(7))),
        (Step::Status, 429, r#"{"errors":[]}"#, RateLimited, Patience(seconds(7))),
        (a_read(), 431, "431 Request Header Fields Too Large", Rejected, Never),
        (a_read(), 500, vault, NotReady, Soon),
        (a_read(), 501, vault, NotVault, Never),
        (a_read(), 502, "<html>", NotReady, Soon),
        (a_login(), 503, r#"{"errors":["Vault is sealed"]}"#, NotReady, Soon),
        (a_read(), 504, "", NotReady, Soon),
        (a_read(), 599, "", NotReady, Soon),
        (a_read(), 204, "", NotVault, Never),
    ] {
        let fault = judged(&step, &answer(status, body));
        assert_eq!(
            (fault.kind(), fault.retry, fault.status),
            (code, retry, Some(status)),
            "{} {status} {body}",
            step.name()
        );
    }
}

#[test]
fn words_are_believed_where_a_status_misleads() {
    let quick = Retry::Quick(Duration::ZERO);
    let upgrading = "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and \
                     will resume service shortly.";
    let waiting = "Waiting for the primary to upgrade from non-versioned to versioned data. This backend will be \
                   unavailable for a brief period and will resume service when the primary is finished.";
    let locked = "API access to this namespace has been locked by an administrator - \"team/\" must be unlocked to gain \
                  access.";
    let by_policy = "1 error occurred:\n\t* permission denied\n\n";
    let dead = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n";
    for (step, status, said, why, retry) in [
        (a_read(), 400, upgrading, Why::Upgrading, quick),
        (a_read(), 400, waiting, Why::Upgrading, quick),
        (a_login(), 400, "failed to persist lease entry: cannot write to readonly storage", Why::Behind, quick),
        (Step::Revoke, 400, "Cannot write to readonly storage", Why::Behind, quick),
        (a_login(), 400, "cannot write to storage during setup", Why::Behind, quick),
        (a_login(), 500, "could not load backend configuration", Why::Unconfigured, Retry::Never),
        (a_read(), 500, "could not load backend configuration", Why::NotReady, Retry::Soon),
        (a_login(), 400, "could not load configuration", Why::OtherMethod, Retry::Never),
        (a_login(), 500, "missing role_id", Why::OtherMethod, Retry::Never),
        (a_login(), 400, "no client certificate found", Why::OtherMethod, Retry::Never),
        (a_login(), 404, "1 error occurred:\n\t* unsupported path\n\n", Why::OtherMethod, Retry::Never),
        (a_login(), 405, "1 error occurred:\n\t* unsupported operation\n\n", Why::OtherMethod, Retry::Never),
        (a_login(), 500, "could not parse UID from claims", Why::NoServiceAccount, Retry::Never),
        (a_read(), 503, "namespace is sealed", Why::NamespaceSealed, Retry::Soon),
        (a_login(), 503, locked, Why::NamespaceLocked, Retry::Soon),
        (a_login(), 403, "permission denied", Why::Unexplained, Retry::Again),
        (a_read(), 403, "permission denied", Why::Denied, Retry::Never),
        (a_read(), 403, dead, Why::DeadToken, Retry::Never),
        (Step::LookUp, 403, dead, Why::DeadToken, Retry::Never),
        (Step::LookUp, 403, "permission denied", Why::Denied, Retry::Never),
        (Step::LookUp, 403, by_policy, Why::NoLookUp, Retry::Never),
        (a_read(), 403, by_policy, Why::Denied, Retry::Never),
        (a_login(), 403, by_policy, Why::Denied, Retry::Never),
        (a_read(), 404, "namespace not found", Why::NoNamespace, Retry::Never),
        (a_login(), 404, "namespace not found", Why::NoNamespace, Retry::Never),
    ] {
        let body = format!("{{\"errors\":[{}]}}", serde_json::to_string(said).unwrap());
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let answered = Answered { status, said: flat, why, found: None, jwt: None };
        let fault = Fault { what: What::Answered(Box::new(answered)), retry, status: Some(status), request_id: None };
        assert_eq!(judged(&step, &answer(status, &body)), fault);
    }
}

#[test]
fn an_answer_to_a_request_with_its_login_is_about_one_of_the_two_or_neither() {
    use Judged::{Login, Neither, Request};
    let step = a_read();
    let denied = r#"{"errors":["permission denied"]}"#;
    let begins = |text: &str| format!(r#"{{"errors":["failed to perform inline authentication: {text}"]}}"#);
    let of = |status, body: &str, failed| {
        let mut answer = answer(status, body);
        answer.inline_failed = failed;
        let scrubber = Scrubber::default();
        let at = "https://leader.example:8200";
        of_inline(&Asked { step: &step, at, path: "secret-path", scrubber: &scrubber }, &answer)
    };
    for (status, body, expected) in [
        (200, "{}", Request),
        (200, "<html>", Request),
        (204, "", Request),
        (400, r#"{"errors":["missing client token"]}"#, Neither),
        (
            400,
            r#"{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable"]}"#,
            Request,
        ),
        (400, r#"{"errors":["cannot write to readonly storage"]}"#, Request),
        (401, denied, Neither),
        (403, denied, Neither),
        (403, "", Neither),
        (403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#, Request),
        (403, r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#, Neither),
        (403, &begins("permission denied"), Login),
        (404, r#"{"errors":[]}"#, Request),
        (405, "", Neither),
        (408, "", Request),
        (412, "", Request),
        (429, r#"{"errors":[]}"#, Request),
        (431, "", Neither),
        (500, r#"{"errors":["internal error"]}"#, Neither),
        (500, &begins("missing role_id"), Login),
        (500, &begins("cannot layer inline authentication with token authentication"), Neither),
        (501, "", Neither),
        (502, "<html>", Request),
        (503, denied, Request),
        (504, "", Request),
        (505, "", Neither),
        // To the same path, as a node sends on that does not lead; and elsewhere.
        (307, "", Request),
        (302, "", Neither),
    ] {
        assert_eq!(of(status, body, false), expected, "{status} {body}");
        // The header says that it is the login, whatever stands beside it; it comes with no good answer.
        let with_header = if matches!(status, 200 | 204) { Request } else { Login };
        let layered = body.contains("cannot layer");
        assert_eq!(of(status, body, true), if layered { Neither } else { with_header }, "{status} {body}");
    }
}

#[test]
fn a_login_that_came_along_is_told_as_any_other() {
    let begins = |text: &str| format!(r#"{{"errors":["failed to perform inline authentication: {text}"]}}"#);
    let told = |status, text: &str| judged(&a_login(), &answer(status, &begins(text)));
    let alone = judged(&a_login(), &answer(403, r#"{"errors":["permission denied"]}"#));
    assert_eq!(told(403, "permission denied"), alone);
    assert_eq!(told(500, "inline auth namespace was not found").kind(), ErrorKind::Rejected);
    let mfa = "unable to perform inline authentication with login MFA; use the X-Vault-MFA header";
    let mfa = told(500, mfa);
    assert_eq!((mfa.what, mfa.retry), (What::WithoutToken, Retry::Never));
}

#[test]
fn the_kind_of_an_answer_is_that_of_what_it_comes_to() {
    use ErrorKind::{Conflict, Denied, NotReady, NotVault, RateLimited, Rejected};
    for (why, kind) in [
        (Why::Upgrading, NotReady),
        (Why::Behind, NotReady),
        (Why::RateLimited, RateLimited),
        (Why::NamespaceSealed, NotReady),
        (Why::NamespaceLocked, NotReady),
        (Why::NotReady, NotReady),
        (Why::Denied, Denied),
        (Why::Unexplained, Denied),
        (Why::DeadToken, Denied),
        (Why::NoLookUp, Denied),
        (Why::NoServiceAccount, Denied),
        (Why::Unconfigured, Rejected),
        (Why::OtherMethod, Rejected),
        (Why::NoNamespace, Rejected),
        (Why::TooLong, Rejected),
        (Why::TooLarge, Rejected),
        (Why::OtherVersion, Conflict),
        (Why::Malformed, Rejected),
        (Why::Refused, Rejected),
        (Why::NeedsTls, NotVault),
        (Why::Unexpected, NotVault),
    ] {
        let answered = Answered { status: 400, said: String::new(), why, found: None, jwt: None };
        assert_eq!(What::Answered(Box::new(answered)).kind(), kind, "{why:?}");
    }
}

#[test]
fn a_redirect_is_told_by_where_it_leads() {
    let read = "/v1/kv/data/shop/prod";
    let (standby, https) = (Onward::ToTheLeader, Onward::ToHttps);
    let (moved, login) = (Onward::Moved, Onward::Elsewhere);
    for (step, status, location, code, onward) in [
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
        let fault = judged(&step, &redirect);
        let What::Redirected { onward: found, .. } = fault.what else { panic!("{location}: {fault}") };
        assert_eq!((fault.kind(), found), (code, onward), "{location}");
        assert_eq!(fault.retry, if code == ErrorKind::NotReady { Retry::Soon } else { Retry::Never }, "{location}");
    }
}

#[test]
fn what_is_vaults_and_no_version_of_a_secret_is_told_as_what_it_is() {
    let shape = || json::Malformed::Shape { member: "data".into(), expected: "an object" };
    let version_1 = "the read of kv/shop/prod gave data without a version, as a KV version 1 mount does";
    let wrapped = "the read of kv/shop/prod was answered with a wrapped token instead";
    let wrapped_login = "the login at auth/kubernetes with role shop was answered with a wrapped token instead";
    for (step, body, what, told) in [
        (a_read(), r#"{"request_id":"x","lease_duration":2764800,"data":{"A":"b"}}"#, What::Version1, version_1),
        (
            a_read(),
            r#"{"request_id":"x","lease_duration":2764800,"data":{"data":{"A":"b"}}}"#,
            What::Version1,
            version_1,
        ),
        (
            a_read(),
            r#"{"request_id":"x","data":{"data":null,"metadata":{"version":3}}}"#,
            What::Null { number: 3 },
            "kv/shop/prod version 3 holds nothing: null was written",
        ),
        (
            a_read(),
            r#"{"data":null,"wrap_info":{"token":"s.wrapped","creation_path":"kv/data/shop/prod"}}"#,
            What::Wrapped { control_group: false },
            wrapped,
        ),
        (
            a_read(),
            r#"{"data":null,"wrap_info":{"token":"s.wrapped","creation_path":"sys/control-group/request"}}"#,
            What::Wrapped { control_group: true },
            wrapped,
        ),
        (
            a_login(),
            r#"{"auth":null,"wrap_info":{"token":"s.wrapped","creation_path":"auth/kubernetes/login"}}"#,
            What::Wrapped { control_group: false },
            wrapped_login,
        ),
    ] {
        let scrubber = Scrubber::default();
        let asked = Asked { step: &step, at: "", path: "", scrubber: &scrubber };
        let fault = of_body(&asked, &answer(200, body), &shape());
        assert_eq!(fault.told(&step), told);
        assert_eq!(fault, Fault { what, retry: Retry::Never, status: Some(200), request_id: None });
        let hidden = if body.contains("s.wrapped") { "***" } else { "s.wrapped" };
        assert_eq!(scrubber.clean(&["s.wrapped"]), hidden);
    }
}

#[test]
fn a_time_that_is_none_is_left_out() {
    let gone = |time: &str| {
        let body = format!(r#"{{"data":{{"data":null,"metadata":{{"version":3,"deletion_time":"{time}"}}}}}}"#);
        judged(&a_read(), &answer(404, &body)).told(&a_read())
    };
    assert_eq!(gone("2026-01-02T03:04:05.5Z"), "kv/shop/prod version 3 was deleted at 2026-01-02T03:04:05.5Z");
    assert_eq!(gone("a-secret"), "kv/shop/prod version 3 was deleted");
}

#[test]
fn a_cause_is_told_of_its_step_or_alone() {
    let version_2 = || Step::Read { mount: "kv".into(), path: "shop".into(), version: Some(2), token: TokenOf::Login };
    let denied = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
    let destroyed = r#"{"data":{"data":null,"metadata":{"version":3,"destroyed":true}}}"#;
    for (step, status, body, told, alone) in [
        (
            a_read(),
            403,
            denied,
            "the read of kv/shop/prod was answered with 403: 1 error occurred: * permission denied",
            "answered with 403: 1 error occurred: * permission denied",
        ),
        (Step::Status, 503, "", "the status check was answered with 503", "answered with 503"),
        (a_read(), 404, destroyed, "kv/shop/prod version 3 was destroyed", "version 3 was destroyed"),
        (version_2(), 404, r#"{"errors":[]}"#, "no version 2 at kv/shop", "no version 2 there"),
        (a_read(), 404, r#"{"errors":["gone"]}"#, "nothing at kv/shop/prod (gone)", "nothing there (gone)"),
        (
            a_login(),
            302,
            "",
            "the login at auth/kubernetes with role shop was redirected to leader.example:8200 (302)",
            "redirected to leader.example:8200 (302)",
        ),
        (
            a_read(),
            404,
            "<html>",
            "the read of kv/shop/prod got an answer that is not Vault's (status 404, application/json, 6 bytes)",
            "an answer that is not Vault's (status 404, application/json, 6 bytes)",
        ),
    ] {
        let fault = judged(&step, &answer(status, body));
        assert_eq!((fault.told(&step).as_str(), fault.to_string().as_str()), (told, alone));
    }
}

fn no_answer(error: ureq::Error, way: Way) -> NoAnswer {
    NoAnswer { error, limit: Limit::Own, length: Duration::ZERO, way, sent: false }
}

#[test]
fn what_this_process_lacks_is_not_the_servers_fault() {
    let none = |errno: Errno| {
        let error = ureq::Error::Io(io::Error::from_raw_os_error(errno as i32));
        of_transport(&no_answer(error, Way::Network), &Scrubber::default()).kind()
    };
    assert_eq!([none(Errno::EMFILE), none(Errno::ECONNREFUSED)], [ErrorKind::System, ErrorKind::Unreachable]);
}

#[test]
fn the_way_to_the_server_is_told() {
    let unresolved = || Unresolved { host: "vault".into(), reason: "unknown".into() };
    for way in [Way::Network, Way::Proxy, Way::Socket] {
        let error = ureq::Error::Io(io::Error::other(unresolved()));
        let why = Unreachable::Unresolved { host: "vault".into(), reason: "unknown".into() };
        let fault = of_transport(&no_answer(error, way), &Scrubber::default());
        assert_eq!(fault, Fault::new(What::Unreachable { why, way }, Retry::Soon));
    }
}

#[test]
fn a_connect_to_a_unix_socket_fails_for_one_reason_each() {
    let other = "Protocol wrong type for socket (os error 91)";
    for (errno, why) in [
        (Errno::ENOENT, Unreachable::NoSocket),
        (Errno::ENOTDIR, Unreachable::NoSocket),
        (Errno::ECONNREFUSED, Unreachable::ConnectionRefused),
        (Errno::EACCES, Unreachable::NotPermitted),
        (Errno::EPROTOTYPE, Unreachable::Other(other.into())),
    ] {
        let error = ureq::Error::Io(io::Error::from_raw_os_error(errno as i32));
        let fault = of_transport(&no_answer(error, Way::Socket), &Scrubber::default());
        assert_eq!(fault, Fault::new(What::Unreachable { why, way: Way::Socket }, Retry::Soon), "{errno}");
    }
}

#[test]
fn a_body_cut_short_is_tried_again_only_where_the_connection_marked_its_end() {
    let cut = json::Malformed::Syntax { cut_short: true, line: 1, column: 9 };
    let scrubber = Scrubber::default();
    let asked = Asked { step: &a_read(), at: "", path: "", scrubber: &scrubber };
    let mut answer = answer(200, r#"{"data":"#);
    assert_eq!(of_body(&asked, &answer, &cut).retry, Retry::Never);
    answer.ends_with_connection = true;
    let fault = of_body(&asked, &answer, &cut);
    assert_eq!((fault.kind(), fault.retry), (ErrorKind::Unreachable, Retry::Soon));
}

#[test]
fn a_body_that_the_time_limit_leaves_unread_is_late_and_tried_again() {
    let scrubber = Scrubber::default();
    let asked = Asked { step: &a_read(), at: "", path: "", scrubber: &scrubber };
    let fault = of_body(&asked, &answer(200, "{}"), &json::Malformed::Interrupted);
    assert_eq!((fault.kind(), fault.retry), (ErrorKind::Unreachable, Retry::Soon));
    assert_eq!(fault.to_string(), "no complete answer within 1m");
}

#[test]
fn after_a_person_has_signed_in_a_refusal_that_nobody_knows_is_a_denial() {
    let fault = |status, said: &str, why| {
        let answered = Answered { status, said: said.into(), why, found: None, jwt: None };
        Fault { status: Some(status), ..Fault::new(What::Answered(Box::new(answered)), Retry::Never) }
    };
    let cancelled = || Fault::new(What::Cancelled, Retry::Soon);
    for (before, after) in [
        (fault(400, "no such words", Why::Refused), fault(400, "no such words", Why::Denied)),
        (fault(400, "", Why::Refused), fault(400, "", Why::Denied)),
        (fault(400, "missing role", Why::Refused), fault(400, "missing role", Why::Refused)),
        (fault(404, "no such words", Why::Refused), fault(404, "no such words", Why::Refused)),
        (fault(400, "no such words", Why::Malformed), fault(400, "no such words", Why::Malformed)),
        (cancelled(), cancelled()),
    ] {
        assert_eq!(of_person(before), after);
    }
}
