//! The servers do what tests rely on.

mod browsers;
mod logins;

use serde_json::{Value, json};
use vault_testkit::certs::{Pair, certs};
use vault_testkit::http::Call;
use vault_testkit::jwt::Jwt;
use vault_testkit::raw::{Raw, Reply};
use vault_testkit::server::{Listener, Server, skip};
use vault_testkit::tap::Tap;
use vault_testkit::{on_both, unique};

on_both! {
    a_role_gives_its_policy_to_the_usual_service_account,
    each_listener_shows_its_certificate,
}

fn a_role_gives_its_policy_to_the_usual_service_account(server: &Server) {
    let name = unique();
    server.mount_kv("", &name, 2);
    server.write_secret("", &name, "app", &json!({"A": "1"}));
    server.write_policy("", &name, &format!("path \"{name}/data/app\" {{ capabilities = [\"read\"] }}"));
    server.write_kubernetes_role("", "kubernetes", &name, &name, &json!({"token_ttl": "5m"}));

    let body = json!({"role": name, "jwt": Jwt::default().encode()}).to_string();
    let login = server.send(&Call { body: Some(body), ..Call::new("POST", "auth/kubernetes/login") }).json();
    assert_eq!(login["auth"]["lease_duration"], 300);
    assert_eq!(server.live_tokens("", &name), 1);
    let token = login["auth"]["client_token"].as_str().map(str::to_owned);
    let read = server.send(&Call { token, ..Call::new("GET", &format!("{name}/data/app")) });
    assert_eq!((read.status, &read.json()["data"]["data"]), (200, &json!({"A": "1"})));

    let asked: Vec<_> = server.asked(&name).into_iter().map(|it| (it.operation, it.path, it.with_token)).collect();
    let expected = [("update", "auth/kubernetes/login".to_owned(), false), ("read", format!("{name}/data/app"), true)];
    assert_eq!(asked, expected.map(|(operation, path, token)| (operation.to_owned(), path, token)));
}

fn each_listener_shows_its_certificate(server: &Server) {
    let reaches = |listener: Listener, client: Option<&Pair>| {
        logins::agent(client).get(format!("{}/v1/sys/seal-status", server.addr(listener))).call().is_ok()
    };
    assert!(reaches(Listener::Plain, None));
    assert!(reaches(Listener::Tls, None));
    assert!(reaches(Listener::MutualTls, Some(&certs().client)));
    assert!(!reaches(Listener::MutualTls, None));
    for bad in [
        Listener::Expired,
        Listener::NotYetValid,
        Listener::WrongName,
        Listener::Stranger,
        Listener::Impostor,
        Listener::SelfSigned,
    ] {
        assert!(!reaches(bad, None), "{bad:?}");
    }
}

#[test]
fn a_durable_server_comes_back_sealed_and_keeps_what_was_written() {
    let Some(server) = Server::durable().map(Server::ready) else {
        return skip("a_durable_server_comes_back_sealed_and_keeps_what_was_written");
    };
    server.write_secret("", "kv", "app", &json!({"A": "1"}));
    let sealed = || server.admin("GET", "sys/seal-status", &Value::Null).1["sealed"].clone();
    assert_eq!(sealed(), false);
    server.stop();
    server.resume();
    assert_eq!(sealed(), true);
    server.unseal();
    assert_eq!(server.must("GET", "kv/data/app", &Value::Null)["data"]["data"], json!({"A": "1"}));
    server.seal();
    assert_eq!(sealed(), true);
}

#[test]
fn a_tap_hands_on_what_a_scripted_server_says_and_has_recorded_what_was_answered() {
    let body = json!({"A": "1"});
    let raw = Raw::start([("some/path", vec![Reply::json(200, &body), Reply::json(503, &Value::Null)])]);
    let tap = Tap::before(&raw.addr());
    let call = Call { token: Some("a-token".to_owned()), ..Call::new("GET", "some/path") };
    let answers = [(); 3].map(|()| call.send(&format!("http://{}", tap.authority())));
    assert_eq!(answers.each_ref().map(|it| it.status), [200, 503, 503]);
    assert_eq!(answers[0].json(), body);
    raw.expect_requests(["GET some/path"; 3]);
    let recorded: Vec<_> = tap.requests().concat().into_iter().map(|lines| lines[0].clone()).collect();
    assert_eq!(recorded, ["GET /v1/some/path"; 3]);
}
