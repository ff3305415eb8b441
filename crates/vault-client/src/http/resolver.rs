//! Name resolution for `ureq`: a name is looked up once, in one thread, and the wait for it is as bounded as any other.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::lane::Slot;
use crate::error::Refused;
use crate::time::Call;

/// More are not tried.
const MAX_ADDRESSES: usize = 16;

/// The addresses found last, which stay good until a connect to them fails. `ureq` asks for every request, on a kept
/// connection too.
#[derive(Debug, Default)]
pub struct Names(Mutex<Option<(Uri, Vec<SocketAddr>)>>);

impl Names {
    /// Makes the next request look the name up again.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A name that does not resolve; carries `getaddrinfo`'s own words.
#[derive(Debug)]
pub struct Unresolved {
    pub host: String,
    pub reason: String,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not resolve ({})", self.host, self.reason)
    }
}

impl std::error::Error for Unresolved {}

/// Looks names up for `ureq`.
#[derive(Debug)]
pub struct Lookup {
    pub slot: Slot,
    pub names: Arc<Names>,
    /// The host to connect to where the URL's own is only the name that the certificate must carry.
    pub connect_to: Option<String>,
}

impl Resolver for Lookup {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut known = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(of, _)| of.authority() != uri.authority()) {
            let host = self.connect_to.as_deref().or(uri.host()).ok_or(ureq::Error::HostNotFound)?;
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
            *known = Some((uri.clone(), look_up(host, port, &self.slot.call())?));
        }
        let mut addresses = self.empty();
        for address in known.iter().flat_map(|(_, addresses)| addresses).take(MAX_ADDRESSES) {
            addresses.push(*address);
        }
        Ok(addresses)
    }
}

fn look_up(host: &str, port: u16, call: &Call) -> io::Result<Vec<SocketAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    // getaddrinfo can neither be bounded nor interrupted. A thread that hangs in it ends with the process, or at exec.
    let (result, found) = mpsc::channel();
    let (done, finished) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(Refused::in_io("pipe2"))?;
    let name = host.clone();
    let look_up = move || {
        let _ = result.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
        drop(finished);
    };
    let thread = std::thread::Builder::new().name("lookup".into()).stack_size(256 << 10);
    thread.spawn(look_up).map_err(Refused::in_io::<io::Error>("clone3 or clone"))?;
    call.ready(&[PollFd::new(done.as_fd(), PollFlags::POLLIN)], None).map_err(io::Error::other)?;
    let unresolved = |reason: String| io::Error::other(Unresolved { host, reason });
    match found.try_recv() {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(Err(error)) => {
            let reason = error.to_string();
            let reason = reason.rsplit_once(": ").map_or(reason.as_str(), |(_, last)| last);
            Err(unresolved(reason.into()))
        }
        Ok(Ok(_)) | Err(_) => Err(unresolved("no address".into())),
    }
}
