//! The connections of the example by themselves, with a shorter life than it gives them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

#[path = "../../../examples/status_agent/server.rs"]
#[expect(dead_code, reason = "what accepts connections is not used here")]
mod server;

use server::{Life, hold};

/// More than the buffers of two sockets hold.
const LONG: usize = 64 << 20;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

const GET: &str = "GET / HTTP/1.1\r\nHost: agent\r\n\r\n";

/// Serves `answer` at an address of its own, each connection for this time, in milliseconds.
fn serve(answer: String, [usual, longest]: [u64; 2]) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let at = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let life = Life { usual: Duration::from_millis(usual), longest: Duration::from_millis(longest) };
        let router = Router::new().route("/", get(async move || answer));
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let graceful = GracefulShutdown::new();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hold(stream, router.clone(), life, &graceful));
            }
        });
    });
    at
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

#[test]
fn a_connection_that_is_used_all_the_time_ends_with_an_answer_that_says_so() {
    let mut stream = BufReader::new(connect(serve("ok".to_owned(), [300, 60_000])));
    let (mut count, mut is_last) = (0, false);
    let begun = Instant::now();
    while !is_last {
        assert!(begun.elapsed() < PATIENCE, "it lives for ever");
        stream.get_mut().write_all(GET.as_bytes()).expect("it is open until it says that it is not");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).expect("a line"), 0, "{head}");
        }
        let mut body = [0; 2];
        stream.read_exact(&mut body).expect("a body");
        assert!(head.starts_with("HTTP/1.1 200 ") && &body == b"ok", "{head}");
        is_last = head.contains("connection: close");
        count += 1;
    }
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
    assert!(count > 1, "it lived for one request");
}

#[test]
fn a_connection_whose_answers_are_not_read_is_cut_off() {
    let at = serve("x".repeat(LONG), [100, 300]);
    let mut stalled = connect(at);
    stalled.write_all(GET.as_bytes()).expect("it reads");
    // Another one, which begins later, is cut off as well: it sends nothing.
    assert_eq!(connect(at).read(&mut [0]).expect("an end"), 0);
    let mut read = Vec::new();
    let end = stalled.read_to_end(&mut read);
    assert!(end.is_ok() || end.is_err_and(|it| it.kind() == std::io::ErrorKind::ConnectionReset));
    assert!((1..LONG).contains(&read.len()), "{}", read.len());
}
