//! Where the browser comes back to: a loopback name with a port, and the sockets that listen there.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use nix::errno::Errno;

/// The port of the official client.
const PORT: u16 = 8250;

/// How often another free port is tried where one of the addresses has it taken.
const TRIES: usize = 16;

/// Where a browser comes back to after the login at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere: the login is completed at the server, and polled for.
    None,
    /// To a loopback address of this machine.
    At {
        /// The host as it was written: `localhost`, an address of `127.0.0.0/8`, or `[::1]`.
        host: String,
        /// The port; 0 is any that is free.
        port: u16,
    },
}

impl Default for Listen {
    /// `localhost:8250`, as the official client has it.
    fn default() -> Self {
        Self::At { host: "localhost".into(), port: PORT }
    }
}

impl Listen {
    /// Reads `none`, or a loopback host with a port behind a colon; without one it is 8250.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and how it is written.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const NO_LOOPBACK: &str =
            "not a place on this machine; write localhost:8250, another port, 127.0.0.1:PORT, [::1]:PORT or none";
        const NO_PORT: &str = "not a port; write localhost:8250, or another number up to 65535";
        if text == "none" {
            return Ok(Self::None);
        }
        let (host, port) = apart(text);
        if addresses(&host).is_empty() {
            return Err(NO_LOOPBACK);
        }
        // A sign is no part of a port, though a number may have one.
        let is_number = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            None => PORT,
            Some(port) => Some(port).filter(is_number).and_then(|port| port.parse().ok()).ok_or(NO_PORT)?,
        };
        Ok(Self::At { host, port })
    }
}

/// The host of `text`, an IPv6 address in brackets, and the port behind it where there is one.
fn apart(text: &str) -> (String, Option<&str>) {
    let in_brackets = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match in_brackets {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or_default())),
        None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    match host.parse::<Ipv6Addr>() {
        Ok(address) => (format!("[{address}]"), port),
        // What is no IPv6 address has no brackets.
        Err(_) if in_brackets.is_some() => (String::new(), port),
        Err(_) => (host.to_ascii_lowercase(), port),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::At { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// The loopback addresses that `host` stands for; none where it is another host. `localhost` is not looked up: whatever a
/// resolver says of it, it is this machine. <https://www.rfc-editor.org/rfc/rfc6761#section-6.3>
fn addresses(host: &str) -> Vec<IpAddr> {
    if host == "localhost" {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::from),
        None => host.parse::<Ipv4Addr>().map(IpAddr::from),
    };
    address.ok().filter(IpAddr::is_loopback).into_iter().collect()
}

/// Sockets that listen.
#[derive(Debug)]
pub struct Bound {
    pub sockets: Vec<TcpListener>,
    host: String,
    port: u16,
}

/// What nobody can listen at, and why.
#[derive(Debug)]
pub struct NotBound {
    pub at: String,
    pub error: io::Error,
}

impl Bound {
    /// Listens at every address of `host`. One of another family that this machine does not have is left out.
    pub fn new(host: &str, port: u16) -> Result<Self, NotBound> {
        let mut tries = (0..if port == 0 { TRIES } else { 1 }).map(|_| bind(&addresses(host), port));
        let first = tries.next().unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()));
        let bound = tries.fold(first, Result::or).and_then(|sockets| {
            let port = sockets.first().ok_or(io::ErrorKind::AddrNotAvailable)?.local_addr()?.port();
            Ok(Self { sockets, host: host.to_owned(), port })
        });
        bound.map_err(|error| NotBound { at: format!("{host}:{port}"), error })
    }

    /// What a browser sends as `Host`.
    pub fn authority(&self) -> String {
        // The port of the scheme is left out: https://www.rfc-editor.org/rfc/rfc9110#section-7.2
        if self.port == 80 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// The redirect URI of the login.
    pub fn redirect_uri(&self) -> String {
        format!("http://{}:{}{}", self.host, self.port, super::callback::PATH)
    }
}

/// Sockets at all of `addresses`, with one port.
fn bind(addresses: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let mut sockets: Vec<TcpListener> = Vec::new();
    let mut absent = None;
    for address in addresses {
        let port = sockets.first().map_or(Ok(port), |first| first.local_addr().map(|it| it.port()))?;
        match TcpListener::bind(SocketAddr::new(*address, port)) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                sockets.push(socket);
            }
            // A port that is taken at one address alone is taken: who has it there would get what is meant for here.
            Err(error) if is_absent(&error) => absent = Some(error),
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() { Err(absent.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())) } else { Ok(sockets) }
}

/// Whether this machine has no such address.
fn is_absent(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_name_and_a_port_are_read_and_nothing_else() {
        let at = |host: &str, port| Ok(Listen::At { host: host.into(), port });
        let no_place =
            "not a place on this machine; write localhost:8250, another port, 127.0.0.1:PORT, [::1]:PORT or none";
        let no_port = "not a port; write localhost:8250, or another number up to 65535";
        for (text, read) in [
            ("none", Ok(Listen::None)),
            ("localhost:8250", Ok(Listen::default())),
            ("localhost", at("localhost", 8250)),
            ("LocalHost:1", at("localhost", 1)),
            ("localhost:0", at("localhost", 0)),
            ("127.0.0.1:65535", at("127.0.0.1", 65535)),
            ("127.9.8.7", at("127.9.8.7", 8250)),
            ("[::1]:8251", at("[::1]", 8251)),
            ("[::1]", at("[::1]", 8250)),
            ("::1", at("[::1]", 8250)),
            ("[0:0::1]:5", at("[::1]", 5)),
            ("", Err(no_place)),
            (":8250", Err(no_place)),
            ("0.0.0.0:8250", Err(no_place)),
            ("[::]:8250", Err(no_place)),
            ("::2", Err(no_place)),
            ("192.168.1.1:8250", Err(no_place)),
            ("localhost.example:8250", Err(no_place)),
            ("http://localhost:8250", Err(no_place)),
            ("[127.0.0.1]:8250", Err(no_place)),
            ("localhost:", Err(no_port)),
            ("[::1]8250", Err(no_port)),
            ("localhost:+1", Err(no_port)),
            ("localhost:65536", Err(no_port)),
            ("localhost:8250/oidc/callback", Err(no_port)),
        ] {
            assert_eq!(Listen::parse(text), read, "{text}");
        }
    }

    #[test]
    fn what_was_read_is_written_as_it_is_read() {
        for text in ["none", "localhost:8250", "127.0.0.2:1", "[::1]:0"] {
            assert_eq!(Listen::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn every_address_of_localhost_listens_on_one_port_and_a_taken_one_is_told() {
        let bound = Bound::new("localhost", 0).unwrap();
        let port = bound.port;
        let addresses: Vec<_> = bound.sockets.iter().map(|it| it.local_addr().unwrap()).collect();
        // Without IPv6 there is one.
        assert_eq!(addresses[0], SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        assert!(addresses[1..].iter().all(|it| *it == SocketAddr::from((Ipv6Addr::LOCALHOST, port))), "{addresses:?}");
        assert_eq!(bound.redirect_uri(), format!("http://localhost:{port}/oidc/callback"));
        assert_eq!(bound.authority(), format!("localhost:{port}"));

        let taken = Bound::new("127.0.0.1", port).unwrap_err();
        assert_eq!((taken.at, taken.error.kind()), (format!("127.0.0.1:{port}"), io::ErrorKind::AddrInUse));
        drop(bound);
        assert_eq!(Bound::new("127.0.0.1", port).unwrap().port, port);
    }

    #[test]
    fn the_port_of_the_scheme_is_no_part_of_what_a_browser_sends() {
        let bound = Bound { sockets: Vec::new(), host: "localhost".into(), port: 80 };
        assert_eq!(
            (bound.authority().as_str(), bound.redirect_uri().as_str()),
            ("localhost", "http://localhost:80/oidc/callback")
        );
    }
}
