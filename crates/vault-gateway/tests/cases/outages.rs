//! What fails under load: Vault, an issuer, the gateway itself, and answers that do not come.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::server::{Kind, Listener, Server, on};

use crate::support::between::{Between, Way};
use crate::support::gateway::{Gateway, Reply, try_send};
use crate::support::issuer::Issuer;
use crate::support::keys::KeyServer;
use crate::support::{Corner, Ends};

/// What each caller of a load has met: how often which status, and what was wrong.
#[derive(Default)]
struct Seen {
    statuses: BTreeMap<(u16, String), usize>,
    wrong: Vec<String>,
}

impl Seen {
    fn note(&mut self, reply: &Reply) {
        *self.statuses.entry((reply.status, reply.problem())).or_default() += 1;
    }
}

/// Writes numbers that rise to a path of its own and reads them again. A read must give a number that was sent, and none
/// before the last one that was acknowledged.
fn write_and_read(gateway: &Gateway, token: &str, caller: usize, stop: &AtomicBool) -> Seen {
    let (mut seen, mut acknowledged) = (Seen::default(), 0);
    for number in 1_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let path = format!("/vault/secrets/load/{caller}");
        let written = gateway.put(&format!("PUT {path}"), token, &json!({"caller": caller, "number": number}));
        seen.note(&written);
        if matches!(written.status, 200 | 201) {
            acknowledged = number;
        }
        let read = gateway.ask(&format!("GET {path}"), token);
        seen.note(&read);
        let data = &read.json()["data"];
        let is_right = data["caller"] == json!(caller)
            && data["number"].as_u64().is_some_and(|it| (acknowledged..=number).contains(&it));
        if read.status == 200 && !is_right || read.status == 404 && acknowledged > 0 {
            seen.wrong.push(format!("{acknowledged}..={number}: {}", read.text));
        }
    }
    seen
}

/// Whether the contract has this answer for Vault being away.
fn is_of_an_outage((status, problem): &(u16, String)) -> bool {
    matches!(
        (status, problem.as_str()),
        (200 | 201, "") | (404, "not-found") | (503, "unavailable") | (504, "timeout" | "outcome-unknown")
    )
}

#[test]
fn while_vault_is_ended_and_started_again_every_request_is_answered_and_no_value_is_wrong() {
    on(Kind::OpenBao, "while_vault_is_ended_and_started_again_every_request_is_answered_and_no_value_is_wrong", |_| {
        let Some(server) = Server::durable().map(Server::ready) else { return };
        let corner = Corner::of(&server);
        let mut tables = corner.tables();
        tables.more = "[limits]\nrequest = \"3s\"\n".into();
        let gateway = corner.start(&tables);
        let (admin, stop) = (corner.token("admin"), AtomicBool::new(false));
        let all: Vec<Seen> = thread::scope(|scope| {
            let callers: Vec<_> = (0..6)
                .map(|caller| {
                    let (gateway, admin, stop) = (&gateway, &admin, &stop);
                    scope.spawn(move || write_and_read(gateway, admin, caller, stop))
                })
                .collect();
            let labels = "route=\"/vault/secrets/{path}\",method=\"PUT\",status=\"200\",tenant=\"team-a\"";
            let written = || gateway.metric(&format!("vault_gateway_requests_total{{{labels}}}"));
            let ends = Ends(&stop);
            for turn in 0..2 {
                let before = written();
                eventually("there is load", || written() > before + 20);
                server.stop();
                let ask = || gateway.ask("GET /vault/secrets/elsewhere", &admin).status;
                eventually("the callers notice", || ask() == 503);
                server.resume();
                assert_eq!(ask(), 503, "it is sealed, turn {turn}");
                server.unseal();
                eventually("it is served again", || ask() == 404);
            }
            let before = written();
            eventually("writes go on", || written() > before + 20);
            drop(ends);
            callers.into_iter().map(|it| it.join().expect("no panic")).collect()
        });
        let (wrong, statuses): (Vec<_>, Vec<_>) = all.into_iter().map(|seen| (seen.wrong, seen.statuses)).unzip();
        assert_eq!(wrong.concat(), Vec::<String>::new());
        assert!(statuses.iter().flat_map(BTreeMap::keys).all(is_of_an_outage), "{statuses:?}");
        assert!(statuses.iter().flat_map(BTreeMap::keys).any(|(status, _)| *status == 503), "{statuses:?}");
    });
}

#[test]
fn while_an_issuer_is_away_those_who_are_known_are_served_and_the_others_wait_for_its_return() {
    on(
        Kind::Embedded,
        "while_an_issuer_is_away_those_who_are_known_are_served_and_the_others_wait_for_its_return",
        |server| {
            let corner = Corner::of(server);
            corner.put("shared/a", &json!({"K": "v"}));
            let keys = KeyServer::of(&[&corner.issuer]);
            keys.hang_up();
            let mut tables = corner.tables();
            let file = format!("file:{}/jwks.json", corner.folder.display());
            tables.issuer = tables.issuer.replace(&file, &keys.url);
            let claims = |sub: &str| json!({"sub": sub, "roles": "reader", "tenant": "team-a"});
            // It is away from the beginning on: nobody is known.
            let gateway = corner.start(&tables);
            assert_eq!(gateway.ask("GET /vault/secrets/shared/a", &corner.issuer.token(&claims("a"))).status, 401);
            drop(gateway);
            keys.publish(&[&corner.issuer]);
            let gateway = corner.start(&tables);
            keys.hang_up();
            let second = Issuer::with_kid("https://idp.example", "second");
            let failed = AtomicUsize::new(0);
            thread::scope(|scope| {
                for caller in 0..4 {
                    let (gateway, corner, second, failed) = (&gateway, &corner, &second, &failed);
                    scope.spawn(move || {
                        for turn in 0..50 {
                            let known = corner.issuer.token(&claims(&format!("{caller}-{turn}")));
                            let tokens = [(known, 200), (second.token(&claims("x")), 401)];
                            for (token, status) in tokens {
                                let reply = gateway.ask("GET /vault/secrets/shared/a", &token);
                                failed.fetch_add(usize::from(reply.status != status), Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            assert_eq!(failed.into_inner(), 0);
        },
    );
}

#[test]
fn a_gateway_that_is_killed_under_load_begins_again_and_no_answered_request_lacks_its_line() {
    on(
        Kind::OpenBao,
        "a_gateway_that_is_killed_under_load_begins_again_and_no_answered_request_lacks_its_line",
        |server| {
            let corner = Corner::of(server);
            let tables = corner.tables();
            let admin = corner.token("admin");
            let mut answered = Vec::new();
            for turn in 0..3 {
                let mut gateway = corner.start(&tables);
                let authorization = format!("Bearer {admin}");
                let heard = AtomicUsize::new(0);
                let (address, heard) = (gateway.listen, &heard);
                let ids: Vec<Vec<String>> = thread::scope(|scope| {
                    let callers: Vec<_> = (0..4)
                        .map(|caller| {
                            let authorization = &authorization;
                            scope.spawn(move || {
                                let url = format!("http://{address}/vault/secrets/load/{caller}");
                                let headers =
                                    [("Authorization", &**authorization), ("Content-Type", "application/json")];
                                let mut ids = Vec::new();
                                // Who cannot reach it any more stops.
                                for number in 0.. {
                                    let (method, body) =
                                        if number % 2 == 0 { ("PUT", Some("{\"K\":1}")) } else { ("GET", None) };
                                    let Ok(reply) = try_send(&url, method, &headers, body) else { break };
                                    assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
                                    ids.push(reply.header("x-request-id").to_owned());
                                    heard.fetch_add(1, Ordering::Relaxed);
                                }
                                ids
                            })
                        })
                        .collect();
                    eventually("there is load", || heard.load(Ordering::Relaxed) > 100);
                    gateway.signal(Signal::SIGKILL);
                    callers.into_iter().map(|it| it.join().expect("no panic")).collect()
                });
                assert_eq!(gateway.wait().code(), None, "turn {turn}");
                answered.extend(ids.concat());
            }
            let text = fs::read_to_string(corner.folder.join("audit.log")).expect("a file");
            // The last line of a killed process may be torn.
            let (whole, torn): (Vec<_>, Vec<_>) =
                text.lines().map(serde_json::from_str::<Value>).partition(Result::is_ok);
            assert!(torn.len() <= 3, "{torn:?}");
            let ids: std::collections::BTreeSet<_> = whole
                .into_iter()
                .flatten()
                .map(|line| line["request_id"].as_str().expect("an id").to_owned())
                .collect();
            let without: Vec<_> = answered.iter().filter(|id| !ids.contains(*id)).collect();
            assert!(answered.len() > 300 && without.is_empty(), "{without:?}");
        },
    );
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout_of_a_read_and_an_unknown_outcome_of_a_write() {
    on(
        Kind::OpenBao,
        "an_answer_that_does_not_come_is_a_timeout_of_a_read_and_an_unknown_outcome_of_a_write",
        |server| {
            let corner = Corner::of(server);
            for path in ["a", "b"] {
                corner.put(path, &json!({"K": "old"}));
            }
            let between = Between::before(&server.addr(Listener::Plain));
            let mut tables = corner.tables();
            tables.more = "[limits]\nrequest = \"1s\"\n".into();
            let gateway = Gateway::start(&corner.write(&tables), &between.url);
            let admin = corner.token("admin");
            let read = || gateway.ask("GET /vault/secrets/a", &admin).json()["data"]["K"].clone();
            assert_eq!(read(), json!("old"));
            for (way, method, request, body, expected) in [
                (Way::Swallow, "GET", "GET /vault/secrets/b", None, (504, "timeout")),
                (Way::Hold, "GET", "GET /vault/secrets/b", None, (504, "timeout")),
                (Way::Cut, "GET", "GET /vault/secrets/b", None, (503, "unavailable")),
                (Way::Swallow, "GET", "GET /vault/list", None, (504, "timeout")),
                (Way::Swallow, "GET", "GET /vault/versions/b", None, (504, "timeout")),
                (Way::Swallow, "P", "PUT /vault/secrets/a", Some(r#"{"K":"swallowed"}"#), (504, "outcome-unknown")),
                (Way::Cut, "P", "PUT /vault/secrets/a", Some(r#"{"K":"cut"}"#), (504, "outcome-unknown")),
                (Way::Cut, "P", "POST /vault/versions/a/rollback", Some(r#"{"to":1}"#), (504, "outcome-unknown")),
                (
                    Way::Swallow,
                    "P",
                    "POST /vault/versions/a/destroy",
                    Some(r#"{"versions":[4]}"#),
                    (504, "outcome-unknown"),
                ),
                (
                    Way::Cut,
                    "P",
                    "POST /vault/versions/a/undelete",
                    Some(r#"{"versions":[1]}"#),
                    (504, "outcome-unknown"),
                ),
                (Way::Swallow, "DELETE", "DELETE /vault/secrets/b", None, (504, "outcome-unknown")),
                (Way::Cut, "DELETE", "DELETE /vault/secrets/b", None, (504, "outcome-unknown")),
            ] {
                // POST and PUT are one verb of the engine. A look for a mount is let pass.
                between.treat(&format!("{method}{} /v1/{}/", if method == "P" { "OST" } else { "" }, corner.name), way);
                between.treat(&format!("PUT /v1/{}/", corner.name), way);
                let reply = gateway.send(request, &admin, &[], body);
                assert_eq!((reply.status, &*reply.problem()), expected, "{way:?} {request}: {}", reply.text);
                between.release();
                match (way, request) {
                    (Way::Swallow, "PUT /vault/secrets/a") => assert_eq!(read(), json!("swallowed")),
                    (Way::Cut, "PUT /vault/secrets/a") => assert_eq!(read(), json!("cut")),
                    (Way::Cut, "POST /vault/versions/a/rollback") => assert_eq!(read(), json!("old")),
                    (Way::Swallow, "POST /vault/versions/a/destroy") => assert_eq!(read(), Value::Null),
                    _ => {}
                }
            }
            assert_eq!(gateway.ask("GET /vault/secrets/b", &admin).status, 404, "it was deleted");
            assert_eq!(gateway.operate("/ready").json()["tenants"]["team-a"], json!("ok"));
        },
    );
}
