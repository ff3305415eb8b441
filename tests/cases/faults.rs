//! Faults of the network and of what answers in Vault's place: the code, the sentence, how often it was asked, and how
//! long that took.

use std::time::Duration;

use serde_json::json;
use vault_testkit::raw::{LOGIN, READ, REVOKE, Raw, Reply, STATUS, TOKEN, whole};

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_connection_that_ends_too_early_is_tried_again: "the connection is closed or reset in the middle of the answer", Each, 69, Pauses;
    a_server_that_does_not_begin_is_given_its_time_limit_at_each_try: "no answer at all", Each, 69, Tries;
    a_server_that_does_not_end_is_given_its_time_limit_and_no_more: "an answer that hangs, or comes byte by byte: header, body, chunks, 1xx", Each, 69, Tries;
    nobody_listening_is_connection_refused: "nobody listens", Connect, 69, Pauses;
    a_status_that_may_pass_is_tried_again: "408, 500, 502, 503, 504", Each, 75, Pauses;
    what_does_not_speak_vault_is_not_asked_twice: "HTML, JSON that is cut or no object, another protocol, an encoding that was not asked for, headers without end, 1xx without end", Each, 76, AtOnce;
    a_body_without_end_is_cut_off: "a body without end, chunked or not", Each, 76, AtOnce;
    a_refusal_without_json_is_told_as_what_it_is: "400, 404, 405, 413, 431 in plain text or without a word", Read, 66 | 78, AtOnce;
    what_is_no_version_of_a_secret_is_told_as_what_it_is: "an answer of KV version 1, null in the place of the data, a wrapped token", Read, 66 | 77 | 78, AtOnce;
    answers_of_the_wrong_shape_name_the_member: "a member of the wrong type", Each, 76, AtOnce;
    a_token_is_revoked_whatever_else_is_wrong_with_the_login: "a login whose token comes with nonsense", Login, 76, AtOnce;
    a_login_that_needs_mfa_is_denied: "a login that needs MFA", Login, 77, AtOnce;
    a_redirect_is_told_and_its_target_is_never_asked: "3xx; the target gets no request", Each, 76, AtOnce;
    a_redirect_to_https_on_the_same_host_names_the_scheme: "3xx from http to https on the same host", Each, 76, AtOnce;
    a_fault_that_passes_is_a_warning_and_the_run_goes_on: "a fault that passes", Read, 0, Pauses;
    what_a_server_says_is_scrubbed_flattened_escaped_and_cut: "an error text with the token, control characters and bidirectional marks", Read, 77, AtOnce;
    a_revoke_that_fails_in_passing_is_tried_again: "a revoke that fails, and then does not", Revoke, 0, Revoke;
    a_revoke_that_fails_is_only_a_warning: "a revoke that fails", Revoke, 0, Revoke;
}

const UNREACHABLE: &str = "check VAULT_ADDR, and that the service is up and reachable from here";
const NOT_VAULT: &str = "check that VAULT_ADDR points at Vault itself and that no proxy answers in its place";
const JSON: &str = "Content-Type: application/json\r\n";

/// One further try.
fn scenario(raw: &Raw) -> Scenario<'static> {
    Scenario::against(raw).env("VAULT_MAX_RETRIES", "1")
}

/// The same with a short limit, which everything that does answer has to keep.
fn hurried(raw: &Raw) -> Scenario<'static> {
    scenario(raw).env("VAULT_TIMEOUT", "400ms")
}

/// The steps, each with what was asked before it and what has to be asked after it.
const STEPS: [(&str, &[&str], &[&str]); 3] = [
    (STATUS, &[], &[]),
    (LOGIN, &["GET sys/seal-status"], &[]),
    (READ, &["GET sys/seal-status", "POST auth/kubernetes/login"], &["POST auth/token/revoke-self"]),
];

/// What the error says of the step, where the fault itself does not.
fn during((path, ..): (&str, &[&str], &[&str])) -> &'static str {
    match path {
        STATUS => "",
        LOGIN => "the login at auth/kubernetes with role shop: ",
        _ => "the read of kv/shop/app: ",
    }
}

/// The same, but nothing for a message that leaves open how it begins.
fn said(step: (&str, &[&str], &[&str]), message: &str) -> &'static str {
    if message.starts_with("{any}") { "" } else { during(step) }
}

/// The requests of a run that fails in this step after so many tries.
fn requests((path, before, after): (&str, &[&str], &[&str]), tries: usize) -> Vec<String> {
    let method = if path == LOGIN { "POST" } else { "GET" };
    let asked = std::iter::repeat_n(format!("{method} {path}"), tries);
    let text = |it: &&str| (*it).to_owned();
    before.iter().map(text).chain(asked).chain(after.iter().map(text)).collect()
}

/// It fails in each step with this code after two tries, each of which is told.
fn transient(code: i32, cause: &str, remedy: &str, reply: &Reply, of: fn(&Raw) -> Scenario<'static>) {
    for step in STEPS {
        let raw = Raw::start([(step.0, vec![reply.clone()])]);
        let scenario = of(&raw);
        let outcome = scenario.run().expect(Expect::done().code(code).stderr([
            format!("WARN  vault-exec: {{any}}: {cause}; try 1 of 2, the next in 0ms"),
            format!("ERROR vault-exec: vault at {{addr}}: {}{cause}; {remedy} (2 tries in {{any}})", said(step, cause)),
        ]));
        assert_eq!(raw.requests(), requests(step, 2), "{cause}");
        assert!(outcome.elapsed < Duration::from_secs(3), "{cause}: {:?}", outcome.elapsed);
    }
}

/// It fails in each step with this code at once.
fn final_(code: i32, message: &str, reply: &Reply) {
    for step in STEPS {
        let raw = Raw::start([(step.0, vec![reply.clone()])]);
        scenario(&raw).run().expect_failure(code, &format!("vault at {{addr}}: {}{message}", said(step, message)));
        assert_eq!(raw.requests(), requests(step, 1), "{message}");
    }
}

fn a_connection_that_ends_too_early_is_tried_again() {
    let closed = "the connection was closed before the answer was complete";
    for reply in [
        Reply::Last(Vec::new()),
        Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":".to_vec()),
        Reply::Last(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"data\":\r\n".to_vec()),
        // Its end is the connection's, so only the JSON tells that it was cut.
        Reply::Last(b"HTTP/1.1 200 OK\r\n\r\n{\"data\":{\"data\":".to_vec()),
    ] {
        transient(69, closed, UNREACHABLE, &reply, scenario);
    }
    transient(69, "connection reset", UNREACHABLE, &Reply::Reset(Vec::new()), scenario);
}

const LATE: &str = "no complete answer within 400ms (VAULT_TIMEOUT)";

fn a_server_that_does_not_begin_is_given_its_time_limit_at_each_try() {
    transient(69, LATE, UNREACHABLE, &Reply::Hang(Vec::new()), hurried);
}

/// After its time limit, in each step.
fn is_given_up(reply: &Reply) {
    for step in STEPS {
        let raw = Raw::start([(step.0, vec![reply.clone()])]);
        let scenario = hurried(&raw).env("VAULT_MAX_RETRIES", "0");
        let outcome =
            scenario.run().expect_failure(69, &format!("vault at {{addr}}: {}{LATE}; {UNREACHABLE}", during(step)));
        assert_eq!(raw.requests(), requests(step, 1));
        assert!(outcome.elapsed < Duration::from_secs(2), "{:?}", outcome.elapsed);
    }
}

fn a_server_that_does_not_end_is_given_its_time_limit_and_no_more() {
    let head = || b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".to_vec();
    for reply in [
        Reply::Hang(head()),
        Reply::Drip(b"HTTP/1.1 200 OK\r\nX-Drip: ".to_vec(), vec![b'x'; 900]),
        Reply::Drip(head(), vec![b' '; 900]),
        Reply::Drip(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40)),
        Reply::Drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), b"1\r\n \r\n".repeat(200)),
    ] {
        is_given_up(&reply);
    }
}

#[test]
fn a_server_that_never_pauses_is_given_its_time_limit_and_no_more() {
    // ureq reads trailers without a limit.
    let trailers = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n".to_vec();
    let reply = Reply::Endless(trailers, b"A: b\r\n".repeat(10_000));
    is_given_up(&reply);
}

fn nobody_listening_is_connection_refused() {
    let raw = Raw::start([]);
    // Port 1 is nobody's.
    let outcome_of = scenario(&raw).at("http://127.0.0.1:1");
    outcome_of.run().expect(Expect::done().code(69).stderr([
        "WARN  vault-exec: status: connection refused; try 1 of 2, the next in 0ms".to_owned(),
        format!("ERROR vault-exec: vault at {{addr}}: connection refused; {UNREACHABLE} (2 tries in {{any}})"),
    ]));
    assert_eq!(raw.connections(), 0);
}

fn a_status_that_may_pass_is_tried_again() {
    for (status, remedy) in [
        (408, "look at the server's log: it may be starting, sealed or without a leader"),
        (500, "look at the server's log: it may be starting, sealed or without a leader"),
        (502, "the proxy in front of Vault got no answer from it: look there first"),
        (503, "look at the server's log: it may be starting, sealed or without a leader"),
        (504, "the proxy in front of Vault got no answer from it: look there first"),
    ] {
        let cause = format!("{{any}} was answered with {status}");
        let reply = Reply::with(status, "Content-Type: text/html\r\n", b"<html>a-raw-secret");
        transient(75, &cause, remedy, &reply, scenario);
    }
}

fn what_does_not_speak_vault_is_not_asked_twice() {
    let outline = |status: u16, kind: &str, bytes: usize, what: &str| {
        format!("{{any}}an answer that is not Vault's (status {status}, {kind}, {bytes} bytes){what}; {NOT_VAULT}")
    };
    let html = |status| Reply::with(status, "Content-Type: text/html\r\n", b"<html>a-raw-secret</html>");
    final_(76, &outline(200, "text/html", 25, ": no valid JSON (line 1, column 1)"), &html(200));
    for status in [400, 404, 405, 501] {
        final_(76, &outline(status, "text/html", 25, ""), &html(status));
    }
    let cut = ": JSON that ends too early (line 1, column 19)";
    let reply = Reply::with(200, JSON, b"{\"a-raw-secret\": [");
    final_(76, &outline(200, "application/json", 18, cut), &reply);
    let not_an_object = ": JSON that is not an object";
    final_(76, &outline(200, "application/json", 12, not_an_object), &Reply::json(200, &json!([true, false])));
    final_(76, &format!("an answer that is no valid HTTP; {NOT_VAULT}"), &Reply::Bytes(b"SSH-2.0-x\r\n\r\n".to_vec()));
    let encoded = Reply::with(200, &format!("{JSON}Content-Encoding: gzip\r\n"), b"\x1f\x8b\x08garbage");
    final_(76, &format!("an answer encoded as gzip; {NOT_VAULT}"), &encoded);
    let bomb = "X-Filler: ".to_owned() + &"x".repeat(300 << 10) + "\r\n";
    let too_long = format!("an answer with too many or too long headers; {NOT_VAULT}");
    final_(76, &too_long, &Reply::with(200, &bomb, b"{}"));
    final_(76, &too_long, &Reply::Endless(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()));
}

fn a_body_without_end_is_cut_off() {
    let large = format!("an answer of more than 8 MiB; {NOT_VAULT}");
    let blanks = vec![b' '; 0x10000];
    let chunk = [b"10000\r\n".as_slice(), &blanks, b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    final_(76, &large, &Reply::Endless(head, chunk));
    final_(76, &large, &Reply::Endless(b"HTTP/1.1 500 No\r\n\r\n".to_vec(), blanks));
}

/// A read that is answered so fails at once.
fn read_fails(reply: Reply, code: i32, message: &str) {
    let raw = Raw::start([(READ, vec![reply])]);
    scenario(&raw).run().expect_failure(code, &format!("vault at {{addr}}: {message}"));
    assert_eq!(raw.requests(), requests(STEPS[2], 1), "{message}");
}

fn a_refusal_without_json_is_told_as_what_it_is() {
    let hidden = "look for characters that cannot be seen in VAULT_PATH, VAULT_MOUNT_POINT and VAULT_ADDR";
    let absent = "nothing at kv/shop/app; check VAULT_PATH, VAULT_SECRET_VERSION and VAULT_NAMESPACE, and that \
                  VAULT_MOUNT_POINT is a KV version 2 mount";
    let long = "the request is longer than Vault, or a proxy before it, takes: look at its limits, and at how long the \
                token or JWT, VAULT_PATH and VAULT_NAMESPACE are";
    for (status, body, code, remedy) in [
        (400, "", 78, hidden),
        (400, "400 Bad Request", 78, hidden),
        (404, "", 66, absent),
        (405, "", 78, "set VAULT_MOUNT_POINT to a KV version 2 mount"),
        (413, "", 78, long),
        (431, "431 Request Header Fields Too Large", 78, long),
    ] {
        let plain = Reply::with(status, "Content-Type: text/plain; charset=utf-8\r\n", body.as_bytes());
        let subject = format!("the read of kv/shop/app was answered with {status}; ");
        let subject = if status == 404 { "" } else { &subject };
        read_fails(plain, code, &format!("{subject}{remedy}"));
    }
}

fn what_is_no_version_of_a_secret_is_told_as_what_it_is() {
    let kv_1 = "the read of kv/shop/app gave data without a version, as a KV version 1 mount does; \
                set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one";
    let wrapped = |path: &str| json!({"data": null, "wrap_info": {"token": "hvs.a-raw-secret", "creation_path": path}});
    for (body, code, message) in [
        (json!({"request_id": "x", "data": {"A": "a-raw-secret"}}), 78, kv_1),
        (json!({"request_id": "x", "data": {"data": {"A": "a-raw-secret"}}}), 78, kv_1),
        (
            json!({"data": {"data": null, "metadata": {"version": 3}}}),
            66,
            "kv/shop/app version 3 holds nothing: null was written; \
             write a new version, or pin another one with VAULT_SECRET_VERSION",
        ),
        (
            wrapped(READ),
            77,
            "the read of kv/shop/app was answered with a wrapped token instead; take the control group off this path, \
             or X-Vault-Wrap-TTL out of the proxy in between: nobody unwraps it here",
        ),
        (
            wrapped("sys/control-group/request"),
            77,
            "the read of kv/shop/app was answered with a wrapped token instead; a control group wants each request \
             approved, which a start-up cannot wait for: take it off this path",
        ),
    ] {
        read_fails(Reply::json(200, &body), code, message);
    }
}

fn answers_of_the_wrong_shape_name_the_member() {
    let auth = |auth| json!({"auth": auth});
    for (step, body, member) in [
        (STEPS[0], json!({}), "initialized is not a boolean"),
        (STEPS[0], json!({"initialized": "yes", "sealed": false}), "initialized is not a boolean"),
        (STEPS[0], json!({"initialized": true, "sealed": null}), "sealed is not a boolean"),
        (STEPS[1], auth(json!(null)), "auth is not an object"),
        (STEPS[1], auth(json!([])), "auth is not an object"),
        (STEPS[1], auth(json!({"client_token": 5})), "client_token is not a string"),
        (STEPS[2], json!({"data": null}), "data is not an object"),
        (STEPS[2], json!({"data": {"data": null}}), "data.data is not an object"),
        (STEPS[2], json!({"data": {"data": ["a-raw-secret"]}}), "data.data is not an object"),
        (STEPS[2], json!({"data": {"data": {}}}), "data.metadata is not an object"),
        (STEPS[2], json!({"data": {"data": {}, "metadata": {"version": -1}}}), "version is not a whole number"),
    ] {
        let raw = Raw::start([(step.0, vec![Reply::json(200, &body)])]);
        let message = format!(
            "vault at {{addr}}: {}an answer that is not Vault's (status 200, application/json, {} bytes): \
             JSON in which {member}; {NOT_VAULT}",
            during(step),
            body.to_string().len()
        );
        scenario(&raw).run().expect_failure(76, &message);
        assert_eq!(raw.requests(), requests(step, 1), "{member}");
    }
}

fn a_token_is_revoked_whatever_else_is_wrong_with_the_login() {
    for wrong in [json!({"token_type": 5}), json!({"num_uses": "many"}), json!({"lease_duration": -1})] {
        let raw = Raw::start([(LOGIN, vec![Reply::login(&wrong)])]);
        scenario(&raw).run().expect_failure(76, &format!("{{any}}JSON in which {{any}}; {NOT_VAULT}"));
        raw.expect_requests(["GET sys/seal-status", "POST auth/kubernetes/login", "POST auth/token/revoke-self"]);
    }
}

fn a_login_that_needs_mfa_is_denied() {
    let mfa = json!({"client_token": "", "mfa_requirement": {"mfa_request_id": "x"}});
    let raw = Raw::start([(LOGIN, vec![Reply::login(&mfa)])]);
    scenario(&raw).run().expect_failure(
        77,
        "vault at {addr}: the login at auth/kubernetes with role shop was answered without a token, as one that needs MFA is; \
         take MFA off the role: a start-up has nobody to answer it",
    );
    raw.expect_requests(["GET sys/seal-status", "POST auth/kubernetes/login"]);
}

fn a_redirect_is_told_and_its_target_is_never_asked() {
    let target = Raw::start([]);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: http://me:a-raw-secret@127.0.0.1:{}/v1/a-raw-secret\r\n", target.port());
        let message = format!(
            "{{any}} was redirected to 127.0.0.1:{} ({status}); \
             redirects are not followed; a login page or a proxy stands there: point VAULT_ADDR at Vault itself",
            target.port()
        );
        final_(76, &message, &Reply::with(status, &location, b""));
    }
    assert_eq!(target.connections(), 0);
}

fn a_redirect_to_https_on_the_same_host_names_the_scheme() {
    for status in [301, 307, 308] {
        let message = format!(
            "{{any}} was redirected to https on the same host ({status}); \
             redirects are not followed; write https:// in VAULT_ADDR"
        );
        final_(76, &message, &Reply::with(status, "Location: https://127.0.0.1/v1/sys/seal-status\r\n", b""));
    }
}

fn a_fault_that_passes_is_a_warning_and_the_run_goes_on() {
    let again = |step: &'static str, good: Reply| {
        let bad = Reply::json(502, &json!({"errors": []}));
        let raw = Raw::start([(step, vec![bad, Reply::Last(Vec::new()), good])]);
        Scenario::against(&raw).run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
            "WARN  vault-exec: {any} was answered with 502; try 1 of 4, the next in 0ms",
            "WARN  vault-exec: {any}: the connection was closed before the answer was complete; \
             try 2 of 4, the next in 0ms",
            "INFO  vault-exec: 1 variable from kv/shop/app version 7 of 2026-01-02T03:04:05.678Z; {any}; token revoked",
        ]));
        assert_eq!(raw.requests().len(), 6);
    };
    again(STATUS, Reply::json(200, &json!({"initialized": true, "sealed": false})));
    again(LOGIN, Reply::login(&json!({})));
    again(READ, Reply::secret(r#"{"A":"a-raw-secret"}"#));
}

fn what_a_server_says_is_scrubbed_flattened_escaped_and_cut() {
    let jwt = vault_testkit::jwt::Jwt::default().encode();
    let payload = jwt.split('.').nth(1).expect("a JWT").to_owned();
    let texts = json!([format!("no\n\t* {TOKEN} {payload}\u{1b}[31m\u{202e}"), "x".repeat(400)]);
    let raw = Raw::start([(READ, vec![Reply::json(403, &json!({"errors": texts}))])]);
    let outcome_of = scenario(&raw).jwt_text(&jwt).hides(&payload);
    let outcome = outcome_of.run().expect_failure(
        77,
        "vault at {addr}: the read of kv/shop/app was answered with 403: \
         no * *** ***\\u{1b}[31m\\u{202e}, xxxxxxxx{any}…; check {any}",
    );
    assert_eq!(outcome.stderr.matches('x').count() / 10, 28, "{}", outcome.stderr);
}

fn a_revoke_that_fails_is_only_a_warning() {
    let of_the_revoke = "the revoke of the login's token was answered with";
    for (reply, may_pass, cause) in [
        (Reply::json(500, &json!({"errors": ["no"]})), true, &*format!("{of_the_revoke} 500: no")),
        (Reply::Last(Vec::new()), true, "the connection was closed before the answer was complete"),
        (Reply::Bytes(whole(403, JSON, b"{}")), false, &*format!("{of_the_revoke} 403")),
        (
            Reply::with(200, "Content-Type: text/html\r\n", b"<html>"),
            false,
            "an answer that is not Vault's (status 200, text/html, 6 bytes): {any}",
        ),
    ] {
        let raw = Raw::start([(REVOKE, vec![reply])]);
        scenario(&raw).run().expect(Expect::started().env([("A", "a-raw-secret")]).stderr([
            format!("WARN  vault-exec: revoke: {cause}; the token stays valid for 1m"),
            "INFO  vault-exec: 1 variable {any}; token not revoked (the revoke failed)".to_owned(),
        ]));
        let tries = raw.requests().len() - 3;
        assert_eq!(tries > 1, may_pass, "{tries} tries: {cause}");
    }
}

fn a_revoke_that_fails_in_passing_is_tried_again() {
    for bad in [Reply::with(429, "Retry-After: 1\r\n", b"{\"errors\":[]}"), Reply::Last(Vec::new())] {
        let raw = Raw::start([(REVOKE, vec![bad, Reply::Bytes(whole(204, "", b""))])]);
        scenario(&raw).run().expect(Expect::started().env([("A", "a-raw-secret")]));
        assert_eq!(raw.requests().len(), 5);
    }
}
