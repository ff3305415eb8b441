//! TLS between `ureq` and [`super::transport`]. `ureq`'s own connector does not tell whether the server asked for a client
//! certificate, and loses the alert of a server that refuses one and closes the connection.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

pub mod client;

use super::lane::Slot;
use client::Client;

/// Puts TLS on top of a connection where the URL says so.
#[derive(Debug)]
pub struct TlsConnector {
    pub client: Arc<Client>,
    pub slot: Slot,
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, Tls>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(below) = chained else { return Ok(None) };
        if !details.needs_tls() || below.is_tls() {
            return Ok(Some(Either::A(below)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ureq::Error::HostNotFound)?;
        let session = self.client.connect(name).map_err(io::Error::other)?;
        let below = TransportAdapter::new(below.boxed(), Arc::clone(&details.current_time));
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        let mut stream = StreamOwned::new(session, below);
        io(&mut stream, &self.client, |stream| stream.conn.complete_io(&mut stream.sock))?;
        Ok(Some(Either::B(Tls { stream, buffers, client: Arc::clone(&self.client), slot: self.slot.clone() })))
    }
}

/// A connection under TLS. As in the one below, `ureq`'s own time limits are not looked at.
pub struct Tls {
    stream: Stream,
    buffers: LazyBuffers,
    client: Arc<Client>,
    slot: Slot,
}

type Stream = StreamOwned<ClientConnection, TransportAdapter>;

/// Does `call`; a fault of TLS in it, or behind it, goes out with what is known of the connection.
fn io<T>(
    stream: &mut Stream,
    client: &Client,
    call: impl FnOnce(&mut Stream) -> io::Result<T>,
) -> Result<T, ureq::Error> {
    call(stream).map_err(|error| {
        let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
        match fault.or_else(|| unread_fault(stream, &error)) {
            Some(fault) => io::Error::other(client.failed(fault)).into(),
            None => error.into(),
        }
    })
}

/// What the server had said before the connection broke under a write: who refuses a client certificate sends an alert and
/// closes, while the request may be under way. The kernel hands out what arrived before the reset, and then an end or
/// an error: nothing is waited for.
fn unread_fault(stream: &mut Stream, error: &io::Error) -> Option<rustls::Error> {
    if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
        return None;
    }
    while stream.conn.read_tls(&mut stream.sock).is_ok_and(|amount| amount > 0) {
        if let Err(fault) = stream.conn.process_new_packets() {
            return Some(fault);
        }
    }
    None
}

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.slot.note_sent();
        let output = &self.buffers.output()[..amount];
        io(&mut self.stream, &self.client, |stream| stream.write_all(output))
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let input = self.buffers.input_append_buf();
        let amount = io(&mut self.stream, &self.client, |stream| stream.read(input))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::WebPkiClientVerifier;
    use rustls::{AlertDescription, RootCertStore, ServerConfig, ServerConnection};
    use ureq::Agent;

    use super::super::resolver::Nowhere;
    use super::client::{Asked, Failed};
    use super::*;
    use crate::options::tls::{Identity, Tls as Settings};

    /// A server in memory: it takes what is sent and, once it has refused it, is gone, with its last words unread or,
    /// if it is mute, without any.
    struct Refusing {
        server: ServerConnection,
        mute: bool,
        gone: bool,
        buffers: LazyBuffers,
    }

    impl Transport for Refusing {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
            if self.gone {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
            let mut output = &self.buffers.output()[..amount];
            while !output.is_empty() {
                self.server.read_tls(&mut output)?;
            }
            self.gone = self.server.process_new_packets().is_err();
            Ok(())
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
            let mut said = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut said)?;
            }
            if self.gone && self.mute {
                return Ok(false);
            }
            self.buffers.input_append_buf()[..said.len()].copy_from_slice(&said);
            self.buffers.input_appended(said.len());
            Ok(!said.is_empty())
        }

        fn is_open(&mut self) -> bool {
            !self.gone
        }
    }

    impl fmt::Debug for Refusing {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Refusing")
        }
    }

    #[derive(Debug)]
    struct Refuse {
        config: Arc<ServerConfig>,
        mute: bool,
    }

    impl Connector for Refuse {
        type Out = Refusing;

        fn connect(&self, _: &ConnectionDetails, _: Option<()>) -> Result<Option<Refusing>, ureq::Error> {
            let server = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
            let buffers = LazyBuffers::new(32 << 10, 32 << 10);
            Ok(Some(Refusing { server, mute: self.mute, gone: false, buffers }))
        }
    }

    /// What a request comes to whose client certificate is refused while it is written.
    fn refused(mute: bool) -> io::Error {
        let made = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (server, client) = (made(), made());
        // It trusts no client but itself, and both are issued by the same name.
        let mut trusted = RootCertStore::empty();
        trusted.add(server.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(trusted.into(), Arc::clone(&provider)).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server.cert.der().clone()], server.signing_key.into())
            .unwrap();
        let identity = Identity::from_pem(client.cert.pem().as_bytes(), client.signing_key.serialize_pem().as_bytes());
        let settings = Settings {
            roots: Some(vec![server.cert.der().clone()]),
            identity: Some(identity.unwrap()),
            ..Settings::default()
        };
        let refuse = Refuse { config: Arc::new(config), mute };
        let connector = refuse.chain(TlsConnector { client: Arc::new(Client::new(&settings)), slot: Slot::empty() });
        let agent = Agent::with_parts(ureq::config::Config::default(), connector, Nowhere);
        match agent.post("https://localhost/").send("a request") {
            Err(ureq::Error::Io(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_alert_of_a_server_that_is_gone_when_the_request_is_written_is_not_lost() {
        let error = refused(false);
        let failed: &Failed = error.get_ref().and_then(|inner| inner.downcast_ref()).expect("a fault of TLS");
        let alert = rustls::Error::AlertReceived(AlertDescription::DecryptError);
        assert_eq!((&failed.error, failed.asked), (&alert, Asked::Shown));
    }

    #[test]
    fn a_connection_that_breaks_without_an_alert_is_no_fault_of_a_certificate() {
        assert_eq!(refused(true).kind(), io::ErrorKind::BrokenPipe);
    }
}
