//! The audit log: what stands in a line, what joins it to Vault's own, and that no line is lost.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::server::{Kind, Listener, on};

use crate::support::between::{Between, Way};
use crate::support::gateway::Gateway;
use crate::support::{Corner, Ends, lines};

/// The line of the request with this id of its caller, with names for what differs from run to run. It fails where there
/// is not exactly one.
fn line(corner: &Corner, id: &str) -> String {
    let text = fs::read_to_string(corner.folder.join("audit.log")).expect("a file");
    let mark = format!("\"client_request_id\":\"{id}\"");
    let found: Vec<_> = text.lines().filter(|line| line.contains(&mark)).collect();
    assert_eq!(found.len(), 1, "{id}: {text}");
    let members: Value = serde_json::from_str(found[0]).expect("a line is JSON");
    let time = members["time"].as_str().expect("a time");
    assert!(time.len() == "2026-01-02T03:04:05.678Z".len() && time.ends_with('Z'), "{time}");
    assert!(members["duration_ms"].as_f64().is_some_and(|it| it > 0.0), "{members}");
    let names = [("time", "T"), ("request_id", "R"), ("vault_request_id", "V"), ("duration_ms", "D")];
    names.iter().filter(|(member, _)| !members[member].is_null()).fold(found[0].to_owned(), |line, (member, name)| {
        line.replacen(&format!("\"{member}\":{}", members[member]), &format!("\"{member}\":{name}"), 1)
    })
}

/// The names of the members that a row of a table has, in the order of a line.
const COLUMNS: [&str; 10] =
    ["action", "path", "version", "versions", "rule", "decision", "reason", "cache", "vault_request_id", "status"];

/// A whole line: who, and a row of [`COLUMNS`], in which `-` is null and `.` is empty.
fn expected(id: &str, who: &str, row: &str) -> String {
    let written = |word: &str| match word {
        "-" => "null".to_owned(),
        "." => "\"\"".to_owned(),
        list if list.starts_with('[') => list.to_owned(),
        "V" => word.to_owned(),
        number if number.parse::<u64>().is_ok() => number.to_owned(),
        word => format!("\"{word}\""),
    };
    let members = COLUMNS.iter().zip(row.split_whitespace());
    let members: Vec<_> = members.map(|(name, word)| format!("\"{name}\":{}", written(word))).collect();
    let members = members.join(",");
    format!("{{\"time\":T,\"request_id\":R,\"client_request_id\":\"{id}\",{who},{members},\"duration_ms\":D}}")
}

const KNOWN: &str = r#""tenant":"team-a","issuer":"https://idp.example","subject":"ci""#;

#[test]
fn a_line_has_all_members_in_one_order_and_null_for_what_is_not_known() {
    on(Kind::OpenBao, "a_line_has_all_members_in_one_order_and_null_for_what_is_not_known", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let gateway = corner.start(&corner.tables());
        let write = Some(r#"{"K":"w"}"#);
        // In order: the second read finds what the first has read.
        for (id, role, request, body, row) in [
            ("miss", "reader", "GET /vault/secrets/shared/a", None, "read shared/a 1 - readers allow - miss V 200"),
            ("hit", "reader", "GET /vault/secrets/shared/a", None, "read shared/a 1 - readers allow - hit V 200"),
            (
                "absent",
                "reader",
                "GET /vault/secrets/shared/b",
                None,
                "read shared/b - - readers allow not-found miss - 404",
            ),
            ("denied", "reader", "GET /vault/secrets/b", None, "read b - - - deny denied - - 403"),
            ("nowhere", "reader", "GET /nowhere", None, "- - - - - refuse not-found - - 404"),
            ("no-path", "reader", "GET /vault/secrets/a//b", None, "read - - - - refuse path - - 400"),
            ("write", "admin", "PUT /vault/secrets/shared/a", write, "write shared/a 2 - admins allow - - V 200"),
            (
                "no-json",
                "admin",
                "PUT /vault/secrets/shared/a",
                Some("{"),
                "write shared/a - - admins allow body - - 400",
            ),
            (
                "old",
                "admin",
                "GET /vault/secrets/shared/a?version=1",
                None,
                "read shared/a 1 - admins allow - miss V 200",
            ),
            (
                "not-old",
                "reader",
                "GET /vault/secrets/shared/a?version=1",
                None,
                "read shared/a 1 - - deny denied - - 403",
            ),
            ("versions", "admin", "GET /vault/versions/shared/a", None, "history shared/a - - admins allow - - V 200"),
            (
                "destroy",
                "admin",
                "POST /vault/versions/shared/a/destroy",
                Some(r#"{"versions":[1,7]}"#),
                "destroy shared/a - [1,7] admins allow - - - 204",
            ),
            ("root", "admin", "GET /vault/list", None, "list . - - admins allow - - - 200"),
            ("renew", "admin", "POST /vault/token/renew", None, "renew - - - admins allow - - - 200"),
        ] {
            gateway.send(request, &corner.token(role), &[("X-Request-Id", id)], body);
            assert_eq!(line(&corner, id), expected(id, KNOWN, row), "{id}");
        }
    });
}

#[test]
fn a_line_says_nothing_of_a_token_that_is_refused() {
    on(Kind::Embedded, "a_line_says_nothing_of_a_token_that_is_refused", |server| {
        let corner = Corner::of(server);
        let gateway = corner.start(&corner.tables());
        let nobody = r#""tenant":null,"issuer":null,"subject":null"#;
        let known = r#""tenant":null,"issuer":"https://idp.example","subject":"ci""#;
        let token = |claims: Value| corner.issuer.token(&claims);
        for (id, token, who, row) in [
            ("missing", String::new(), nobody, "- - - - - refuse missing - - 401"),
            ("malformed", "a.b".to_owned(), nobody, "- - - - - refuse malformed - - 401"),
            ("expired", token(json!({"exp": 1, "tenant": "team-a"})), nobody, "- - - - - refuse expired - - 401"),
            ("tenant", token(json!({"tenant": "team-b"})), known, "- - - - - refuse tenant_unknown - - 403"),
        ] {
            gateway.send("GET /vault/secrets/shared/a", &token, &[("X-Request-Id", id)], None);
            assert_eq!(line(&corner, id), expected(id, who, row), "{id}");
        }
        // An id that is long or not plain is not noted.
        for id in ["x".repeat(129), "a b".to_owned()] {
            gateway.send("GET /vault/secrets/shared/a", "", &[("X-Request-Id", &id)], None);
            assert_eq!(corner.audit().last().map(|line| line["client_request_id"].clone()), Some(Value::Null));
        }
    });
}

/// Sends the head of a request with a token, and its body, and leaves when Vault has been asked.
fn leave(gateway: &Gateway, between: &Between, request: &str, id: &str, token: &str, body: &str) {
    let mut stream = TcpStream::connect(gateway.listen).expect("a connection");
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nX-Request-Id: {id}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).expect("it is taken");
    eventually("Vault is asked", || between.held() == 1);
}

#[test]
fn a_caller_that_leaves_ends_a_read_and_not_a_write_and_either_has_its_line() {
    on(Kind::OpenBao, "a_caller_that_leaves_ends_a_read_and_not_a_write_and_either_has_its_line", |server| {
        let corner = Corner::of(server);
        corner.put("a", &json!({"K": "v"}));
        let between = Between::before(&server.addr(Listener::Plain));
        let gateway = Gateway::start(&corner.write(&corner.tables()), &between.url);
        let admin = corner.token("admin");
        let audited = |id: &str| {
            let has_come = || corner.audit().iter().any(|line| line["client_request_id"] == json!(id));
            eventually("its line is there", has_come);
            line(&corner, id)
        };
        between.treat("/data/", Way::Hold);
        leave(&gateway, &between, "GET /vault/secrets/a", "left-read", &admin, "");
        let row = "read a - - admins allow left - - 499";
        assert_eq!(audited("left-read"), expected("left-read", KNOWN, row));
        eventually("the read of Vault is ended", || between.held() == 0);
        let labels = "route=\"/vault/secrets/{path}\",method=\"GET\",status=\"499\",tenant=\"team-a\"";
        let left = format!("vault_gateway_requests_total{{{labels}}}");
        assert_eq!(gateway.metric(&left), 1);
        leave(&gateway, &between, "PUT /vault/secrets/a", "left-write", &admin, r#"{"K":"w"}"#);
        between.release();
        let row = "write a 2 - admins allow - - V 200";
        assert_eq!(audited("left-write"), expected("left-write", KNOWN, row));
        assert_eq!(gateway.ask("GET /vault/secrets/a", &admin).json()["data"], json!({"K": "w"}));
        assert_eq!(corner.reads("a"), 1, "the read that was left has not come through");
    });
}

#[test]
fn each_line_leads_to_that_of_vault_and_back() {
    on(Kind::OpenBao, "each_line_leads_to_that_of_vault_and_back", |server| {
        let corner = Corner::of(server);
        let header = "sys/config/auditing/request-headers/x-correlation-id";
        server.must("POST", header, &json!({"hmac": false}));
        let gateway = corner.start(&corner.tables());
        let admin = corner.token("admin");
        // Vault's id is known of what answers with one.
        for (request, body, is_known) in [
            ("PUT /vault/secrets/a", Some(r#"{"K":"v"}"#), true),
            ("GET /vault/secrets/a", None, true),
            ("GET /vault/secrets/nothing", None, false),
            ("GET /vault/versions/a", None, true),
            ("GET /vault/list", None, false),
            ("POST /vault/versions/a/undelete", Some(r#"{"versions":[1]}"#), false),
            ("DELETE /vault/secrets/a", None, false),
        ] {
            let reply = gateway.send(request, &admin, &[("X-Correlation-Id", "of-the-caller")], body);
            let id = reply.header("x-request-id").to_owned();
            let own = corner.audit().into_iter().find(|line| line["request_id"] == json!(id)).expect("a line");
            // The first write looks the mount up as well.
            let mut theirs = server.audit(&id);
            theirs.retain(|it| it["request"]["mount_type"] == json!("kv"));
            assert_eq!(theirs.len(), 1, "{request}: {theirs:?}");
            assert_eq!(theirs[0]["request"]["headers"]["x-correlation-id"], json!([id]), "{request}");
            let joined = if is_known { theirs[0]["request"]["id"].clone() } else { Value::Null };
            assert_eq!(own["vault_request_id"], joined, "{request}");
        }
        assert!(server.audit("of-the-caller").is_empty());
    });
}

#[test]
fn no_line_is_lost_or_torn_while_the_file_is_renamed_under_load() {
    on(Kind::Embedded, "no_line_is_lost_or_torn_while_the_file_is_renamed_under_load", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let gateway = corner.start(&corner.tables());
        let (reader, file) = (corner.token("reader"), corner.folder.join("audit.log"));
        let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let id = format!("load-{}", sent.fetch_add(1, Ordering::Relaxed));
                        let reply =
                            gateway.send("GET /vault/secrets/shared/a", &reader, &[("X-Request-Id", &id)], None);
                        assert_eq!(reply.status, 200);
                    }
                });
            }
            let _ends = Ends(&stop);
            for turn in 0..5 {
                let before = sent.load(Ordering::Relaxed);
                eventually("there is load", || sent.load(Ordering::Relaxed) > before + 50);
                fs::rename(&file, corner.folder.join(format!("audit.log.{turn}"))).expect("it is renamed");
                gateway.signal(Signal::SIGHUP);
                eventually("the file is opened again", || file.exists());
            }
        });
        let files: Vec<_> = (0..5).map(|turn| corner.folder.join(format!("audit.log.{turn}"))).chain([file]).collect();
        let mut times = BTreeMap::<String, usize>::new();
        for file in &files {
            assert_eq!(fs::metadata(file).expect("a file").permissions().mode() & 0o7777, 0o600, "{file:?}");
            let ids = lines(file).into_iter().map(|line| line["client_request_id"].as_str().expect("an id").to_owned());
            ids.for_each(|id| *times.entry(id).or_default() += 1);
        }
        let sent = sent.into_inner();
        assert_eq!((times.len(), times.values().all(|times| *times == 1)), (sent, true));
    });
}
