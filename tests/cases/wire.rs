//! What comes over the wire, byte by byte: cut, withheld, too much of it, lies about its length, in plain and in TLS.

use nix::sys::resource::Resource;
use serde_json::{Value, json};
use vault_testkit::certs::certs;
use vault_testkit::raw::{LOGIN, READ, Raw, Reply, STATUS, TOKEN, whole};
use vault_testkit::tls_front;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::launch::Inherit;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    answers_that_are_cut_at_each_byte_are_asked_for_again: "a close or a reset at each byte of an answer", Read, 0, Pauses;
    the_same_behind_tls: "TLS: a close, or an end without a goodbye, at each byte of an answer", Read, 0, Pauses;
    an_answer_that_stops_at_any_byte_is_given_its_time_limit: "an answer that stops at any byte, in plain and in TLS", Read, 0, Tries;
    a_large_answer_is_cut_off_whatever_it_says_of_itself: "a body of 64 MiB, a gzip bomb, each within 64 MiB of memory", Each, 76, AtOnce;
    a_length_that_is_a_lie_or_none_is_refused: "a `Content-Length` that is no number, negative, or there twice", Each, 76, AtOnce;
    headers_that_are_none_are_refused: "CR, LF or NUL within a header", Each, 76, AtOnce;
    documents_that_hold_too_much_or_say_a_thing_twice_are_refused: "JSON of more than 100,000 keys and values, or that says a thing twice", Each, 76, AtOnce;
}

/// The good answers, step by step; one of them in chunks.
fn good() -> [(&'static str, Vec<u8>); 3] {
    let bytes = |reply| if let Reply::Bytes(bytes) = reply { bytes } else { unreachable!("it goes on afterwards") };
    [
        (STATUS, bytes(Reply::json(200, &json!({"initialized": true, "sealed": false})))),
        (LOGIN, bytes(Reply::login(&json!({})))),
        (READ, in_chunks(&bytes(Reply::secret(r#"{"A":"a-raw-secret"}"#)))),
    ]
}

/// The answer with its body in chunks of 20 bytes.
fn in_chunks(answer: &[u8]) -> Vec<u8> {
    let body = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("a body") + 4;
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let chunks: Vec<_> = answer[body..].chunks(20).map(chunk).collect();
    [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), chunks.concat(), chunk(b"")].concat()
}

/// A server that spoils each answer in each of these ways before it gives it, and how many tries that takes.
fn spoiling(ways: &dyn Fn(&[u8]) -> Vec<Reply>) -> (Raw, usize) {
    let mut spoilt = 0;
    let script = good().map(|(step, bytes)| {
        // Without the line end after the last chunk, nothing of the body is missing.
        let needed = bytes.strip_suffix(b"0\r\n\r\n").map_or(bytes.len(), |it| it.len() + 3);
        let mut replies = ways(&bytes[..needed]);
        spoilt += replies.len();
        replies.push(Reply::Bytes(bytes));
        (step, replies)
    });
    (Raw::start(script), spoilt)
}

/// At each `step`th byte.
fn cuts(bytes: &[u8], step: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).step_by(step).map(|end| bytes[..end].to_vec())
}

fn patient(raw: &Raw) -> Scenario<'static> {
    Scenario::against(raw).env("VAULT_MAX_RETRIES", "10000").env("VAULT_LOG_FORMAT", "json")
}

/// The run goes well in the end, after so many warnings, each of which says one of `causes`.
fn goes_well(scenario: &Scenario, warnings: usize, causes: &[&str]) {
    let outcome = scenario.run();
    let log = outcome.log();
    let (last, warned) = log.split_last().expect("a line");
    assert_eq!((outcome.code(), warned.len()), (0, warnings), "{}", outcome.describe());
    assert!(last.contains("\"token\":\"revoked\""), "{last}");
    assert_eq!(outcome.child.as_ref().expect("a start").sorted_env().first().expect("a variable"), "A=a-raw-secret");
    for line in warned {
        assert!(causes.iter().any(|cause| line.contains(cause)), "{line}");
    }
}

const CLOSED: &str = "the connection was closed before the answer was complete";
const RESET: &str = "connection reset";

fn answers_that_are_cut_at_each_byte_are_asked_for_again() {
    let (raw, spoilt) =
        spoiling(&|bytes| cuts(bytes, 1).map(Reply::Last).chain(cuts(bytes, 1).map(Reply::Reset)).collect());
    goes_well(&patient(&raw), spoilt, &[CLOSED, RESET]);
}

fn the_same_behind_tls() {
    let (raw, spoilt) =
        spoiling(&|bytes| cuts(bytes, 7).map(Reply::Last).chain(cuts(bytes, 7).map(Reply::Reset)).collect());
    let scenario = patient(&raw).at(&tls_front::before(raw.port())).env("VAULT_CACERT", &certs().ca.certificate_file);
    goes_well(&scenario, spoilt, &[CLOSED, RESET]);
}

fn an_answer_that_stops_at_any_byte_is_given_its_time_limit() {
    for tls in [false, true] {
        let (raw, spoilt) = spoiling(&|bytes| cuts(bytes, 40).map(Reply::Hang).collect());
        let scenario = patient(&raw).env("VAULT_TIMEOUT", "100ms").env("VAULT_MAX_RETRIES", spoilt.to_string());
        let scenario = if tls { scenario.at(&tls_front::before(raw.port())) } else { scenario };
        let scenario = scenario.env("VAULT_CACERT", &certs().ca.certificate_file);
        goes_well(&scenario, spoilt, &["no complete answer within 100ms (VAULT_TIMEOUT)"]);
    }
}

/// Each step is answered so, which is final and said so.
fn refused(replies: &[Reply], causes: &[&str], of: fn(&Raw) -> Scenario<'static>) {
    for (step, asked) in [(STATUS, 1), (LOGIN, 2), (READ, 4)] {
        for reply in replies {
            let raw = Raw::start([(step, vec![reply.clone()])]);
            let outcome_of = of(&raw);
            let outcome = outcome_of.run();
            // A token that stands in the answer is revoked, whatever the answer is worth.
            let asked = asked + usize::from(step == LOGIN && outcome.stderr.contains("auth.client_token"));
            assert_eq!((outcome.code(), raw.requests().len()), (76, asked), "{}", outcome.describe());
            assert!(causes.iter().any(|cause| outcome.stderr.contains(cause)), "{}", outcome.describe());
        }
    }
}

/// `megabytes` of nothing as [gzip](https://www.rfc-editor.org/rfc/rfc1952) sends them: 258 bytes in 13 bits.
fn bomb(megabytes: usize) -> Vec<u8> {
    // One block of fixed codes, a zero, then "258 bytes from one byte back" again and again, first bit lowest.
    let again = [true, true, false, false, false, true, false, true, false, false, false, false, false];
    let begin = [true, true, false, false, false, true, true, false, false, false, false];
    let bits: Vec<_> = begin.into_iter().chain(again.into_iter().cycle().take(13 * (megabytes << 20) / 258)).collect();
    let bytes = bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].into_iter().chain(bytes).collect()
}

fn a_large_answer_is_cut_off_whatever_it_says_of_itself() {
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    let large = [head(64 << 20), vec![b' '; 64 << 20]].concat();
    let bomb = bomb(100);
    assert!(bomb.len() < 1 << 20);
    refused(
        &[
            Reply::Last(large),
            Reply::with(200, "Content-Encoding: gzip\r\n", &bomb),
            Reply::with(200, "Content-Type: application/json\r\n", &bomb),
            Reply::Hang([head(usize::MAX), vec![b' '; 9 << 20]].concat()),
        ],
        &["more than 8 MiB", "encoded as gzip", "JSON with a string that is not Unicode text", "no valid"],
        |raw| Scenario::against(raw).inherit([Inherit::Limit(Resource::RLIMIT_AS, 64 << 20)]),
    );
}

fn a_length_that_is_a_lie_or_none_is_refused() {
    let with = |lines: &str| Reply::Last(format!("HTTP/1.1 200 OK\r\n{lines}\r\n{{}}").into_bytes());
    refused(
        &[
            with("Content-Length: -1\r\n"),
            with("Content-Length: two\r\n"),
            with("Content-Length: 2\r\nContent-Length: 3\r\n"),
            with("Content-Length: 99999999999999999999999\r\n"),
            Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"data\":{}}".to_vec()),
        ],
        &["an answer that is no valid HTTP", "JSON that ends too early"],
        Scenario::against,
    );
}

fn headers_that_are_none_are_refused() {
    let with = |bytes: &[u8]| {
        Reply::Bytes([b"HTTP/1.1 200 OK\r\nX-Odd: a", bytes, b"\r\nContent-Length: 2\r\n\r\n{}"].concat())
    };
    refused(
        &[with(b"\rInjected: 1"), with(b"\nInjected"), with(b"\0"), with(b"\r\n continued"), with(b"\r\n: empty")],
        &["an answer that is no valid HTTP"],
        Scenario::against,
    );
}

fn documents_that_hold_too_much_or_say_a_thing_twice_are_refused() {
    let deep = format!("{{\"data\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let wide = format!("{{\"data\":[{}0]}}", "[[[]],{}],".repeat(750_000));
    let long = format!("{{\"data\":[{}0]}}", "0,".repeat(4_000_000));
    let twice = [
        r#"{"sealed":true,"sealed":false,"initialized":true}"#,
        r#"{"auth":{"client_token":"hvs.one","client_token":"hvs.two"}}"#,
        r#"{"data":{"data":{}},"data":{"data":{}}}"#,
        r#"{"data":{"data":{},"metadata":{"version":1,"version":2}}}"#,
    ];
    let replies: Vec<_> = twice
        .iter()
        .map(|it| (*it).to_owned())
        .chain([deep, wide, long])
        .map(|it| Reply::with(200, "", it.as_bytes()))
        .collect();
    refused(&replies, &["JSON with a duplicate key", "an answer of more than 100000 keys and values"], |raw| {
        Scenario::against(raw).inherit([Inherit::Limit(Resource::RLIMIT_AS, 64 << 20)])
    });
}

/// All members of the document, as [pointers](https://www.rfc-editor.org/rfc/rfc6901).
fn members(document: &Value, at: &str) -> Vec<String> {
    let within = |(name, value): (&String, &Value)| members(value, &format!("{at}/{name}"));
    let below = document.as_object().into_iter().flatten().flat_map(within);
    Some(at.to_owned()).into_iter().chain(below).collect()
}

#[test]
fn a_member_of_any_type_is_taken_or_told_and_never_leaves_a_token() {
    let status = json!({"initialized": true, "sealed": false, "t": 1, "progress": 0, "version": "2.7.2"});
    let auth = json!({"client_token": TOKEN, "policies": ["p"], "lease_duration": 60, "token_type": "service",
        "num_uses": 0, "mfa_requirement": null});
    let metadata = json!({"version": 7, "created_time": "2026", "deletion_time": "", "destroyed": false});
    let secret = json!({"data": {"data": {"A": "a-raw-secret"}, "metadata": metadata}});
    for (step, good) in [(STATUS, status), (LOGIN, json!({"auth": auth})), (READ, secret)] {
        for member in members(&good, "") {
            for value in
                [json!(null), json!(true), json!(-1), json!(1.5), json!("x"), json!([]), json!([[]]), json!({})]
            {
                let mut bad = good.clone();
                *bad.pointer_mut(&member).expect("a member") = value.clone();
                let raw = Raw::start([(step, vec![Reply::json(200, &bad)])]);
                let scenario = Scenario::against(&raw);
                let outcome = scenario.run();
                let what = format!("{step} {member}={value}\n{}", outcome.describe());
                assert!(matches!(outcome.code(), 0 | 66 | 75 | 76 | 77), "{what}");
                let token = step == READ || bad["auth"]["client_token"].as_str().is_some_and(|it| !it.is_empty());
                // A batch token and one of a single use need no revoke, and -1 and "x" are neither.
                let revoked = raw.requests().last().is_some_and(|it| it.contains("revoke"));
                assert!(revoked || !token || step == STATUS && outcome.code() != 0, "{what}");
            }
        }
    }
}

#[test]
fn what_follows_an_answer_is_never_taken_for_the_next_one() {
    let forged = Reply::login(&json!({"client_token": "hvs.forged-token-0123456"}));
    let Reply::Bytes(forged) = forged else { unreachable!("it goes on afterwards") };
    let [(_, status), ..] = good();
    for trailing in [forged.clone(), b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), whole(204, "", b""), b"x".to_vec()] {
        let raw = Raw::start([(STATUS, vec![Reply::Bytes([status.clone(), trailing].concat())])]);
        let scenario = Scenario::against(&raw);
        scenario.run().expect(Expect::started().env([("A", "a-raw-secret")]));
        let read = &raw.whole_requests()[2];
        assert!(read.head.to_lowercase().contains(&format!("x-vault-token: {TOKEN}")), "{read:?}");
    }
}
