//! A person's login: in the start of an application, in a dry run, at a terminal, and its end.

mod faults;
mod secrets;
mod steps;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use nix::pty::openpty;
use serde_json::json;
use vault_testkit::browser::browse;
use vault_testkit::openid::{OpenIdProvider, Settings};
use vault_testkit::server::{CallbackMode, Kind, Server, on};

use super::done;
use crate::support::dry_run::assert_says;
use crate::support::expect::Expect;
use crate::support::fault_table::Fault;
use crate::support::scenario::{PROGRAM, Scenario};

/// The rows of all of them.
pub(super) const FAULTS: [&[Fault]; 2] = [faults::FAULTS, steps::FAULTS];

/// What the server is asked where the browser comes back here.
const ASKED: [&str; 3] = ["update auth/{name}/oidc/auth_url", "read auth/{name}/oidc/callback", "read kv/data/{path}"];

/// A secret, and a person who may read it.
fn scenario<'a>(server: &'a Server, provider: &OpenIdProvider, mode: CallbackMode) -> Scenario<'a> {
    Scenario::new(server).secret(&json!({"A": "a-secret"})).oidc(provider, mode, &json!({}))
}

/// The same, where there is a provider.
fn at_desk<'a>(server: &'a Server, mode: CallbackMode, body: impl FnOnce(Scenario<'a>, &OpenIdProvider)) {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    body(scenario(server, &provider, mode), &provider);
}

/// The same as a test of its own.
fn test_at_desk(name: &str, body: impl FnOnce(Scenario, &OpenIdProvider)) {
    on(Kind::OpenBao, name, |server| at_desk(server, CallbackMode::Client, body));
}

/// The line before the URL.
fn open_this() -> String {
    "Open this URL in a browser for the login at auth/{name}:".to_owned()
}

/// A start in which a person was asked; the token is kept.
fn started() -> Expect {
    let [last] = done("not revoked (it is cached for the next start)");
    Expect::started().env([("A", "a-secret")]).stderr([open_this(), "http{any}".to_owned(), last]).token_left()
}

/// A start with a token that was kept.
fn started_again() -> Expect {
    let [last] = done("not revoked (it is cached for the next start)");
    Expect::started().env([("A", "a-secret")]).stderr([last])
}

/// A line of the log that names the login.
fn line(level: &str, rest: &str) -> String {
    format!("{level:5} vault-exec: vault at {{addr}}: the login at auth/{{name}} with role r{rest}")
}

/// Alice signs in.
fn log_in(scenario: &Scenario) {
    let started = scenario.start();
    started.sign_in("alice");
    started.finish().expect(self::started());
}

#[test]
fn an_application_starts_with_what_its_person_may_read_and_the_next_start_asks_nobody() {
    test_at_desk("an_application_starts_with_what_its_person_may_read", |scenario, _| {
        let started = scenario.start();
        let page = started.sign_in("alice").page.expect("a page");
        assert!(page.0 == 200 && page.1.contains("<h1>You are logged in</h1>"), "{page:?}");
        started.finish().expect(self::started()).expect_requests(ASKED);
        let token = scenario.kept_token();
        scenario.run().expect(started_again()).expect_requests([ASKED[0], ASKED[1], ASKED[2], ASKED[2]]);
        assert_eq!((scenario.kept_token(), scenario.cached().len()), (token, 1));
    });
}

#[test]
fn a_device_and_the_servers_own_page_log_in_a_person_whose_browser_is_elsewhere() {
    on(Kind::OpenBao, "a_device_and_the_servers_own_page", |server| {
        at_desk(server, CallbackMode::Device, |scenario, _| {
            let started = scenario.start();
            started.sign_in("bob");
            let [last] = done("not revoked (it is cached for the next start)");
            let lines = [open_this(), "http{any}".to_owned(), last];
            let expected = Expect::started().env([("A", "a-secret")]).stderr(lines).token_left();
            started.finish().expect(expected);
            scenario.run().expect(started_again());
        });
        let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"}));
        let callback = server.direct_callback("", &scenario.name);
        let settings = Settings { redirect_uris: &[&callback], ..Settings::default() };
        let Some(provider) = OpenIdProvider::start(settings) else { return };
        let scenario = scenario.oidc(&provider, CallbackMode::Direct, &json!({}));
        log_in(&scenario);
    });
}

#[test]
fn a_cached_token_that_was_revoked_is_replaced_in_the_same_start() {
    test_at_desk("a_cached_token_that_was_revoked", |scenario, _| {
        log_in(&scenario);
        let server = Server::shared(Kind::OpenBao).expect("the scenario's");
        server.must("POST", &format!("sys/leases/revoke-prefix/auth/{}", scenario.name), &json!({}));
        log_in(&scenario);
        assert_eq!((server.live_tokens("", &scenario.name), scenario.cached().len()), (1, 1));
    });
}

#[test]
fn a_token_of_less_than_an_hour_is_revoked_at_the_end() {
    on(Kind::OpenBao, "a_token_of_less_than_an_hour", |server| {
        let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
        let short = json!({"token_ttl": "30m"});
        let scenario =
            Scenario::new(server).secret(&json!({"A": "a-secret"})).oidc(&provider, CallbackMode::Client, &short);
        let started = scenario.start();
        started.sign_in("alice");
        let [last] = done("revoked");
        let lines = [open_this(), "http{any}".to_owned(), last];
        started.finish().expect(Expect::started().env([("A", "a-secret")]).stderr(lines));
        assert_eq!(scenario.cached(), Vec::<String>::new());
    });
}

#[test]
fn a_check_asks_nobody_and_uses_what_is_cached() {
    test_at_desk("a_check_asks_nobody", |scenario, provider| {
        let check = scenario.options(["--check"]);
        let outcome = check.run();
        assert_says(&outcome.stdout, "no token is cached, and a check asks nobody");
        assert_eq!((outcome.requests().len(), provider.hits("/auth")), (0, 0));
        let scenario = check.only([]);
        log_in(&scenario);
        let check = scenario.options(["--check"]);
        let outcome = check.run().expect(Expect::done().any_stdout());
        assert_says(&outcome.stdout, "one is cached for ");
        assert_eq!(check.cached().len(), 1);
    });
}

/// Logs out, which says this, and returns the scenario of a start.
fn log_out<'a>(scenario: Scenario<'a>, line: &str, expected: fn(Expect) -> Expect) -> Scenario<'a> {
    let scenario = scenario.no_command().options(["--logout"]);
    scenario.run().expect(expected(Expect::done().stderr([line.to_owned()])));
    assert_eq!(scenario.cached(), Vec::<String>::new());
    scenario.only([]).args::<&str>([])
}

#[test]
fn a_logout_ends_the_login_of_the_settings_or_all_of_them_and_none_is_fine() {
    test_at_desk("a_logout_ends_the_login_of_the_settings", |scenario, _| {
        let none = line("INFO", ": no token is cached");
        let scenario = log_out(scenario, &none, |it| it);
        log_in(&scenario);
        let revoked = line("INFO", ": the cached token is revoked");
        let scenario = log_out(scenario, &revoked, Expect::token_gone);
        log_in(&scenario);
        let all = scenario.unset("VAULT_ADDR");
        let all = log_out(all, &revoked, Expect::token_gone);
        log_out(all, "INFO  vault-exec: no token is cached in {folder}/.cache/vault-client", |it| it);
    });
}

#[test]
fn at_a_terminal_a_person_is_asked_where_there_is_nothing_else_to_log_in_with() {
    test_at_desk("at_a_terminal_a_person_is_asked", |scenario, _| {
        let scenario = scenario.unset("VAULT_AUTH_METHOD").env("VAULT_K8S_TOKEN_PATH", "/nowhere/token");
        let pty = openpty(None, None).expect("a terminal");
        let mut command = Command::new(PROGRAM);
        command.arg("/usr/bin/env").env_clear().envs(scenario.given_env());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(pty.slave);
        let mut child = command.spawn().expect("the program starts");
        drop(command);
        let lines = BufReader::new(File::from(pty.master)).lines();
        let url = lines.map_while(Result::ok).find(|line| line.starts_with("http")).expect("a URL");
        browse(url.trim(), "alice", None);
        let mut stdout = String::new();
        child.stdout.take().expect("a pipe").read_to_string(&mut stdout).expect("it is text");
        assert_eq!((child.wait().expect("it ends").code(), stdout.contains("A=a-secret\n")), (Some(0), true));
    });
}
