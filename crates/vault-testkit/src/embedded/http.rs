//! The wire: listeners, TLS, and the step from an HTTP request to [`Request`] and back.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::reply::{Reply, go_json};
use super::vault::{Request, Vault};
use crate::certs::Tls;

/// The TLS side of one listener.
pub(crate) fn acceptor(tls: &Tls) -> TlsAcceptor {
    let certificates = |pem: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(|der| der.expect("a PEM certificate")).collect()
    };
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions");
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(ca));
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a client CA"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes()).expect("a PEM key");
    let config = builder.with_single_cert(certificates(&tls.certificate), key);
    TlsAcceptor::from(Arc::new(config.expect("certificate and key belong together")))
}

/// Accepts until the runtime is shut down.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    vault: Arc<Mutex<Vault>>,
    connections: Arc<AtomicU64>,
) {
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("inside a runtime");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let number = connections.fetch_add(1, Ordering::Relaxed) + 1;
        let (acceptor, vault) = (acceptor.clone(), Arc::clone(&vault));
        tokio::spawn(async move {
            match acceptor {
                None => connection(stream, vault, number).await,
                Some(_) if !begins_tls(&stream).await => refuse_plain_http(&stream),
                // A failed handshake is the client's to report.
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, vault, number).await;
                    }
                }
            }
        });
    }
}

/// Whether the client's first byte is that of a TLS handshake.
async fn begins_tls(stream: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 0x16;
    let mut first = [0];
    stream.peek(&mut first).await.is_ok_and(|n| n == 1) && first[0] == HANDSHAKE
}

/// What the real server says to those who have forgotten the `s` of `https`.
fn refuse_plain_http(stream: &TcpStream) {
    let answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    // Read first: a socket closed with bytes unread resets the connection, and the answer would be lost. The peek has
    // seen that there are some, and a new connection takes this little at once.
    let _ = stream.try_read(&mut [0; 4096]);
    let _ = stream.try_write(answer);
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, vault: Arc<Mutex<Vault>>, number: u64) {
    let service = service_fn(|request| {
        let vault = Arc::clone(&vault);
        async move {
            let request = receive(request, number).await;
            let reply = vault.lock().unwrap_or_else(PoisonError::into_inner).handle(&request);
            Ok::<_, Infallible>(send(reply))
        }
    });
    // The client may hang up whenever it likes.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn receive(request: hyper::Request<Incoming>, connection: u64) -> Request {
    let (head, body) = request.into_parts();
    let header = |name: &str| text(&head.headers, name);
    Request {
        method: head.method.to_string(),
        path: decode(head.uri.path().strip_prefix("/v1/").unwrap_or_default()),
        query: head.uri.query().unwrap_or_default().to_owned(),
        namespace: header("x-vault-namespace"),
        token: header("x-vault-token"),
        user_agent: header(USER_AGENT.as_str()).unwrap_or_default(),
        connection,
        body: body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default(),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Percent-decoding; `+` is literal in a path.
fn decode(path: &str) -> Vec<u8> {
    let mut bytes = path.as_bytes().iter();
    let mut out = Vec::new();
    while let Some(&byte) = bytes.next() {
        let rest = bytes.as_slice();
        let hex = rest.get(..2).and_then(|hex| u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok());
        match hex.filter(|_| byte == b'%') {
            Some(decoded) => {
                out.push(decoded);
                bytes.nth(1);
            }
            None => out.push(byte),
        }
    }
    out
}

fn send(reply: Reply) -> Response<Full<Bytes>> {
    let body = match (&reply.body, &reply.location) {
        (Some(body), _) => go_json(body) + "\n",
        (None, Some(to)) => format!("<a href=\"{to}\">Temporary Redirect</a>.\n\n"),
        (None, None) => String::new(),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status");
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(to) = reply.location {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(LOCATION, HeaderValue::try_from(to).expect("a printable path"));
    }
    response
}
