//! Signals and time limits in each new step: the look-up of a wrapping token, its unwrapping, and each method's login.

use std::time::Duration;

use nix::sys::signal::Signal::SIGTERM;
use serde_json::json;
use vault_testkit::certs::certs;
use vault_testkit::raw::{Gate, Raw, Reply};
use vault_testkit::tls_front;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_signal_ends_the_use_of_a_wrapping_token: "a signal in the look-up or the unwrapping of a wrapping token", Unwrap, 143, AtOnce;
    a_signal_ends_each_login: "a signal in a login by AppRole, JWT or certificate", Login, 143, AtOnce;
    a_wrapped_token_that_comes_with_a_signal_is_revoked: "a signal right before a wrapped token comes; it is revoked", Unwrap, 143, AtOnce;
    a_token_that_comes_with_a_signal_is_revoked: "a signal right before the token of such a login comes; it is revoked", Login, 143, AtOnce;
    the_use_of_a_wrapping_token_has_the_limit_of_a_request: "the look-up or the unwrapping of a wrapping token hangs", Unwrap, 69, Tries;
    each_login_has_the_limit_of_a_request: "a login by AppRole, JWT or certificate hangs", Login, 69, Tries;
    the_use_of_a_wrapping_token_has_the_limit_of_everything: "the use of a wrapping token hangs, and the start-up has no time left", Unwrap, 69, Budget;
    each_login_has_the_limit_of_everything: "such a login hangs, and the start-up has no time left", Login, 69, Budget;
}

/// Far less than anything else that could end these runs, and enough for a machine that is busy.
const SOON: Duration = Duration::from_secs(1);

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjaSIsImV4cCI6NDEwMjQ0NDgwMH0.c2lnbmF0dXJl";
const LOOK_UP: &str = "sys/wrapping/lookup";
const UNWRAP: &str = "sys/wrapping/unwrap";

/// A step, the settings that lead there, and how many requests come before it.
struct Way {
    path: &'static str,
    named: &'static str,
    env: &'static [(&'static str, &'static str)],
    before: usize,
}

const APPROLE: &[(&str, &str)] =
    &[("VAULT_APPROLE_ROLE_ID", "a-role-id-0123"), ("VAULT_APPROLE_SECRET_ID", "a-secret-id-0123")];
const WRAPPED: &[(&str, &str)] = &[("VAULT_TOKEN", "hvs.wrapping-0123456789"), ("VAULT_UNWRAP", "true")];

const WRAPPING: [Way; 2] = [
    Way { path: LOOK_UP, named: "wrapping", env: WRAPPED, before: 1 },
    Way { path: UNWRAP, named: "unwrap", env: WRAPPED, before: 2 },
];

const LOGINS: [Way; 3] = [
    Way { path: "auth/approle/login", named: "login", env: APPROLE, before: 1 },
    Way { path: "auth/jwt/login", named: "login", env: &[("VAULT_JWT", JWT)], before: 1 },
    Way { path: "auth/cert/login", named: "login", env: &[("VAULT_AUTH_METHOD", "cert")], before: 1 },
];

impl Way {
    /// A server that answers the step so, and a scenario that comes there.
    fn scripted(&self, reply: Reply) -> (Raw, Scenario<'static>) {
        let data =
            json!({"creation_path": "auth/token/create", "creation_time": "2026-01-02T03:04:05Z", "creation_ttl": 60});
        let raw = Raw::start([(LOOK_UP, vec![Reply::json(200, &json!({"data": data}))])]);
        raw.script(self.path, vec![reply]);
        let mut scenario = Scenario::against(&raw).unset("VAULT_K8S_TOKEN_PATH");
        for (name, value) in self.env {
            let is_secret = *name != "VAULT_UNWRAP" && *name != "VAULT_AUTH_METHOD";
            scenario = if is_secret { scenario.hides(value) } else { scenario }.env(name, value);
        }
        if self.path == "auth/cert/login" {
            let client = &certs().client;
            scenario = scenario.at(&tls_front::before(raw.port())).env("VAULT_CACERT", &certs().ca.certificate_file);
            scenario = scenario.env("VAULT_CLIENT_CERT", &client.certificate_file);
            scenario = scenario.env("VAULT_CLIENT_KEY", &client.key_file);
        }
        (raw, scenario)
    }
}

fn ended() -> Expect {
    Expect::done().code(143).stderr(["ERROR vault-exec: SIGTERM: ended by it during start-up"])
}

fn a_signal_ends_the_use_of_a_wrapping_token() {
    WRAPPING.iter().for_each(signalled);
}

fn a_signal_ends_each_login() {
    LOGINS.iter().for_each(signalled);
}

fn signalled(way: &Way) {
    let (raw, scenario) = way.scripted(Reply::Hang(Vec::new()));
    let mut started = scenario.start();
    raw.await_requests(way.before + 1);
    started.signal(SIGTERM);
    let outcome = started.finish();
    assert!(outcome.after_signal < SOON, "{}: {:?}", way.path, outcome.after_signal);
    outcome.expect(ended());
    assert_eq!(raw.requests().len(), way.before + 1, "{:?}", raw.requests());
}

fn a_wrapped_token_that_comes_with_a_signal_is_revoked() {
    signalled_at_the_end(&WRAPPING[1]);
}

fn a_token_that_comes_with_a_signal_is_revoked() {
    LOGINS.iter().for_each(signalled_at_the_end);
}

fn signalled_at_the_end(way: &Way) {
    let gate = Gate::default();
    let (raw, scenario) = way.scripted(Reply::login(&json!({})).held(&gate));
    let started = scenario.start();
    raw.await_requests(way.before + 1);
    gate.open_after(started.pid(), SIGTERM);
    started.finish().expect(ended());
    assert_eq!(raw.requests().last().map(String::as_str), Some("POST auth/token/revoke-self"), "{}", way.path);
}

fn the_use_of_a_wrapping_token_has_the_limit_of_a_request() {
    WRAPPING.iter().for_each(late);
}

fn each_login_has_the_limit_of_a_request() {
    LOGINS.iter().for_each(late);
}

fn late(way: &Way) {
    let (raw, scenario) = way.scripted(Reply::Hang(Vec::new()));
    let scenario = scenario.env("VAULT_TIMEOUT", "300ms").env("VAULT_MAX_RETRIES", "1");
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 69, "{}", outcome.describe());
    let error = outcome.log().last().copied().unwrap_or_default().to_owned();
    assert!(error.contains("no complete answer within 300ms (VAULT_TIMEOUT); "), "{error}");
    // What may have been done is not sent again.
    let tries = if way.path == UNWRAP { 1 } else { 2 };
    assert_eq!(raw.requests().len(), way.before + tries, "{:?}", raw.requests());
    let again = format!("WARN  vault-exec: {}: no complete answer within 300ms (VAULT_TIMEOUT); try 1 of 2", way.named);
    let warnings = outcome.log().iter().filter(|line| line.starts_with(&again)).count();
    assert_eq!(warnings, tries - 1, "{}", outcome.describe());
}

fn the_use_of_a_wrapping_token_has_the_limit_of_everything() {
    WRAPPING.iter().for_each(out_of_time);
}

fn each_login_has_the_limit_of_everything() {
    LOGINS.iter().for_each(out_of_time);
}

fn out_of_time(way: &Way) {
    let (raw, scenario) = way.scripted(Reply::Hang(Vec::new()));
    let scenario = scenario.env("VAULT_STARTUP_TIMEOUT", "700ms");
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 69, "{}", outcome.describe());
    let error = outcome.log().last().copied().unwrap_or_default().to_owned();
    assert!(error.contains("ms left of VAULT_STARTUP_TIMEOUT; "), "{error}");
    assert_eq!(raw.requests().len(), way.before + 1, "{:?}", raw.requests());
}
