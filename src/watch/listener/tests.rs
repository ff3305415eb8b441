//! The listener, with clients that are slow, many or hostile. None of them sleeps.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;

use super::*;
use crate::process::tests::is_alone;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

/// More than two sockets hold.
const LARGE: usize = 32 << 20;

fn answers(path: &str) -> Option<Answer> {
    let (status, body) = match path {
        "/health" => (200, "well\n".to_owned()),
        "/ready" => (503, "not yet\n".to_owned()),
        "/large" => (200, "x".repeat(LARGE)),
        _ => return None,
    };
    Some(Answer { status, content_type: "text/plain", body })
}

fn serve_at(listen: &str, patience: Duration) -> (Serving, SocketAddr) {
    let bound = Bound::new(&Listen::parse(listen).unwrap()).unwrap();
    let address = bound.addresses()[0];
    (bound.serve_within(patience, Box::new(answers)).unwrap(), address)
}

fn serve(patience: Duration) -> (Serving, SocketAddr) {
    serve_at("127.0.0.1:0", patience)
}

/// A connection over which this was sent.
fn send(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(request).unwrap();
    stream
}

/// All that comes on a connection until its end.
fn received(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ask(address: SocketAddr, request: &str) -> String {
    received(send(address, request.as_bytes()))
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

const HEALTH: &str = "GET /health HTTP/1.0\r\n\r\n";

#[test]
fn a_path_is_answered_as_the_caller_says() {
    let (_serving, address) = serve(LONG);
    let head = |status: &str, length: usize| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
    };
    let well = head("200 OK", 5);
    assert_eq!(ask(address, HEALTH), format!("{well}well\n"));
    assert_eq!(ask(address, "GET /health?a=b HTTP/1.1\r\nHost: a\r\n\r\n"), format!("{well}well\n"));
    assert_eq!(ask(address, "HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n"), well);
    assert_eq!(ask(address, "GET /ready HTTP/1.0\r\n\r\n"), format!("{}not yet\n", head("503 Service Unavailable", 8)));
}

#[test]
fn what_is_no_question_is_refused_with_its_status() {
    let (_serving, address) = serve(LONG);
    let head = |status: &str, length: usize, allow: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n{allow}\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
    };
    let refused = |status: &str, allow| format!("{}{}\n", head(status, status.len() - 3, allow), &status[4..]);
    let large = format!("GET /health HTTP/1.0\r\nA: {}\r\n\r\n", "a".repeat(10_000));
    for (request, answer) in [
        ("GET /none HTTP/1.0\r\n\r\n", refused("404 Not Found", "")),
        ("HEAD /none HTTP/1.0\r\n\r\n", head("404 Not Found", 10, "")),
        ("POST /health HTTP/1.0\r\n\r\n", refused("405 Method Not Allowed", "Allow: GET, HEAD\r\n")),
        ("\u{16}\u{3}\u{1}", refused("400 Bad Request", "")),
        (&large, refused("431 Request Header Fields Too Large", "")),
    ] {
        assert_eq!(ask(address, request), answer, "{}", &request[..request.len().min(70)]);
    }
}

#[test]
fn the_answer_arrives_whatever_is_sent_behind_the_request() {
    let (_serving, address) = serve(LONG);
    for _ in 0..20 {
        let request = format!("GET /health HTTP/1.0\r\nContent-Length: 50000\r\n\r\n{}", "b".repeat(50_000));
        assert_eq!(status(&ask(address, &request)), "200");
    }
}

#[test]
fn a_body_without_an_end_ends_with_its_connection() {
    let (_serving, address) = serve(LONG);
    let mut stream = send(address, HEALTH.as_bytes());
    stream.set_write_timeout(Some(LONG)).unwrap();
    let kind = std::iter::repeat_with(|| stream.write_all(&[b'b'; 4096])).find_map(Result::err).unwrap().kind();
    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind}");
    assert_eq!(status(&ask(address, HEALTH)), "200");
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let (_serving, address) = serve(LONG);
    let mut stream = send(address, b"");
    stream.set_nodelay(true).unwrap();
    HEALTH.bytes().for_each(|byte| stream.write_all(&[byte]).unwrap());
    assert_eq!(status(&received(stream)), "200");
}

#[test]
fn a_client_that_sends_slowly_delays_nobody_and_ends_at_its_deadline() {
    let (_serving, address) = serve(SHORT);
    let begin = Instant::now();
    let mut slow = send(address, b"GET /");
    slow.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let mut others = 0;
    // It is paced by its own reading, which finds nothing for so long.
    let ended = loop {
        if slow.write_all(b"x").is_err() {
            break true;
        }
        match slow.read(&mut [0; 1]) {
            Ok(some) => break some == 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => break error.kind() == ErrorKind::ConnectionReset,
        }
        assert_eq!(status(&ask(address, HEALTH)), "200");
        others += 1;
    };
    let took = begin.elapsed();
    assert!(ended && others > 0 && took >= SHORT && took < LONG, "{ended} {others} {took:?}");
}

#[test]
fn a_client_that_does_not_read_delays_nobody_and_ends_at_its_deadline() {
    let (_serving, address) = serve(SHORT);
    let idle = send(address, b"GET /large HTTP/1.0\r\n\r\n");
    assert_eq!(status(&ask(address, HEALTH)), "200");
    // This one has its deadline after it.
    assert_eq!(received(send(address, b"")), "");
    let got = received(idle);
    assert!(status(&got) == "200" && got.len() < LARGE, "{}", got.len());
}

#[test]
fn a_large_answer_arrives_whole() {
    let (_serving, address) = serve(LONG);
    let answer = ask(address, "GET /large HTTP/1.0\r\n\r\n");
    assert_eq!(answer.split_once("\r\n\r\n").map(|(_, body)| body.len()), Some(LARGE));
}

#[test]
fn the_seventeenth_connection_is_turned_away() {
    let (_serving, address) = serve(LONG);
    let mut sixteen: Vec<_> = (0..MOST).map(|_| send(address, b"GET /hea")).collect();
    let turned_away = received(send(address, b""));
    assert!(turned_away.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{turned_away}");
    assert!(turned_away.ends_with("\r\n\r\nService Unavailable\n"), "{turned_away}");
    for stream in &mut sixteen {
        stream.write_all(b"lth HTTP/1.0\r\n\r\n").unwrap();
    }
    for stream in sixteen {
        assert_eq!(status(&received(stream)), "200");
    }
    // Their places are free once the listener has seen that they are gone. Who is turned away while it asks may be reset.
    let until = Instant::now() + LONG;
    let is_served = || {
        let mut answer = Vec::new();
        let _ = send(address, HEALTH.as_bytes()).read_to_end(&mut answer);
        answer.starts_with(b"HTTP/1.1 200 ")
    };
    while !is_served() {
        assert!(Instant::now() < until);
    }
}

#[test]
fn its_end_comes_at_once_though_connections_hang() {
    let (serving, address) = serve(LONG);
    let hanging = [&b""[..], b"GET /", b"GET /large HTTP/1.0\r\n\r\n"].map(|request| send(address, request));
    // They are let in by now.
    assert_eq!(status(&ask(address, HEALTH)), "200");
    let begin = Instant::now();
    drop(serving);
    assert!(begin.elapsed() < LONG / 2);
    let [silent, incomplete, large] = hanging.map(|mut stream| stream.read_to_end(&mut Vec::new()).ok());
    assert_eq!((silent, incomplete), (Some(0), Some(0)));
    assert!(large.is_none_or(|length| length < LARGE));
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let again = Bound::new(&Listen::parse(&address.to_string()).unwrap()).unwrap();
    assert_eq!(again.addresses(), [address]);
}

#[test]
fn every_address_and_both_families_are_served() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: no IPv6 here");
        return;
    }
    for (listen, hosts) in
        [("localhost:0", &["127.0.0.1", "[::1]"][..]), ("[::1]:0", &["[::1]"]), ("[::]:0", &["[::1]"])]
    {
        let (_serving, address) = serve_at(listen, LONG);
        for host in hosts {
            let address = format!("{host}:{}", address.port()).parse().unwrap();
            assert_eq!(status(&ask(address, HEALTH)), "200", "{listen} {host}");
        }
    }
    let only = std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").unwrap();
    let (_serving, address) = serve_at("[::]:0", LONG);
    let over_ipv4 = TcpStream::connect(("127.0.0.1", address.port()));
    assert_eq!(over_ipv4.is_ok(), only.trim() == "0");
}

fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

#[test]
fn without_a_free_descriptor_it_waits_and_then_serves() {
    // The limit is that of a whole process.
    if !is_alone("watch::listener::tests::without_a_free_descriptor_it_waits_and_then_serves") {
        return;
    }
    let (_serving, address) = serve(LONG);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let free = std::os::fd::AsRawFd::as_raw_fd(&std::fs::File::open("/dev/null").unwrap());
    // The client has the last one.
    setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(free).unwrap() + 1, hard).unwrap();
    let mut stream = send(address, HEALTH.as_bytes());
    let before = processor_time();
    stream.set_read_timeout(Some(5 * DEAF)).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let used = processor_time().saturating_sub(before);
    assert!(used < DEAF, "{used:?}");
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(status(&received(stream)), "200");
}

#[test]
fn a_wait_is_never_shorter_than_what_is_left() {
    assert_eq!(timeout(Duration::from_micros(1)).as_millis(), Some(1));
    assert_eq!(timeout(Duration::from_micros(1999)).as_millis(), Some(2));
    assert_eq!(timeout(Duration::MAX), PollTimeout::MAX);
}
