//! A stretch of network between a client and a server: it counts the bytes, and can make them take their time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A running stretch. Its threads end with the process.
pub(crate) struct Wire {
    port: u16,
    bytes: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Wire {
    /// One to the server at `https://HOST:PORT`; `there_and_back` is how long an answer is on its way at least.
    pub(crate) fn to(url: &str, there_and_back: Duration) -> Self {
        let target = url.trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let wire = Self { port, bytes: Arc::default(), connections: Arc::default() };
        let (bytes, connections) = (Arc::clone(&wire.bytes), Arc::clone(&wire.connections));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(&target).expect("the server listens");
                let other = |socket: &TcpStream| socket.try_clone().expect("a socket can be shared");
                carry(other(&client), other(&server), there_and_back / 2, &bytes);
                carry(server, client, there_and_back / 2, &bytes);
            }
        });
        wire
    }

    /// The URL of its near end.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Bytes in both directions, and connections, since it was last asked.
    pub(crate) fn counted(&self) -> (usize, usize) {
        (self.bytes.swap(0, Ordering::Relaxed), self.connections.swap(0, Ordering::Relaxed))
    }
}

/// Hands on what `from` says to `to`, each piece `delay` after it came.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration, bytes: &Arc<AtomicUsize>) {
    let (sender, pieces) = mpsc::channel::<(Instant, Vec<u8>)>();
    let bytes = Arc::clone(bytes);
    let _ = to.set_nodelay(true);
    thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            bytes.fetch_add(length, Ordering::Relaxed);
            let _ = sender.send((Instant::now() + delay, buffer[..length].to_vec()));
        }
    });
    thread::spawn(move || {
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
