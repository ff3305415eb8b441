//! A proxy that cuts connections in the middle of what passes through them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

/// Starts one in front of `url`, and returns its own URL: of each connection it hands on so many bytes of what the server
/// says, a few more each time, and closes it then.
pub(crate) fn before(url: &str) -> String {
    let server = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let own = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            let Ok(server) = TcpStream::connect(&server) else { continue };
            let asked = [&client, &server].map(|it| it.try_clone().expect("a socket is shared"));
            std::thread::spawn(move || std::io::copy(&mut &asked[0], &mut &asked[1]));
            std::thread::spawn(move || hand_on(&server, &client, 400 + 731 * number % 6000));
        }
    });
    own
}

/// Hands on `most` bytes, and ends both connections.
fn hand_on(mut from: &TcpStream, mut to: &TcpStream, most: usize) {
    let (mut left, mut buffer) = (most, [0; 256]);
    while left > 0 {
        let room = left.min(buffer.len());
        match from.read(&mut buffer[..room]) {
            Ok(0) | Err(_) => break,
            Ok(amount) if to.write_all(&buffer[..amount]).is_err() => break,
            Ok(amount) => left -= amount,
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
