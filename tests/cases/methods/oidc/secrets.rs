//! What is secret in a person's login is shown nowhere: the nonce, the code, the state beside the URL, and the token.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use vault_testkit::openid::Fault;
use vault_testkit::raw::{Raw, Reply};
use vault_testkit::server::{CallbackMode, Kind, on};
use vault_testkit::tap::Tap;
use vault_testkit::{eventually, scratch};

use super::{at_desk, log_in};
use crate::support::leaks::found;
use crate::support::outcome::Outcome;
use crate::support::scenario::Scenario;

/// Each text that a member of this name has in what was sent.
fn members(sent: &[u8], name: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(sent).into_owned();
    let start = format!("\"{name}\":\"");
    text.split(&start).skip(1).filter_map(|rest| Some(rest.split('"').next()?.to_owned())).collect()
}

/// The nonces and, of logins that end at the server, the states that were sent.
fn sent(tap: &Tap) -> Vec<String> {
    let said = tap.said();
    said.iter().flat_map(|bytes| [members(bytes, "client_nonce"), members(bytes, "state")].concat()).collect()
}

/// Everything that the run has said, but for the URL that the person opens, and what the application was given.
fn said(outcome: &Outcome) -> String {
    let lines = outcome.stderr.lines().filter(|line| !line.starts_with("http"));
    let lines: Vec<_> = lines.map(str::to_owned).chain([outcome.stdout.clone()]).collect();
    let child = outcome.child.as_ref().map(|child| {
        let argv: Vec<_> = child.argv.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
        [argv, child.sorted_env()].concat().join("\n")
    });
    format!("{}\n{}", lines.join("\n"), child.unwrap_or_default())
}

fn assert_hidden(secrets: &[String], place: &str, text: &str) {
    for secret in secrets {
        assert!(secret.len() >= 10, "{place}: {secret}");
        assert_eq!(found(secret, text), None, "{place} holds {secret}:\n{text}");
    }
}

#[test]
fn a_login_shows_none_of_its_secrets_at_any_level() {
    on(Kind::OpenBao, "a_login_shows_none_of_its_secrets", |server| {
        for format in ["text", "json"] {
            at_desk(server, CallbackMode::Client, |scenario, provider| {
                let tap = Tap::before(&scenario.expand("{addr}"));
                let scenario = scenario.at(&format!("http://{}", tap.authority()));
                let scenario = scenario.env("VAULT_LOG_LEVEL", "debug").env("VAULT_LOG_FORMAT", format);
                let scenario =
                    scenario.env("RUST_LOG", "trace").env("VAULT_TERMINATION_LOG", "{folder}/termination-log");
                let mut secrets = Vec::new();
                let mut texts = Vec::new();
                let mut in_browser = |scenario: &Scenario, code: i32| {
                    let started = scenario.start();
                    let visited = started.sign_in("alice");
                    let outcome = started.finish();
                    assert_eq!(outcome.code(), code, "{}", outcome.describe());
                    secrets.extend(["code", "state"].map(|name| visited.parameter(name).expect("a parameter")));
                    // The page has the cause of an error.
                    texts.push(format!("{}\n{}", said(&outcome), visited.page.expect("a page").1));
                };
                in_browser(&scenario, 0);
                fs::remove_dir_all(scenario.cache()).expect("it is removed");
                provider.fault("/token", Fault::Status(500));
                in_browser(&scenario, 77);
                provider.clear_faults();
                in_browser(&scenario, 0);
                secrets.push(scenario.kept_token());
                secrets.extend(sent(&tap));
                assert_eq!(secrets.len(), 2 * 3 + 1 + 3, "{secrets:?}");
                texts.extend(scenario.cached());
                let outcome = scenario.run();
                assert_eq!(outcome.code(), 0, "{}", outcome.describe());
                texts.push(said(&outcome));
                texts.push(fs::read_to_string(scenario.file("termination-log")).unwrap_or_default());
                let mut scenario = scenario;
                for options in [&["--check"][..], &["--check", "--report", "json"], &["--logout"]] {
                    scenario = scenario.only([]).options(options);
                    if options == ["--logout"] {
                        scenario = scenario.no_command();
                    }
                    let outcome = scenario.run();
                    assert_eq!(outcome.code(), 0, "{}", outcome.describe());
                    texts.push(said(&outcome));
                }
                for text in &texts {
                    assert_hidden(&secrets, format, text);
                }
            });
        }
    });
}

#[test]
fn a_login_that_ends_at_the_server_shows_none_of_its_secrets_either() {
    on(Kind::OpenBao, "a_login_that_ends_at_the_server_shows_none", |server| {
        at_desk(server, CallbackMode::Device, |scenario, provider| {
            let tap = Tap::before(&scenario.expand("{addr}"));
            let scenario = scenario.at(&format!("http://{}", tap.authority())).env("VAULT_LOG_LEVEL", "debug");
            provider.fault("/token", Fault::Status(500));
            let refused = scenario.run();
            assert_eq!(refused.code(), 75, "{}", refused.describe());
            provider.clear_faults();
            let started = scenario.start();
            started.sign_in("alice");
            let outcome = started.finish();
            assert_eq!(outcome.code(), 0, "{}", outcome.describe());
            let secrets = [sent(&tap), vec![scenario.kept_token()]].concat();
            // Each login sends its nonce twice at least, and its state.
            assert!(secrets.len() > 2 * 3, "{secrets:?}");
            for text in [said(&refused), said(&outcome), scenario.cached().concat()] {
                assert_hidden(&secrets, "device", &text);
            }
        });
    });
}

#[test]
fn the_browser_is_given_the_url_and_nothing_else() {
    on(Kind::OpenBao, "the_browser_is_given_the_url", |server| {
        at_desk(server, CallbackMode::Client, |scenario, _| {
            let folder = scratch(&format!("browser-{}", scenario.name));
            let (browser, seen) = (folder.join("browser"), folder.join("seen"));
            // Put in place as a whole, so that nobody reads a part of it.
            let script = "#!/bin/sh\n{ echo \"$#\"; echo \"$1\"; echo \"$PWD\"; env; ls -l /proc/self/fd; } >\"$0.new\"\n\
                          mv \"$0.new\" \"${0%/*}/seen\"\n";
            fs::write(&browser, script).expect("a program is written");
            fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).expect("a mode");
            let tap = Tap::before(&scenario.expand("{addr}"));
            let scenario = scenario.at(&format!("http://{}", tap.authority()));
            let scenario = scenario.env("BROWSER", &browser).env("PATH", "/usr/bin:/bin");
            let scenario = scenario.env("BAO_JWT", "a-jwt-of-another").env("VAULT_SECRET_ID", "another-secret-id");
            let started = scenario.start();
            let url = started.url();
            eventually("the browser is opened", || seen.exists());
            let visited = started.sign_in("alice");
            let outcome = started.finish();
            assert_eq!(outcome.code(), 0, "{}", outcome.describe());
            let seen = fs::read_to_string(seen).expect("it is text");
            let lines: Vec<_> = seen.lines().collect();
            assert_eq!(lines[..2], ["1", url.as_str()]);
            let secrets = [
                sent(&tap),
                ["code", "state"].map(|name| visited.parameter(name).expect("a parameter")).to_vec(),
                vec![scenario.kept_token(), "a-jwt-of-another".into(), "another-secret-id".into(), "VAULT_ADDR".into()],
            ];
            assert_hidden(&secrets.concat(), "the browser", &lines[2..].join("\n"));
        });
    });
}

#[test]
fn a_server_that_repeats_a_persons_login_shows_nothing_of_it() {
    let begun = |interval: Option<&str>| {
        let mut data = json!({"auth_url": "http://127.0.0.1:1/auth?state=st_repeated-0123456789"});
        if let Some(interval) = interval {
            data["state"] = json!("st_repeated-0123456789");
            data["poll_interval"] = json!(interval);
        }
        Reply::json(200, &json!({"data": data}))
    };
    let mut formats = ["text", "json"].iter().cycle();
    for status in [400, 403, 404, 405, 412, 429, 500, 503] {
        for path in ["auth_url", "callback", "poll"] {
            let raw = Raw::start([("auth/oidc/oidc/auth_url", vec![begun((path == "poll").then_some("1"))])]);
            let full = ["auth/oidc/oidc/auth_url", "auth/oidc/oidc/callback", "auth/oidc/oidc/poll"];
            let full = full.into_iter().find(|it| it.ends_with(path)).expect("one of them");
            raw.script(full, vec![Reply::Echo(status)]);
            let scenario = Scenario::against(&raw).unset("VAULT_K8S_TOKEN_PATH").hides("st_repeated-0123456789");
            let scenario = scenario.hides("code-repeated-0123456789").env("VAULT_MAX_RETRIES", "0");
            let scenario = scenario.env("VAULT_LOG_LEVEL", "debug").env("VAULT_STARTUP_TIMEOUT", "5s");
            let scenario = scenario.env("VAULT_LOG_FORMAT", formats.next().expect("endless"));
            let scenario = scenario.person(if path == "poll" { "none" } else { "localhost:0" });
            let started = scenario.start();
            let browser = (path == "callback").then(|| {
                started.url();
                let body: Value = serde_json::from_str(&raw.whole_requests()[1].body).expect("JSON");
                let uri = body["redirect_uri"].as_str().expect("a text").to_owned();
                let query = "state=st_repeated-0123456789&code=code-repeated-0123456789";
                vault_testkit::browser::browse(&format!("{uri}?{query}"), "alice", None)
            });
            let outcome = started.finish();
            assert!([69, 75, 76, 77, 78].contains(&outcome.code()), "{}", outcome.describe());
            let sent = raw.whole_requests();
            let nonces = sent.iter().flat_map(|request| {
                let in_line = request.line.split("client_nonce=").nth(1).map(str::to_owned);
                [in_line.into_iter().collect(), members(request.body.as_bytes(), "client_nonce")].concat()
            });
            let nonces: Vec<_> = nonces.collect();
            assert!(!nonces.is_empty(), "{sent:?}");
            assert_hidden(&nonces, path, &said(&outcome));
            let page = browser.and_then(|visited| visited.page).map(|(_, page)| page).unwrap_or_default();
            let all = [nonces, vec!["st_repeated-0123456789".into(), "code-repeated-0123456789".into()]].concat();
            assert_hidden(&all, "the page", &page);
        }
    }
}

#[test]
fn the_cache_names_nobody() {
    on(Kind::OpenBao, "the_cache_names_nobody", |server| {
        at_desk(server, CallbackMode::Client, |scenario, _| {
            log_in(&scenario);
            let [file] = &scenario.cached()[..] else { panic!("one file: {:?}", scenario.cached()) };
            let stem = file.strip_suffix(".json").expect("JSON");
            assert!(stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()), "{file}");
            let mode = |path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
            assert_eq!([mode(scenario.cache()), mode(scenario.cache().join(file))], [0o700, 0o600]);
        });
    });
}
