//! The way to a server: IPv6, a dead address beside the live one, a handshake that is none, old TLS.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket};
use vault_testkit::dns::Says;
use vault_testkit::raw::{Raw, Reply};

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::isolated::with_dns;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_handshake_that_hangs_is_given_its_time_limit: "TLS: a handshake that hangs", Connect, 69, Tries;
    a_handshake_that_is_cut_is_tried_again: "TLS: a handshake that is closed or reset", Connect, 69, Pauses;
    a_server_with_old_tls_only_is_told_so: "TLS: 1.0 or 1.1 only, as such servers answer", Connect, 78, AtOnce;
    a_dead_address_costs_a_quarter_of_a_second: "a name with an address that is silent before the live one", Read, 0, Pauses;
}

fn over_tls(raw: &Raw) -> Scenario<'static> {
    Scenario::against(raw).at(&raw.addr().replace("http:", "https:")).env("VAULT_MAX_RETRIES", "1")
}

fn a_handshake_that_hangs_is_given_its_time_limit() {
    // A record that is announced, with nothing in it.
    for begun in [b"".as_slice(), b"\x16\x03\x03\x00\x7a", b"\x16"] {
        let raw = Raw::saying(&Reply::Hang(begun.to_vec()));
        over_tls(&raw).env("VAULT_TIMEOUT", "200ms").run().expect(Expect::done().code(69).stderr([
            "WARN  vault-exec: status: no complete answer within 200ms (VAULT_TIMEOUT); try 1 of 2, the next in 0ms",
            "ERROR vault-exec: vault at {addr}: no complete answer within 200ms (VAULT_TIMEOUT); {any} (2 tries in {any})",
        ]));
        assert_eq!(raw.connections(), 2);
    }
}

fn a_handshake_that_is_cut_is_tried_again() {
    for (reply, cause) in [
        (Reply::Last(Vec::new()), "the connection was closed before the answer was complete"),
        (Reply::Last(b"\x16\x03\x03\x00\x7a\x02".to_vec()), "the connection was closed before the answer was complete"),
        (Reply::Reset(Vec::new()), "connection reset"),
    ] {
        let raw = Raw::saying(&reply);
        over_tls(&raw).run().expect(Expect::done().code(69).stderr([
            format!("WARN  vault-exec: status: {cause}; try 1 of 2, the next in 0ms"),
            format!("ERROR vault-exec: vault at {{addr}}: {cause}; {{any}} (2 tries in {{any}})"),
        ]));
        assert_eq!(raw.connections(), 2);
    }
}

/// A ServerHello of this version, 3.1 being TLS 1.0; [RFC 2246, 7.4.1.3](https://www.rfc-editor.org/rfc/rfc2246#section-7.4.1.3).
fn server_hello(minor: u8) -> Vec<u8> {
    let random = [7; 32];
    // No session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    let hello = [&[3, minor][..], &random, &[0, 0, 0x2f, 0]].concat();
    let length = u8::try_from(hello.len()).expect("a short one");
    [&[0x16, 3, minor, 0, length + 4, 2, 0, 0, length][..], &hello].concat()
}

fn a_server_with_old_tls_only_is_told_so() {
    let too_old =
        "the server speaks only TLS versions or ciphers that are too old; let it offer TLS 1.2 with ECDHE, or TLS 1.3";
    // What OpenSSL says when nothing it offers is new enough: a fatal alert, protocol_version.
    let alert = b"\x15\x03\x01\x00\x02\x02\x46".to_vec();
    for said in [server_hello(1), server_hello(2), alert] {
        let raw = Raw::saying(&Reply::Last(said));
        over_tls(&raw).run().expect_failure(78, &format!("vault at {{addr}}: {too_old}"));
        assert_eq!(raw.connections(), 1);
    }
}

#[test]
fn an_address_may_be_of_ipv6() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        vault_testkit::missing("IPv6");
        return;
    };
    let raw = Raw::on(listener, []);
    let scenario = Scenario::against(&raw).at(&format!("http://[::1]:{}", raw.port()));
    scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]));
    assert!(raw.whole_requests().iter().all(|it| it.head.contains(&format!("host: [::1]:{}\r\n", raw.port()))));
    raw.expect_whole_run();
}

fn a_dead_address_costs_a_quarter_of_a_second() {
    // No other test has these.
    let [dead_address, live_address] = [1, 2].map(|last| Ipv4Addr::new(127, 88, 0, last));
    let raw = Raw::on(TcpListener::bind((live_address, 0)).expect("a port"), []);
    // A listener whose queue is full answers no further connect, as a machine that is down.
    let dead = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    bind(std::os::fd::AsRawFd::as_raw_fd(&dead), &SockaddrIn::new(127, 88, 0, 1, raw.port())).expect("its own address");
    listen(&dead, Backlog::new(0).expect("none")).expect("a listener");
    let address = (dead_address, raw.port()).into();
    let queued: Vec<_> =
        std::iter::from_fn(|| TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok()).take(8).collect();
    assert!(queued.len() < 8, "the queue has no end");
    let name = format!("http://vault.test.:{}", raw.port());
    let test = "a_dead_address_costs_a_quarter_of_a_second";
    let scenario = Scenario::against(&raw).at(&name).env("VAULT_MAX_RETRIES", "0").env("VAULT_LOG_LEVEL", "error");
    let Some((dns, scenario)) = with_dns(test, 8, scenario) else { return };
    let asked = dns.answer(Says::Two(dead_address, live_address));
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 0, "{}", outcome.describe());
    assert_eq!(asked.lock().expect("no panic").len(), 2);
    let millis = outcome.elapsed.as_millis();
    assert!((250..2000).contains(&millis), "{millis} ms: the head start of the first address, and no more");
    raw.expect_whole_run();
}
