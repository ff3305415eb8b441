//! HTTP as far as the proxy needs it: a request as it came, the server's answer, and the same answer in another frame.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::fault::Framing;

/// A whole request; none when the client has hung up.
pub(super) fn request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(head) = head_end(&bytes) {
            let length = header(&bytes[..head], "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            if bytes.len() >= head + length {
                return Some(bytes);
            }
        }
        match client.read(&mut piece) {
            Ok(n @ 1..) => bytes.extend_from_slice(&piece[..n]),
            _ => return None,
        }
    }
}

/// An answer, its body apart.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Without the lines that tell the end of the body.
    head: String,
    pub(super) body: Vec<u8>,
}

/// Hands the request on over a connection of its own.
pub(super) fn ask(server: &str, request: &[u8]) -> Option<Answer> {
    let mut connection = TcpStream::connect(server).ok()?;
    // An answer to HTTP/1.0 ends with the connection and has no chunks.
    let text = String::from_utf8_lossy(request).replacen(" HTTP/1.1\r\n", " HTTP/1.0\r\n", 1);
    connection.write_all(text.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).ok()?;
    let end = head_end(&bytes)?;
    let head = String::from_utf8_lossy(&bytes[..end]).replacen("HTTP/1.0", "HTTP/1.1", 1);
    let framing = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.is_empty() || ["content-length:", "connection:"].iter().any(|name| line.starts_with(name))
    };
    let head: String = head.split("\r\n").filter(|line| !framing(line)).flat_map(|line| [line, "\r\n"]).collect();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: bytes[end..].to_vec() })
}

/// The first bytes of a request that goes no further.
pub(super) fn begin(server: &str, request: &[u8]) {
    let Ok(mut connection) = TcpStream::connect(server) else { return };
    let _ = connection.write_all(request);
    // Until the server has seen the end of it too.
    let _ = connection.shutdown(std::net::Shutdown::Write);
    let _ = connection.read_to_end(&mut Vec::new());
}

impl Answer {
    /// One of somebody else's.
    pub(super) fn foreign(status: u16, headers: &str, body: &str) -> Self {
        Self { status, head: format!("HTTP/1.1 {status} Words\r\n{headers}"), body: body.into() }
    }

    /// The bytes of it.
    pub(super) fn framed(&self, framing: Framing) -> Vec<u8> {
        let Self { head, body, .. } = self;
        let length = body.len();
        match framing {
            _ if self.status == 204 => format!("{head}\r\n").into_bytes(),
            Framing::Length => [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), body].concat(),
            Framing::UntilClose => [format!("{head}\r\n").as_bytes(), body].concat(),
            Framing::Chunks => {
                let mut bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                for chunk in body.chunks(1000) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                [&bytes[..], b"0\r\n\r\n"].concat()
            }
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4)
}

/// A header's value in `head`.
pub(super) fn header(head: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let mut pairs = head.split("\r\n").filter_map(|line| line.split_once(": "));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}
