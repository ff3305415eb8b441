//! Logins at a real server that a person finishes in a browser.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::browser::{DENY, browse};
use vault_testkit::chromium::Chromium;
use vault_testkit::openid::{Fault, OpenIdProvider, Settings};
use vault_testkit::raw::{Raw, Reply, whole};
use vault_testkit::server::{CallbackMode, Kind, LOOPBACK_CALLBACK, Server, on};
use vault_testkit::{eventually, scratch, unique};

use crate::logins::outcome;

const NONCE: &str = "a-nonce-of-the-client";

/// The data that a login of the role `app` starts with.
fn start(server: &Server, mount: &str, redirect_uri: &str) -> Value {
    let body = json!({"role": "app", "redirect_uri": redirect_uri, "client_nonce": NONCE});
    server.anonymous("", "POST", &format!("auth/{mount}/oidc/auth_url"), &body).json()["data"].take()
}

fn auth_url(data: &Value) -> &str {
    data["auth_url"].as_str().filter(|url| !url.is_empty()).expect("a URL")
}

/// Hands over what the browser has brought.
fn finish(server: &Server, mount: &str, query: &str) -> (u16, Value) {
    let path = format!("auth/{mount}/oidc/callback?{query}&client_nonce={NONCE}");
    outcome(&server.anonymous("", "GET", &path, &Value::Null))
}

fn poll(server: &Server, mount: &str, data: &Value) -> (u16, Value) {
    let body = json!({"state": data["state"], "client_nonce": NONCE});
    outcome(&server.anonymous("", "POST", &format!("auth/{mount}/oidc/poll"), &body))
}

/// Polls until it is no longer too early.
fn outcome_of_polls(server: &Server, mount: &str, data: &Value) -> (u16, Value) {
    let mut last = (0, Value::Null);
    eventually("the login ends", || {
        last = poll(server, mount, data);
        last != pending() && last != (400, json!(["slow_down"]))
    });
    last
}

fn pending() -> (u16, Value) {
    (400, json!(["authorization_pending"]))
}

fn granted() -> (u16, Value) {
    (200, json!(["default", "z"]))
}

/// Mounts `oidc` with the role `app` of this mode, which gives the policy `z`.
fn mount(server: &Server, provider: &OpenIdProvider, mount: &str, mode: CallbackMode) {
    server.enable_oidc("", mount, provider, mode);
    server.write_oidc_role("", mount, "app", "z", mode, &json!({}));
}

#[test]
fn a_user_signs_in_and_the_client_takes_the_code_or_cancels_and_the_client_learns_of_it() {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    on(Kind::OpenBao, "a_user_signs_in", |server| {
        let name = &unique();
        mount(server, &provider, name, CallbackMode::Client);
        let redirect_uri = "http://localhost:1/oidc/callback";
        let visit = |user: &str| {
            let data = start(server, name, redirect_uri);
            browse(auth_url(&data), user, Some(redirect_uri))
        };
        let signed_in = visit("alice");
        assert_eq!(signed_in.page, None);
        assert_eq!(signed_in.parameter("iss").as_deref(), Some(provider.issuer()));
        assert_eq!(finish(server, name, signed_in.query()), granted());

        let cancelled = visit(DENY);
        assert_eq!(cancelled.parameter("error").as_deref(), Some("access_denied"));
        assert_eq!(finish(server, name, cancelled.query()), (400, json!(["OpenBao login failed. access_denied"])));

        let in_vain = visit("alice");
        provider.fault("/token", Fault::Status(500));
        let (status, errors) = finish(server, name, in_vain.query());
        assert_eq!(
            (status, errors[0].as_str().is_some_and(|it| it.contains("500 Internal Server Error"))),
            (400, true)
        );
    });
}

#[test]
fn a_user_confirms_a_device_and_its_polls_end_or_cancels_and_they_end_too() {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    on(Kind::OpenBao, "a_user_confirms_a_device", |server| {
        let name = &unique();
        mount(server, &provider, name, CallbackMode::Device);
        let data = start(server, name, "");
        assert_eq!(poll(server, name, &data), pending());
        assert_eq!(browse(auth_url(&data), "bob", None).page.map(|(status, _)| status), Some(200));
        assert_eq!(outcome_of_polls(server, name, &data), granted());

        let data = start(server, name, "");
        browse(auth_url(&data), DENY, None);
        let denied = (400, json!(["authorization failed: access_denied"]));
        assert_eq!(outcome_of_polls(server, name, &data), denied);
    });
}

#[test]
fn a_user_confirms_on_the_servers_own_page_and_the_polls_end() {
    on(Kind::OpenBao, "a_user_confirms_on_the_servers_own_page", |server| {
        let name = &unique();
        let callback = server.direct_callback("", name);
        let settings = Settings { redirect_uris: &[&callback], ..Settings::default() };
        let Some(provider) = OpenIdProvider::start(settings) else { return };
        mount(server, &provider, name, CallbackMode::Direct);
        let data = start(server, name, &callback);
        assert_eq!(poll(server, name, &data), pending());
        let visited = browse(auth_url(&data), "alice", None);
        assert!(visited.url.starts_with(&callback) && visited.url.ends_with("&confirmation=1"), "{}", visited.url);
        assert_eq!(visited.page.map(|(status, _)| status), Some(200));
        assert_eq!(outcome_of_polls(server, name, &data), granted());

        let data = start(server, name, &callback);
        assert_eq!(browse(auth_url(&data), DENY, None).page.map(|(status, _)| status), Some(400));
        assert_eq!(poll(server, name, &data), pending());
    });
}

#[test]
fn chromium_goes_through_a_whole_login_and_runs_the_scripts_of_its_last_page() {
    let settings = Settings { auto_login: Some("alice"), ..Settings::default() };
    let (Some(chromium), Some(provider)) = (Chromium::find(), OpenIdProvider::start(settings)) else { return };
    on(Kind::OpenBao, "chromium_goes_through_a_whole_login", |server| {
        let name = &unique();
        mount(server, &provider, name, CallbackMode::Client);
        let page = "<!doctype html><p id=q></p><script>q.textContent = 'the query is ' + location.search</script>";
        let listener = Raw::saying(&Reply::Last(whole(200, "Content-Type: text/html\r\n", page.as_bytes())));
        let redirect_uri = LOOPBACK_CALLBACK.replace("8250", &listener.port().to_string());
        let data = start(server, name, &redirect_uri);
        let document = chromium.dump_dom(auth_url(&data));
        let query = document.split("the query is ?").nth(1).and_then(|rest| rest.split('<').next());
        let query = query.unwrap_or_else(|| panic!("{document}")).replace("&amp;", "&");
        assert_eq!(finish(server, name, &query), granted());

        let picture = scratch("pictures").join(format!("{name}.png"));
        chromium.screenshot(&redirect_uri, &picture);
        assert_eq!(fs::read(&picture).expect("a picture").get(..4), Some(b"\x89PNG".as_slice()));
    });
}
