//! Many callers, slow callers, and callers that send or want too much.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use vault_testkit::server::{Kind, Listener, on};
use vault_testkit::{eventually, missing};

use crate::support::Corner;
use crate::support::between::{Between, Way};
use crate::support::gateway::{Gateway, Reply};
use crate::support::wire::{exchange, statuses};

/// Memory of the gateway that is in use, in MiB.
fn memory(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// How many descriptors the gateway has open.
fn descriptors(gateway: &Gateway) -> usize {
    fs::read_dir(format!("/proc/{}/fd", gateway.id())).expect("it runs").count()
}

fn connect(gateway: &Gateway) -> TcpStream {
    let stream = TcpStream::connect(gateway.listen).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    stream
}

/// All that comes until the other side ends the connection.
fn rest(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn ten_thousand_connections_are_held_and_the_next_is_refused_and_none_takes_much_memory() {
    const MANY: usize = 10_000;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if hard < MANY as u64 + 1000 && !missing("a limit of 11,000 descriptors, as of ulimit -Hn") {
        return;
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("it is raised");
    on(
        Kind::Embedded,
        "ten_thousand_connections_are_held_and_the_next_is_refused_and_none_takes_much_memory",
        |server| {
            let corner = Corner::of(server);
            corner.put("shared/a", &json!({"K": "v"}));
            let mut tables = corner.tables();
            tables.more = "[limits]\nhead = \"60s\"\n".into();
            let gateway = corner.start(&tables);
            let token = corner.token("reader");
            let request =
                format!("GET /vault/secrets/shared/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
            let ask = |mut stream: &TcpStream| {
                stream.write_all(request.as_bytes()).expect("it is taken");
                let mut answer = [0; 2048];
                let read = stream.read(&mut answer).expect("an answer");
                statuses(&String::from_utf8_lossy(&answer[..read]))
            };
            let (before, begun) = (memory(&gateway), Instant::now());
            let all: Vec<_> = (0..MANY).map(|_| connect(&gateway)).collect();
            // Nobody has found the queue full, and tried again a second later.
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
            // Each is served, and waits for its next request.
            for stream in all.iter().step_by(10) {
                assert_eq!(ask(stream), [200]);
            }
            eventually("all are accepted", || descriptors(&gateway) > MANY);
            assert_eq!(rest(&connect(&gateway)), "");
            assert_eq!(gateway.operate("/health").status, 200, "operators have connections of their own");
            let refused = "vault_gateway_requests_total{route=\"\",method=\"other\",status=\"503\",tenant=\"\"}";
            assert_eq!(gateway.metric(refused), 1);
            let held = memory(&gateway);
            drop(all);
            eventually("their descriptors come back", || descriptors(&gateway) < 100);
            assert_eq!(gateway.ask("GET /vault/secrets/shared/a", &token).status, 200);
            let after = memory(&gateway);
            assert!(held < before + 250 && after < held + 10, "MiB: {before}, {held}, {after}");
        },
    );
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    on(Kind::Embedded, "a_body_that_is_too_large_is_refused_before_it_is_sent", |server| {
        let corner = Corner::of(server);
        let gateway = corner.start(&corner.tables());
        let head = |role: &str, more: &str| {
            format!(
                "PUT /vault/secrets/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\n{more}\r\n\r\n",
                corner.token(role)
            )
        };
        for (what, head, status) in [
            ("its length says so", head("admin", "Content-Length: 10000000000"), 413),
            (
                "and who waits is not told to go on",
                head("admin", "Content-Length: 10000000000\r\nExpect: 100-continue"),
                413,
            ),
            ("whose caller may not write", head("reader", "Content-Length: 10000000000"), 403),
            ("that is no JSON by its type", head("admin", "Content-Type: a/b\r\nContent-Length: 10000000000"), 415),
        ] {
            let begun = Instant::now();
            assert_eq!(statuses(&exchange(gateway.listen, head.as_bytes())), [status], "{what}");
            assert!(begun.elapsed() < Duration::from_secs(3), "{what}: the connection ends");
        }
        // Chunks tell no length before: it is refused as soon as it is too much.
        let mut stream = connect(&gateway);
        stream.write_all(head("admin", "Transfer-Encoding: chunked").as_bytes()).expect("it is taken");
        let chunk = [&b"10000\r\n"[..], &vec![b' '; 65536], b"\r\n"].concat();
        let mut sent = 0;
        while sent < 1000 && stream.write_all(&chunk).is_ok() {
            sent += 1;
        }
        // What stood in the way of the answer may have reset the connection.
        assert!(sent < 1000, "it was read on and on");
        let too_large = || corner.audit().iter().filter(|line| line["status"] == json!(413)).count();
        eventually("it is refused", || too_large() == 3);
        assert!(memory(&gateway) < 200, "{}", memory(&gateway));
    });
}

#[test]
fn uploads_that_never_end_take_no_more_memory_than_there_is_for_bodies() {
    on(Kind::Embedded, "uploads_that_never_end_take_no_more_memory_than_there_is_for_bodies", |server| {
        let corner = Corner::of(server);
        let mut tables = corner.tables();
        tables.more = "[limits]\nrequest = \"60s\"\n".into();
        let gateway = corner.start(&tables);
        let token = corner.token("admin");
        let head = format!(
            "PUT /vault/secrets/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        );
        let (before, almost_all) = (memory(&gateway), vec![b' '; 999_990]);
        let all: Vec<_> = (0..100)
            .map(|_| {
                let mut stream = connect(&gateway);
                // One that is refused is not taken to its end.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&almost_all));
                stream
            })
            .collect();
        // A tenant has 32 MiB.
        let lines = || corner.audit().into_iter().filter(|line| line["reason"] == json!("busy")).count();
        eventually("all others are sent away", || lines() >= 100 - 33);
        assert!(lines() <= 80, "{}", lines());
        let after = memory(&gateway);
        assert!(after < before + 60, "MiB: {before}, {after}");
        assert_eq!(gateway.ask("GET /vault/secrets/a", &token).status, 404, "who sends no body is served");
        drop(all);
        let put = || gateway.put("PUT /vault/secrets/a", &token, &json!({"K": "x".repeat(60_000)})).status;
        eventually("there is memory again", || put() == 201);
    });
}

#[test]
fn callers_that_do_not_read_their_answers_lose_their_connections() {
    on(Kind::Embedded, "callers_that_do_not_read_their_answers_lose_their_connections", |server| {
        let corner = Corner::of(server);
        corner.put("shared/large", &json!({"K": "x".repeat(900_000)}));
        let mut tables = corner.tables();
        tables.more = "[limits]\nrequest = \"2s\"\nhead = \"2s\"\n".into();
        let gateway = corner.start(&tables);
        let token = corner.token("reader");
        assert_eq!(gateway.ask("GET /vault/secrets/shared/large", &token).status, 200);
        let request =
            format!("GET /vault/secrets/shared/large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        let before = descriptors(&gateway);
        let all: Vec<_> = (0..100).map(|_| connect(&gateway)).collect();
        for mut stream in &all {
            stream.write_all(request.repeat(20).as_bytes()).expect("it is taken");
        }
        eventually("they are served", || descriptors(&gateway) >= before + 100);
        assert_eq!(gateway.ask("GET /vault/secrets/shared/large", &token).status, 200);
        eventually("they are ended", || descriptors(&gateway) < before + 10);
        assert!(memory(&gateway) < 200, "{}", memory(&gateway));
        // Who reads slowly and steadily gets everything.
        let mut stream = connect(&gateway);
        stream.write_all(request.replace("Host: x", "Host: x\r\nConnection: close").as_bytes()).expect("it is taken");
        assert!(rest(&stream).len() > 900_000);
    });
}

#[test]
fn more_requests_at_once_than_the_limit_are_sent_away() {
    on(Kind::OpenBao, "more_requests_at_once_than_the_limit_are_sent_away", |server| {
        let corner = Corner::of(server);
        let between = Between::before(&server.addr(Listener::Plain));
        let mut tables = corner.tables();
        tables.more = "[limits]\nconcurrent = 4\n".into();
        let gateway = Gateway::start(&corner.write(&tables), &between.url);
        let token = corner.token("admin");
        between.treat("/data/", Way::Hold);
        let replies: Vec<Reply> = thread::scope(|scope| {
            let (gateway, token) = (&gateway, &token);
            let ask = |path: String| scope.spawn(move || gateway.ask(&format!("GET /vault/secrets/{path}"), token));
            let held: Vec<_> = (0..4).map(|number| ask(format!("x{number}"))).collect();
            eventually("they are at Vault", || between.held() == 4);
            // Tokens are not looked at before: the service has no time for it.
            let sent_away = [gateway.ask("GET /vault/secrets/y", token), gateway.ask("GET /nowhere", "")];
            for reply in &sent_away {
                assert_eq!((reply.told(), reply.header("retry-after")), ((503, "busy".to_owned()), "1"));
            }
            between.release();
            held.into_iter().map(|it| it.join().expect("no panic")).collect()
        });
        assert!(replies.iter().all(|reply| reply.status == 404), "{replies:?}");
        assert_eq!(gateway.ask("GET /vault/secrets/y", &token).status, 404);
    });
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    on(Kind::Embedded, "a_connection_serves_one_request_after_the_other", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let gateway = corner.start(&corner.tables());
        let (reader, admin) = (corner.token("reader"), corner.token("admin"));
        let request = |token: &str, line: &str, body: &str| {
            let length = body.len();
            format!(
                "{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            )
        };
        let mut all = String::new();
        for _ in 0..50 {
            all.push_str(&request(&reader, "GET /vault/secrets/shared/a", ""));
            all.push_str(&request(&reader, "PUT /vault/secrets/shared/b", ""));
            all.push_str(&request(&admin, "PUT /vault/secrets/b", "{}"));
            all.push_str(&request("", "GET /vault/secrets/shared/a", ""));
        }
        all.push_str("GET /vault/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut expected = [200, 403, 200, 401].repeat(50);
        // The first write makes the secret.
        expected[2] = 201;
        expected.push(401);
        assert_eq!(statuses(&exchange(gateway.listen, all.as_bytes())), expected);
    });
}
