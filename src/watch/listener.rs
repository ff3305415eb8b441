//! A small HTTP listener: one thread, which waits for its connections and their deadlines together, and for no one of them
//! alone. What it answers is its caller's.

mod address;
mod connection;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

pub use address::{Bound, Listen, NotBound};
pub use connection::Answer;
use connection::Connection;

/// So many connections are open at once. One more is told so and closed.
const MOST: usize = 16;

/// So long a connection has for its request and the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// So long nothing is accepted after this process could not have another descriptor.
const DEAF: Duration = Duration::from_millis(100);

type Answers = Box<dyn Fn(&str) -> Option<Answer> + Send>;

/// The listener at work. Its end is that of its thread and of all connections.
#[derive(Debug)]
pub struct Serving {
    bell: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Bound {
    /// Serves in a thread of its own. `answer` is given the path of a request, and returns `None` if there is nothing.
    ///
    /// # Errors
    ///
    /// There can be no such thread, or nothing to end it with.
    pub fn serve(self, answer: impl Fn(&str) -> Option<Answer> + Send + 'static) -> io::Result<Serving> {
        self.serve_within(PATIENCE, Box::new(answer))
    }

    fn serve_within(self, patience: Duration, answers: Answers) -> io::Result<Serving> {
        let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (sockets, connections) = (self.into_sockets(), Vec::new());
        let server = Server { bell: Arc::clone(&bell), sockets, connections, deaf_until: None, patience, answers };
        let thread = Builder::new().name("health".into()).stack_size(256 << 10).spawn(move || server.run())?;
        Ok(Serving { bell, thread: Some(thread) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It fails only where the counter is full, and then it rings already.
        let _ = self.bell.write(1);
        if let Some(thread) = self.thread.take() {
            // It has said what there is to say of a panic.
            let _ = thread.join();
        }
    }
}

struct Server {
    /// Rings once, at the end.
    bell: Arc<EventFd>,
    sockets: Vec<TcpListener>,
    connections: Vec<Connection>,
    /// Until when nothing is accepted.
    deaf_until: Option<Instant>,
    patience: Duration,
    answers: Answers,
}

impl Server {
    fn run(mut self) {
        while self.wait() {
            let now = Instant::now();
            // Who is here already is served before anybody is let in.
            self.connections.retain_mut(|connection| connection.serve(&self.answers, now));
            self.deaf_until = self.deaf_until.filter(|until| now < *until);
            if self.deaf_until.is_none() {
                self.accept(now);
            }
        }
    }

    /// Waits until there is something to do; `false` at the end.
    fn wait(&self) -> bool {
        let listeners = self.sockets.iter().filter(|_| self.deaf_until.is_none());
        let listeners = listeners.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        let connections = self.connections.iter().map(Connection::awaited);
        let bell = PollFd::new(self.bell.as_fd(), PollFlags::POLLIN);
        let mut all: Vec<_> = std::iter::once(bell).chain(listeners).chain(connections).collect();
        let ends = self.connections.iter().map(Connection::until).chain(self.deaf_until);
        let timeout =
            ends.min().map_or(PollTimeout::NONE, |end| timeout(end.saturating_duration_since(Instant::now())));
        match poll(&mut all, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            // The kernel has no memory for it. A loop that tries again at once would do nothing else.
            Err(_) => park_timeout(DEAF),
        }
        !all[0].any().unwrap_or_default()
    }

    /// Lets some in, of each socket in turn, and serves each at once: what it asks is often there already.
    fn accept(&mut self, now: Instant) {
        for _ in 0..MOST {
            for number in 0..self.sockets.len() {
                match self.sockets[number].accept() {
                    Ok((stream, _)) => self.take(stream, now),
                    Err(error) if is_nothing(&error) => {}
                    // Descriptors or memory are used up, and the connection stays in the queue.
                    Err(_) => {
                        self.deaf_until = Some(now + DEAF);
                        return;
                    }
                }
            }
        }
    }

    fn take(&mut self, stream: TcpStream, now: Instant) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.connections.len() >= MOST {
            connection::turn_away(stream);
            return;
        }
        let mut connection = Connection::new(stream, now + self.patience);
        if connection.serve(&self.answers, now) {
            self.connections.push(connection);
        }
    }
}

/// At least `wait`: a poll that ends before would be repeated at once.
fn timeout(wait: Duration) -> PollTimeout {
    PollTimeout::try_from(wait.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX)
}

/// Whether the call has nothing to give now, or was about a connection that is gone.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted | ConnectionReset)
}

#[cfg(test)]
mod tests;
