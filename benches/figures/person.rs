//! What a start costs that uses the token of a person's login before it, beside one that is given the token.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vault_testkit::browser::browse;
use vault_testkit::measure::{Cost, Spread};
use vault_testkit::openid::{OpenIdProvider, Settings};
use vault_testkit::server::{CallbackMode, Listener, Server};
use vault_testkit::{scratch, unique};

use crate::goals::Goal;

/// Starts of each side.
const STARTS: usize = 200;

/// What it may take longer, in milliseconds.
const LONGER: f64 = 1.0;

const FIGURE: &str = "start with a person's cached token, beside VAULT_TOKEN";

/// The goal of such a start.
pub(crate) fn cached(program: &Path, server: &Server) -> Goal {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else {
        return Goal::skipped(FIGURE, "the OpenID provider is not in target/tools");
    };
    let name = unique();
    server.mount_kv("", &name, 2);
    server.write_secret("", &name, "prod", &json!({"PASSWORD": "a value of some length"}));
    server.write_policy("", &name, &format!("path \"{name}/*\" {{ capabilities = [\"read\"] }}"));
    server.enable_oidc("", &name, &provider, CallbackMode::Client);
    server.write_oidc_role("", &name, "app", &name, CallbackMode::Client, &json!({}));

    let home = scratch(&format!("home-{name}"));
    let start = || {
        let mut command = Command::new(program);
        command.args(["--", "/usr/bin/true"]).env_clear().env("HOME", &home).env("VAULT_PATH", "prod");
        command
            .env("VAULT_ADDR", server.addr(Listener::Plain))
            .env("VAULT_MOUNT_POINT", &name)
            .env("VAULT_LOG_LEVEL", "warn");
        command
    };
    let person = || {
        let mut command = start();
        command.env("VAULT_AUTH_METHOD", "oidc").env("VAULT_AUTH_MOUNT", &name).env("VAULT_ROLE", "app");
        command.env("VAULT_OIDC_LISTEN", "localhost:0");
        command
    };
    log_in(person());
    let mut with_token = start();
    with_token.env("VAULT_TOKEN", token(&home.join(".cache/vault-client")));

    let costs = Cost::by_turns(&[with_token, person()], STARTS);
    let [given, kept] = [&costs[0], &costs[1]].map(|costs| Spread::of(costs.iter().map(|cost| cost.wall)).median);
    let longer = kept - given;
    let measured = format!("{longer:+.2} ms ({kept:.2} ms beside {given:.2} ms)");
    Goal::new(FIGURE, measured, format!("+{LONGER} ms"), longer > LONGER)
}

/// Signs a person in, whose token is in the cache from then on.
fn log_in(mut command: Command) {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let url = lines.find(|line| line.starts_with("http")).expect("it asks to open a URL");
    browse(url.trim(), "alice", None);
    lines.for_each(drop);
    assert!(child.wait().expect("it ends").success());
}

/// The token of the one login in the cache.
fn token(cache: &Path) -> String {
    let mut entries = std::fs::read_dir(cache).expect("the cache").flatten();
    let entry = std::fs::read(entries.next().expect("a login is cached").path()).expect("it can be read");
    let entry: Value = serde_json::from_slice(&entry).expect("JSON");
    entry["token"].as_str().expect("a token").to_owned()
}
