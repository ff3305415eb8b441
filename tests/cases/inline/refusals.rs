//! A login that came along and was refused is told, and tried again, as that login is.

use std::fs;

use serde_json::json;
use vault_testkit::jwt::{Jwt, Signer};
use vault_testkit::raw::{LOGIN, READ, Raw, Reply};

use super::{MODES, along, asked, error, reading, secret, started};
use crate::support::dry_run::timeless;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_refused_login_of_a_pod_is_told_as_that_login: "inline: a login of kubernetes that is refused, or cannot be judged now", Along, 75 | 77 | 78, Pauses;
    a_refused_login_with_a_jwt_is_told_with_its_claims: "inline: the same of jwt", Along, 75 | 77 | 78, Pauses;
    a_refused_login_with_a_secret_id_is_told_and_sent_once: "inline with `true`: the same of approle, which is sent once", Along, 77 | 78, AtOnce;
}

const JWT: &str = "auth/jwt/login";
const APPROLE: &str = "auth/approle/login";

/// How a server says that a login is refused: in a header, in the text, or in both.
const WAYS: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];

fn refusal(status: u16, text: &str, (in_header, in_text): (bool, bool)) -> Reply {
    let begin = if in_text { "failed to perform inline authentication: " } else { "" };
    let header = if in_header { "X-Vault-Inline-Auth-Failed: true\r\n" } else { "" };
    let body = json!({"errors": [format!("{begin}{text}")]}).to_string();
    Reply::with(status, &format!("Content-Type: application/json\r\n{header}"), body.as_bytes())
}

/// Code and lines, and how often the login was sent.
fn told(scenario: &Scenario, raw: &Raw, word: &str) -> (i32, Vec<String>, usize) {
    let outcome = scenario.run();
    let lines = outcome.log().iter().map(|line| timeless(line).replace(&raw.addr(), "ADDR")).collect();
    (outcome.code(), lines, asked(raw).split(' ').filter(|it| *it == word).count())
}

/// Holds that a refusal of a login that came along is what it is of an ordinary one, in each way to say it.
fn same(
    login: &'static str,
    modes: &[&str],
    status: u16,
    text: &str,
    with: impl Fn(Scenario<'static>) -> Scenario<'static>,
) -> usize {
    let raw = reading(vec![]);
    raw.script(login, vec![error(status, text)]);
    let wanted = told(&with(Scenario::against(&raw)), &raw, "login");
    for how in modes {
        for way in WAYS {
            let raw = reading(vec![refusal(status, text, way)]);
            let found = told(&with(along(&raw, how)), &raw, "inline");
            assert_eq!(found, wanted, "{how} {way:?} {}", asked(&raw));
            assert!(!asked(&raw).contains("login"), "{}", asked(&raw));
        }
    }
    wanted.2
}

const BOTH: [&str; 2] = ["auto", "true"];

fn a_refused_login_of_a_pod_is_told_as_that_login() {
    let as_it_is = |scenario| scenario;
    for (status, text, tries) in [
        (400, "invalid role name \"shop\"", 1),
        (403, "namespace not authorized", 1),
        // The cause can be one that passes: twice more.
        (403, "permission denied", 3),
        (404, "namespace not found", 1),
        (500, "could not load backend configuration", 1),
        (500, "local node not active but active cluster node not found", 4),
        (503, "Vault is sealed", 4),
    ] {
        assert_eq!(same(LOGIN, &BOTH, status, text, as_it_is), tries, "{text}");
    }
    let expired = |scenario: Scenario<'static>| scenario.jwt(&Jwt { expires_in: -60, ..Jwt::default() });
    assert_eq!(same(LOGIN, &BOTH, 403, "permission denied", expired), 1);
}

fn a_refused_login_with_a_jwt_is_told_with_its_claims() {
    let jwt = Signer::default().sign(&json!({"sub": "project:shop", "aud": "elsewhere"}));
    let with_jwt =
        |scenario: Scenario<'static>| scenario.env("VAULT_AUTH_METHOD", "jwt").env("VAULT_JWT", &jwt).hides(&jwt);
    for (status, text, tries) in [
        (400, "error validating token: invalid audience (aud) claim: audience claim does not match", 1),
        (400, "error validating claims: claim \"ref\" does not match any associated bound claim values", 1),
        (400, "role \"shop\" could not be found", 1),
        (400, "error validating token: fetching keys oidc: get keys failed: 500 Internal Server Error", 4),
        (403, "permission denied", 1),
    ] {
        assert_eq!(same(JWT, &BOTH, status, text, with_jwt), tries, "{text}");
    }
    let raw = reading(vec![refusal(400, "error validating token: no", (true, true))]);
    let (code, lines, _) = told(&with_jwt(along(&raw, "true")), &raw, "inline");
    let claims = "; the JWT: audience elsewhere, subject project:shop, ";
    assert!(code == 77 && lines[0].contains(claims), "{lines:#?}");
}

fn a_refused_login_with_a_secret_id_is_told_and_sent_once() {
    let with_secret_id = |scenario: Scenario<'static>| {
        let scenario = scenario.env("VAULT_AUTH_METHOD", "approle").hides("a-secret-id-0123");
        scenario.env("VAULT_APPROLE_ROLE_ID", "a-role-id").env("VAULT_APPROLE_SECRET_ID", "a-secret-id-0123")
    };
    for (status, text) in [
        (400, "invalid role or secret ID"),
        (400, "missing secret_id"),
        (403, "permission denied"),
        (500, "missing role_id"),
    ] {
        assert_eq!(same(APPROLE, &["true"], status, text, with_secret_id), 1, "{text}");
    }
    // Each request would spend a use of it.
    let raw = reading(vec![]);
    raw.script(APPROLE, vec![Reply::login(&json!({}))]);
    with_secret_id(along(&raw, "auto")).run().expect(started());
    assert_eq!(asked(&raw), "status login read revoke");
}

#[test]
fn a_login_that_needs_a_second_factor_is_told_as_one() {
    let text = "unable to perform inline authentication with login MFA; use the X-Vault-MFA header";
    let raw = reading(vec![refusal(500, text, (false, true))]);
    along(&raw, "true").run().expect_failure(
        77,
        "vault at {addr}: the login at auth/kubernetes with role shop was answered without a token, as one that needs MFA \
         is; take MFA off the role: a start-up has nobody to answer it",
    );
    assert_eq!(asked(&raw), "status inline");
}

#[test]
fn a_rate_limit_on_logins_is_waited_for() {
    for (how, status) in MODES {
        let raw = reading(vec![refusal(429, "rate limit quota exceeded", (true, false)), secret()]);
        let scenario = along(&raw, how);
        let outcome = scenario.run().expect(started().any_stderr());
        let log = outcome.log();
        assert!(log[0].starts_with("WARN  vault-exec: login: ") && log.len() == 2, "{log:#?}");
        assert_eq!(asked(&raw), format!("{status} inline inline"));
    }
}

#[test]
fn the_jwt_that_comes_along_is_read_anew_at_each_try() {
    let raw = reading(vec![error(503, "not now")]);
    let scenario = along(&raw, "true").env("VAULT_RETRY_DELAY", "300ms");
    let begun = scenario.start();
    raw.await_requests(2);
    fs::write(scenario.file("jwt"), Jwt { namespace: "rotated".to_owned(), ..Jwt::default() }.encode()).expect("a JWT");
    raw.await_requests(3);
    raw.script(READ, vec![secret()]);
    begun.finish().expect(started().any_stderr());
    let parameter = |head: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with("x-vault-inline-auth-parameter-1:"));
        line.expect("the JWT").to_owned()
    };
    let requests = raw.whole_requests();
    assert_ne!(parameter(&requests[1].head), parameter(&requests[2].head));
}

/// Each change between the two would begin the tries anew.
#[test]
fn a_server_that_refuses_now_the_login_and_now_the_read_is_given_up() {
    let replies = || {
        let pair = [error(503, "not now"), refusal(500, "not now either", (true, false))];
        pair.into_iter().cycle().take(100).collect()
    };
    for (how, _) in MODES {
        let raw = reading(replies());
        let (code, lines, count) = told(&along(&raw, how), &raw, "inline");
        assert_eq!(code, 75, "{lines:#?}");
        assert_eq!(count, 6, "{lines:#?}");
    }
}
