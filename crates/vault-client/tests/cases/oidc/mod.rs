//! A person's login on the real server, through a real provider: in a browser, by the server's own page, by a device.

mod cache;
mod limits;

use std::process::Command;

use serde_json::json;
use vault_client::{ErrorKind, Listen, Login, NoPerson, Oidc, VaultClient, What};
use vault_testkit::browser::{DENY, browse};
use vault_testkit::chromium::Chromium;
use vault_testkit::openid::{Fault, OpenIdProvider, Settings};
use vault_testkit::raw::{Raw, Reply};
use vault_testkit::server::{CallbackMode, Kind, Listener, on};
use vault_testkit::{eventually, scratch, unique};

use crate::support::desk::{Desk, Said, Started, at_desk, opened};
use crate::support::example;

/// What the example prints of the secret.
fn keys(desk: &Desk) -> String {
    format!("{}/prod, version 1:\n  password\n  username\n", desk.corner.name)
}

/// The line before the URL.
fn open_this(desk: &Desk) -> String {
    format!("Open this URL in a browser for the login at auth/{}:", desk.corner.name)
}

/// The line of the error that the example ends with.
fn error(desk: &Desk, role: &str, cause: &str) -> String {
    let (address, name) = (desk.corner.server.addr(Listener::Plain), &desk.corner.name);
    format!("oidc: vault at {address}: the login at auth/{name} with role {role} {cause}")
}

#[test]
fn a_person_signs_in_once_and_the_next_start_asks_nobody() {
    at_desk("a_person_signs_in_once", CallbackMode::Client, &json!({}), |desk| {
        let mut first = desk.start();
        let url = first.url();
        let visited = browse(&url, "alice", None);
        let said = first.end();
        let (status, page) = visited.page.clone().unwrap();
        assert_eq!(status, 200);
        assert!(page.contains("<h1>You are logged in</h1>"), "{page}");
        let expected = Said { code: Some(0), stdout: keys(desk), stderr: vec![open_this(desk), url, String::new()] };
        let text = said.stderr.join("\n");
        assert_eq!((said.code, &said.stdout), (expected.code, &expected.stdout), "{text}");
        assert_eq!(said.stderr, expected.stderr[..2]);
        assert!(
            visited.url.starts_with("http://localhost:") && visited.url.contains("/oidc/callback?"),
            "{}",
            visited.url
        );
        assert_eq!(desk.logins_and_tokens(), (1, 1));

        // What is secret has been said nowhere, and stands in one file.
        let (token, code) = (desk.cached_token(), visited.parameter("code").unwrap());
        for secret in [token.as_str(), &code] {
            assert!(secret.len() > 20 && !text.contains(secret), "{text}");
        }
        let again = desk.start().end();
        assert_eq!(again, Said { code: Some(0), stdout: keys(desk), stderr: Vec::new() });
        assert_eq!((desk.logins_and_tokens(), desk.cached_token()), ((1, 1), token));
        assert_eq!(desk.corner.count("lookup-self"), 0);
    });
}

#[test]
fn a_person_who_cancels_reads_why_on_the_page_and_in_the_terminal() {
    at_desk("a_person_who_cancels", CallbackMode::Client, &json!({}), |desk| {
        let mut started = desk.start();
        let (status, page) = started.sign_in(DENY).page.unwrap();
        let said = started.end();
        let cause = "the provider answered access_denied (the user has cancelled)";
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
        let (address, name) = (desk.corner.server.addr(Listener::Plain), &desk.corner.name);
        let sentence = format!("vault at {address}: the login at auth/{name} with role app: {cause}");
        assert_eq!(said.stderr[2..], [format!("oidc: {sentence}")]);
        assert_eq!(status, 400);
        assert!(page.contains("<h1>The login failed</h1>") && page.contains(&sentence), "{page}");
        // The server was told, and nothing is left.
        assert_eq!((desk.corner.count("oidc/callback"), desk.logins_and_tokens(), desk.cached().len()), (1, (1, 0), 0));
    });
}

#[test]
fn what_the_provider_does_wrong_is_told_and_the_code_is_not_sent_twice() {
    at_desk("what_the_provider_does_wrong", CallbackMode::Client, &json!({}), |desk| {
        desk.provider.fault("/token", Fault::Status(500));
        let mut started = desk.start();
        let (status, page) = started.sign_in("alice").page.unwrap();
        let said = started.end();
        assert_eq!((said.code, status), (Some(1), 400));
        let told = error(desk, "app", "was answered with 400: OpenBao login failed. Error exchanging oidc code: ");
        assert!(said.stderr[2].starts_with(&told), "{:?}", said.stderr);
        assert!(page.contains("Error exchanging oidc code: "), "{page}");
        assert_eq!((desk.corner.count("oidc/callback"), desk.logins_and_tokens(), desk.cached().len()), (1, (1, 0), 0));
    });
}

#[test]
fn a_role_that_does_not_fit_is_named_with_its_redirect_uri() {
    at_desk("a_role_that_does_not_fit", CallbackMode::Client, &json!({}), |desk| {
        let (server, name) = (desk.corner.server, &desk.corner.name);
        server.write_jwt_role("", name, "for-jwt", name, &json!({"bound_audiences": ["x"]}));
        server.write_oidc_role(
            "",
            name,
            "picky",
            name,
            CallbackMode::Client,
            &json!({"allowed_redirect_uris": ["https://elsewhere.example/"]}),
        );
        let fault = |role: &str, listen: &str| {
            let login = Oidc { role: Some(role.into()), listen: Listen::parse(listen).unwrap(), ..desk.login() };
            let address = server.addr(Listener::Plain);
            let client = VaultClient::builder().address(&address).login(login).ignore_environment().build().unwrap();
            let error = client.token().unwrap_err();
            let uri = match &error.fault().what {
                What::NoPerson(why) => match &**why {
                    NoPerson::NoUrl { redirect_uri } => redirect_uri.clone(),
                    why => why.to_string(),
                },
                what => what.to_string(),
            };
            (error.kind(), uri)
        };
        let none = "the role sends the browser back here, where nothing listens";
        let absent = "answered with 400: role \"absent\" could not be found";
        let uri = |(kind, uri): (ErrorKind, String)| (kind, uri.split(':').take(2).collect::<Vec<_>>().join(":"));
        assert_eq!(fault("absent", "localhost:0"), (ErrorKind::Rejected, absent.into()));
        assert_eq!(uri(fault("for-jwt", "127.0.0.1:0")), (ErrorKind::Rejected, "http://127.0.0.1".into()));
        assert_eq!(uri(fault("picky", "localhost:0")), (ErrorKind::Rejected, "http://localhost".into()));
        let direct = server.direct_callback("", name);
        assert_eq!(fault("picky", "none"), (ErrorKind::Rejected, direct.clone()));
        server.write_oidc_role(
            "",
            name,
            "comes-back",
            name,
            CallbackMode::Client,
            &json!({"allowed_redirect_uris": [direct]}),
        );
        assert_eq!(fault("comes-back", "none"), (ErrorKind::Rejected, none.into()));
        assert_eq!((desk.corner.live_tokens(), desk.cached().len()), (0, 0));
    });
}

#[test]
fn a_device_is_confirmed_elsewhere_and_a_cancelled_one_ends_the_login() {
    at_desk("a_device_is_confirmed_elsewhere", CallbackMode::Device, &json!({}), |desk| {
        for listen in ["none", "localhost:0"] {
            let mut started = Started::of(desk.command("app", listen));
            assert_eq!(started.sign_in("bob").page.map(|(status, _)| status), Some(200));
            let said = started.end();
            assert_eq!((said.code, said.stdout), (Some(0), keys(desk)), "{:?}", said.stderr);
            std::fs::remove_dir_all(desk.cache()).unwrap();
        }
        assert_eq!(desk.logins_and_tokens(), (2, 2));

        let mut started = Started::of(desk.command("app", "none"));
        started.sign_in(DENY);
        let said = started.end();
        let cause = "was answered with 400: authorization failed: access_denied";
        assert_eq!((said.code, said.stderr.last()), (Some(1), Some(&error(desk, "app", cause))));
        assert_eq!(desk.cached().len(), 0);
    });
}

#[test]
fn the_servers_own_page_ends_a_login_without_a_listener() {
    at_desk("the_servers_own_page_ends_a_login", CallbackMode::Direct, &json!({}), |desk| {
        let mut started = Started::of(desk.command("app", "none"));
        assert_eq!(started.sign_in("alice").page.map(|(status, _)| status), Some(200));
        let said = started.end();
        assert_eq!((said.code, said.stdout), (Some(0), keys(desk)), "{:?}", said.stderr);
        assert_eq!(desk.logins_and_tokens(), (1, 1));
    });
}

#[test]
fn in_a_namespace_the_servers_own_page_is_there_too_and_the_token_is_that_namespaces() {
    on(Kind::OpenBao, "in_a_namespace_the_servers_own_page", |server| {
        let (name, child) = (unique(), unique());
        let callback = server.direct_callback(&child, &name);
        let settings = Settings { redirect_uris: &[&callback], ..Settings::default() };
        let Some(provider) = OpenIdProvider::start(settings) else { return };
        server.create_empty_namespace(&child);
        server.mount_kv(&child, &name, 2);
        server.write_secret(&child, &name, "prod", &json!({"username": "shop"}));
        server.write_policy(&child, &name, &format!("path \"{name}/*\" {{ capabilities = [\"read\"] }}"));
        server.enable_oidc(&child, &name, &provider, CallbackMode::Direct);
        server.write_oidc_role(&child, &name, "app", &name, CallbackMode::Direct, &json!({}));
        let caches = scratch(&format!("caches-{name}"));
        let start = || {
            let mut command = Command::new(example("oidc"));
            command.args([&server.addr(Listener::Plain), "app", &name, "prod", &name, "none"]).env_clear();
            command.env("XDG_CACHE_HOME", &caches).env("VAULT_NAMESPACE", &child);
            Started::of(command)
        };
        let mut first = start();
        assert_eq!(first.sign_in("alice").page.map(|(status, _)| status), Some(200));
        let expected = format!("{name}/prod, version 1:\n  username\n");
        for started in [first, start()] {
            let said = started.end();
            assert_eq!((said.code, &said.stdout), (Some(0), &expected), "{:?}", said.stderr);
        }
        assert_eq!(server.live_tokens(&child, &name), 1);
    });
}

#[test]
fn a_browser_is_opened_with_the_url_where_there_is_one() {
    at_desk("a_browser_is_opened_with_the_url", CallbackMode::Client, &json!({}), |desk| {
        let (browser, folder) = desk.browser();
        let mut command = desk.command("app", "127.0.0.1:0");
        command.env("BROWSER", browser).env("PATH", "/usr/bin:/bin").env("VAULT_TOKEN", "of-nobodys-business");
        command.env("VAULT_AUTH_METHOD", "token");
        let mut started = Started::of(command);
        let url = started.url();
        eventually("the browser is opened", || opened(&folder).len() == 1);
        assert_eq!(opened(&folder), [url.as_str()]);
        browse(&url, "alice", None);
        let said = started.end();
        let before =
            format!("A browser opens for the login at auth/{}. If none does, open this URL in one:", desk.corner.name);
        assert_eq!((said.code, said.stderr), (Some(0), vec![before, url]));
    });
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_asked() {
    at_desk("a_port_that_is_taken", CallbackMode::Client, &json!({}), |desk| {
        let taken = Raw::saying(&Reply::Last(Vec::new()));
        let at = format!("127.0.0.1:{}", taken.port());
        let said = Started::of(desk.command("app", &at)).end();
        let (address, name) = (desk.corner.server.addr(Listener::Plain), &desk.corner.name);
        let told =
            format!("oidc: vault at {address}: the login at auth/{name} with role app: nothing can listen at {at}: ");
        assert!(said.stderr[0].starts_with(&told), "{:?}", said.stderr);
        assert_eq!((said.code, said.stderr.len(), desk.logins_and_tokens()), (Some(1), 1, (0, 0)));
    });
}

#[test]
fn nobody_is_asked_where_nobody_is() {
    at_desk("nobody_is_asked_where_nobody_is", CallbackMode::Client, &json!({}), |desk| {
        let login = Oidc { interactive: false, ..desk.login() };
        let name = login.name();
        let address = desk.corner.server.addr(Listener::Plain);
        let client = VaultClient::builder().address(&address).login(login).ignore_environment().build().unwrap();
        let error = client.token().unwrap_err();
        assert_eq!((name, error.kind(), error.is_retryable()), ("oidc", ErrorKind::Oidc, false));
        assert!(matches!(&error.fault().what, What::NoPerson(why) if **why == NoPerson::NobodyToAsk), "{error}");
        assert_eq!(desk.logins_and_tokens(), (0, 0));
    });
}

#[test]
fn chromium_goes_through_the_whole_login_to_a_page_that_says_so() {
    on(Kind::OpenBao, "chromium_goes_through_the_whole_login", |server| {
        let desk = Desk::of(server, CallbackMode::Client, &json!({}), Some("alice"));
        let (Some(chromium), Some(desk)) = (Chromium::find(), desk) else { return };
        let mut started = desk.start();
        let document = chromium.dump_dom(&started.url());
        assert!(document.contains("<h1>You are logged in</h1>"), "{document}");
        assert_eq!(started.end().code, Some(0));
        assert_eq!(desk.logins_and_tokens(), (1, 1));

        // The picture is for people.
        std::fs::remove_dir_all(desk.cache()).unwrap();
        let mut started = desk.start();
        chromium.screenshot(&started.url(), &scratch("pictures").join("logged-in.png"));
        assert_eq!(started.end().code, Some(0));
    });
}
