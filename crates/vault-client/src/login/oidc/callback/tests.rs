//! The listener, with clients that are no browsers.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// A listener that waits for the state `good` in a thread of its own.
struct Waiting {
    address: SocketAddr,
    host: String,
    cancel: Cancel,
    thread: JoinHandle<Result<(String, Callbacks, Held), Ended>>,
}

impl Waiting {
    fn begin() -> Self {
        let mut callbacks = Callbacks::new(Bound::new("127.0.0.1", 0).unwrap());
        let (address, host) = (callbacks.bound.sockets[0].local_addr().unwrap(), callbacks.bound.authority());
        let cancel = Cancel::new().unwrap();
        let call = Call::until(Instant::now() + LONG, cancel.clone());
        let thread = thread::spawn(move || {
            let (callback, held) = callbacks.wait("good", &call)?;
            let said = match callback {
                Callback::Code(code) => code.expose().to_owned(),
                Callback::Refused { error, description } => format!("{error} ({description})"),
            };
            Ok((said, callbacks, held))
        });
        Self { address, host, cancel, thread }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// A connection that has asked for `target`.
    fn ask(&self, target: &str) -> TcpStream {
        let mut stream = self.connect();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host).unwrap();
        stream
    }

    fn end(self) -> (String, Callbacks, Held) {
        self.thread.join().unwrap().unwrap()
    }
}

/// All that comes on a connection until its end.
fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(stream: TcpStream) -> String {
    answer(stream).chars().skip("HTTP/1.1 ".len()).take(3).collect()
}

#[test]
fn strange_requests_are_answered_and_the_callback_among_them_is_found() {
    let waiting = Waiting::begin();
    let host = waiting.host.clone();
    for (request, expected) in [
        (format!("GET /favicon.ico HTTP/1.1\r\nHost: {host}\r\n\r\n"), "404"),
        (format!("GET /oidc/callback?state=bad&code=x HTTP/1.1\r\nHost: {host}\r\n\r\n"), "400"),
        (format!("GET /oidc/callback?state=bad&error=access_denied HTTP/1.1\r\nHost: {host}\r\n\r\n"), "400"),
        ("GET /oidc/callback?state=good&code=x HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(), "400"),
        (format!("POST /oidc/callback HTTP/1.1\r\nHost: {host}\r\nContent-Length: 17\r\n\r\nstate=good&code=x"), "400"),
        (format!("HEAD /oidc/callback?state=good&code=x HTTP/1.1\r\nHost: {host}\r\n\r\n"), "400"),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: {host}\r\n\r\nGET /oidc/callback?state=good&code=x HTTP/1.1\r\nHost: {host}\r\n\r\n"
            ),
            "404",
        ),
        ("\u{16}\u{3}\u{1}\r\n\r\n".into(), "400"),
        (format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(100_000)), "400"),
    ] {
        let mut stream = waiting.connect();
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(status(stream), expected, "{}", &request[..request.len().min(70)]);
    }
    // One that ends in the middle.
    waiting.connect().write_all(b"GET /oidc").unwrap();
    let browser = waiting.ask("/oidc/callback?code=the%2Dcode&state=good");
    let (code, callbacks, held) = waiting.end();
    assert_eq!(code, "the-code");
    callbacks.finish(held, Page::Worked, &Cancel::never());
    assert!(answer(browser).contains("You are logged in"));
}

#[test]
fn an_error_with_the_state_ends_the_wait() {
    let waiting = Waiting::begin();
    let browser = waiting.ask("/oidc/callback?error=access_denied&error_description=no%0Athanks&state=good");
    let (said, callbacks, held) = waiting.end();
    assert_eq!(said, "access_denied (no\nthanks)");
    callbacks.finish(held, Page::Failed("it was <refused>"), &Cancel::never());
    assert!(answer(browser).contains("<p>it was &#60;refused&#62;</p>"));
}

#[test]
fn a_second_callback_is_told_that_the_login_is_over_and_the_first_one_gets_its_page() {
    let waiting = Waiting::begin();
    let first = waiting.ask("/oidc/callback?code=first&state=good");
    let second_target = "/oidc/callback?code=second&state=good";
    let (address, host) = (waiting.address, waiting.host.clone());
    let (code, callbacks, held) = waiting.end();
    // It came while nobody listened.
    let mut second = TcpStream::connect(address).unwrap();
    write!(second, "GET {second_target} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let pages = thread::spawn(move || (answer(second), answer(first)));
    callbacks.finish(held, Page::Worked, &Cancel::never());
    let (second, first) = pages.join().unwrap();
    assert_eq!(code, "first");
    assert!(first.contains("You are logged in"), "{first}");
    assert!(second.contains("This login is over"), "{second}");
}

#[test]
fn silent_and_slow_connections_keep_nobody_out() {
    let waiting = Waiting::begin();
    let silent: Vec<_> = (0..3 * MOST).map(|_| waiting.connect()).collect();
    let mut slow = waiting.connect();
    slow.write_all(b"GET /oidc/callback?state=good&co").unwrap();
    let browser = waiting.ask("/oidc/callback?code=c&state=good");
    let (code, callbacks, held) = waiting.end();
    assert_eq!(code, "c");
    assert!(callbacks.connections.len() <= MOST, "{}", callbacks.connections.len());
    callbacks.finish(held, Page::Worked, &Cancel::never());
    assert!(answer(browser).contains("You are logged in"));
    drop(silent);
}

/// A listener at two addresses, which nobody serves but the test, and what a browser asks there.
fn unattended() -> (Callbacks, [SocketAddr; 2], String) {
    let mut bound = Bound::new("127.0.0.1", 0).unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    bound.sockets.push(other);
    let request = format!("GET /oidc/callback?code=c&state=good HTTP/1.1\r\nHost: {}\r\n\r\n", bound.authority());
    let addresses = [0, 1].map(|number: usize| bound.sockets[number].local_addr().unwrap());
    let mut callbacks = Callbacks::new(bound);
    callbacks.expected.state = hash("good");
    (callbacks, addresses, request)
}

/// Silent connections, as many as are let in at once.
fn crowd(address: SocketAddr) -> Vec<TcpStream> {
    (0..MOST).map(|_| TcpStream::connect(address).unwrap()).collect()
}

#[test]
fn a_browser_whose_request_is_there_is_heard_before_anybody_takes_its_place() {
    let (mut callbacks, [first, second], request) = unattended();
    let mut browser = TcpStream::connect(first).unwrap();
    browser.write_all(request.as_bytes()).unwrap();
    let _crowds = [first, second].map(crowd);
    assert!(matches!(callbacks.serve(), Some((Callback::Code(code), _)) if code.expose() == "c"));
}

#[test]
fn a_browser_that_has_asked_since_it_was_let_in_is_heard_before_it_is_sent_away() {
    let (mut callbacks, [first, second], request) = unattended();
    let mut browser = TcpStream::connect(first).unwrap();
    while callbacks.connections.is_empty() {
        assert!(callbacks.serve().is_none());
    }
    browser.write_all(request.as_bytes()).unwrap();
    let _crowds = [first, second].map(crowd);
    assert!(matches!(callbacks.serve(), Some((Callback::Code(code), _)) if code.expose() == "c"));
}

#[test]
fn a_connection_that_says_nothing_is_closed_after_a_while_and_the_wait_goes_on() {
    let waiting = Waiting::begin();
    let begun = Instant::now();
    assert_eq!(answer(waiting.connect()), "");
    assert!((PATIENCE..LONG).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    let browser = waiting.ask("/oidc/callback?code=c&state=good");
    assert_eq!(waiting.end().0, "c");
    drop(browser);
}

#[test]
fn a_browser_that_takes_no_page_is_left_after_a_second() {
    let waiting = Waiting::begin();
    let browser = waiting.ask("/oidc/callback?code=c&state=good");
    let (_, callbacks, held) = waiting.end();
    let begun = Instant::now();
    callbacks.finish(held, Page::Worked, &Cancel::never());
    assert!((FAREWELL..LONG).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(answer(browser).contains("You are logged in"));
}

#[test]
fn a_cancellation_ends_the_wait_at_once_and_the_port_is_free() {
    let waiting = Waiting::begin();
    let address = waiting.address;
    let open = waiting.connect();
    waiting.cancel.cancel();
    assert_eq!(waiting.thread.join().unwrap().unwrap_err(), Ended::Cancelled);
    drop(open);
    std::net::TcpListener::bind(address).unwrap();
}

#[test]
fn a_limit_ends_the_wait() {
    let mut callbacks = Callbacks::new(Bound::new("127.0.0.1", 0).unwrap());
    let call = Call::until(Instant::now() + Duration::from_millis(20), Cancel::never());
    assert_eq!(callbacks.wait("good", &call).unwrap_err(), Ended::Deadline);
}

#[test]
fn no_state_is_right_before_one_is_known() {
    let mut callbacks = Callbacks::new(Bound::new("127.0.0.1", 0).unwrap());
    let (address, host) = (callbacks.bound.sockets[0].local_addr().unwrap(), callbacks.bound.authority());
    let mut early = TcpStream::connect(address).unwrap();
    write!(early, "GET /oidc/callback?code=c&state= HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let short = Call::until(Instant::now() + LONG, Cancel::never());
    while callbacks.connections.iter().all(|it| matches!(it.phase, Phase::Reading(_))) {
        assert!(callbacks.serve().is_none());
        callbacks.poll(&short).unwrap();
    }
    assert_eq!(status(early), "400");
}
