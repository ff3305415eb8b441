//! Accepts connections, and ends in order. Nobody who is slow is waited for, no more connections are held than fit, and none
//! for ever.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

/// So many connections are open at most; the next ones wait.
const CONNECTIONS: usize = 128;

/// A head of a request that is not there by then is not waited for.
const HEAD: Duration = Duration::from_secs(10);

/// How long a connection is kept.
pub const LIFE: Life = Life { usual: Duration::from_secs(60), longest: Duration::from_secs(90) };

/// The longest head of a request.
const LONGEST_HEAD: usize = 16 << 10;

/// At the end the requests under way have so long.
const LONGEST_END: Duration = Duration::from_secs(5);

/// How long a connection is kept: others wait for its place.
#[derive(Clone, Copy)]
pub struct Life {
    /// The first answer after this time is the last: it says so. Where there is none, [`HEAD`] ends it.
    pub usual: Duration,
    /// Whoever has not ended by then is cut off, also in the middle of an answer that is not read.
    pub longest: Duration,
}

/// Serves `router` until TERM or INT, and lets the requests under way end. `ready` is called once a signal ends it so.
///
/// # Errors
///
/// There are no signals to be had, or what `ready` fails with.
pub async fn run(listener: TcpListener, router: Router, ready: impl AsyncFnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    ready().await?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, slot) = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let connection = hold(stream, router.clone(), LIFE, &graceful);
        tokio::spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(LONGEST_END, graceful.shutdown()).await;
    Ok(())
}

/// Serves a connection until its end. It begins to live now.
pub fn hold(
    stream: TcpStream,
    router: Router,
    life: Life,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    let router = TowerToHyperService::new(router);
    let end = Instant::now() + life.usual;
    let service = service_fn(move |request| {
        let answer = router.call(request);
        async move {
            let mut answer = answer.await?;
            if Instant::now() >= end {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), service));
    async move {
        // What goes wrong with a connection is its client's affair.
        let _ = timeout(life.longest, connection).await;
    }
}

/// The next connection, and its place among those that are open.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            // A connection that is gone already, or no descriptor is left: there will be one.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}
