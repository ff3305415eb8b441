//! Where the listener listens, and the sockets there.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use nix::errno::Errno;

/// How often another free port is tried where one of the addresses has it taken.
const TRIES: usize = 16;

/// An address of this machine and a port; 0 is any that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    host: Host,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// This machine alone, over IPv4 and IPv6.
    Localhost,
    Address(IpAddr),
}

impl Listen {
    /// Reads `ADDRESS:PORT`: an IPv4 address, an IPv6 address in brackets, or `localhost`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and how it is written.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const NO_PORT: &str = "not an address with a port; write ADDRESS:PORT, such as 127.0.0.1:8080 or [::]:8080";
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err("an IPv6 address without brackets or without a port; write it as [::]:8080");
        }
        let (host, port) = text.rsplit_once(':').ok_or(NO_PORT)?;
        // A sign is no part of a port, though a number may have one.
        let port = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        let port = port.and_then(|port| port.parse().ok()).ok_or(NO_PORT)?;
        Ok(Self { host: Host::parse(host)?, port })
    }

    /// The addresses that it stands for. `localhost` is not looked up: whatever a resolver says of it, it is this machine.
    /// <https://www.rfc-editor.org/rfc/rfc6761#section-6.3>
    fn addresses(self) -> Vec<IpAddr> {
        match self.host {
            Host::Localhost => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Host::Address(address) => vec![address],
        }
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a port without an address; write 0.0.0.0 or [::] before it for every address");
        }
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(Self::Localhost);
        }
        let address = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            Some(address) => address.parse().map(IpAddr::V6),
            None => text.parse().map(IpAddr::V4),
        };
        address.map(Self::Address).map_err(
            |_| "not an address of this machine; write an IPv4 address, an IPv6 address in brackets, or localhost",
        )
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::Localhost => write!(f, "localhost:{}", self.port),
            Host::Address(address) => SocketAddr::new(address, self.port).fmt(f),
        }
    }
}

/// Sockets that listen.
#[derive(Debug)]
pub struct Bound(Vec<TcpListener>);

/// An address that nobody can listen at, and why.
#[derive(Debug)]
pub struct NotBound {
    /// The address, with the port.
    pub at: SocketAddr,
    /// The kernel's answer.
    pub error: io::Error,
}

impl fmt::Display for NotBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, error } = self;
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EADDRINUSE) => write!(f, "{at} is in use; write another port, or end what listens there"),
            Some(Errno::EADDRNOTAVAIL) => write!(f, "{at} is no address of this machine; write one that it has"),
            Some(Errno::EACCES) => {
                write!(
                    f,
                    "no permission to listen at {at}; write a port from 1024 on, or add the capability \
                 CAP_NET_BIND_SERVICE"
                )
            }
            Some(errno) => write!(f, "nothing can listen at {at}: {}; write another address or port", errno.desc()),
            None => write!(f, "nothing can listen at {at}: {error}; write another address or port"),
        }
    }
}

impl std::error::Error for NotBound {}

impl Bound {
    /// Listens at every address of `listen`. One of a family that this machine does not have is left out, as long as there
    /// is another.
    ///
    /// # Errors
    ///
    /// The address that nobody can listen at.
    pub fn new(listen: &Listen) -> Result<Self, NotBound> {
        let addresses = listen.addresses();
        let bind = || bind(&addresses, listen.port);
        let more = if listen.port == 0 { TRIES } else { 0 };
        (0..more).fold(bind(), |bound, _| bound.or_else(|_| bind())).map(Self)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    pub(super) fn into_sockets(self) -> Vec<TcpListener> {
        self.0
    }
}

/// Sockets at all of `addresses`, with one port.
fn bind(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, NotBound> {
    let mut sockets: Vec<TcpListener> = Vec::new();
    let mut absent = None;
    for address in addresses {
        let chosen = sockets.first().and_then(|first| first.local_addr().ok()).map_or(port, |first| first.port());
        let at = SocketAddr::new(*address, chosen);
        let socket = TcpListener::bind(at).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        match socket.map_err(|error| NotBound { at, error }) {
            Ok(socket) => sockets.push(socket),
            // A port that is taken at one address alone is taken: who has it there would get what is meant for here.
            Err(fault) if is_absent(&fault.error) => absent = Some(fault),
            Err(fault) => return Err(fault),
        }
    }
    match absent {
        Some(fault) if sockets.is_empty() => Err(fault),
        _ => Ok(sockets),
    }
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
    fn an_address_and_a_port_are_read_and_nothing_else() {
        let no_port = "not an address with a port; write ADDRESS:PORT, such as 127.0.0.1:8080 or [::]:8080";
        let no_brackets = "an IPv6 address without brackets or without a port; write it as [::]:8080";
        let no_host = "a port without an address; write 0.0.0.0 or [::] before it for every address";
        let no_address =
            "not an address of this machine; write an IPv4 address, an IPv6 address in brackets, or localhost";
        for (text, read) in [
            ("127.0.0.1:8080", Ok("127.0.0.1:8080")),
            ("0.0.0.0:1", Ok("0.0.0.0:1")),
            ("[::]:65535", Ok("[::]:65535")),
            ("[0:0::1]:0", Ok("[::1]:0")),
            ("LocalHost:8080", Ok("localhost:8080")),
            ("", Err(no_port)),
            ("8080", Err(no_port)),
            ("127.0.0.1", Err(no_port)),
            ("localhost:", Err(no_port)),
            ("localhost:+80", Err(no_port)),
            ("localhost:65536", Err(no_port)),
            ("localhost:http", Err(no_port)),
            ("[::1]", Err(no_port)),
            ("::", Err(no_brackets)),
            ("::1:8080", Err(no_brackets)),
            (":8080", Err(no_host)),
            ("example.com:80", Err(no_address)),
            ("http://127.0.0.1:80", Err(no_address)),
            ("[127.0.0.1]:80", Err(no_address)),
            ("[fe80::1%eth0]:80", Err(no_address)),
            ("127.1:80", Err(no_address)),
            (" 127.0.0.1:80", Err(no_address)),
        ] {
            assert_eq!(Listen::parse(text).map(|listen| listen.to_string()), read.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_named_and_is_free_after_its_end() {
        let listen = |port| Listen { host: Host::Address(Ipv4Addr::LOCALHOST.into()), port };
        let bound = Bound::new(&listen(0)).unwrap();
        let address = bound.addresses()[0];
        let taken = Bound::new(&listen(address.port())).unwrap_err();
        assert_eq!((taken.at, taken.error.kind()), (address, io::ErrorKind::AddrInUse));
        assert_eq!(taken.to_string(), format!("{address} is in use; write another port, or end what listens there"));
        drop(bound);
        assert_eq!(Bound::new(&listen(address.port())).unwrap().addresses(), [address]);
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        // https://www.rfc-editor.org/rfc/rfc5737
        let absent = Bound::new(&Listen::parse("192.0.2.1:8080").unwrap()).unwrap_err();
        assert_eq!(absent.to_string(), "192.0.2.1:8080 is no address of this machine; write one that it has");
    }

    #[test]
    fn localhost_has_one_port_in_each_family_that_there_is() {
        let addresses = Bound::new(&Listen::parse("localhost:0").unwrap()).unwrap().addresses();
        let port = addresses[0].port();
        let mut expected = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            expected.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        }
        assert_eq!(addresses, expected);
    }

    #[test]
    fn an_address_that_is_absent_is_left_out_and_one_that_is_taken_is_not() {
        let [local, absent] = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from([192, 0, 2, 1])];
        let sockets = bind(&[absent, local, absent], 0).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert_eq!((sockets.len(), address.ip()), (1, local));
        assert_eq!(bind(&[absent, local], address.port()).unwrap_err().at, address);
    }
}
