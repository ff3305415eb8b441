//! The time that a person takes, and what ends a login from outside.

use std::time::Duration;

use serde_json::json;
use vault_client::{Cancel, ErrorKind, Listen, Oidc, VaultClient};
use vault_testkit::openid::Fault;
use vault_testkit::server::{CallbackMode, Listener};

use super::keys;
use crate::support::desk::{Started, at_desk};

#[test]
fn a_person_may_take_longer_than_all_that_the_program_has_time_for() {
    at_desk("a_person_may_take_longer", CallbackMode::Client, &json!({}), |desk| {
        // The person reads the page for as long.
        desk.provider.fault("/auth", Fault::Delay(Duration::from_secs(4)));
        let mut command = desk.command("app", "localhost:0");
        command.env("VAULT_STARTUP_TIMEOUT", "3s");
        let mut started = Started::of(command);
        started.sign_in("alice");
        let said = started.end();
        assert_eq!((said.code, said.stdout), (Some(0), keys(desk)), "{:?}", said.stderr);
        assert_eq!(desk.logins_and_tokens(), (1, 1));
    });
}

#[test]
fn a_cancellation_ends_a_login_at_once_and_leaves_nothing() {
    at_desk("a_cancellation_ends_a_login_at_once", CallbackMode::Client, &json!({}), |desk| {
        let login = Oidc { listen: Listen::parse("127.0.0.1:0").unwrap(), ..desk.login() };
        let address = desk.corner.server.addr(Listener::Plain);
        let client = VaultClient::builder().address(&address).login(login).ignore_environment().build().unwrap();
        let cancel = Cancel::new().unwrap();
        let waiting = {
            let client = client.cancelled_by(&cancel);
            std::thread::spawn(move || client.token().unwrap_err().kind())
        };
        vault_testkit::eventually("the login begins", || desk.corner.count("oidc/auth_url") == 1);
        cancel.cancel();
        assert_eq!(waiting.join().unwrap(), ErrorKind::Cancelled);
        assert_eq!((desk.logins_and_tokens(), desk.cached().len()), ((1, 0), 0));
    });
}
