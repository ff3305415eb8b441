//! The floor under a full run: what any program would have to do, and nothing else.
//!
//! `floor ADDRESS CA REQUESTS COMMAND [ARG]...` sends the recorded requests over one TLS connection, each after the answer to the
//! one before, and becomes COMMAND. It judges no answer; all it looks for is the token, which the requests after the
//! login carry. Requests are separated by a NUL; `{token}` stands for the token.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, ca, requests, command, arguments @ ..] = &arguments[..] else {
        panic!("usage: floor ADDRESS CA REQUESTS COMMAND [ARG]...");
    };
    let mut connection = connect(address, ca);
    let mut token = String::new();
    for request in fs::read_to_string(requests).expect("the requests are there").split('\0') {
        connection.write_all(request.replace("{token}", &token).as_bytes()).expect("the request is sent");
        let answer = answer(&mut connection);
        if let Some((_, rest)) = answer.split_once("\"client_token\":\"") {
            rest.split('"').next().unwrap_or_default().clone_into(&mut token);
        }
    }
    panic!("{command}: {}", Command::new(command).args(arguments).exec());
}

fn connect(address: &str, ca: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let ca = fs::read(ca).expect("the CA is there");
    for certificate in CertificateDer::pem_slice_iter(&ca) {
        roots.add(certificate.expect("a certificate")).expect("a CA");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let host = address.rsplit_once(':').expect("HOST:PORT").0;
    let name = ServerName::try_from(host.to_owned()).expect("a name or an IP address");
    let socket = TcpStream::connect(address).expect("the server listens");
    socket.set_nodelay(true).expect("a socket can be so");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), socket)
}

/// One whole answer, as text; its end is told by its length alone.
fn answer(connection: &mut impl Read) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let received = connection.read(&mut buffer).expect("an answer");
        assert!(received > 0, "the connection ended");
        answer.extend_from_slice(&buffer[..received]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text.into_owned();
            }
        }
    }
}
