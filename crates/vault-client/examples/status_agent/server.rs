//! Accepts connections, and ends in order. Nobody who is slow is waited for, and no more connections are held than fit.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// So many connections are open at most; the next ones wait.
const CONNECTIONS: usize = 128;

/// A head of a request that is not there by then is not waited for.
const HEAD: Duration = Duration::from_secs(10);

/// The longest head of a request.
const LONGEST_HEAD: usize = 16 << 10;

/// At the end the requests under way have so long.
const LONGEST_END: Duration = Duration::from_secs(5);

/// Serves `router` until TERM or INT, and lets the requests under way end. `ready` is called once a signal ends it so.
///
/// # Errors
///
/// There are no signals to be had, or what `ready` fails with.
pub async fn run(listener: TcpListener, router: Router, ready: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    ready()?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    loop {
        let (stream, slot) = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // What goes wrong with a connection is its client's affair.
            let _ = connection.await;
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(LONGEST_END, graceful.shutdown()).await;
    Ok(())
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
