//! What a connection has sent: a callback of this login, or one of the many other things that browsers and others send to
//! an open port. <https://www.rfc-editor.org/rfc/rfc9112>

use zeroize::Zeroizing;

use super::PATH;
use crate::secret::Secret;

/// Headers are searched for their end up to here.
pub const MOST_BYTES: usize = 16 << 10;

/// A request, judged.
#[derive(Debug)]
pub enum Asked {
    /// Its head is not complete.
    Incomplete,
    /// It is none that can be answered otherwise than with this status; with HEAD, without a body.
    Wrong { status: u16, is_head: bool },
    /// A callback with the state that was expected.
    Callback(Callback),
}

/// What the provider has sent the browser back with.
#[derive(Debug)]
pub enum Callback {
    /// A code, to be given to the server.
    Code(Secret),
    /// An error, and what it means, in the provider's own words.
    Refused { error: String, description: String },
}

/// What a callback has to have.
#[derive(Debug)]
pub struct Expected {
    /// The value of `Host`.
    pub authority: String,
    /// The hash of the state: nothing of it shows in the time that a comparison takes.
    pub state: [u8; 32],
}

/// The hash of `text`.
pub fn hash(text: &str) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().unwrap_or([0; 32])
}

/// Judges the bytes that came so far.
pub fn judge(bytes: &[u8], expected: &Expected) -> Asked {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        let is_full = bytes.len() >= MOST_BYTES;
        return if is_full { Asked::Wrong { status: 400, is_head: false } } else { Asked::Incomplete };
    };
    let is_head = bytes.starts_with(b"HEAD ");
    match read(&bytes[..end], expected) {
        Ok(callback) => Asked::Callback(callback),
        Err(status) => Asked::Wrong { status, is_head },
    }
}

/// The callback of a complete head, or the status that anything else is answered with.
fn read(head: &[u8], expected: &Expected) -> Result<Callback, u16> {
    const WRONG: u16 = 400;
    let head = std::str::from_utf8(head).map_err(|_| WRONG)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some("GET"), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(WRONG);
    };
    let mut hosts = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim_matches([' ', '\t']))
    });
    // A page of another name that leads here, by DNS rebinding, has that name.
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(WRONG) };
    if !host.eq_ignore_ascii_case(&expected.authority) {
        return Err(WRONG);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != PATH {
        return Err(if path.starts_with('/') { 404 } else { WRONG });
    }
    let state = one(query, "state").map_err(|Twice| WRONG)?.ok_or(WRONG)?;
    if hash(&state) != expected.state {
        return Err(WRONG);
    }
    let value = |name| one(query, name).map_err(|Twice| WRONG);
    let (code, error, description) = (value("code")?, value("error")?, value("error_description")?);
    match (error, code) {
        (Some(error), _) => {
            let description = description.map(|it| it.to_string()).unwrap_or_default();
            Ok(Callback::Refused { error: error.to_string(), description })
        }
        (None, Some(code)) => Ok(Callback::Code(code.into())),
        (None, None) => Err(WRONG),
    }
}

/// A parameter stands twice, or is no text.
#[derive(Debug, PartialEq, Eq)]
pub struct Twice;

/// The value of the parameter `name` in `query`; `None` where it is missing or empty.
pub fn one(query: &str, name: &str) -> Result<Option<Zeroizing<String>>, Twice> {
    let mut found = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key).as_deref().map(String::as_str) == Some(name)).then(|| decoded(value))
    });
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(Some(value)), None) => Ok(Some(value).filter(|value| !value.is_empty())),
        _ => Err(Twice),
    }
}

/// What was percent-encoded, with `+` for a space, as forms have it; `None` where it is no text.
/// <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => (digit(high)? << 4 | digit(low)?, behind),
            (b'%', _) => return None,
            (b'+', _) => (b' ', behind),
            (byte, _) => (*byte, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `head` comes to where the state `s+1` is expected at `localhost:8250`.
    fn judged(head: &str) -> String {
        let expected = Expected { authority: "localhost:8250".into(), state: hash("s+1") };
        match judge(head.as_bytes(), &expected) {
            Asked::Incomplete => "incomplete".into(),
            Asked::Wrong { status, is_head } => format!("{status}{}", if is_head { " without a body" } else { "" }),
            Asked::Callback(Callback::Code(code)) => format!("code {}", code.expose()),
            Asked::Callback(Callback::Refused { error, description }) => format!("error {error} ({description})"),
        }
    }

    #[test]
    fn a_request_is_a_callback_only_where_all_of_it_is_as_expected() {
        for (target, outcome) in [
            ("/oidc/callback?code=a%2Bb&state=s%2B1", "code a+b"),
            ("/oidc/callback?state=s%2b1&code=c&iss=https%3A%2F%2Fidp&session_state=", "code c"),
            ("/oidc/callback?state=s%2B1&error=access_denied", "error access_denied ()"),
            ("/oidc/callback?state=s%2B1&error=e&error_description=no+more%21&code=c", "error e (no more!)"),
            ("/oidc/callback?state=s+1&code=c", "400"),
            ("/oidc/callback?state=&code=c", "400"),
            ("/oidc/callback?code=c", "400"),
            ("/oidc/callback?error=access_denied", "400"),
            ("/oidc/callback?state=s%2B1", "400"),
            ("/oidc/callback?state=s%2B1&code=", "400"),
            ("/oidc/callback?state=s%2B1&state=s%2B1&code=c", "400"),
            ("/oidc/callback?state=s%2B1&code=c&code=d", "400"),
            ("/oidc/callback?state=s%2B1&code=%ff", "400"),
            ("/oidc/callback?state=s%2B1&code=%4", "400"),
            ("/oidc/callback?state=s%2B1&code=%zz", "400"),
            ("/oidc/callback", "400"),
            ("/oidc/callback/?state=s%2B1&code=c", "404"),
            ("/oidc/Callback?state=s%2B1&code=c", "404"),
            ("/favicon.ico", "404"),
            ("/", "404"),
            ("http://localhost:8250/oidc/callback?state=s%2B1&code=c", "400"),
            ("*", "400"),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\nAccept: */*\r\nhOST: \tLocalhost:8250 \r\n\r\nmore");
            assert_eq!(judged(&head), outcome, "{target}");
        }
    }

    #[test]
    fn what_is_no_get_of_this_host_is_answered_400() {
        let target = "/oidc/callback?state=s%2B1&code=c";
        let host = "Host: localhost:8250\r\n";
        for (head, outcome) in [
            (format!("GET {target} HTTP/1.0\r\n{host}\r\n"), "code c"),
            (format!("GET {target} HTTP/1.1\r\n{host}"), "incomplete"),
            (format!("GET {target} HTTP/1.1\n{}\n", host.replace('\r', "")), "incomplete"),
            (format!("POST {target} HTTP/1.1\r\n{host}\r\n"), "400"),
            (format!("HEAD {target} HTTP/1.1\r\n{host}\r\n"), "400 without a body"),
            (format!("get {target} HTTP/1.1\r\n{host}\r\n"), "400"),
            (format!("GET {target} HTTP/2\r\n{host}\r\n"), "400"),
            (format!("GET {target}\r\n{host}\r\n"), "400"),
            (format!("GET  {target} HTTP/1.1\r\n{host}\r\n"), "400"),
            (format!("GET {target} HTTP/1.1 x\r\n{host}\r\n"), "400"),
            (format!("GET {target} HTTP/1.1\r\n\r\n"), "400"),
            (format!("GET {target} HTTP/1.1\r\n{host}{host}\r\n"), "400"),
            (format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"), "400"),
            (format!("GET {target} HTTP/1.1\r\nHost: evil.example:8250\r\n\r\n"), "400"),
            (format!("GET {target} HTTP/1.1\r\nX-Host: localhost:8250\r\n\r\n"), "400"),
            ("\r\n\r\n".into(), "400"),
            ("\u{16}\u{3}\u{1}\r\n\r\n".into(), "400"),
            (String::new(), "incomplete"),
            (format!("GET /{}", "x".repeat(MOST_BYTES)), "400"),
        ] {
            assert_eq!(judged(&head), outcome, "{}", &head[..head.len().min(80)]);
        }
        let expected = Expected { authority: String::new(), state: hash("") };
        assert!(matches!(
            judge(b"GET /\xff HTTP/1.1\r\n\r\n", &expected),
            Asked::Wrong { status: 400, is_head: false }
        ));
    }
}
