//! A watched secret whose server, token or policy goes away: the last good value stays, and it goes on by itself.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use vault_client::watch::Outcome;
use vault_client::{Cas, ErrorKind, HealthStatus, Limits, VaultClient, Watched};
use vault_testkit::raw::{READ, Raw};
use vault_testkit::server::{Kind, Listener, Server, on};
use vault_testkit::unique;

use super::scripted::version;
use super::{Told, failure, quick, seldom, state, watched};
use crate::support::{Corner, cutting, with_corner};

fn text(watched: &Watched) -> String {
    watched.current().text("K").unwrap().to_owned()
}

/// What one state of failure and its end are told as, of version 1.
fn once_and_its_end() -> Vec<(Outcome, Option<u64>, Option<u64>)> {
    vec![(Outcome::Failing, Some(1), None), (Outcome::Recovered, Some(1), Some(1))]
}

#[test]
fn a_seal_and_a_restart_are_failures_and_nothing_is_lost() {
    const NAME: &str = "a_seal_and_a_restart_are_failures_and_nothing_is_lost";
    let Some(server) = Server::durable().map(Server::ready) else {
        return vault_testkit::server::skip(NAME);
    };
    let (corner, told) = (Corner::of(&server, &json!({})), Told::default());
    let (client, kv, watched) = watched(&corner, &told);
    let well = || vault_testkit::eventually("a refresh succeeds", || watched.refresh().is_ok());
    server.seal();
    for _ in 0..3 {
        assert_eq!(failure(&watched).0, ErrorKind::NotReady);
    }
    assert_eq!((state(&watched).0, text(&watched).as_str()), (HealthStatus::Failing, "one"));
    server.unseal();
    well();
    assert_eq!(told.take(), once_and_its_end());
    server.stop();
    for _ in 0..3 {
        assert_eq!(failure(&watched).0, ErrorKind::Unreachable);
    }
    server.resume();
    server.unseal();
    well();
    // What came between, sealed or starting, may be a state of its own.
    let said = told.take();
    assert_eq!((said.first(), said.last()), (once_and_its_end().first(), once_and_its_end().last()));
    vault_testkit::eventually("it takes writes", || kv.write("a", &json!({"K": "two"}), Cas::At(1)).is_ok());
    watched.refresh().unwrap();
    assert_eq!((text(&watched).as_str(), told.take()), ("two", vec![(Outcome::Changed, Some(1), Some(2))]));
    assert_eq!(corner.count("auth/kubernetes/login"), 1, "the token has survived");
    client.close();
    assert_eq!(corner.live_tokens(), 0);
}

#[test]
fn a_token_that_was_revoked_is_replaced_within_the_refresh() {
    with_corner("a_token_that_was_revoked_is_replaced_within_the_refresh", |corner| {
        let told = Told::default();
        let (client, kv, watched) = watched(corner, &told);
        kv.write("a", &json!({"K": "two"}), Cas::Any).unwrap();
        corner.revoke_tokens();
        watched.refresh().unwrap();
        assert_eq!((text(&watched).as_str(), told.take()), ("two", vec![(Outcome::Changed, Some(1), Some(2))]));
        assert_eq!((state(&watched).4, corner.count("auth/kubernetes/login")), (0, 2));
        client.close();
        assert_eq!(corner.live_tokens(), 0);
    });
}

#[test]
fn a_policy_that_is_taken_away_costs_a_look_up_a_refresh_and_no_login() {
    with_corner("a_policy_that_is_taken_away_costs_a_look_up_a_refresh_and_no_login", |corner| {
        let told = Told::default();
        let (_client, _, watched) = watched(corner, &told);
        corner.server.write_policy("", &corner.name, "path \"elsewhere\" { capabilities = [\"read\"] }");
        for _ in 0..4 {
            assert_eq!(failure(&watched), (ErrorKind::Denied, Some(403), None));
        }
        let asked = ["auth/kubernetes/login", "lookup-self", "data/a"].map(|part| corner.count(part));
        // The first of the secret's is the write, the second one the first read.
        assert_eq!(asked, [1, 4, 2 + 4]);
        let rules = format!("path \"{}/*\" {{ capabilities = [\"read\"] }}", corner.name);
        corner.server.write_policy("", &corner.name, &rules);
        watched.refresh().unwrap();
        assert_eq!((told.take(), text(&watched).as_str()), (once_and_its_end(), "one"));
        assert_eq!(corner.count("auth/kubernetes/login"), 1);
    });
}

#[test]
fn a_namespace_that_is_gone_leaves_the_last_value() {
    on(Kind::OpenBao, "a_namespace_that_is_gone_leaves_the_last_value", |server| {
        let namespace = unique();
        server.create_empty_namespace(&namespace);
        server.mount_kv(&namespace, "kv", 2);
        server.write_secret(&namespace, "kv", "a", &json!({"K": "one"}));
        let builder = VaultClient::builder().address(&server.addr(Listener::Plain)).token(server.root_token());
        let client = builder.limits(quick()).ignore_environment().build().unwrap();
        let watched = client.in_namespace(&namespace).kv("kv").watch("a", seldom()).unwrap();
        watched.refresh().unwrap();
        server.must("DELETE", &format!("sys/namespaces/{namespace}"), &Value::Null);
        vault_testkit::eventually("the namespace is gone", || watched.refresh().is_err());
        let kind = failure(&watched).0;
        assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::Rejected | ErrorKind::Denied), "{kind:?}");
        assert_eq!((text(&watched).as_str(), state(&watched).0), ("one", HealthStatus::Failing));
    });
}

#[test]
fn a_network_that_cuts_every_connection_brings_no_wrong_value() {
    with_corner("a_network_that_cuts_every_connection_brings_no_wrong_value", |corner| {
        corner.server.write_secret("", &corner.name, "a", &json!({"K": "one"}));
        let address = cutting::before(&corner.server.addr(Listener::Plain));
        let limits = Limits { retries: 8, delay: Duration::ZERO, ..quick() };
        let told = Told::default();
        let client = corner.builder().address(&address).limits(limits).observer(told.clone()).build().unwrap();
        let watched = client.kv(&corner.name).watch("a", seldom()).unwrap();
        let outcomes: Vec<_> = (0..60).map(|_| watched.refresh().map_err(|error| error.kind())).collect();
        let [well, cut] = [Ok(()), Err(ErrorKind::Unreachable)].map(|it| outcomes.iter().filter(|o| **o == it).count());
        assert!(well > 0 && cut > 0 && well + cut == 60, "{outcomes:?}");
        assert_eq!((text(&watched).as_str(), state(&watched).4), ("one", cut as u64));
        // Each state once, by turns.
        let said: Vec<_> = told.take().into_iter().map(|it| it.0).collect();
        assert!(
            said.chunks(2)
                .all(|two| two[0] == Outcome::Failing && two.get(1).is_none_or(|it| *it == Outcome::Recovered)),
            "{said:?}"
        );
    });
}

/// Hands one connection on to `port`, and listens no more; gives both ends of it.
fn one_connection(listener: TcpListener, port: u16) -> JoinHandle<[TcpStream; 2]> {
    std::thread::spawn(move || {
        let (client, server) = (listener.accept().unwrap().0, TcpStream::connect(("127.0.0.1", port)).unwrap());
        let other = |it: &TcpStream| it.try_clone().unwrap();
        for (from, to) in [(other(&client), other(&server)), (other(&server), other(&client))] {
            std::thread::spawn(move || std::io::copy(&mut &from, &mut &to));
        }
        [client, server]
    })
}

#[test]
fn a_server_that_refuses_connections_is_read_again_when_it_is_back() {
    let versions = |number: u64| version(number, number, &json!({"K": number.to_string()}));
    let raw = Raw::start([(READ, vec![versions(1)])]);
    // An address of its own, so that nobody takes the port meanwhile.
    let listener = TcpListener::bind(("127.77.3.1", 0)).unwrap();
    let place = listener.local_addr().unwrap();
    let connection = one_connection(listener, raw.port());
    let told = Told::default();
    let builder = VaultClient::builder().address(&format!("http://{place}")).token("hvs.given").limits(quick());
    let client = builder.observer(told.clone()).ignore_environment().build().unwrap();
    let watched = client.kv("kv").watch("shop/app", seldom()).unwrap();
    connection.join().unwrap().iter().for_each(|it| it.shutdown(Shutdown::Both).unwrap());
    for _ in 0..2 {
        assert_eq!(failure(&watched).0, ErrorKind::Unreachable);
    }
    let back = Raw::on(TcpListener::bind(place).unwrap(), [(READ, vec![versions(2)])]);
    watched.refresh().unwrap();
    assert_eq!((text(&watched).as_str(), back.requests().len()), ("2", 1));
    assert_eq!(told.take(), [(Outcome::Failing, Some(1), None), (Outcome::Changed, Some(1), Some(2))]);
}
