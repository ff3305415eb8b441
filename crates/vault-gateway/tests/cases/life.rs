//! Start, reload and end of the service.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::openbao::spawn_bound;
use vault_testkit::server::{Kind, Listener, on};

use crate::support::gateway::{Gateway, program, send};
use crate::support::{Corner, lines};

#[test]
fn it_starts_while_vault_and_the_issuer_are_away() {
    on(Kind::Embedded, "it_starts_while_vault_and_the_issuer_are_away", |server| {
        let corner = Corner::of(server);
        let mut tables = corner.tables();
        tables.issuer = tables.issuer.replace("file:", "http://127.0.0.1:1");
        let file = corner.write(&tables);
        let mut command = program("http://127.0.0.1:1");
        command.arg("--config").arg(file);
        let gateway = Gateway::spawn(command);
        eventually("it is ready", || gateway.operate("/ready").status == 200);
        let ready = gateway.operate("/ready").json();
        assert_eq!(ready, json!({"ready": true, "tenants": {"team-a": "unavailable"}}));
        assert_eq!(gateway.operate("/health").json(), json!({"status": "ok"}));
        assert_eq!(gateway.ask("GET /vault/secrets/a", &corner.token("admin")).status, 401);
    });
}

#[test]
fn a_configuration_is_read_again_whole_or_not_at_all_while_requests_go_on() {
    on(Kind::OpenBao, "a_configuration_is_read_again_whole_or_not_at_all_while_requests_go_on", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let tables = corner.tables();
        let gateway = corner.start(&tables);
        let token = corner.token("reader");
        let reloads =
            |result: &str| gateway.metric(&format!("vault_gateway_config_reloads_total{{result=\"{result}\"}}"));
        let (stop, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let reply = gateway.ask("GET /vault/secrets/shared/a", &token);
                        failed.fetch_or(reply.status != 200 && reply.status != 403, Ordering::Relaxed);
                    }
                });
            }
            let mut without = tables.clone();
            without.rules = without.rules.replace("\"shared/**\"", "\"elsewhere\"");
            let mut faulty = without.clone();
            faulty.more = "nonsense = true\n".into();
            for (number, (changed, result, status)) in
                [(&without, "ok", 403), (&tables, "ok", 200), (&faulty, "failed", 200)].into_iter().enumerate()
            {
                let before = reloads(result);
                corner.write(changed);
                gateway.signal(Signal::SIGHUP);
                eventually("it is read again", || reloads(result) > before);
                assert_eq!(gateway.ask("GET /vault/secrets/shared/a", &token).status, status, "{number}");
            }
            let mut moved = tables.clone();
            moved.top = moved.top.replace("127.0.0.1:0", "127.0.0.2:0");
            corner.write(&moved);
            let before = reloads("failed");
            gateway.signal(Signal::SIGHUP);
            eventually("it is refused", || reloads("failed") > before);
            stop.store(true, Ordering::Relaxed);
        });
        assert!(!failed.load(Ordering::Relaxed));
        let log = gateway.log().join("\n");
        assert!(log.contains("nonsense") && log.contains("listen"), "{log}");
    });
}

#[test]
fn a_configuration_that_is_a_fifo_does_not_hold_the_end_up() {
    on(Kind::Embedded, "a_configuration_that_is_a_fifo_does_not_hold_the_end_up", |server| {
        let corner = Corner::of(server);
        let mut gateway = corner.start(&corner.tables());
        let file = corner.folder.join("gateway.toml");
        fs::remove_file(&file).expect("it was there");
        mkfifo(&file, Mode::S_IRWXU).expect("a FIFO");
        gateway.signal(Signal::SIGHUP);
        assert_eq!(gateway.operate("/health").status, 200);
        assert_eq!(gateway.end().code(), Some(0));
    });
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_the_end_up() {
    on(Kind::Embedded, "a_log_that_nobody_reads_does_not_hold_the_end_up", |server| {
        let corner = Corner::of(server);
        let mut tables = corner.tables();
        let file = corner.write(&tables);
        let mut command = program(&server.addr(Listener::Plain));
        command.arg("--config").arg(&file).stderr(Stdio::piped());
        let mut child = spawn_bound(command);
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let ops = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).expect("a line"), 0, "it has ended");
            let line: Value = serde_json::from_str(&line).expect("JSON");
            if let Some(ops) = line["ops"].as_str() {
                break ops.to_owned();
            }
        };
        // A line each: more than a pipe has room for.
        tables.more = (0..1000).map(|n| format!("[unknown-{n}]")).collect::<Vec<_>>().join("\n");
        corner.write(&tables);
        let id = Pid::from_raw(child.id().try_into().expect("an id"));
        let signal = |signal| kill(id, signal).expect("it is there");
        signal(Signal::SIGHUP);
        eventually("it was read again", || {
            let metrics = send(&format!("http://{ops}/metrics"), "GET", &[], None).text;
            metrics.contains("vault_gateway_config_reloads_total{result=\"failed\"} 1")
        });
        let mut ended = None;
        eventually("it ends", || {
            ended = child.try_wait().expect("a state");
            if ended.is_none() {
                signal(Signal::SIGTERM);
            }
            ended.is_some()
        });
        assert_eq!(ended.and_then(|it| it.code()), Some(0));
    });
}

#[test]
fn a_tenant_that_is_no_more_has_its_token_revoked() {
    on(Kind::OpenBao, "a_tenant_that_is_no_more_has_its_token_revoked", |server| {
        let corner = Corner::of(server);
        let other = Corner::of(server);
        let mut both = corner.tables();
        both.tenant.push_str(&other.tables().tenant.replace("team-a", "team-b"));
        let gateway = corner.start(&both);
        let live = || [&corner, &other].map(|it| server.live_tokens("", &it.name));
        assert_eq!(live(), [1, 1]);
        corner.write(&corner.tables());
        gateway.signal(Signal::SIGHUP);
        eventually("the other's token is revoked", || live() == [1, 0]);
        let mut gateway = gateway;
        assert_eq!(gateway.end().code(), Some(0));
        assert_eq!(live(), [0, 0]);
    });
}

#[test]
fn term_under_load_loses_no_request() {
    on(Kind::OpenBao, "term_under_load_loses_no_request", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "v"}));
        let mut gateway = corner.start(&corner.tables());
        let (admin, url) = (corner.token("admin"), format!("http://{}", gateway.listen));
        let authorization = format!("Bearer {admin}");
        let ended = AtomicBool::new(false);
        let answered: Vec<u16> = thread::scope(|scope| {
            let callers: Vec<_> = (0..4)
                .map(|caller| {
                    let (url, authorization, ended) = (&url, &authorization, &ended);
                    scope.spawn(move || {
                        let mut statuses = Vec::new();
                        // As callers do, it stops when it has heard that the service ends.
                        while !ended.load(Ordering::Relaxed) {
                            let headers =
                                [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
                            let path = format!("{url}/vault/secrets/load/{caller}");
                            statuses.push(send(&path, "PUT", &headers, Some("{\"K\":1}")).status);
                        }
                        statuses
                    })
                })
                .collect();
            eventually("there is load", || corner.audit().len() > 20);
            gateway.signal(Signal::SIGTERM);
            eventually("callers are told", || gateway.operate("/ready").status == 503);
            ended.store(true, Ordering::Relaxed);
            callers.into_iter().flat_map(|it| it.join().expect("no panic")).collect()
        });
        assert_eq!(gateway.wait().code(), Some(0));
        assert!(answered.iter().all(|status| matches!(status, 200 | 201)), "{answered:?}");
        let lines = lines(&corner.folder.join("audit.log"));
        assert_eq!(lines.iter().filter(|line| line["action"] == json!("write")).count(), answered.len());
        assert_eq!(server.live_tokens("", &corner.name), 0);
    });
}

/// The program, ready, with this as the standard output that its audit lines go to.
fn auditing_to(corner: &Corner, stdout: Stdio) -> Gateway {
    let mut tables = corner.tables();
    tables.top = tables.top.replace(&corner.folder.join("audit.log").display().to_string(), "stdout");
    let mut command = program(&corner.server.addr(Listener::Plain));
    command.arg("--config").arg(corner.write(&tables));
    let gateway = Gateway::spawn_with(command, stdout);
    eventually("it is ready", || gateway.operate("/ready").status == 200);
    gateway
}

/// A device that takes nothing.
fn full() -> Stdio {
    fs::OpenOptions::new().write(true).open("/dev/full").expect("a device").into()
}

#[test]
fn an_audit_log_that_cannot_be_written_answers_503() {
    on(Kind::Embedded, "an_audit_log_that_cannot_be_written_answers_503", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "hunter2"}));
        let gateway = auditing_to(&corner, full());
        let reply = gateway.ask("GET /vault/secrets/shared/a", &corner.token("reader"));
        assert_eq!((reply.told(), reply.text.contains("hunter2")), ((503, "unavailable".to_owned()), false));
        assert!(gateway.metric("vault_gateway_audit_errors_total") >= 1);
    });
}

#[test]
fn nothing_is_changed_while_the_audit_log_cannot_be_written() {
    on(Kind::OpenBao, "nothing_is_changed_while_the_audit_log_cannot_be_written", |server| {
        let corner = Corner::of(server);
        let gateway = auditing_to(&corner, full());
        let token = corner.token("admin");
        let put = || gateway.put("PUT /vault/secrets/a", &token, &json!({"K": "v"}));
        // Nobody knew before the first line that it cannot be written.
        let first = put();
        assert_eq!(first.told(), (503, "outcome-unknown".to_owned()));
        assert_eq!([put().told(), put().told()], [(); 2].map(|()| (503, "unavailable".to_owned())));
        let (_, metadata) = server.admin("GET", &format!("{}/metadata/a", corner.name), &Value::Null);
        assert_eq!(metadata["data"]["current_version"], json!(1));
    });
}

#[test]
fn a_reader_of_the_audit_log_that_stands_still_keeps_neither_callers_nor_the_end_waiting() {
    let scenario = "a_reader_of_the_audit_log_that_stands_still_keeps_neither_callers_nor_the_end_waiting";
    on(Kind::Embedded, scenario, |server| {
        let corner = Corner::of(server);
        // Nobody reads the pipe, and it is full already.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        fill(&writer);
        let mut gateway = auditing_to(&corner, writer.into());
        assert_eq!(gateway.ask("GET /vault/secrets/a", &corner.token("admin")).told(), (503, "unavailable".to_owned()));
        assert_eq!(gateway.end().code(), Some(0));
        drop(reader);
    });
}

/// Fills a pipe.
fn fill(pipe: &std::io::PipeWriter) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let set = |flags| fcntl(pipe, FcntlArg::F_SETFL(flags)).expect("flags");
    set(OFlag::O_NONBLOCK);
    while nix::unistd::write(pipe, &[b'\n'; 4096]).is_ok() {}
    while nix::unistd::write(pipe, b"\n").is_ok() {}
    set(OFlag::empty());
}
