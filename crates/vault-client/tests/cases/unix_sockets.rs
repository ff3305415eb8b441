//! A client whose server is behind a unix socket.

use std::sync::Arc;

use serde_json::json;
use vault_client::fault::{Unreachable, Way};
use vault_client::settings::{Connection, Decided, Layer, setting};
use vault_client::{Cancel, Cas, Endpoint, ErrorKind, Limits, Proxy, Revoked, ToLog, What};
use vault_testkit::raw::{Raw, STATUS};
use vault_testkit::unix_front;

use crate::support::with_corner;

#[test]
fn threads_read_and_write_over_a_unix_socket_and_the_end_leaves_no_token() {
    with_corner("threads_read_and_write_over_a_unix_socket_and_the_end_leaves_no_token", |corner| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.sock");
        let address = format!("unix://{}", path.display());
        let client =
            corner.builder().address(&address).limits(Limits { retries: 0, ..Limits::default() }).build().unwrap();
        let error = client.token().unwrap_err();
        let none = What::Unreachable { why: Unreachable::NoSocket, way: Way::Socket };
        assert_eq!((error.kind(), &error.fault().what, error.at()), (ErrorKind::Unreachable, &none, address.as_str()));

        corner.server.listen_at(&path);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let client = client.clone();
                scope.spawn(move || {
                    let (kv, path) = (client.kv(&corner.name), format!("a{number}"));
                    kv.write(&path, &json!({"K": path}), Cas::New).unwrap();
                    assert_eq!(kv.read(&path).unwrap().text("K"), Some(path.as_str()));
                });
            }
        });
        assert_eq!((corner.live_tokens(), client.close(), corner.live_tokens()), (1, Revoked::Yes, 0));
    });
}

#[test]
fn options_of_a_unix_socket_have_no_use_for_a_proxy_and_a_name() {
    let raw = Raw::start([]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.sock");
    unix_front::before(&raw.addr(), &path);
    let mut layer = Layer::default();
    layer.give(&setting::ADDR, "address", format!("unix://{}", path.display()));
    layer.give(&setting::TOKEN, "token", "hvs.example");
    let mut options = Connection::from_source(&layer, Decided::default()).unwrap().options;
    options.proxy = Some(Proxy::parse("http://127.0.0.1:1").unwrap());
    options.tls.server_name = Some("vault.example".into());
    let endpoint = Endpoint::new(&options, Limits::default(), Cancel::never(), Arc::new(ToLog));
    endpoint.status().unwrap();
    raw.expect_requests([&*format!("GET {STATUS}")]);
    assert!(raw.whole_requests()[0].head.contains("host: localhost\r\n"));
}
