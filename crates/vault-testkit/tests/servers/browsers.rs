//! Logins at a real server that a person finishes in a browser.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::browser::{DENY, browse};
use vault_testkit::chromium::Chromium;
use vault_testkit::http::Answer;
use vault_testkit::openid::{Fault, OpenIdProvider, Settings};
use vault_testkit::raw::{Raw, Reply, whole};
use vault_testkit::server::{CallbackMode, Kind, LOOPBACK_CALLBACK, Server, on};
use vault_testkit::{eventually, scratch, unique};

use crate::logins::outcome;

const NONCE: &str = "a-nonce-of-the-client";

/// A mount of type `oidc` with the role `app`, which gives the policy `z`.
struct Mount<'a> {
    server: &'a Server,
    namespace: &'a str,
    name: String,
}

impl<'a> Mount<'a> {
    fn new(server: &'a Server, namespace: &'a str, provider: &OpenIdProvider, mode: CallbackMode) -> Self {
        Self::called(unique(), server, namespace, provider, mode)
    }

    fn called(
        name: String,
        server: &'a Server,
        namespace: &'a str,
        provider: &OpenIdProvider,
        mode: CallbackMode,
    ) -> Self {
        server.enable_oidc(namespace, &name, provider, mode);
        server.write_oidc_role(namespace, &name, "app", "z", mode, &json!({}));
        Self { server, namespace, name }
    }

    fn ask(&self, method: &str, what: &str, body: &Value) -> Answer {
        self.server.anonymous(self.namespace, method, &format!("auth/{}/oidc/{what}", self.name), body)
    }

    /// The data that a login starts with.
    fn start(&self, redirect_uri: &str) -> Value {
        let body = json!({"role": "app", "redirect_uri": redirect_uri, "client_nonce": NONCE});
        self.ask("POST", "auth_url", &body).json()["data"].take()
    }

    /// Hands over what the browser has brought.
    fn finish(&self, query: &str) -> (u16, Value) {
        outcome(&self.ask("GET", &format!("callback?{query}&client_nonce={NONCE}"), &Value::Null))
    }

    fn poll(&self, data: &Value) -> (u16, Value) {
        outcome(&self.ask("POST", "poll", &json!({"state": data["state"], "client_nonce": NONCE})))
    }

    /// Polls until it is no longer too early.
    fn outcome_of_polls(&self, data: &Value) -> (u16, Value) {
        let mut last = (0, Value::Null);
        eventually("the login ends", || {
            last = self.poll(data);
            last != pending() && last != (400, json!(["slow_down"]))
        });
        last
    }
}

fn auth_url(data: &Value) -> &str {
    data["auth_url"].as_str().filter(|url| !url.is_empty()).expect("a URL")
}

fn pending() -> (u16, Value) {
    (400, json!(["authorization_pending"]))
}

fn granted() -> (u16, Value) {
    (200, json!(["default", "z"]))
}

#[test]
fn a_user_signs_in_and_the_client_takes_the_code_or_cancels_and_the_client_learns_of_it() {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    on(Kind::OpenBao, "a_user_signs_in", |server| {
        let mount = Mount::new(server, "", &provider, CallbackMode::Client);
        let redirect_uri = "http://localhost:1/oidc/callback";
        let visit = |user: &str| {
            let data = mount.start(redirect_uri);
            browse(auth_url(&data), user, Some(redirect_uri))
        };
        let signed_in = visit("alice");
        assert_eq!(signed_in.page, None);
        assert_eq!(signed_in.parameter("iss").as_deref(), Some(provider.issuer()));
        assert_eq!(mount.finish(signed_in.query()), granted());

        let cancelled = visit(DENY);
        assert_eq!(cancelled.parameter("error").as_deref(), Some("access_denied"));
        assert_eq!(mount.finish(cancelled.query()), (400, json!(["OpenBao login failed. access_denied"])));

        let in_vain = visit("alice");
        provider.fault("/token", Fault::Status(500));
        let (status, errors) = mount.finish(in_vain.query());
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
        let mount = Mount::new(server, "", &provider, CallbackMode::Device);
        let data = mount.start("");
        assert_eq!(mount.poll(&data), pending());
        assert_eq!(browse(auth_url(&data), "bob", None).page.map(|(status, _)| status), Some(200));
        assert_eq!(mount.outcome_of_polls(&data), granted());

        let data = mount.start("");
        browse(auth_url(&data), DENY, None);
        let denied = (400, json!(["authorization failed: access_denied"]));
        assert_eq!(mount.outcome_of_polls(&data), denied);
    });
}

#[test]
fn a_user_confirms_on_the_servers_own_page_and_the_polls_end() {
    on(Kind::OpenBao, "a_user_confirms_on_the_servers_own_page", |server| {
        let (name, child) = (unique(), unique());
        server.create_empty_namespace(&child);
        let namespaces = ["", child.as_str()];
        let callbacks = namespaces.map(|namespace| server.direct_callback(namespace, &name));
        let settings = Settings { redirect_uris: &callbacks.each_ref().map(String::as_str), ..Settings::default() };
        let Some(provider) = OpenIdProvider::start(settings) else { return };
        for (namespace, callback) in namespaces.iter().zip(&callbacks) {
            let mount = Mount::called(name.clone(), server, namespace, &provider, CallbackMode::Direct);
            let data = mount.start(callback);
            assert_eq!(mount.poll(&data), pending());
            let visited = browse(auth_url(&data), "alice", None);
            assert!(visited.url.starts_with(callback) && visited.url.ends_with("&confirmation=1"), "{}", visited.url);
            assert_eq!(visited.page.map(|(status, _)| status), Some(200));
            assert_eq!(mount.outcome_of_polls(&data), granted());

            let data = mount.start(callback);
            assert_eq!(browse(auth_url(&data), DENY, None).page.map(|(status, _)| status), Some(400));
            assert_eq!(mount.poll(&data), pending());
        }
    });
}

#[test]
fn chromium_goes_through_a_whole_login_and_runs_the_scripts_of_its_last_page() {
    let settings = Settings { auto_login: Some("alice"), ..Settings::default() };
    let (Some(chromium), Some(provider)) = (Chromium::find(), OpenIdProvider::start(settings)) else { return };
    on(Kind::OpenBao, "chromium_goes_through_a_whole_login", |server| {
        let mount = Mount::new(server, "", &provider, CallbackMode::Client);
        let page = "<!doctype html><p id=q></p><script>q.textContent = 'the query is ' + location.search</script>";
        let listener = Raw::saying(&Reply::Last(whole(200, "Content-Type: text/html\r\n", page.as_bytes())));
        let redirect_uri = LOOPBACK_CALLBACK.replace("8250", &listener.port().to_string());
        let data = mount.start(&redirect_uri);
        let document = chromium.dump_dom(auth_url(&data));
        let query = document.split("the query is ?").nth(1).and_then(|rest| rest.split('<').next());
        let query = query.unwrap_or_else(|| panic!("{document}")).replace("&amp;", "&");
        assert_eq!(mount.finish(&query), granted());

        let picture = scratch("pictures").join("callback.png");
        chromium.screenshot(&redirect_uri, &picture);
        assert_eq!(fs::read(&picture).expect("a picture").get(..4), Some(b"\x89PNG".as_slice()));
    });
}
