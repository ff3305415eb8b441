//! Stands between the program and a server, hands on what each says, and remembers what the program said. It is a
//! CONNECT proxy where it is asked to be one, and it can keep a request to itself.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Each connection, and what wakes whoever waits for one to say something.
type Said = (Mutex<Vec<Connection>>, Condvar);

/// What a connection's client has said, as far as it was not a CONNECT.
#[derive(Default)]
struct Connection {
    /// It is noted before it is handed on: whoever has an answer finds its request here.
    said: Vec<u8>,
    /// How much of it was handed on, or kept.
    arrived: usize,
}

/// A TCP proxy that records what its clients send. Its threads end with the process.
pub struct Tap {
    port: u16,
    said: Arc<Said>,
    connects: Arc<Mutex<Vec<String>>>,
}

impl Tap {
    /// One in front of the server at this URL.
    pub fn before(url: &str) -> Self {
        Self::start(Some(authority(url)), None)
    }

    /// The same, but requests that hold `text` never arrive.
    pub fn withholding(url: &str, text: &'static str) -> Self {
        Self::start(Some(authority(url)), Some(text))
    }

    /// A proxy that goes wherever CONNECT says.
    pub fn proxy() -> Self {
        Self::start(None, None)
    }

    fn start(target: Option<String>, withheld: Option<&'static str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let (said, connects) = (Arc::<Said>::default(), Arc::<Mutex<Vec<String>>>::default());
        let tap = Self { port, said: Arc::clone(&said), connects: Arc::clone(&connects) };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (said, connects, target) = (Arc::clone(&said), Arc::clone(&connects), target.clone());
                std::thread::spawn(move || {
                    let target = target.or_else(|| accept_connect(&client, &connects));
                    if let Some(server) = target.and_then(|target| TcpStream::connect(target).ok()) {
                        hand_on(client, server, &said, withheld);
                    }
                });
            }
        });
        tap
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// The head of each CONNECT, lines joined by `; `.
    pub fn connects(&self) -> Vec<String> {
        self.connects.lock().expect("no panic").clone()
    }

    /// What each connection's client has said.
    pub fn said(&self) -> Vec<Vec<u8>> {
        self.said.0.lock().expect("no panic").iter().map(|connection| connection.said.clone()).collect()
    }

    /// The requests on each connection, their first line and header lines, in lower case but for the first.
    pub fn requests(&self) -> Vec<Vec<Vec<String>>> {
        self.said().iter().map(|bytes| requests(bytes)).collect()
    }

    /// Waits until `text` was said this often, and the server has it.
    pub fn await_said(&self, text: &str, times: usize) {
        let count = |connections: &[Connection]| -> usize {
            let arrived = connections.iter().map(|it| String::from_utf8_lossy(&it.said[..it.arrived]));
            arrived.map(|said| said.matches(text).count()).sum()
        };
        let said = self.said.0.lock().expect("no panic");
        let waited = self
            .said
            .1
            .wait_timeout_while(said, Duration::from_secs(20), |said| count(said) < times)
            .expect("no panic");
        assert!(!waited.1.timed_out(), "never said: {text}");
    }
}

fn authority(url: &str) -> String {
    url.split_once("://").map_or(url, |it| it.1).to_owned()
}

fn requests(bytes: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(bytes);
    let mut requests: Vec<Vec<String>> = Vec::new();
    for line in text.split("\r\n") {
        // A body has no line end of its own, so what follows it stands on its line.
        let start = ["GET /", "POST /", "PUT /"].iter().find_map(|method| line.find(method));
        match (start, requests.last_mut()) {
            (Some(start), _) => requests.push(vec![line[start..].trim_end_matches(" HTTP/1.1").to_owned()]),
            (None, Some(request)) if line.contains(": ") => request.push(line.to_ascii_lowercase()),
            _ => {}
        }
    }
    requests
}

/// Where the client wants to go.
fn accept_connect(client: &TcpStream, connects: &Mutex<Vec<String>>) -> Option<String> {
    let mut lines = BufReader::new(client).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let head = lines.by_ref().collect::<Vec<_>>().join("; ");
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    connects.lock().expect("no panic").push(head);
    let mut client = client;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    Some(target)
}

fn hand_on(client: TcpStream, server: TcpStream, said: &Arc<Said>, withheld: Option<&str>) {
    let number = {
        let mut said = said.0.lock().expect("no panic");
        said.push(Connection::default());
        said.len() - 1
    };
    let (mut back_from, mut back_to) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Write);
    });
    let (mut client, mut server) = (client, server);
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = client.read(&mut buffer) {
        // Requests are short and sent at once, so a text stands in one piece.
        let keep = withheld.is_some_and(|text| String::from_utf8_lossy(&buffer[..n]).contains(text));
        said.0.lock().expect("no panic")[number].said.extend_from_slice(&buffer[..n]);
        if !keep && server.write_all(&buffer[..n]).is_err() {
            break;
        }
        said.0.lock().expect("no panic")[number].arrived += n;
        said.1.notify_all();
    }
    let _ = server.shutdown(Shutdown::Write);
}
