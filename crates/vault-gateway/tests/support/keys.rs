//! A server with the keys of an issuer, which change as a test says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::json;

use super::issuer::Issuer;

/// What it does with a request.
#[derive(Clone)]
enum Doing {
    Answer(String),
    /// The connection ends without an answer.
    HangUp,
    /// An error that says the whole head of the request again.
    Echo,
}

struct Shared {
    doing: Mutex<Doing>,
    hits: AtomicUsize,
}

/// The server. Its threads end with the process.
pub(crate) struct KeyServer {
    pub url: String,
    shared: Arc<Shared>,
}

impl KeyServer {
    /// One with the keys of these.
    pub fn of(issuers: &[&Issuer]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared { doing: Mutex::new(Doing::HangUp), hits: AtomicUsize::new(0) });
        let of_connections = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&of_connections);
                thread::spawn(move || serve(&client, &shared));
            }
        });
        let server = Self { url, shared };
        server.publish(issuers);
        server
    }

    /// Has the keys of these from now on.
    pub fn publish(&self, issuers: &[&Issuer]) {
        let keys: Vec<_> = issuers.iter().map(|issuer| issuer.key()).collect();
        self.will(Doing::Answer(json!({"keys": keys}).to_string()));
    }

    /// Answers with this from now on.
    pub fn say(&self, body: &str) {
        self.will(Doing::Answer(body.to_owned()));
    }

    /// Answers no more.
    pub fn hang_up(&self) {
        self.will(Doing::HangUp);
    }

    /// Says what it was asked, as an error.
    pub fn echo(&self) {
        self.will(Doing::Echo);
    }

    fn will(&self, doing: Doing) {
        *self.shared.doing.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    }

    /// How often it was asked.
    pub fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }
}

fn serve(mut client: &TcpStream, shared: &Shared) {
    let lines = BufReader::new(client).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let head = lines.collect::<Vec<_>>().join("\n");
    shared.hits.fetch_add(1, Ordering::SeqCst);
    let doing = shared.doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (status, body) = match doing {
        Doing::Answer(body) => (200, body),
        Doing::Echo => (500, head),
        Doing::HangUp => return,
    };
    let length = body.len();
    let _ = write!(client, "HTTP/1.1 {status} Words\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}
