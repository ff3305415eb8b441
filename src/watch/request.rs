//! A request as far as the listener needs it: the method and the path.
//! [RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)

/// A longer head is refused.
pub const MOST_BYTES: usize = 8 << 10;

/// What has come so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Not the whole head.
    Incomplete,
    /// No request that is answered, and the status that says why.
    Wrong(u16),
    /// Somebody asks for `path`, which has no query any more.
    For {
        /// The path, as it was sent.
        path: &'a str,
        /// Whether the head of the answer is all that is wanted.
        is_head: bool,
    },
}

/// Judges what has come so far. What is wrong is told as soon as that shows.
pub fn judge(received: &[u8]) -> Asked<'_> {
    // An empty line before the request is ignored: https://www.rfc-editor.org/rfc/rfc9112#section-2.2
    let start = received.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(received.len());
    if received.get(start).is_some_and(|byte| !is_token(*byte)) {
        return Asked::Wrong(400);
    }
    let mut lines = received[start..].split_inclusive(|byte| *byte == b'\n').map(line);
    let incomplete = if received.len() < MOST_BYTES { Asked::Incomplete } else { Asked::Wrong(431) };
    let Some(Some(first)) = lines.next() else { return incomplete };
    let Some(request) = Request::read(first) else { return Asked::Wrong(400) };
    let mut hosts = 0;
    loop {
        match lines.next() {
            Some(Some([])) => break,
            Some(Some(header)) => match field_name(header) {
                Some(name) => hosts += usize::from(name.eq_ignore_ascii_case(b"host")),
                None => return Asked::Wrong(400),
            },
            Some(None) | None => return incomplete,
        }
    }
    // https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    if hosts > 1 || hosts == 0 && request.needs_host {
        return Asked::Wrong(400);
    }
    match request.method {
        b"GET" => Asked::For { path: request.path, is_head: false },
        b"HEAD" => Asked::For { path: request.path, is_head: true },
        _ => Asked::Wrong(405),
    }
}

/// A line without its end; `None` if it has none yet.
fn line(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

struct Request<'a> {
    method: &'a [u8],
    path: &'a str,
    needs_host: bool,
}

impl<'a> Request<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return None;
        }
        let needs_host = match version {
            b"HTTP/1.0" => false,
            b"HTTP/1.1" => true,
            _ => return None,
        };
        let target = std::str::from_utf8(target).ok().filter(|it| it.bytes().all(|byte| byte.is_ascii_graphic()))?;
        // A proxy is sent the whole address: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
        let origin = match target.strip_prefix("http://") {
            Some(address) => address.find('/').map_or("/", |at| &address[at..]),
            None => target,
        };
        let path = origin.split('?').next().unwrap_or_default();
        // The server as a whole is asked for with methods that are not answered.
        (path.starts_with('/') || path == "*").then_some(Self { method, path, needs_host })
    }
}

/// The name of a header; `None` if the line is no header.
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let name = line.split(|byte| *byte == b':').next().filter(|name| name.len() < line.len())?;
    let is_text = line[name.len()..].iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
    (is_text && !name.is_empty() && name.iter().all(|byte| is_token(*byte))).then_some(name)
}

/// <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2>
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_asked_for_with_get_or_head_in_either_version() {
        let whole = |path, is_head| Asked::For { path, is_head };
        for (request, asked) in [
            ("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", whole("/health", false)),
            ("HEAD /health HTTP/1.1\r\nhOST:\r\nX-Y: \t z\r\n\r\n", whole("/health", true)),
            ("GET / HTTP/1.0\r\n\r\n", whole("/", false)),
            ("GET / HTTP/1.0\n\n", whole("/", false)),
            ("\r\nGET /a?b=/c?d HTTP/1.0\r\n\r\n", whole("/a", false)),
            ("GET /%41/../b HTTP/1.0\r\n\r\nmore", whole("/%41/../b", false)),
            ("GET http://a:1/b?c HTTP/1.1\r\nHost: a:1\r\n\r\n", whole("/b", false)),
            ("GET http://a HTTP/1.0\r\n\r\n", whole("/", false)),
        ] {
            assert_eq!(judge(request.as_bytes()), asked, "{request}");
        }
    }

    #[test]
    fn another_method_is_not_allowed_whatever_the_path() {
        for request in ["POST /health", "OPTIONS *", "get /health", "DELETE /none"] {
            assert_eq!(judge(format!("{request} HTTP/1.0\r\n\r\n").as_bytes()), Asked::Wrong(405), "{request}");
        }
    }

    #[test]
    fn what_is_malformed_is_told_as_soon_as_that_shows() {
        for request in [
            "\u{16}\u{3}\u{1}",
            "GET\r\n",
            "GET /\r\n",
            "GET / HTTP/0.9\r\n",
            "GET / HTTP/2.0\r\n",
            "GET /  HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET health HTTP/1.1\r\n",
            "GET /é HTTP/1.1\r\n",
            "GET /\0 HTTP/1.1\r\n",
            "G(T / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n",
            "GET / HTTP/1.1\r\nHost: a\0\r\n",
            "GET / HTTP/1.1\r\nHost: a\rb\r\n",
            "GET / HTTP/1.1\r\n: a\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(judge(request.as_bytes()), Asked::Wrong(400), "{request:?}");
        }
    }

    #[test]
    fn every_part_of_a_request_is_incomplete() {
        let request = b"\r\nGET /health HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        for end in 0..request.len() {
            assert_eq!(judge(&request[..end]), Asked::Incomplete, "{end}");
        }
        assert_eq!(judge(request), Asked::For { path: "/health", is_head: false });
    }

    #[test]
    fn a_head_that_does_not_end_is_too_large() {
        let long = |length| [b"GET / HTTP/1.1\r\nHost: ".to_vec(), vec![b'a'; length]].concat();
        assert_eq!(judge(&long(MOST_BYTES - 23)), Asked::Incomplete);
        assert_eq!(judge(&long(MOST_BYTES - 22)), Asked::Wrong(431));
        assert_eq!(judge(&[b'G'; MOST_BYTES]), Asked::Wrong(431));
        assert_eq!(judge(&[b'\n'; MOST_BYTES]), Asked::Wrong(431));
    }
}
