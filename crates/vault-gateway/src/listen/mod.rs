//! A listener: connections, TLS and the limits of a head. What a request means is not known here.

mod patient;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use patient::Patient;
use tls::Fresh;
pub use tls::Tls;

/// hyper's own limit of a head lies this much above ours, so that ours answers with a problem document as a rule.
const SLACK: usize = 8192;
/// hyper takes no smaller buffer.
const SMALLEST: usize = 8192;
/// So many connections may wait to be accepted; the system may allow fewer. Where the queue is full, a caller tries again
/// a second later.
const BACKLOG: u32 = 4096;
/// After an accept that fails for want of descriptors, the next one is tried this much later.
const PAUSE: Duration = Duration::from_millis(50);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many there are at once.
    pub connections: usize,
    /// Bytes of a head.
    pub header_bytes: usize,
    /// How long a handshake, or the head of a request, may take, and how long an answer may stand still that nobody reads.
    pub head: Duration,
}

/// Why a connection ended before a request was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The head is too large: hyper has answered 431.
    Head,
    /// It was no HTTP: hyper has answered 400.
    NotHttp,
    /// There are too many.
    Connections,
}

/// Where connections come from.
pub struct Listener {
    socket: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn bind(address: SocketAddr, tls: Option<Tls>, limits: Limits) -> std::io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A service that is started again must not wait for the connections of the one before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { socket: socket.listen(BACKLOG)?, tls, limits })
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves connections until `stop` is true. Those under way go on: `graceful` ends them.
    pub async fn serve<S>(
        self,
        service: S,
        refused: impl Fn(Refused) + Clone + Send + 'static,
        graceful: &GracefulShutdown,
        mut stop: watch::Receiver<bool>,
    ) where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let Self { socket, tls, limits } = self;
        let tls = tls.map(Tls::keep_fresh);
        let room = Arc::new(Semaphore::new(limits.connections));
        // The guard that it returns must not be held across a wait.
        let mut stopped = pin!(async move { drop(stop.wait_for(|stop| *stop).await) });
        loop {
            let accepted = tokio::select! {
                () = &mut stopped => return,
                accepted = socket.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // One connection that ended early, or too many descriptors: the others go on.
                sleep(PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                refused(Refused::Connections);
                continue;
            };
            let connection =
                Connection { service: service.clone(), watcher: graceful.watcher(), limits, refused: refused.clone() };
            let tls = tls.as_ref().map(Fresh::acceptor);
            tokio::spawn(async move {
                connection.serve(stream, tls).await;
                drop(place);
            });
        }
    }
}

struct Connection<S, R> {
    service: S,
    watcher: Watcher,
    limits: Limits,
    refused: R,
}

impl<S, R> Connection<S, R>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send,
    R: Fn(Refused),
{
    async fn serve(self, stream: TcpStream, tls: Option<tokio_rustls::TlsAcceptor>) {
        // Answers are small and whole.
        let _ = stream.set_nodelay(true);
        let stream = Patient::new(stream, self.limits.head);
        match tls {
            None => self.speak(stream).await,
            Some(acceptor) => {
                if let Ok(Ok(stream)) = timeout(self.limits.head, acceptor.accept(stream)).await {
                    self.speak(stream).await;
                }
            }
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Limits { header_bytes, head, .. } = self.limits;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head)
            .max_buf_size((header_bytes + SLACK).max(SMALLEST))
            .half_close(false)
            .serve_connection(TokioIo::new(stream), self.service);
        if let Err(error) = self.watcher.watch(connection).await {
            match error {
                error if error.is_parse_too_large() => (self.refused)(Refused::Head),
                error if error.is_parse() => (self.refused)(Refused::NotHttp),
                _ => {}
            }
        }
    }
}
