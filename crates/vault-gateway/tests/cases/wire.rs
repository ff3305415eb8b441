//! What comes over the wire: malformed HTTP, traversal, slow and many callers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use vault_testkit::eventually;
use vault_testkit::server::{Kind, on};

use crate::support::Corner;
use crate::support::wire::{exchange, statuses};

#[test]
fn what_is_ambiguous_on_the_wire_is_refused_and_the_connection_ends() {
    on(Kind::Embedded, "what_is_ambiguous_on_the_wire_is_refused_and_the_connection_ends", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let gateway = corner.start(&corner.tables());
        let token = corner.token("admin");
        let authorization = format!("Authorization: Bearer {token}\r\n");
        let json = "Content-Type: application/json\r\n";
        let smuggled = "GET /vault/secrets/shared/a HTTP/1.1\r\nHost: x\r\n\r\n";
        for (what, head, body, expected) in [
            (
                "a plain read",
                format!("GET /vault/secrets/shared/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}"),
                "",
                &[200][..],
            ),
            (
                "two hosts",
                format!(
                    "GET /vault/secrets/shared/a HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n{authorization}"
                ),
                "",
                &[400],
            ),
            (
                "no host",
                format!("GET /vault/secrets/shared/a HTTP/1.1\r\nConnection: close\r\n{authorization}"),
                "",
                &[400],
            ),
            (
                "a host that is none",
                format!("GET /vault/secrets/shared/a HTTP/1.1\r\nHost: x/y\r\nConnection: close\r\n{authorization}"),
                "",
                &[400],
            ),
            (
                "two tokens",
                format!(
                    "GET /vault/secrets/shared/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}{authorization}"
                ),
                "",
                &[400],
            ),
            (
                "two lengths",
                format!(
                    "PUT /vault/secrets/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}{json}Content-Length: 2\r\nContent-Length: 3\r\n"
                ),
                "{} ",
                &[400],
            ),
            (
                "a length with a sign",
                format!(
                    "PUT /vault/secrets/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}{json}Content-Length: +2\r\n"
                ),
                "{}",
                &[400],
            ),
            (
                "a folded header",
                format!(
                    "GET /vault/secrets/shared/a HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\nConnection: close\r\n{authorization}"
                ),
                "",
                &[400],
            ),
            (
                "a space before the colon",
                format!("GET /vault/secrets/shared/a HTTP/1.1\r\nHost : x\r\nConnection: close\r\n{authorization}"),
                "",
                &[400],
            ),
            (
                "another version",
                format!("GET /vault/secrets/shared/a HTTP/9.9\r\nHost: x\r\nConnection: close\r\n{authorization}"),
                "",
                &[400],
            ),
        ] {
            let answer = exchange(gateway.listen, format!("{head}\r\n{body}").as_bytes());
            assert_eq!(statuses(&answer), expected, "{what}: {answer}");
        }
        // A length beside chunks does not bring a second request in.
        let both = format!(
            "PUT /vault/secrets/b HTTP/1.1\r\nHost: x\r\n{authorization}{json}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{smuggled}"
        );
        let answer = exchange(gateway.listen, both.as_bytes());
        assert!(!answer.contains("\"K\""), "{answer}");
        assert!(gateway.operate("/health").status == 200);
    });
}

/// Spellings of `..`, and of what separates, encoded once, twice and oddly.
fn traversals() -> Vec<String> {
    let dots = [
        "..",
        "%2e%2e",
        ".%2e",
        "%2E.",
        "%252e%252e",
        "..%00",
        "..;",
        "%c0%ae%c0%ae",
        "\u{ff0e}\u{ff0e}",
        "...",
        ".",
        "%2e",
        "..%20",
        "%20..",
    ];
    let separators = [
        "/",
        "%2f",
        "%2F",
        "%5c",
        "\\",
        "%252f",
        "//",
        "%2f%2f",
        "/./",
        ";/",
        "%c0%af",
        "\u{2215}",
        "\u{ff0f}",
        "%e2%88%95",
    ];
    dots.iter()
        .flat_map(|dots| separators.iter().map(move |separator| format!("apps/x{separator}{dots}{separator}secret")))
        .collect()
}

#[test]
fn no_spelling_of_a_traversal_reads_another_path() {
    on(Kind::OpenBao, "no_spelling_of_a_traversal_reads_another_path", |server| {
        let corner = Corner::of(server);
        for path in ["secret", "apps/secret", "apps/x", "apps/x/secret"] {
            corner.put(path, &json!({"K": "hunter2-hunter2"}));
        }
        let mut tables = corner.tables();
        tables.tenant.push_str("prefix = \"inside\"\n");
        let gateway = corner.start(&tables);
        let token = corner.token("admin");
        let spellings = traversals();
        assert!(spellings.len() >= 190, "{}", spellings.len());
        for path in spellings {
            let request = format!(
                "GET /vault/secrets/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
            );
            let answer = exchange(gateway.listen, request.as_bytes());
            assert!(matches!(statuses(&answer)[..], [400 | 404]) && !answer.contains("hunter2"), "{path}: {answer}");
        }
        let strange = |it: &vault_testkit::server::Asked| {
            it.operation == "read"
                && it.path.contains("/data/")
                && !it.path.starts_with(&format!("{}/data/inside/apps/x", corner.name))
        };
        let asked: Vec<_> = server.asked(&corner.name).into_iter().filter(strange).collect();
        assert!(asked.is_empty(), "{asked:?}");
    });
}

#[test]
fn a_head_that_is_slow_or_too_large_is_ended_and_counted() {
    on(Kind::Embedded, "a_head_that_is_slow_or_too_large_is_ended_and_counted", |server| {
        let corner = Corner::of(server);
        let mut tables = corner.tables();
        tables.more = "[limits]\nhead = \"1s\"\nheader_bytes = 2048\nconnections = 50\n".into();
        let gateway = corner.start(&tables);
        let begun = Instant::now();
        let mut slow: Vec<_> = (0..40).map(|_| TcpStream::connect(gateway.listen).expect("a connection")).collect();
        for stream in &mut slow {
            stream.write_all(b"GET /vault/list HTTP/1.1\r\nHost: x\r\nX-Half:").expect("it is taken");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
        }
        // Those who are quick are served meanwhile.
        assert_eq!(gateway.ask("GET /vault/secrets/a", &corner.token("admin")).status, 404);
        for mut stream in slow {
            let _ = stream.read_to_end(&mut Vec::new());
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "they were ended");
        let head = |bytes: usize| {
            let filler = "x".repeat(bytes);
            statuses(&exchange(
                gateway.listen,
                format!("GET /vault/list HTTP/1.1\r\nHost: x\r\nX-Filler: {filler}\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            ))
        };
        assert_eq!([head(1000), head(3000)], [vec![401], vec![431]]);
        // The connection ends while the rest of the head is on its way, and that can overtake the answer.
        assert!(matches!(head(400_000)[..], [] | [431]));
        let counted = "vault_gateway_requests_total{route=\"\",method=\"other\",status=\"431\",tenant=\"\"}";
        eventually("it is counted", || gateway.metric(counted) == 1);
    });
}

#[test]
fn a_caller_that_sends_too_much_waits_and_others_do_not() {
    on(Kind::Embedded, "a_caller_that_sends_too_much_waits_and_others_do_not", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let mut tables = corner.tables();
        tables.more = "[limits]\nrate = 1\nburst = 5\n".into();
        let gateway = corner.start(&tables);
        let token = corner.token("reader");
        let other = corner.issuer.token(&json!({"sub": "other", "roles": "reader", "tenant": "team-a"}));
        let replies: Vec<_> = (0..20).map(|_| gateway.ask("GET /vault/secrets/shared/a", &token)).collect();
        let limited: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
        assert!((10..=15).contains(&limited.len()), "{}", limited.len());
        assert!(
            limited
                .iter()
                .all(|it| it.problem() == "rate-limited"
                    && it.header("retry-after").parse::<u64>().is_ok_and(|it| it > 0))
        );
        assert_eq!(gateway.ask("GET /vault/secrets/shared/a", &other).status, 200);
    });
}
