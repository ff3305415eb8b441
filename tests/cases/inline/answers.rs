//! What each answer to a read with its login along comes to, where it is not the login that was refused.

use serde_json::json;
use vault_testkit::raw::{LOGIN, Raw, Reply};

use super::{DONE, MODES, ORDINARY, along, asked, denied, error, reading, secret, started};
use crate::support::dry_run::timeless;
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_good_answer_without_a_version_is_told_as_of_any_read: "inline: a good answer that is no version of a secret", Read, 66 | 76 | 78, AtOnce;
    a_denied_read_is_told_as_of_any_read: "inline: no rule in the policy, or nothing there", Read, 66 | 77, AtOnce;
    what_passes_is_tried_again_with_the_login_along: "inline: 408, 412, 429, 502, 503, 504, a 307 to the same path, a cut, which pass", Read, 0, Pauses;
    what_stays_is_told_after_the_tries: "inline: the same, which stay", Read, 69 | 75, Pauses;
    a_500_costs_one_ordinary_login: "inline: 500 of a server that cannot serve the role so", Read, 0, AtOnce;
    a_server_that_takes_no_notice_gets_an_ordinary_login: "inline with `auto`: 400, 401, 403, 405, 431, a redirect, of a server that takes no notice of the login", Read, 0, AtOnce;
    a_server_that_has_to_take_it_and_does_not_is_an_error: "inline with `true`: the same", Read, 78, AtOnce;
    an_ordinary_login_that_is_refused_is_what_is_told: "inline with `auto`: the same, and the ordinary login is refused", Login, 77, AtOnce;
}

/// The last line of an ordinary run against a server that reads so.
fn ordinary(reply: &Reply) -> (i32, String) {
    let raw = reading(vec![reply.clone()]);
    last(&Scenario::against(&raw), &raw)
}

fn last(scenario: &Scenario, raw: &Raw) -> (i32, String) {
    let outcome = scenario.run();
    let line = outcome.log().last().map(|line| timeless(line)).unwrap_or_default();
    (outcome.code(), line.replace(&raw.addr(), "ADDR"))
}

#[test]
fn a_version_of_a_secret_is_all_that_is_wanted() {
    for (how, status) in MODES {
        let raw = reading(vec![]);
        along(&raw, how).run().expect(started().stderr([DONE]));
        assert_eq!(asked(&raw), format!("{status} inline"));
        assert_eq!(raw.connections(), 1);
    }
}

#[test]
fn the_headers_are_path_and_parameters_and_no_token_goes_with_them() {
    let raw = reading(vec![]);
    along(&raw, "true").env("VAULT_SECRET_VERSION", "7").env("VAULT_NAMESPACE", "team").run().expect(started());
    let requests = raw.whole_requests();
    assert_eq!(requests[1].line, "GET /v1/kv/data/shop/app?version=7");
    let names = requests[1].head.lines().filter_map(|line| line.split(':').next()).map(str::to_lowercase);
    let mut names: Vec<_> = names.filter(|name| name.starts_with("x-vault")).collect();
    names.sort();
    let wanted = [
        "x-vault-inline-auth-parameter-0",
        "x-vault-inline-auth-parameter-1",
        "x-vault-inline-auth-path",
        "x-vault-namespace",
        "x-vault-request",
    ];
    assert_eq!(names, wanted);
    assert!(requests[1].head.to_lowercase().contains("x-vault-inline-auth-path: auth/kubernetes/login\r\n"));
}

fn a_good_answer_without_a_version_is_told_as_of_any_read() {
    let metadata = json!({"version": 7, "created_time": "2026-01-02T03:04:05Z", "destroyed": false});
    for (reply, code) in [
        (Reply::json(200, &json!({"request_id": "1", "data": {"A": "a-raw-secret"}})), 78),
        (Reply::json(200, &json!({"data": {"data": null, "metadata": metadata}})), 66),
        (Reply::with(200, "Content-Type: text/html\r\n", b"<html>Sign in</html>"), 76),
        (Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), 76),
    ] {
        let wanted = ordinary(&reply);
        assert_eq!(wanted.0, code, "{wanted:?}");
        for (how, status) in MODES {
            let raw = reading(vec![reply.clone()]);
            assert_eq!(last(&along(&raw, how), &raw), wanted);
            assert_eq!(asked(&raw), format!("{status} inline"));
        }
    }
}

fn a_denied_read_is_told_as_of_any_read() {
    for (reply, code) in [
        (error(403, "1 error occurred:\n\t* permission denied\n\n"), 77),
        (Reply::json(404, &json!({"errors": []})), 66),
        (Reply::json(404, &json!({"data": {"data": null, "metadata": {"version": 3, "destroyed": true}}})), 66),
    ] {
        let wanted = ordinary(&reply);
        assert_eq!(wanted.0, code, "{wanted:?}");
        for (how, status) in MODES {
            let raw = reading(vec![reply.clone()]);
            assert_eq!(last(&along(&raw, how), &raw), wanted);
            assert_eq!(asked(&raw), format!("{status} inline"));
        }
    }
}

/// What a server answers with for a while, or for good.
fn at_length() -> Vec<Reply> {
    let cut = Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":".to_vec());
    let statuses = [408, 502, 503, 504].map(|status| error(status, "not now"));
    let others = [
        Reply::with(307, "Location: http://leader.example:8200/v1/kv/data/shop/app\r\n", b""),
        Reply::Last(Vec::new()),
        Reply::Reset(Vec::new()),
        cut,
    ];
    statuses.into_iter().chain(others).collect()
}

/// What it answers with for a moment: it is asked again soon.
fn for_a_moment() -> Vec<Reply> {
    vec![
        Reply::with(412, "", b""),
        Reply::json(429, &json!({"errors": []})),
        error(429, "request path \"kv/data/shop/app\": rate limit quota exceeded"),
        error(400, "Upgrading from non-versioned to versioned data. This backend will be unavailable for a moment."),
        error(400, "cannot write to readonly storage"),
    ]
}

fn what_passes_is_tried_again_with_the_login_along() {
    for reply in [at_length(), for_a_moment()].concat() {
        for (how, status) in MODES {
            let raw = reading(vec![reply.clone(), reply.clone(), secret()]);
            let scenario = along(&raw, how);
            let outcome = scenario.run().expect(started().any_stderr());
            let log = outcome.log();
            assert!(log[..2].iter().all(|line| line.starts_with("WARN  vault-exec: read: ")), "{log:#?}");
            assert_eq!(log.len(), 3, "{log:#?}");
            assert_eq!(asked(&raw), format!("{status} inline inline inline"));
        }
    }
}

fn what_stays_is_told_after_the_tries() {
    for reply in at_length() {
        let settings = |scenario: Scenario<'static>| scenario.env("VAULT_MAX_RETRIES", "1");
        let reads = |raw: &Raw, word: &str| asked(raw).split(' ').filter(|it| *it == word).count();
        let raw = reading(vec![reply.clone()]);
        let wanted = last(&settings(Scenario::against(&raw)), &raw);
        let count = reads(&raw, "read");
        for (how, _) in MODES {
            let raw = reading(vec![reply.clone()]);
            assert_eq!(last(&settings(along(&raw, how)), &raw), wanted);
            assert_eq!(reads(&raw, "inline"), count);
            assert_eq!(reads(&raw, "login"), 0);
        }
    }
}

fn a_500_costs_one_ordinary_login() {
    for text in [
        "internal error",
        "failed to perform inline authentication: cannot layer inline authentication with token authentication",
    ] {
        for (how, status) in MODES {
            let raw = reading(vec![error(500, text), secret()]);
            let warning = "WARN  vault-exec: VAULT_INLINE_AUTH has no effect: the server answered with 500, \
                           as it does where a role has token_num_uses; an ordinary login is made";
            let lines = Some(warning).filter(|_| how == "true").into_iter().chain([ORDINARY]);
            along(&raw, how).run().expect(started().stderr(lines));
            assert_eq!(asked(&raw), format!("{status} inline login read revoke"));
        }
    }
}

/// What servers answer with that take no notice of a login in headers, or something before them.
fn without_notice() -> Vec<(u16, Reply)> {
    vec![
        (403, denied()),
        (403, Reply::with(403, "", b"")),
        (403, Reply::with(403, "Content-Type: text/html\r\n", b"<html>no</html>")),
        (403, error(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")),
        (400, error(400, "missing client token")),
        (400, Reply::with(400, "Content-Type: text/plain\r\n", b"Request Header Or Cookie Too Large")),
        (401, error(401, "who is it?")),
        (405, Reply::with(405, "", b"")),
        (431, Reply::with(431, "", b"")),
        (501, error(501, "no")),
        (302, Reply::with(302, "Location: https://login.example/\r\n", b"")),
    ]
}

fn a_server_that_takes_no_notice_gets_an_ordinary_login() {
    for (status, reply) in without_notice() {
        let raw = reading(vec![reply, secret()]);
        let scenario = along(&raw, "auto").env("VAULT_LOG_LEVEL", "debug");
        let said = format!("DEBUG vault-exec: inline: the server answered with {status}; an ordinary login is made");
        scenario.run().expect(started().stderr([
            "DEBUG vault-exec: status: done in {any}",
            &said,
            "DEBUG vault-exec: login: done in {any}",
            "DEBUG vault-exec: read: done in {any}",
            "DEBUG vault-exec: A",
            ORDINARY,
        ]));
        assert_eq!(asked(&raw), "health inline login read revoke");
    }
}

fn a_server_that_has_to_take_it_and_does_not_is_an_error() {
    for (status, reply) in without_notice() {
        let raw = reading(vec![reply, secret()]);
        along(&raw, "true").run().expect_failure(
            78,
            &format!(
                "vault at {{addr}}: the login at auth/kubernetes with role shop: the server does not take it along with the \
                 read (answered with {status}); set VAULT_INLINE_AUTH to auto or false: it needs OpenBao from 2.4 on"
            ),
        );
        assert_eq!(asked(&raw), "status inline");
    }
}

fn an_ordinary_login_that_is_refused_is_what_is_told() {
    let raw = reading(vec![denied()]);
    raw.script(LOGIN, vec![error(403, "namespace not authorized")]);
    let scenario = along(&raw, "auto");
    let outcome = scenario.run();
    let line = "ERROR vault-exec: vault at {addr}: the login at auth/kubernetes with role shop was answered with 403: \
                namespace not authorized; {any}";
    outcome.expect(Expect::done().code(77).stderr([line]));
    assert_eq!(asked(&raw), "health inline login");
}
