//! A small Vault for trying and testing: it is set up through the same HTTP API as the real server and
//! answers like it, but keeps everything in memory and checks no signature.
//!
//! It has KV, Kubernetes auth and tokens, and gets no more: other engines and logins are tested on the real server and
//! on scripted ones.

mod http;
mod kubernetes;
mod kv;
mod policy;
mod quota;
mod reply;
mod sys;
mod token;
mod vault;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use self::vault::Vault;
use crate::certs::Tls;

/// What is remembered of a request; no value and no token is in it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `GET`, `POST`, ...
    pub method: String,
    /// `read`, `list`, `update` or `delete`, as the real server's audit log says.
    pub operation: &'static str,
    /// Without `/v1/`.
    pub path: String,
    /// As the header gave it, empty without one.
    pub namespace: String,
    /// Whether a token was sent, valid or not.
    pub token: bool,
    /// The policies of the token that was used or, by a login, made.
    pub policies: Vec<String>,
    /// The role that a login asked for.
    pub role: String,
    /// As the header gave it, empty without one.
    pub user_agent: String,
    /// Counts from 1, in the order in which connections were accepted.
    pub connection: u64,
    /// The status of its answer.
    pub status: u16,
    /// When it was answered.
    pub at: Instant,
}

/// A running server; dropping it stops it.
pub struct EmbeddedVault {
    vault: Arc<Mutex<Vault>>,
    addresses: Vec<SocketAddr>,
    /// Owns the server's threads. Taken out only when dropped.
    runtime: Option<tokio::runtime::Runtime>,
}

impl EmbeddedVault {
    /// Starts an uninitialised server on free ports: plain HTTP, and one listener for each of `tls`.
    pub fn start(tls: &[Tls]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let vault = Arc::new(Mutex::new(Vault::default()));
        let connections = Arc::default();
        let acceptors = std::iter::once(None).chain(tls.iter().map(|tls| Some(http::acceptor(tls))));
        let addresses = acceptors
            .map(|acceptor| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
                let address = listener.local_addr().expect("a bound listener has an address");
                let served = http::serve(listener, acceptor, Arc::clone(&vault), Arc::clone(&connections));
                runtime.spawn(served);
                address
            })
            .collect();
        Self { vault, addresses, runtime: Some(runtime) }
    }

    /// Starts one that is initialised and unsealed, and returns its root token too.
    pub fn start_unsealed(tls: &[Tls]) -> (Self, String) {
        let server = Self::start(tls);
        let token = server.vault.lock().unwrap_or_else(PoisonError::into_inner).initialise_unsealed();
        (server, token)
    }

    /// The URL of the plain listener.
    pub fn http_addr(&self) -> String {
        format!("http://{}", self.addresses[0])
    }

    /// The URL of the TLS listener with this index.
    pub fn tls_addr(&self, index: usize) -> String {
        format!("https://{}", self.addresses[1 + index])
    }

    /// Everything that was asked so far, in order.
    pub fn audit(&self) -> Vec<Entry> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner).audit.clone()
    }
}

impl Drop for EmbeddedVault {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
