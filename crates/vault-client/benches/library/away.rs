//! A client whose server goes away, and how often it is asked meanwhile.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use vault_testkit::server::Server;

use crate::corner::{Corner, PATH};

/// How long it is away.
const LENGTH: Duration = Duration::from_secs(30);

/// What came of it.
pub(crate) struct Away {
    /// Connections that were tried: each is of one request.
    pub(crate) requests: usize,
    /// Reads that failed meanwhile.
    pub(crate) failures: usize,
    /// Whether the first read after it succeeded.
    pub(crate) is_back: bool,
}

impl Away {
    /// One thread reads, and reads again as soon as that has failed. The token's lease ends meanwhile, so that the keeper
    /// has something to do too.
    pub(crate) fn watch(server: &Server) -> Self {
        let corner = Corner::of(server, "20s", "1h");
        let door = Door::before(&corner.url());
        let client = corner.client(&door.url());
        client.kv_read(&corner.name, PATH).expect("a secret");
        door.close();
        let (begun, mut failures) = (Instant::now(), 0);
        let is_back = loop {
            let read = client.kv_read(&corner.name, PATH);
            if begun.elapsed() >= LENGTH {
                break read.is_ok();
            }
            failures += usize::from(read.is_err());
        };
        client.close();
        Self { requests: door.tried(), failures, is_back }
    }
}

/// A way to a server that is closed for [`LENGTH`] once: who comes is counted and sent away. Its threads end with the process.
struct Door {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    closed: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    tried: Mutex<Vec<Instant>>,
}

impl Door {
    fn before(url: &str) -> Self {
        let target = url.trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let state = Arc::<State>::default();
        let theirs = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if theirs.closed.load(Ordering::SeqCst) {
                    theirs.tried.lock().expect("no panic").push(Instant::now());
                    continue;
                }
                let server = TcpStream::connect(&target).expect("the server listens");
                let other = |socket: &TcpStream| socket.try_clone().expect("a socket can be shared");
                theirs.open.lock().expect("no panic").push(other(&client));
                carry(other(&client), other(&server));
                carry(server, client);
            }
        });
        Self { port, state }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Cuts what is open, and opens again by itself.
    fn close(&self) {
        self.state.closed.store(true, Ordering::SeqCst);
        for client in self.state.open.lock().expect("no panic").drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
        let state = Arc::clone(&self.state);
        thread::spawn(move || {
            thread::sleep(LENGTH);
            state.closed.store(false, Ordering::SeqCst);
        });
    }

    fn tried(&self) -> usize {
        self.state.tried.lock().expect("no panic").len()
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
