//! TLS of the callers' listener.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use vault_testkit::certs::{Pair, certs};
use vault_testkit::eventually;
use vault_testkit::server::{Kind, on};

use crate::support::gateway::{Gateway, program};
use crate::support::wire::{exchange, statuses};
use crate::support::{Corner, Tables};

/// What a caller gets of a handshake and a request: the certificate that it is shown, the protocol, and the answer.
#[derive(Debug, PartialEq, Eq)]
struct Met {
    certificate: Vec<u8>,
    protocol: Option<Vec<u8>>,
    statuses: Vec<u16>,
}

/// A request without a token, after a handshake with someone who must be of `ca`.
fn meet(gateway: &Gateway, ca: &str, shown: Option<&Pair>, protocols: &[&[u8]]) -> Result<Met, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM")).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let builder = builder.with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(chain, key).expect("a pair")
        }
    };
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(gateway.listen).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), stream);
    let request = b"GET /vault/list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    if answer.is_empty() {
        return Err(read.err().map_or("nothing came".to_owned(), |error| error.to_string()));
    }
    Ok(Met {
        certificate: stream.conn.peer_certificates().expect("it is shown")[0].to_vec(),
        protocol: stream.conn.alpn_protocol().map(<[u8]>::to_vec),
        statuses: statuses(&answer),
    })
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM").to_vec()
}

/// The configuration with this pair in files of its own, and these lines more in `[tls]`.
fn with_tls(corner: &Corner, pair: &Pair, more: &str) -> Tables {
    let folder = &corner.folder;
    fs::write(folder.join("tls.pem"), &pair.certificate).expect("a file");
    fs::write(folder.join("tls.key"), &pair.key).expect("a file");
    let folder = folder.display();
    let mut tables = corner.tables();
    tables.more = format!("[tls]\ncert = \"{folder}/tls.pem\"\nkey = \"{folder}/tls.key\"\n{more}");
    tables
}

#[test]
fn callers_speak_tls_and_http_1_1_and_nothing_else() {
    on(Kind::Embedded, "callers_speak_tls_and_http_1_1_and_nothing_else", |server| {
        let (corner, certs) = (Corner::of(server), certs());
        let mut tables = with_tls(&corner, &certs.good, "");
        tables.more.push_str("[limits]\nhead = \"1s\"\n");
        let gateway = corner.start(&tables);
        for (protocols, chosen) in
            [(&[][..], None), (&[&b"http/1.1"[..]], Some(&b"http/1.1"[..])), (&[b"h2", b"http/1.1"], Some(b"http/1.1"))]
        {
            let met = meet(&gateway, &certs.ca.certificate, None, protocols);
            let protocol = chosen.map(<[u8]>::to_vec);
            assert_eq!(met, Ok(Met { certificate: der(&certs.good.certificate), protocol, statuses: vec![401] }));
        }
        assert!(meet(&gateway, &certs.ca.certificate, None, &[b"h2"]).is_err());
        assert!(meet(&gateway, &certs.stranger_ca.certificate, None, &[]).is_err());
        // HTTP without TLS is not answered, and a handshake that is never ended is.
        let plain = exchange(gateway.listen, b"GET /vault/list HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(statuses(&plain).is_empty(), "{plain}");
        assert_eq!(exchange(gateway.listen, b"\x16\x03\x01"), "");
        assert_eq!(meet(&gateway, &certs.ca.certificate, None, &[]).map(|met| met.statuses), Ok(vec![401]));
    });
}

#[test]
fn callers_show_a_certificate_where_that_is_demanded_and_are_who_their_token_says() {
    on(Kind::Embedded, "callers_show_a_certificate_where_that_is_demanded_and_are_who_their_token_says", |server| {
        let (corner, certs) = (Corner::of(server), certs());
        let more = format!("client_ca = \"{}\"\n", certs.ca.certificate_file.display());
        let gateway = corner.start(&with_tls(&corner, &certs.good, &more));
        let met = |shown: Option<&Pair>| meet(&gateway, &certs.ca.certificate, shown, &[]).map(|met| met.statuses);
        assert_eq!(met(Some(&certs.client)), Ok(vec![401]), "a certificate is no token");
        for (what, shown) in [
            ("none", None),
            ("one of another CA", Some(&certs.stranger_client)),
            ("an old one", Some(&certs.expired_client)),
            ("one of a server", Some(&certs.good)),
        ] {
            assert!(met(shown).is_err(), "{what}");
        }
        assert_eq!(gateway.operate("/health").status, 200, "operators need none");
    });
}

/// A certificate for `localhost` of a CA that is made here.
fn another() -> (String, Pair) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("a CA");
    let mut leaf = CertificateParams::new(["localhost".to_owned()]).expect("names");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().expect("a key");
    let certificate = leaf.signed_by(&key, &ca).expect("a certificate").pem();
    let nowhere = std::path::PathBuf::new();
    let pair = Pair { certificate, key: key.serialize_pem(), certificate_file: nowhere.clone(), key_file: nowhere };
    (ca.pem(), pair)
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_half_written_files_keep_the_old_one() {
    on(
        Kind::Embedded,
        "a_new_certificate_is_shown_without_a_restart_and_half_written_files_keep_the_old_one",
        |server| {
            let (corner, certs) = (Corner::of(server), certs());
            let gateway = corner.start(&with_tls(&corner, &certs.good, ""));
            let (ca, new) = another();
            let shown = |ca: &str| meet(&gateway, ca, None, &[]).map(|met| met.certificate);
            let (cert, key) = (corner.folder.join("tls.pem"), corner.folder.join("tls.key"));
            let complaints =
                || gateway.log().iter().filter(|line| line.contains("the certificate in hand is used on")).count();
            for (what, half) in [
                ("half of it", &new.certificate[..new.certificate.len() / 2]),
                ("nothing", ""),
                ("one that the key is not of", &new.certificate),
            ] {
                let before = complaints();
                fs::write(&cert, half).expect("a file");
                eventually(what, || {
                    assert_eq!(shown(&certs.ca.certificate), Ok(der(&certs.good.certificate)), "{what}");
                    complaints() > before
                });
            }
            fs::remove_file(&key).expect("it was there");
            assert_eq!(shown(&certs.ca.certificate), Ok(der(&certs.good.certificate)));
            fs::write(&key, &new.key).expect("a file");
            eventually("the new one is shown", || shown(&ca) == Ok(der(&new.certificate)));
            assert!(shown(&certs.ca.certificate).is_err());
        },
    );
}

#[test]
fn a_key_that_is_a_fifo_holds_nobody_up() {
    on(Kind::Embedded, "a_key_that_is_a_fifo_holds_nobody_up", |server| {
        let (corner, certs) = (Corner::of(server), certs());
        let mut gateway = corner.start(&with_tls(&corner, &certs.good, ""));
        let key = corner.folder.join("tls.key");
        fs::remove_file(&key).expect("it was there");
        mkfifo(&key, Mode::S_IRWXU).expect("a FIFO");
        eventually("it is told", || gateway.log().iter().any(|line| line.contains("tls.key: not a regular file")));
        let met = meet(&gateway, &certs.ca.certificate, None, &[]);
        assert_eq!(met.map(|met| met.certificate), Ok(der(&certs.good.certificate)));
        assert_eq!(gateway.operate("/health").status, 200);
        assert_eq!(gateway.end().code(), Some(0));
    });
}

#[test]
fn http_without_tls_is_for_this_machine_or_where_it_is_said() {
    on(Kind::Embedded, "http_without_tls_is_for_this_machine_or_where_it_is_said", |server| {
        let (corner, other, certs) = (Corner::of(server), Corner::of(server), certs());
        let everywhere = |mut tables: Tables| {
            tables.top = tables.top.replacen("127.0.0.1:0", "0.0.0.0:0", 1);
            tables
        };
        let mut plain = everywhere(corner.tables());
        plain.top.push_str("plain = true\n");
        let mixed = Pair { key: certs.client.key.clone(), ..certs.good.clone() };
        for (what, tables, code) in [
            ("this machine", corner.tables(), 0),
            ("everywhere", everywhere(corner.tables()), 78),
            ("everywhere, and it is said", plain, 0),
            ("everywhere with TLS", everywhere(with_tls(&corner, &certs.good, "")), 0),
            ("a key of another certificate", with_tls(&other, &mixed, ""), 78),
        ] {
            let output =
                program("http://127.0.0.1:1").arg("--config").arg(corner.write(&tables)).arg("--check").output();
            let output = output.expect("it runs");
            assert_eq!(output.status.code(), Some(code), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        }
    });
}
