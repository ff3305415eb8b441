//! Who asks how a watch is doing: health, readiness, metrics.

use std::io::Write as _;
use std::net::{Ipv6Addr, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vault_testkit::raw::{Gate, READ, Raw, Reply};
use vault_testkit::server::Server;
use vault_testkit::{eventually, on_both};

use super::{OPTIONS, await_content, end, get, health, watched, write};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;
use crate::support::system::free_port;

on_both! {
    health_and_metrics_follow_the_secret_and_show_no_value,
    without_vault_it_is_ready_at_once,
}

/// What changes from run to run, taken out.
fn steady(mut health: Value) -> Value {
    for part in [&mut health["paths"][0]] {
        for field in ["token_age_seconds", "seconds_since_success", "refreshes"] {
            assert!(part[field].as_u64().is_some_and(|it| it < 30), "{part}");
            part.as_object_mut().expect("an object").remove(field);
        }
    }
    for field in ["token_age_seconds", "seconds_since_success", "refreshes"] {
        assert!(health[field].as_u64().is_some_and(|it| it < 30), "{health}");
        health.as_object_mut().expect("an object").remove(field);
    }
    health
}

fn health_and_metrics_follow_the_secret_and_show_no_value(server: &Server) {
    let port = free_port();
    let scenario =
        watched(server, &json!({"A": "the-first-value"})).options(["--listen", &format!("127.0.0.1:{port}")]);
    let started = scenario.start();
    started.await_log("app.env created");
    eventually("it was refreshed", || health(port).1["last_refresh_ok"] == true);
    let path = format!("kv/{}", scenario.path());
    let of = |status, version, ok: bool, failures| {
        json!({"status": status, "last_refresh_ok": ok, "version": version, "failures": failures, "ready": true,
            "notified": null, "hook_ok": null,
            "paths": [{"path": path, "status": status, "last_refresh_ok": ok, "version": version, "failures": failures}]})
    };
    assert_eq!(steady(health(port).1), of("ok", 1, true, 0));
    write(server, &scenario, &json!({"A": "the-second-value"}));
    await_content(&scenario, "export A='the-second-value'\n");
    assert_eq!(steady(health(port).1), of("ok", 2, true, 0));
    server.must("DELETE", &format!("kv/data/{}", scenario.path()), &json!(null));
    started.await_log("was deleted");
    let failures = |health: &Value| health["failures"].as_u64();
    let (status, failing) = health(port);
    assert_eq!(
        (status, steady(failing.clone())),
        (200, of("failing", 2, false, failures(&failing).expect("a number")))
    );

    let (_, text) = get(port, "/metrics").expect("an answer");
    lint(&text);
    let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for sample in [
        &format!("vault_exec_secret_version{{mount=\"kv\",path=\"{}\"}} 2", scenario.path()),
        "vault_exec_file_writes_total{result=\"created\"} 1",
        "vault_exec_file_writes_total{result=\"replaced\"} 1",
        "vault_exec_refresh_interval_seconds 1",
        "vault_exec_ready 1",
    ] {
        assert!(samples.contains(&sample), "{sample}\n{text}");
    }
    for page in ["/health", "/ready", "/metrics", "/"] {
        let (_, body) = get(port, page).expect("an answer");
        assert!(scenario.secrets().iter().all(|secret| !body.contains(secret.as_str())), "{page}: {body}");
    }
    end(started).expect(Expect::done().any_stderr());
    assert!(get(port, "/health").is_none(), "nobody listens any more");
}

fn without_vault_it_is_ready_at_once(server: &Server) {
    let port = free_port();
    let scenario = Scenario::new(server).unset("VAULT_ADDR").no_command().options(OPTIONS);
    let scenario = scenario.options(["--listen", &format!("127.0.0.1:{port}")]);
    let started = scenario.start();
    started.await_log("nothing is watched");
    assert_eq!(get(port, "/ready"), Some((200, "ready\n".to_owned())));
    let wanted = json!({"status": "ok", "token_age_seconds": null, "last_refresh_ok": null, "seconds_since_success": null,
        "version": null, "refreshes": 0, "failures": 0, "ready": true, "notified": null, "hook_ok": null, "paths": []});
    assert_eq!(health(port), (200, wanted));
    lint(&get(port, "/metrics").expect("an answer").1);
    end(started).expect(Expect::done().any_stderr());
}

#[test]
fn it_is_not_ready_before_the_file_is_there() {
    let gate = Gate::default();
    let raw = Raw::start([(READ, vec![Reply::secret(r#"{"A":"v"}"#).held(&gate)])]);
    let port = free_port();
    let scenario =
        Scenario::against(&raw).no_command().options(OPTIONS).options(["--listen", &format!("localhost:{port}")]);
    let started = scenario.start();
    eventually("it listens", || get(port, "/ready").is_some());
    assert_eq!(get(port, "/ready"), Some((503, "the file is not there yet\n".to_owned())));
    assert_eq!(health(port).1["status"], "starting");
    assert_eq!(get(port, "/nothing").map(|it| it.0), Some(404));
    gate.open();
    started.await_log("app.env created");
    assert_eq!(get(port, "/ready"), Some((200, "ready\n".to_owned())));
    // `localhost` is both of its addresses, where the machine has both.
    if TcpStream::connect((Ipv6Addr::LOCALHOST, 0)).is_err_and(|it| it.raw_os_error() == Some(nix::libc::ECONNREFUSED))
    {
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).expect("it listens over IPv6");
    }
    end(started).expect(Expect::done().any_stderr());
}

#[test]
fn health_is_503_when_nothing_was_read_for_the_limit() {
    let raw = Raw::start([(READ, vec![Reply::secret(r#"{"A":"v"}"#), Reply::json(503, &json!({"errors": ["away"]}))])]);
    let port = free_port();
    let scenario = Scenario::against(&raw).no_command().options(OPTIONS).env("VAULT_STALE_LIMIT", "2s");
    let scenario = scenario.options(["--listen", &format!("127.0.0.1:{port}")]);
    let started = scenario.start();
    started.await_log("app.env created");
    assert_eq!(health(port).0, 200);
    eventually("the health is bad", || health(port).0 == 503);
    let (_, body) = health(port);
    assert!(body["seconds_since_success"].as_u64().is_some_and(|seconds| seconds > 2), "{body}");
    // The file is there and is used, whatever its age.
    assert_eq!(get(port, "/ready").map(|it| it.0), Some(200));
    raw.script(READ, vec![Reply::secret(r#"{"A":"v"}"#)]);
    eventually("the health is good again", || health(port).0 == 200);
    end(started).expect(Expect::done().any_stderr());
}

#[test]
fn a_slow_and_a_hostile_reader_delay_no_refresh() {
    let raw = Raw::start([]);
    let port = free_port();
    let scenario = Scenario::against(&raw).no_command().options(OPTIONS);
    let scenario = scenario.options(["--listen", &format!("127.0.0.1:{port}")]);
    let started = scenario.start();
    started.await_log("app.env created");
    // More than are served at once, which send nothing or begin a request that never ends.
    let hostile: Vec<_> = (0..40)
        .map(|number| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ");
            }
            stream
        })
        .collect();
    let before = raw.requests().len();
    let begun = std::time::Instant::now();
    raw.await_requests(before + 3);
    let took = begun.elapsed();
    assert!(took.as_millis() < 4500, "three refreshes of a second took {took:?}");
    end(started).expect(Expect::done().any_stderr());
    drop(hostile);
}

/// Lets Prometheus' own tool look at the names, types and units.
fn lint(text: &str) {
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut tool) = tool else {
        vault_testkit::missing("promtool");
        return;
    };
    tool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = tool.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
}
