//! TLS in front of a server that does not know of it: what that one sends, closes, resets or withholds is sent, closed,
//! cut off or withheld here.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::ServerConfig;

use crate::certs::certs;

/// Its URL; the server listens on `port`. Its thread ends with the process.
pub fn before(port: u16) -> String {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let addr = format!("https://{}", listener.local_addr().expect("a bound listener has an address"));
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    listener.set_nonblocking(true).expect("a listener can be so");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(serve(listener, target));
    });
    addr
}

async fn serve(listener: std::net::TcpListener, target: SocketAddr) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let acceptor = acceptor();
    while let Ok((client, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let (Ok(mut client), Ok(mut server)) = (acceptor.accept(client).await, TcpStream::connect(target).await)
            else {
                return;
            };
            // A close is handed on as one; after a reset there is no goodbye.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

fn acceptor() -> TlsAcceptor {
    let pair = &certs().good;
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).flatten().collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let provider = Arc::new(default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.expect("versions").with_no_client_auth().with_single_cert(chain, key);
    TlsAcceptor::from(Arc::new(config.expect("a matching pair")))
}
