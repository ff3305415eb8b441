//! Connections under `ureq`: sockets that never block, so that each connect, read and write is a wait of [`Call`].
//!
//! `ureq`'s own transport blocks in the kernel, where a handled signal goes unnoticed and each limit is counted anew.
//! Here one deadline holds for everything from the first packet to the last, and a signal ends it at once.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};

use super::lane::Slot;
use super::resolver::Names;
use crate::refused::Refused;
use crate::time::Call;

/// How long an address has before the next one is tried beside it, as
/// [RFC 8305](https://www.rfc-editor.org/rfc/rfc8305#section-5) recommends: a dead first address costs this and no more.
const HEAD_START: Duration = Duration::from_millis(250);

/// Opens connections for `ureq`.
#[derive(Debug)]
pub struct TcpConnector {
    pub slot: Slot,
    pub names: Arc<Names>,
}

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = Either<In, Connection>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        if let Some(proxied) = chained {
            return Ok(Some(Either::A(proxied)));
        }
        // A failed connect may mean that the name points elsewhere by now.
        let call = self.slot.call();
        let addresses = self.names.renewed(&details.addrs, &call);
        let stream = race(&addresses, &call).inspect_err(|_| self.names.forget())?;
        stream.set_nodelay(details.config.no_delay()).map_err(Refused::in_io::<io::Error>("setsockopt"))?;
        Ok(Some(Either::B(Connection::new(stream, details, &self.slot))))
    }
}

/// Connects to the first of `addresses` that answers; each further one starts when the one before it has failed or has
/// had its head start.
fn race(addresses: &[SocketAddr], call: &Call) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut racing: Vec<OwnedFd> = Vec::new();
    let mut fault = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            match start(*address) {
                Ok(socket) => racing.push(socket),
                Err(error) => fault = error,
            }
        } else if racing.is_empty() {
            return Err(fault);
        }
        let next_start = Instant::now() + HEAD_START;
        while !racing.is_empty() {
            let descriptors: Vec<_> = racing.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLOUT)).collect();
            let until = Some(next_start).filter(|_| waiting.len() > 0);
            let Some(index) = call.ready(&descriptors, until).map_err(io::Error::other)? else {
                break;
            };
            let stream = TcpStream::from(racing.swap_remove(index));
            match stream.take_error().map_err(Refused::in_io::<io::Error>("getsockopt"))? {
                None => return Ok(stream),
                Some(error) => fault = error,
            }
            if waiting.len() > 0 {
                break;
            }
        }
    }
}

/// A socket whose connect is under way, or already done.
fn start(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None).map_err(Refused::in_io("socket"))?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(no_such_call("connect", errno.into())),
    }
}

/// A connection. `ureq`'s own time limits are not looked at: the deadline of the call is the only one.
pub struct Connection {
    /// Of TCP, or of a unix socket: the same system calls read and write either.
    stream: TcpStream,
    buffers: LazyBuffers,
    slot: Slot,
    /// Whether what is written is a request, and not what TLS makes of it.
    is_plain: bool,
}

impl Connection {
    /// One over `stream`, which does not block.
    pub fn new(stream: TcpStream, details: &ConnectionDetails, slot: &Slot) -> Self {
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Self { stream, buffers, slot: slot.clone(), is_plain: !details.needs_tls() }
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if self.is_plain {
            self.slot.note_sent();
        }
        let mut rest = &self.buffers.output()[..amount];
        while !rest.is_empty() {
            let written = patiently(&self.stream, PollFlags::POLLOUT, &self.slot.call(), |mut s| s.write(rest));
            let written = written.map_err(|error| no_such_call("sendto", error))?;
            rest = &rest[written..];
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let input = self.buffers.input_append_buf();
        let amount = patiently(&self.stream, PollFlags::POLLIN, &self.slot.call(), |mut s| s.read(input));
        let amount = amount.map_err(Refused::in_io::<io::Error>("recvfrom"))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Nothing was asked for, so bytes are as bad as the end of the stream.
        matches!((&self.stream).read(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }
}

/// The refusal of a call to which a firewall or a network policy says EPERM or EACCES as well; these stay as they are.
pub fn no_such_call(call: &'static str, error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(Errno::ENOSYS as i32) { Refused::in_io(call)(error) } else { error }
}

/// Does `transfer`, waiting whenever it would block. A peer that never stops sending is no reason never to look at the clock.
fn patiently(
    stream: &TcpStream,
    event: PollFlags,
    call: &Call,
    mut transfer: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        call.alive().map_err(io::Error::other)?;
        match transfer(stream) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                call.ready(&[PollFd::new(stream.as_fd(), event)], None).map_err(io::Error::other)?;
            }
            done => return done,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("stream", &self.stream).finish_non_exhaustive()
    }
}
