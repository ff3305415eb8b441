//! A person's login: in the start of an application, in a dry run, at a terminal, and its end.

mod faults;
mod secrets;
mod steps;

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
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

/// Puts an entry for `address` into the cache, and returns its file's name.
fn put_entry(scenario: &Scenario, address: &str) -> String {
    let command = format!("printf '%s\\0-\\0oidc\\0-' '{address}' | sha256sum");
    let hash = Command::new("/bin/sh").args(["-c", &command]).output().expect("sha256sum runs").stdout;
    let name = format!("{}.json", String::from_utf8(hash).expect("text").split(' ').next().expect("a hash"));
    let entry = json!({
        "address": address, "namespace": null, "mount": "oidc", "role": null, "expires_at": 4_000_000_000_u64,
        "renewable": true, "policies": [], "token": "hvs.of-nobody",
    });
    let file = scenario.cache().join(&name);
    std::fs::write(&file, entry.to_string()).expect("it is written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    name
}

#[test]
fn a_logout_of_all_goes_on_behind_entries_that_it_cannot_use_and_fails_in_the_end() {
    test_at_desk("a_logout_of_all_goes_on", |scenario, _| {
        log_in(&scenario);
        let folder = "{folder}/.cache/vault-client";
        let warning = |name: &str, cause: &str| {
            format!("WARN  vault-exec: the cached token in {folder}/{}*.json is not revoked: {cause}", &name[..8])
        };
        let mut warnings = [
            ("ftp://x", "neither https:// nor http:// nor unix://; Vault speaks only these"),
            ("http://x/v1", "a URL that ends with /v1; leave that out, it is added to every request"),
            ("https://u:p@x", "a URL with a user name or password; leave them out, they are not used"),
            ("", "empty; write the address of the server"),
        ]
        .map(|(address, cause)| warning(&put_entry(&scenario, address), &format!("the address in it: {cause}")));
        warnings.sort_unstable();
        let directory = scenario.cache().join("0".repeat(64) + ".json");
        std::fs::create_dir(&directory).expect("a folder");
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        let error = |number: usize| {
            format!(
                "ERROR vault-exec: logout: {number} cached tokens are left in {folder}; correct what the warnings name, or \
                 remove the files"
            )
        };
        let zeros = "0".repeat(64);
        let is_folder = format!(
            "the cached token in {folder} cannot be used: Is a directory; make it this user's alone (mode 0700), or remove it"
        );
        let first = [
            warning(&zeros, "not a regular file; it stays valid until it expires"),
            line("INFO", ": the cached token is revoked"),
            warning(&zeros, &is_folder),
        ];
        let all = scenario.unset("VAULT_ADDR").no_command().options(["--logout"]);
        let lines = first.into_iter().chain(warnings.clone()).chain([error(5)]);
        all.run().expect(Expect::done().code(71).stderr(lines).token_gone());
        std::fs::remove_dir(&directory).expect("it is removed");
        all.run().expect(Expect::done().code(78).stderr(warnings.into_iter().chain([error(4)])));
        assert_eq!(all.cached().len(), 4);
    });
}

#[test]
fn a_logout_says_of_an_entry_that_others_can_read_that_its_token_is_not_revoked() {
    test_at_desk("a_logout_says_of_an_entry", |scenario, _| {
        log_in(&scenario);
        let file = scenario.cache().join(&scenario.cached()[0]);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
        let scenario = scenario.no_command().options(["--logout"]);
        let outcome = scenario.run();
        let log = outcome.log();
        let told = line("WARN", ": the cached entry cannot be used and is removed, its token not revoked");
        assert_eq!((outcome.code(), log.last().copied()), (0, Some(scenario.expand(&told).as_str())));
        assert_eq!(scenario.cached(), Vec::<String>::new());
    });
}

#[test]
fn at_a_terminal_a_person_is_asked_where_there_is_nothing_else_to_log_in_with() {
    test_at_desk("at_a_terminal_a_person_is_asked", |scenario, _| {
        let scenario = scenario.unset("VAULT_AUTH_METHOD").env("VAULT_K8S_TOKEN_PATH", "/nowhere/token");
        // The programs that other tests start meanwhile do not inherit it.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it can be opened");
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(ptsname_r(&master).expect("it has a name"))
            .expect("its other end");
        let mut command = Command::new(PROGRAM);
        command.arg("/usr/bin/env").env_clear().envs(scenario.given_env());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(slave);
        let mut child = command.spawn().expect("the program starts");
        drop(command);
        let lines = BufReader::new(master).lines();
        let url = lines.map_while(Result::ok).find(|line| line.starts_with("http")).expect("a URL");
        browse(url.trim(), "alice", None);
        let mut stdout = String::new();
        child.stdout.take().expect("a pipe").read_to_string(&mut stdout).expect("it is text");
        assert_eq!((child.wait().expect("it ends").code(), stdout.contains("A=a-secret\n")), (Some(0), true));
    });
}
