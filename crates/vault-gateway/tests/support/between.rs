//! Stands between the gateway and Vault, and does with requests what a test says.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is kept until the test says otherwise, or until the gateway hangs up.
    Hold,
    /// Vault gets it, and its answer is thrown away.
    Swallow,
    /// Vault gets it, and the connection ends instead of an answer.
    Cut,
}

#[derive(Default)]
struct Shared {
    ways: Mutex<Vec<(String, Way)>>,
    held: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

impl Shared {
    fn way(&self, line: &str) -> Option<Way> {
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.iter().find(|(text, _)| line.contains(text)).map(|(_, way)| *way)
    }
}

/// A proxy on a port of its own. Its threads end with the process.
pub(crate) struct Between {
    pub url: String,
    shared: Arc<Shared>,
}

impl Between {
    /// One in front of the server at this URL. It hands everything on.
    pub fn before(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let own = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::<Shared>::default();
        let of_connections = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, shared) = (server.clone(), Arc::clone(&of_connections));
                thread::spawn(move || serve(client, &server, &shared));
            }
        });
        Self { url: own, shared }
    }

    /// From now on this becomes of requests whose first line has `text`, such as `PUT /v1/kv/data/a`.
    pub fn treat(&self, text: &str, way: Way) {
        self.shared.ways.lock().unwrap_or_else(PoisonError::into_inner).push((text.to_owned(), way));
    }

    /// From now on everything is handed on, and what was held goes on.
    pub fn release(&self) {
        self.shared.ways.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many requests are held now.
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// The values of this header, in lower case, in all requests so far.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let heads = self.shared.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = heads.iter().flat_map(|head| head.lines()).filter_map(|line| line.split_once(": "));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
    }
}

/// What happens to the answers of a connection.
#[derive(Default)]
struct Back {
    swallow: AtomicBool,
    cut: AtomicBool,
}

fn serve(mut client: TcpStream, server: &str, shared: &Shared) {
    let Ok(mut server) = TcpStream::connect(server) else { return };
    let back = Arc::<Back>::default();
    let ends = [&server, &client].map(|it| it.try_clone().expect("a socket is shared"));
    let of_answers = Arc::clone(&back);
    thread::spawn(move || hand_back(&ends[0], &ends[1], &of_answers));
    let (mut received, mut buffer) = (Vec::new(), [0; 8192]);
    'requests: while let Ok(read @ 1..) = client.read(&mut buffer) {
        received.extend_from_slice(&buffer[..read]);
        while let Some(length) = length(&received) {
            let request: Vec<u8> = received.drain(..length).collect();
            if !hand_on(&request, &mut client, &mut server, shared, &back) {
                break 'requests;
            }
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

/// Whether the connection goes on.
fn hand_on(request: &[u8], client: &mut TcpStream, server: &mut TcpStream, shared: &Shared, back: &Back) -> bool {
    let text = String::from_utf8_lossy(request);
    let line = text.lines().next().unwrap_or_default();
    let head = text.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    shared.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    if shared.way(line) == Some(Way::Hold) {
        shared.held.fetch_add(1, Ordering::SeqCst);
        let has_hung_up = waits(line, client, shared);
        shared.held.fetch_sub(1, Ordering::SeqCst);
        if has_hung_up {
            return false;
        }
    }
    match shared.way(line) {
        Some(Way::Swallow) => back.swallow.store(true, Ordering::SeqCst),
        Some(Way::Cut) => back.cut.store(true, Ordering::SeqCst),
        _ => {}
    }
    server.write_all(request).is_ok()
}

/// Waits while requests with this line are held. Returns whether the client has hung up meanwhile.
fn waits(line: &str, client: &TcpStream, shared: &Shared) -> bool {
    client.set_read_timeout(Some(Duration::from_millis(5))).expect("a limit");
    let mut has_hung_up = false;
    while !has_hung_up && shared.way(line) == Some(Way::Hold) {
        has_hung_up = matches!(client.peek(&mut [0]), Ok(0));
    }
    client.set_read_timeout(None).expect("no limit");
    has_hung_up
}

fn hand_back(mut server: &TcpStream, mut client: &TcpStream, back: &Back) {
    let mut buffer = [0; 8192];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        if back.cut.load(Ordering::SeqCst) {
            break;
        }
        if !back.swallow.load(Ordering::SeqCst) && client.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// How many bytes the first request takes, where all of it is there.
fn length(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    (received.len() >= head + body).then_some(head + body)
}
