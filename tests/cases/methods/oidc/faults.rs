//! The ways in which a person's login fails, each on the real server with a real provider.

use std::net::TcpListener;

use serde_json::{Value, json};
use vault_testkit::browser::DENY;
use vault_testkit::openid::{Fault, OpenIdProvider, Settings};
use vault_testkit::server::{CallbackMode, Kind, Server, on};
use vault_testkit::tap::Tap;

use super::{ASKED, at_desk, open_this, scenario};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, on_openbao;
    nobody_is_asked_where_nobody_is: "oidc: nothing to log in with but a person, and no terminal", Settings, 78, AtOnce;
    a_place_elsewhere_is_none_to_listen_at: "oidc: `VAULT_OIDC_LISTEN` is not on this machine, or no port", Settings, 78, AtOnce;
    a_port_that_is_taken_is_told_before_anything_is_asked: "oidc: the port is taken", Login, 71, AtOnce;
    a_role_that_cannot_log_in_a_person_is_told: "oidc: no such role, one for JWTs, none and the mount has no default, another redirect URI", Login, 78, AtOnce;
    a_mount_that_cannot_log_in_a_person_is_told: "oidc: a mount without a configuration, or without a provider", Login, 78, AtOnce;
    a_mount_without_a_persons_login_is_denied: "oidc: a mount that is not there, or of a method without such a login", Login, 77, AtOnce;
    a_namespace_of_a_persons_login_that_is_not_there_is_told: "oidc: a namespace that is not there", Login, 78, AtOnce;
    a_person_who_cancels_ends_the_start: "oidc: the person cancels, in the browser or at the device", Login, 77, AtOnce;
    a_person_whom_the_role_does_not_allow_is_refused: "oidc: another person or address than the role allows", Login, 77, AtOnce;
    a_code_that_the_provider_does_not_take_back_is_sent_once: "oidc: the provider fails once the person has signed in", Login, 77, AtOnce;
    a_provider_that_begins_no_login_of_a_device_is_tried_again: "oidc: the provider fails where a device's login begins; tried again", Login, 75, Pauses;
    a_provider_that_fails_while_a_device_is_waited_for_ends_the_login: "oidc: the provider fails while a device is waited for", Login, 75, AtOnce;
    a_server_that_stops_while_a_person_is_waited_for_ends_the_login: "oidc: the server stops while a person is waited for", Login, 69, AtOnce;
}

/// The message of a login with role `r`.
fn message(rest: &str) -> String {
    format!("vault at {{addr}}: the login at auth/{{name}} with role r{rest}")
}

/// Runs with patience that the fault must not use, without a word to the person, and leaves nothing.
fn refused(scenario: Scenario, code: i32, message: &str) {
    let scenario = scenario.env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "10s");
    scenario.run().expect_failure(code, message);
    assert_eq!(scenario.cached(), Vec::<String>::new());
}

/// What the person is told, and then this error.
fn asked_in_vain(code: i32, rest: &str) -> Expect {
    let error = format!("ERROR vault-exec: {}", message(rest));
    Expect::done().code(code).stderr([open_this(), "http{any}".to_owned(), error])
}

fn nobody_is_asked_where_nobody_is(server: &Server) {
    at_desk(server, CallbackMode::Client, |scenario, provider| {
        let scenario = scenario.unset("VAULT_AUTH_METHOD").env("VAULT_K8S_TOKEN_PATH", "/nowhere/token");
        let told = "VAULT_AUTH_METHOD: no way to log in: set VAULT_TOKEN or VAULT_TOKEN_FILE, or VAULT_APPROLE_ROLE_ID, or \
                    VAULT_JWT or VAULT_JWT_FILE, or run in a pod with a service-account token at /nowhere/token, or log in \
                    with the official client ($HOME/.vault-token), or start it at a terminal (oidc), or set \
                    VAULT_AUTH_METHOD to cert, oidc or none";
        scenario.run().expect_failure(78, told).expect_requests([]);
        assert_eq!(provider.hits("/auth"), 0);
    });
}

fn a_place_elsewhere_is_none_to_listen_at(server: &Server) {
    at_desk(server, CallbackMode::Client, |scenario, _| {
        let mut scenario = scenario;
        for (listen, cause) in [
            (
                "0.0.0.0:8250",
                "not a place on this machine; write localhost:8250, another port, 127.0.0.1:PORT, [::1]:PORT or none",
            ),
            (
                "vault.example:8250",
                "not a place on this machine; write localhost:8250, another port, 127.0.0.1:PORT, [::1]:PORT or none",
            ),
            ("localhost:http", "not a port; write localhost:8250, or another number up to 65535"),
        ] {
            scenario = scenario.env("VAULT_OIDC_LISTEN", listen);
            let told = format!("VAULT_OIDC_LISTEN = \"{listen}\": {cause}");
            scenario.run().expect_failure(78, &told).expect_requests([]);
        }
    });
}

fn a_port_that_is_taken_is_told_before_anything_is_asked(server: &Server) {
    at_desk(server, CallbackMode::Client, |scenario, _| {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let at = taken.local_addr().expect("it is bound").to_string();
        let rest = format!(
            ": nothing can listen at {at}: Address already in use (os error 98); \
             set VAULT_OIDC_LISTEN to another port, such as localhost:8251"
        );
        refused(scenario.env("VAULT_OIDC_LISTEN", &at), 71, &message(&rest));
    });
}

fn a_role_that_cannot_log_in_a_person_is_told(server: &Server) {
    at_desk(server, CallbackMode::Client, |scenario, _| {
        let name = scenario.name.clone();
        server.write_jwt_role("", &name, "for-jwt", &name, &json!({}));
        let uris = json!({"allowed_redirect_uris": [server.direct_callback("", &name)]});
        server.write_oidc_role("", &name, "comes-back", &name, CallbackMode::Client, &uris);
        let at = |role: &str| format!("vault at {{addr}}: the login at auth/{{name}} with role {role}");
        let no_url = |role: &str, uri: &str| {
            format!(
                "{}: the server gives no URL for it: the role does not allow the redirect URI {uri}, or is of type jwt; \
                 let the role allow it (allowed_redirect_uris), or correct VAULT_ROLE, and VAULT_OIDC_LISTEN for its callback_mode",
                at(role)
            )
        };
        let here = "http://localhost:{any}/oidc/callback";
        let absent = "was answered with 400: role \"absent\" could not be found; \
                      check VAULT_ROLE (absent), VAULT_AUTH_MOUNT ({name}) and the role's settings on the server";
        let back =
            "the role sends the browser back here, where nothing listens; set VAULT_OIDC_LISTEN to localhost:8250";
        let mut scenario = scenario;
        for (role, listen, told) in [
            ("absent", "localhost:0", format!("{} {absent}", at("absent"))),
            ("for-jwt", "localhost:0", no_url("for-jwt", here)),
            ("r", "127.0.0.2:0", no_url("r", "http://127.0.0.2:{any}/oidc/callback")),
            ("r", "none", no_url("r", "{addr}/v1/auth/{name}/oidc/callback")),
            ("comes-back", "localhost:0", no_url("comes-back", here)),
            ("comes-back", "none", format!("{}: {back}", at("comes-back"))),
        ] {
            scenario = scenario.env("VAULT_ROLE", role).env("VAULT_OIDC_LISTEN", listen);
            scenario = scenario.env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "10s");
            scenario.run().expect_failure(78, &told);
            assert_eq!(scenario.cached(), Vec::<String>::new(), "{role}");
        }
        let told = "vault at {addr}: the login at auth/{name} was answered with 400: missing role; \
                    set VAULT_ROLE, or a default role at auth/{name} (VAULT_AUTH_MOUNT)";
        refused(scenario.unset("VAULT_ROLE").env("VAULT_OIDC_LISTEN", "localhost:0"), 78, told);
    });
}

/// A mount of this type, with this configuration.
fn other_mount<'a>(server: &'a Server, kind: &str, config: &Value) -> Scenario<'a> {
    let other = Scenario::new(server);
    server.enable_auth("", &other.name, kind);
    if !config.is_null() {
        server.configure_auth("", &other.name, config);
    }
    other.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r").person("localhost:0")
}

fn a_mount_that_cannot_log_in_a_person_is_told(server: &Server) {
    let set_up = "write auth/{name}/config on the server with a provider (oidc_discovery_url, oidc_client_id): \
                  nobody can log in there yet";
    for kind in ["oidc", "jwt"] {
        let told = message(&format!(" was answered with 400: could not load configuration; {set_up}"));
        refused(other_mount(server, kind, &Value::Null), 78, &told);
    }
    let keys = json!({"jwt_validation_pubkeys": [vault_testkit::jwt::Signer::default().public_key()]});
    let other = other_mount(server, "jwt", &keys);
    let role = json!({"role_type": "oidc", "user_claim": "sub", "allowed_redirect_uris": ["http://localhost:8250/oidc/callback"]});
    server.must("POST", &format!("auth/{}/role/r", other.name), &role);
    let told = message(&format!(" was answered with 400: OIDC login is not configured for this mount; {set_up}"));
    refused(other, 78, &told);
}

fn a_mount_without_a_persons_login_is_denied(server: &Server) {
    for kind in ["kubernetes", "approle", "cert", "userpass"] {
        let told = message(
            " was answered with 403: permission denied; Vault gives no reason: \
             check that auth/{name} (VAULT_AUTH_MOUNT) is enabled and of type oidc, and that its role r allows this address",
        );
        refused(other_mount(server, kind, &Value::Null), 77, &told);
    }
    let absent = Scenario::new(server).env("VAULT_AUTH_MOUNT", "no-{name}").person("localhost:0");
    refused(
        absent,
        77,
        "vault at {addr}: the login at auth/no-{name} was answered with 403: permission denied; Vault gives no reason: \
         check that auth/no-{name} (VAULT_AUTH_MOUNT) is enabled and of type oidc, and that its default role allows this address",
    );
}

fn a_namespace_of_a_persons_login_that_is_not_there_is_told(server: &Server) {
    at_desk(server, CallbackMode::Client, |scenario, _| {
        let told = message(
            " was answered with 404: namespace not found; check VAULT_AUTH_NAMESPACE and VAULT_AUTH_MOUNT, \
             and the path in VAULT_ADDR; VAULT_AUTH_NAMESPACE is nowhere",
        );
        refused(scenario.env("VAULT_AUTH_NAMESPACE", "nowhere"), 78, &told);
    });
}

fn a_person_who_cancels_ends_the_start(server: &Server) {
    at_desk(server, CallbackMode::Client, |scenario, _| {
        // Nobody is asked twice.
        let scenario = scenario.env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "10s");
        let started = scenario.start();
        let (status, page) = started.sign_in(DENY).page.expect("a page");
        let cause = ": the provider answered access_denied (the user has cancelled)";
        let outcome = started.finish();
        assert!(status == 400 && page.contains(&scenario.expand(&message(cause))), "{page}");
        let told = format!("{cause}; start again, or ask whoever runs the provider");
        outcome.expect(asked_in_vain(77, &told)).expect_requests([ASKED[0], ASKED[1]]);
        assert_eq!(scenario.cached(), Vec::<String>::new());
    });
    at_desk(server, CallbackMode::Device, |scenario, _| {
        // Nobody is asked twice.
        let scenario = scenario.env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "10s");
        let started = scenario.start();
        started.sign_in(DENY);
        let told = " was answered with 400: authorization failed: access_denied; \
                    check that the role r at auth/{name} allows this person";
        started.finish().expect(asked_in_vain(77, told));
        assert_eq!(scenario.cached(), Vec::<String>::new());
    });
}

fn a_person_whom_the_role_does_not_allow_is_refused(server: &Server) {
    at_desk(server, CallbackMode::Client, |scenario, _| {
        // Nobody is asked twice.
        let scenario = scenario.env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "10s");
        let name = scenario.name.clone();
        let claim = "400: OpenBao login failed. error validating claims: claim \"groups\" does not match any associated bound \
                     claim values; check that the role r at auth/{name} allows this person";
        let address = "403: permission denied; Vault gives no reason: \
                       check that auth/{name} (VAULT_AUTH_MOUNT) is enabled and of type oidc, and that its role r allows this address";
        for (role, told) in [
            (json!({"bound_claims": {"groups": ["nobody"]}}), claim),
            (json!({"token_bound_cidrs": ["10.99.0.0/16"]}), address),
        ] {
            server.write_oidc_role("", &name, "r", &name, CallbackMode::Client, &role);
            let started = scenario.start();
            let (status, page) = started.sign_in("alice").page.expect("a page");
            assert!(status == 400 && page.contains("<h1>The login failed</h1>"), "{page}");
            started.finish().expect(asked_in_vain(77, &format!(" was answered with {told}")));
            assert_eq!(scenario.cached(), Vec::<String>::new());
        }
    });
}

fn a_code_that_the_provider_does_not_take_back_is_sent_once(server: &Server) {
    at_desk(server, CallbackMode::Client, |scenario, provider| {
        provider.fault("/token", Fault::Status(500));
        let scenario = scenario.env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "10s");
        let started = scenario.start();
        started.sign_in("alice");
        let told = " was answered with 400: OpenBao login failed. Error exchanging oidc code: {any}500 Internal Server Error{any}; \
                    check that the role r at auth/{name} allows this person";
        started.finish().expect(asked_in_vain(77, told)).expect_requests([ASKED[0], ASKED[1]]);
    });
}

fn a_provider_that_begins_no_login_of_a_device_is_tried_again(server: &Server) {
    at_desk(server, CallbackMode::Device, |scenario, provider| {
        provider.fault("/device/auth", Fault::Status(500));
        let scenario = scenario.env("VAULT_MAX_RETRIES", "1").env("VAULT_RETRY_DELAY", "0");
        let cause = "the login at auth/{name} with role r was answered with 500: error authorizing device: \
                     500 Internal Server Error:";
        let provider_of = "look at the provider that auth/{name}/config names, as Vault reaches it";
        let outcome = scenario.run().expect(Expect::done().code(75).stderr([
            format!("WARN  vault-exec: login: {cause}; try 1 of 2, the next in 0ms"),
            format!("ERROR vault-exec: vault at {{addr}}: {cause}; {provider_of} (2 tries in {{any}})"),
        ]));
        outcome.expect_requests([ASKED[0], ASKED[0]]);
        // One that has passed costs the login nothing.
        provider.clear_faults();
        provider.fault_times("/device/auth", Fault::Status(500), 1);
        let started = scenario.start();
        started.sign_in("alice");
        assert_eq!(started.finish().code(), 0);
    });
}

fn a_provider_that_fails_while_a_device_is_waited_for_ends_the_login(server: &Server) {
    at_desk(server, CallbackMode::Device, |scenario, provider| {
        provider.fault("/token", Fault::Status(500));
        let scenario = scenario.env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "10s");
        let told = " was answered with 500: error polling for device authorization: 500 Internal Server Error:; \
                    look at the provider that auth/{name}/config names, as Vault reaches it";
        scenario.run().expect(asked_in_vain(75, told)).expect_requests([ASKED[0], "update auth/{name}/oidc/poll"]);
        assert_eq!(scenario.cached(), Vec::<String>::new());
    });
}

fn a_server_that_stops_while_a_person_is_waited_for_ends_the_login(_: &Server) {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    let server = Server::durable().map(Server::ready).expect("the shared one is there");
    let scenario = scenario(&server, &provider, CallbackMode::Device).unobserved();
    let started = scenario.start();
    started.url();
    let is_polled = || server.asked(&scenario.name).iter().any(|asked| asked.path.ends_with("oidc/poll"));
    vault_testkit::eventually("it is polled for", is_polled);
    server.stop();
    let told = ": connection refused; check VAULT_ADDR, and that the service is up and reachable from here";
    started.finish().expect(asked_in_vain(69, told));
    assert_eq!(scenario.cached(), Vec::<String>::new());
}

/// Nothing but what comes after the person is about the limit.
#[test]
fn the_time_of_a_person_does_not_count_and_what_follows_has_its_limit() {
    on(Kind::OpenBao, "the_time_of_a_person_does_not_count", |server| {
        at_desk(server, CallbackMode::Client, |scenario, provider| {
            // The person reads the page for longer than everything else may take.
            provider.fault("/auth", Fault::Delay(std::time::Duration::from_millis(2500)));
            let scenario = scenario.env("VAULT_STARTUP_TIMEOUT", "2s");
            let tap = Tap::withholding(&scenario.expand("{addr}"), "/oidc/callback?");
            let addr = format!("http://{}", tap.authority());
            let started = scenario.start();
            started.sign_in("alice");
            started.finish().expect(super::started());
            // The next start has to ask again.
            std::fs::remove_dir_all(scenario.cache()).expect("it is removed");
            let hung = scenario.at(&addr);
            let started = hung.start();
            let (status, page) = started.sign_in("alice").page.expect("a page");
            assert!(status == 400 && page.contains("The login failed"), "{page}");
            let outcome = started.finish();
            let error = outcome.log().last().copied().unwrap_or_default().to_owned();
            assert_eq!(outcome.code(), 69, "{}", outcome.describe());
            assert!(error.contains(" left of VAULT_STARTUP_TIMEOUT; "), "{error}");
            assert_eq!(hung.cached(), Vec::<String>::new());
        });
    });
}
