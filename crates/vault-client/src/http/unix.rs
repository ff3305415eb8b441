//! Unix sockets under `ureq`, with the same waits as TCP.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

use super::lane::Slot;
use super::transport::{Connection, no_such_call};
use crate::refused::Refused;
use crate::time::Call;

/// The pause before a further connect where the listener's queue is full. No event tells of a place in it.
const PAUSE: Duration = Duration::from_millis(20);

/// Opens connections to one socket, whatever the URL says.
#[derive(Debug)]
pub struct SocketConnector {
    pub slot: Slot,
    pub path: PathBuf,
}

impl<In: Transport> Connector<In> for SocketConnector {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails, _: Option<In>) -> Result<Option<Connection>, ureq::Error> {
        let stream = open(&self.path, &self.slot.call())?;
        Ok(Some(Connection::new(stream, details, &self.slot)))
    }
}

/// Connects to the socket at `path`. The kernel does so at once or not at all.
fn open(path: &Path, call: &Call) -> io::Result<TcpStream> {
    let address = UnixAddr::new(path)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(Refused::in_io("socket"))?;
    loop {
        call.alive().map_err(io::Error::other)?;
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => return Ok(socket.into()),
            Err(Errno::EAGAIN) => call.pause(Instant::now() + PAUSE).map_err(io::Error::other)?,
            Err(errno) => return Err(no_such_call("connect", errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;

    use nix::sys::socket::{Backlog, listen};

    use super::*;
    use crate::time::{Cancel, Ended};

    fn call(length: Duration) -> Call {
        Call::until(Instant::now() + length, Cancel::never())
    }

    fn ended(error: &io::Error) -> Option<Ended> {
        error.get_ref()?.downcast_ref().copied()
    }

    #[test]
    fn a_full_queue_is_waited_for_as_long_as_the_call_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let long = Duration::from_secs(30);
        let queued = open(&path, &call(long)).unwrap();
        let error = open(&path, &call(Duration::from_millis(50))).unwrap_err();
        assert_eq!(ended(&error), Some(Ended::Deadline));
        let cancel = Cancel::new().unwrap();
        let cancelled = Call::until(Instant::now() + long, cancel.clone());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| open(&path, &cancelled));
            cancel.cancel();
            assert_eq!(ended(&waiting.join().unwrap().unwrap_err()), Some(Ended::Cancelled));
            let waiting = scope.spawn(|| open(&path, &call(long)).map(OwnedFd::from));
            drop(listener.accept().unwrap());
            waiting.join().unwrap().unwrap();
        });
        drop(queued);
    }
}
