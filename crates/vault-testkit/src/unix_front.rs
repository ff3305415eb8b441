//! A unix socket in front of a server that has none.

use std::fs;
use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Makes a socket at `path` that hands everything on to the server at `url`. Its threads end with the process.
pub fn before(url: &str, path: &Path) {
    let target = url.trim_start_matches("http://").to_owned();
    // Between bind and listen it is there and refuses; whoever waits for it is to see one change alone.
    let unseen = path.with_extension("unseen");
    let listener = UnixListener::bind(&unseen).expect("a socket is made");
    fs::rename(&unseen, path).expect("it gets its name");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(server) = TcpStream::connect(&target) {
                hand_on(&client, &server);
            }
        }
    });
}

fn hand_on(client: &UnixStream, server: &TcpStream) {
    let clones = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
    let Some(((client, server), (client_again, server_again))) = clones().zip(clones()) else { return };
    std::thread::spawn(move || one_way(client, &server, || server.shutdown(Shutdown::Write)));
    std::thread::spawn(move || one_way(server_again, &client_again, || client_again.shutdown(Shutdown::Write)));
}

/// Until `from` ends, which is handed on too.
fn one_way(mut from: impl Read, mut to: impl Write, end: impl Fn() -> std::io::Result<()>) {
    let _ = copy(&mut from, &mut to);
    let _ = end();
}
