//! A proxy that adds a token of its own to what it hands on, as `bao proxy` with `use_auto_auth_token` does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A running proxy. Its threads end with the process.
pub(crate) struct Adding {
    pub url: String,
    seen: Arc<AtomicUsize>,
}

impl Adding {
    /// How many requests have brought a token along.
    pub fn tokens_seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

/// Starts one in front of `url` that adds `token`.
pub(crate) fn adding(url: &str, token: &str) -> Adding {
    let (server, token) = (url.trim_start_matches("http://").to_owned(), token.to_owned());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&server) else { continue };
            let (token, count) = (token.clone(), Arc::clone(&count));
            let answers = [&server, &client].map(|it| it.try_clone().expect("a socket is shared"));
            std::thread::spawn(move || std::io::copy(&mut &answers[0], &mut &answers[1]));
            std::thread::spawn(move || hand_on(&client, &server, &token, &count));
        }
    });
    Adding { url, seen }
}

/// Hands requests on, with the token behind each first line. Bodies here are without lines that are empty.
fn hand_on(client: &TcpStream, mut server: &TcpStream, token: &str, seen: &AtomicUsize) {
    for line in BufReader::new(client).split(b'\n').map_while(Result::ok) {
        let is_first = line.ends_with(b" HTTP/1.1\r");
        if line.to_ascii_lowercase().starts_with(b"x-vault-token:") {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        let added = if is_first { format!("X-Vault-Token: {token}\r\n") } else { String::new() };
        if server.write_all(&[&line, &b"\n"[..], added.as_bytes()].concat()).is_err() {
            return;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Write);
}
