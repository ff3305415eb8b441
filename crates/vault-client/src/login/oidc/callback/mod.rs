//! The listener that the browser comes back to. One loop serves it, in the thread that logs in: it waits for listeners,
//! connections and the end of the call together, and for none of them alone.

mod page;
mod request;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::listen::Bound;
use crate::time::{Call, Cancel, Ended};
pub use page::Page;
use request::{Asked, Expected, MOST_BYTES};
pub use request::{Callback, hash, one};

/// The path that a browser comes back to, as the official client has it.
pub const PATH: &str = "/oidc/callback";

/// So many connections are open at once. One more takes the place of the oldest that has not asked anything yet, which is
/// read once more before: browsers open some in advance, and nobody keeps the one out that asks.
const MOST: usize = 16;

/// So long a connection has for its request, and so long for taking the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// So long the browser has for taking the last page.
const FAREWELL: Duration = Duration::from_secs(1);

/// So long nothing is accepted after this process could not have another descriptor.
const DEAF: Duration = Duration::from_millis(100);

/// Of what is sent after a request so much is taken, so that the answer arrives: a connection that is closed before is reset.
const MOST_AFTER: usize = 1 << 20;

/// The listener, and the connections to it.
#[derive(Debug)]
pub struct Callbacks {
    bound: Bound,
    expected: Expected,
    /// Whether the callback has come.
    is_over: bool,
    connections: VecDeque<Connection>,
    /// Until when nothing is accepted.
    deaf_until: Option<Instant>,
}

/// The connection of the browser that has come back; it waits for its page.
#[derive(Debug)]
pub struct Held(TcpStream);

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    until: Instant,
    phase: Phase,
    /// Whether it is the one that the last page goes to.
    is_held: bool,
}

#[derive(Debug)]
enum Phase {
    Reading(Zeroizing<Vec<u8>>),
    /// The answer, and how much of it is written.
    Writing(Vec<u8>, usize),
    /// How much is still taken.
    Closing(usize),
}

/// What became of a connection when it was served.
enum Served {
    Open,
    Ended,
    Callback(Callback),
}

impl Callbacks {
    /// Serves what `bound` listens at. No state is right before [`Callbacks::wait`] says which.
    pub fn new(bound: Bound) -> Self {
        let expected = Expected { authority: bound.authority(), state: [0; 32] };
        Self { bound, expected, is_over: false, connections: VecDeque::new(), deaf_until: None }
    }

    /// The redirect URI of the login.
    pub fn redirect_uri(&self) -> String {
        self.bound.redirect_uri()
    }

    /// Waits for the callback with `state`. Everything else is answered and ignored.
    pub fn wait(&mut self, state: &str, call: &Call) -> Result<(Callback, Held), Ended> {
        self.expected.state = hash(state);
        loop {
            if let Some(came) = self.serve() {
                self.is_over = true;
                return Ok(came);
            }
            self.poll(call)?;
        }
    }

    /// Gives the browser that came back its page. Whoever comes now is told that the login is over.
    pub fn finish(mut self, held: Held, page: Page, cancel: &Cancel) {
        let until = Instant::now() + FAREWELL;
        let phase = Phase::Writing(page.answer(false), 0);
        self.connections.push_back(Connection { stream: held.0, until, phase, is_held: true });
        let call = Call::until(until, cancel.clone());
        loop {
            self.serve();
            let is_open = self.connections.iter().any(|connection| connection.is_held);
            if !is_open || self.poll(&call).is_err() {
                return;
            }
        }
    }

    /// Waits until there is something to serve, or time to end a connection.
    fn poll(&self, call: &Call) -> Result<(), Ended> {
        let listeners = self.bound.sockets.iter().filter(|_| self.deaf_until.is_none());
        let listeners = listeners.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        let connections = self.connections.iter().map(|it| PollFd::new(it.stream.as_fd(), it.phase.awaits()));
        let descriptors: Vec<_> = listeners.chain(connections).collect();
        let ends = self.connections.iter().map(|connection| connection.until).chain(self.deaf_until);
        call.ready(&descriptors, ends.min()).map(drop)
    }

    /// Does all that can be done without waiting, up to a callback. Who is here already is served before anybody is let in.
    fn serve(&mut self) -> Option<(Callback, Held)> {
        let now = Instant::now();
        let mut index = 0;
        while let Some(connection) = self.connections.get_mut(index) {
            let served = connection.serve(&self.expected, self.is_over, now);
            let before = self.connections.len();
            if let Some(came) = self.settle(index, served) {
                return Some(came);
            }
            index += usize::from(self.connections.len() == before);
        }
        self.deaf_until = self.deaf_until.filter(|until| now < *until);
        if self.deaf_until.is_some() { None } else { self.accept(now) }
    }

    /// Does what becomes of the connection at `index`.
    fn settle(&mut self, index: usize, served: Served) -> Option<(Callback, Held)> {
        match served {
            Served::Open => None,
            Served::Ended => {
                self.connections.remove(index);
                None
            }
            Served::Callback(callback) => {
                let held = self.connections.remove(index)?;
                Some((callback, Held(held.stream)))
            }
        }
    }

    /// Lets some in, of each listener in turn, and serves each at once: what it asks is often there already.
    fn accept(&mut self, now: Instant) -> Option<(Callback, Held)> {
        for _ in 0..MOST {
            for number in 0..self.bound.sockets.len() {
                match self.bound.sockets[number].accept() {
                    Ok((stream, _)) => {
                        let came = self.take(stream, now);
                        if came.is_some() {
                            return came;
                        }
                    }
                    Err(error) if is_nothing(&error) => {}
                    // Descriptors or memory are used up; a loop that tries again at once would do nothing else.
                    Err(_) => {
                        self.deaf_until = Some(now + DEAF);
                        return None;
                    }
                }
            }
        }
        None
    }

    fn take(&mut self, stream: TcpStream, now: Instant) -> Option<(Callback, Held)> {
        if stream.set_nonblocking(true).is_err() {
            return None;
        }
        if self.connections.len() >= MOST {
            let silent = self.connections.iter().position(|it| matches!(it.phase, Phase::Reading(_)));
            let index = silent.unwrap_or_default();
            // It may have asked meanwhile.
            if let Served::Callback(callback) = self.connections[index].serve(&self.expected, self.is_over, now) {
                return self.settle(index, Served::Callback(callback));
            }
            self.connections.remove(index);
        }
        let phase = Phase::Reading(Zeroizing::new(Vec::new()));
        let mut connection = Connection { stream, until: now + PATIENCE, phase, is_held: false };
        let served = connection.serve(&self.expected, self.is_over, now);
        self.connections.push_back(connection);
        self.settle(self.connections.len() - 1, served)
    }
}

/// Whether the call has nothing to give now, or was about a connection that is gone.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted | ConnectionReset)
}

impl Phase {
    fn awaits(&self) -> PollFlags {
        match self {
            Self::Reading(_) | Self::Closing(_) => PollFlags::POLLIN,
            Self::Writing(..) => PollFlags::POLLOUT,
        }
    }
}

impl Connection {
    /// Does all that can be done without waiting.
    fn serve(&mut self, expected: &Expected, is_over: bool, now: Instant) -> Served {
        if now >= self.until {
            return Served::Ended;
        }
        // A phase ends at once, or has to wait.
        loop {
            let done = match &mut self.phase {
                Phase::Reading(head) => match read(&mut self.stream, head) {
                    Ok(true) => match request::judge(head, expected) {
                        Asked::Incomplete => continue,
                        Asked::Wrong { status, is_head } => {
                            self.until = now + PATIENCE;
                            Ok(Phase::Writing(Page::Wrong(status).answer(is_head), 0))
                        }
                        Asked::Callback(callback) if !is_over => return Served::Callback(callback),
                        // A page that was loaded again, most likely.
                        Asked::Callback(_) => Ok(Phase::Writing(Page::Over.answer(false), 0)),
                    },
                    Ok(false) => return Served::Ended,
                    Err(error) => Err(error),
                },
                Phase::Writing(answer, written) => match self.stream.write(&answer[*written..]) {
                    Ok(some) if *written + some < answer.len() => {
                        *written += some;
                        continue;
                    }
                    Ok(_) => self.stream.shutdown(Shutdown::Write).map(|()| Phase::Closing(MOST_AFTER)),
                    Err(error) => Err(error),
                },
                Phase::Closing(left) => match self.stream.read(&mut [0; 4096]) {
                    Ok(some) if some > 0 && some <= *left => Ok(Phase::Closing(*left - some)),
                    Ok(_) => return Served::Ended,
                    Err(error) => Err(error),
                },
            };
            match done {
                Ok(phase) => self.phase = phase,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    return Served::Open;
                }
                Err(_) => return Served::Ended,
            }
        }
    }
}

/// Reads some more of a head; `false` where it ends.
fn read(stream: &mut TcpStream, head: &mut Zeroizing<Vec<u8>>) -> io::Result<bool> {
    let mut buffer = Zeroizing::new([0; 4096]);
    let room = MOST_BYTES.saturating_sub(head.len()).min(buffer.len());
    let some = stream.read(&mut buffer[..room])?;
    // A buffer that grows leaves in memory what it held, and the code is in it.
    let mut grown = Zeroizing::new(Vec::with_capacity(head.len() + some));
    grown.extend_from_slice(head);
    grown.extend_from_slice(&buffer[..some]);
    *head = grown;
    Ok(some > 0)
}

#[cfg(test)]
mod tests;
