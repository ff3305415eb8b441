//! Name resolution for `ureq`: a name is looked up in one thread for all who wait, and each wait is as bounded as any
//! other.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::lane::Slot;
use crate::refused::Refused;
use crate::time::{Call, Turn};

/// More are not tried.
const MAX_ADDRESSES: usize = 16;

/// A new connection looks the name up again when it was found longer ago.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// The addresses of the one name that a server has, shared by all its lanes. `ureq` asks for them before every request, on
/// a kept connection too. They stay good until a connect to them fails, or a new connection finds them old.
#[derive(Debug, Default)]
pub struct Names(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    found: Option<Found>,
    /// The look-up that is under way, or was the last. One that hangs goes on hanging for all: there is no second.
    looking: Option<(Host, Arc<Looking>)>,
}

/// Name and port.
type Host = (String, u16);

#[derive(Debug)]
struct Found {
    host: Host,
    addresses: Vec<SocketAddr>,
    at: Instant,
}

/// A look-up in its thread.
#[derive(Debug)]
struct Looking {
    turn: Turn,
    result: OnceLock<Result<Vec<SocketAddr>, String>>,
}

impl Names {
    /// Makes the next request look the name up again.
    pub fn forget(&self) {
        self.lock().found = None;
    }

    /// The addresses for a new connection: those that were handed out for it, or newer ones where they are old. Old ones are
    /// better than none.
    pub fn renewed(&self, known: &[SocketAddr], call: &Call) -> Vec<SocketAddr> {
        let host = self.lock().found.as_ref().filter(|it| it.at.elapsed() > GOOD_FOR).map(|it| it.host.clone());
        let renewed = host.and_then(|host| self.look_up(&host, call).ok());
        renewed.unwrap_or_else(|| known.to_vec())
    }

    /// What was found before, or what a look-up finds.
    fn find(&self, host: &Host, call: &Call) -> io::Result<Vec<SocketAddr>> {
        let known = self.lock().found.as_ref().filter(|it| it.host == *host).map(|it| it.addresses.clone());
        known.map_or_else(|| self.look_up(host, call), Ok)
    }

    fn look_up(&self, host: &Host, call: &Call) -> io::Result<Vec<SocketAddr>> {
        let addresses = match host.0.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, host.1)],
            Err(_) => self.await_look_up(host, call)?,
        };
        self.lock().found = Some(Found { host: host.clone(), addresses: addresses.clone(), at: Instant::now() });
        Ok(addresses)
    }

    fn await_look_up(&self, host: &Host, call: &Call) -> io::Result<Vec<SocketAddr>> {
        let looking = self.begin(host)?;
        looking.turn.wait(call).map_err(io::Error::other)?;
        let unresolved = |reason: &str| io::Error::other(Unresolved { host: host.0.clone(), reason: reason.into() });
        match looking.result.get() {
            Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses.clone()),
            Some(Err(reason)) => Err(unresolved(reason)),
            Some(Ok(_)) | None => Err(unresolved("no address")),
        }
    }

    /// The look-up of `host` that is under way, or a new one.
    fn begin(&self, host: &Host) -> io::Result<Arc<Looking>> {
        let mut state = self.lock();
        let under_way = state.looking.as_ref().filter(|(of, looking)| of == host && looking.result.get().is_none());
        if let Some((_, looking)) = under_way {
            return Ok(Arc::clone(looking));
        }
        let turn = Turn::begin().map_err(io::Error::other)?;
        let looking = Arc::new(Looking { turn, result: OnceLock::new() });
        // getaddrinfo can neither be bounded nor interrupted. A thread that hangs in it ends with the process, or at exec.
        let (name, theirs) = (host.clone(), Arc::clone(&looking));
        let look_up = move || {
            let found = (name.0.as_str(), name.1).to_socket_addrs().map(Vec::from_iter);
            let _ = theirs.result.set(found.map_err(|error| in_its_words(&error)));
            theirs.turn.end();
        };
        let thread = std::thread::Builder::new().name("lookup".into()).stack_size(256 << 10);
        thread.spawn(look_up).map_err(Refused::in_io::<io::Error>("clone3 or clone"))?;
        state.looking = Some((host.clone(), Arc::clone(&looking)));
        Ok(looking)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `getaddrinfo` says, without the standard library's words around it.
fn in_its_words(error: &io::Error) -> String {
    let said = error.to_string();
    said.rsplit_once(": ").map_or(said.as_str(), |(_, last)| last).to_owned()
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

/// Looks names up for the agent of a lane.
#[derive(Debug)]
pub struct Lookup {
    pub slot: Slot,
    pub names: Arc<Names>,
    /// The host to connect to where the URL's own is only the name that the certificate must carry.
    pub connect_to: Option<String>,
}

impl Resolver for Lookup {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = self.connect_to.as_deref().or(uri.host()).ok_or(ureq::Error::HostNotFound)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut addresses = self.empty();
        for address in self.names.find(&(host, port), &self.slot.call())?.into_iter().take(MAX_ADDRESSES) {
            addresses.push(address);
        }
        Ok(addresses)
    }
}

/// Finds an address for every name, for connections that need none: nothing connects to it.
#[derive(Debug)]
pub struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Cancel;

    fn call() -> Call {
        Call::until(Instant::now() + Duration::from_secs(30), Cancel::never())
    }

    #[test]
    fn one_look_up_serves_all_who_wait_for_it() {
        let names = Names::default();
        let host = ("localhost".to_owned(), 8200);
        let first = names.begin(&host).unwrap();
        let finished = first.turn.wait(&call());
        let second = names.begin(&host).unwrap();
        assert_eq!(finished, Ok(()));
        assert!(!Arc::ptr_eq(&first, &second), "one that has ended is not asked again");

        let hanging = Arc::new(Looking { turn: Turn::begin().unwrap(), result: OnceLock::new() });
        names.lock().looking = Some((host.clone(), Arc::clone(&hanging)));
        assert!(Arc::ptr_eq(&names.begin(&host).unwrap(), &hanging), "one that hangs is joined");
    }

    #[test]
    fn a_new_connection_looks_an_old_name_up_again_and_takes_the_old_addresses_where_that_fails() {
        let long_ago =
            Instant::now().checked_sub(GOOD_FOR + Duration::from_secs(1)).expect("the machine runs for so long");
        let old = SocketAddr::from(([192, 0, 2, 1], 8200));
        let found = |host: &str, at| State {
            found: Some(Found { host: (host.to_owned(), 8200), addresses: vec![old], at }),
            looking: None,
        };
        for (host, at, addresses) in [
            ("127.0.0.1", long_ago, vec![SocketAddr::from(([127, 0, 0, 1], 8200))]),
            ("127.0.0.1", Instant::now(), vec![old]),
            ("host.invalid", long_ago, vec![old]),
        ] {
            let names = Names(Mutex::new(found(host, at)));
            assert_eq!(names.renewed(&[old], &call()), addresses, "{host}");
        }
    }
}
