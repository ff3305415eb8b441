//! What is let in and what is refused, on an agent with a static token: Vault has no part in it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::openbao::spawn_bound;

use super::{Agent, Answer, Ask, token, unix, with_static};

const HEADERS: [&str; 4] = ["X-Agent-Caller", "X-Agent-Timestamp", "X-Agent-Nonce", "X-Agent-Signature"];

/// Longer than anything takes.
const LONGEST: Duration = Duration::from_secs(30);

fn unauthorized() -> Answer {
    Answer::error(401, "unauthorized")
}

fn restart() -> String {
    json!({"command": "restart", "service": "web"}).to_string()
}

/// Sends it, and compares the answer and the decision in the audit log.
fn expect(agent: &Agent, ask: &Ask, answer: &Answer, decision: &str) {
    assert_eq!((&agent.send(ask), agent.last_decision().as_str()), (answer, decision), "{}", ask.head(""));
}

#[test]
fn a_signed_request_is_let_in_and_the_decision_and_the_command_are_in_the_audit_log() {
    let agent = Agent::start(with_static(&token(1)));
    let command = agent.send(&Ask::new("panel", &token(1), "POST", "/command", &restart()));
    assert_eq!(command, Answer::new(202, json!({"recorded": "restart"})));
    let mut status = agent.send(&Ask::new("ci", &token(1), "GET", "/status?part=all&x=%20", ""));
    assert!(status.body["uptime_seconds"].take().is_u64());
    let recorded = json!([{"command": "restart", "service": "web", "caller": "panel"}]);
    let said = json!({"deployment": "default", "uptime_seconds": null, "commands": recorded});
    assert_eq!(status, Answer::new(200, said));
    let wrong = agent.send(&Ask::new("panel", &token(1), "POST", "/command", r#"{"command":"stop","service":"web"}"#));
    assert_eq!(wrong, Answer::error(400, r#"the body is {"command":"restart","service":NAME}"#));
    let absent = agent.send(&Ask::new("panel", &token(1), "GET", "/command", ""));
    assert_eq!(absent, Answer::error(404, "not found"));

    let at = agent.at().to_owned();
    let mut ended = agent.end(Signal::SIGINT);
    for line in &mut ended.lines {
        let time = line["time"].take();
        assert!(time.as_str().is_some_and(|it| humantime::parse_rfc3339(it).is_ok()), "{line}");
    }
    let request = |method: &str, path: &str, caller: &str, scope: &str| {
        json!({"event": "request", "time": null, "decision": "accepted", "method": method, "path": path,
               "caller": caller, "scope": scope, "token": "current"})
    };
    let expected = [
        json!({"event": "started", "time": null, "listen": at, "deployment": "default", "source": "static"}),
        request("POST", "/command", "panel", "restart"),
        json!({"event": "command", "time": null, "caller": "panel", "command": "restart", "service": "web"}),
        request("GET", "/status", "ci", "status"),
        request("POST", "/command", "panel", "restart"),
        json!({"event": "request", "time": null, "decision": "refused", "reason": "no_endpoint", "method": "GET",
               "path": "/command", "caller": "panel", "token": "current"}),
        json!({"event": "ended", "time": null, "revoked": false}),
    ];
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.lines, expected);
}

#[test]
fn whoever_has_no_token_gets_the_same_401_whatever_is_wrong() {
    let agent = Agent::start(with_static(&token(1)));
    let good = || Ask::new("panel", &token(1), "POST", "/command", &restart());
    for name in HEADERS {
        expect(&agent, &good().without(name), &unauthorized(), "header_missing");
        expect(&agent, &good().twice(name), &unauthorized(), "header_repeated");
    }
    let time = unix();
    let signature = good().header("X-Agent-Signature");
    for (name, unfit) in [
        ("X-Agent-Caller", "a b"),
        ("X-Agent-Caller", ""),
        ("X-Agent-Timestamp", &format!("+{time}")),
        ("X-Agent-Timestamp", &format!("0{time}")),
        ("X-Agent-Timestamp", &format!("{time}.0")),
        ("X-Agent-Timestamp", "99999999999999999999"),
        ("X-Agent-Nonce", "fifteen-letters"),
        ("X-Agent-Nonce", &"n".repeat(65)),
        ("X-Agent-Nonce", "sixteen letters!"),
        ("X-Agent-Signature", &signature[3..]),
        ("X-Agent-Signature", &signature.replace("v1", "v2")),
        ("X-Agent-Signature", &signature[..signature.len() - 1]),
        ("X-Agent-Signature", &format!("v1={}", "é".repeat(32))),
        ("X-Agent-Signature", &format!("v1={}", "A".repeat(64))),
    ] {
        expect(&agent, &good().with(name, unfit), &unauthorized(), "header_unfit");
    }
    // Each thing that is signed.
    let other = [
        Ask::new("panel", &token(2), "POST", "/command", &restart()),
        good().with_body(&restart().replace("web", "api")),
        good().with_body(""),
        good().towards("PUT", "/command"),
        good().towards("POST", "/refresh"),
        good().towards("POST", "/command?"),
        good().towards("POST", "/command?service=api"),
        good().with("X-Agent-Caller", "ci"),
        good().with("X-Agent-Caller", "nobody"),
        good().with("X-Agent-Timestamp", &(time - 1).to_string()),
        good().with("X-Agent-Nonce", "another-nonce-than-that"),
        good().with("X-Agent-Signature", &format!("v1={}", "0".repeat(64))),
        // What does not exist looks the same.
        Ask::new("panel", &token(2), "GET", "/nothing", ""),
        Ask::new("panel", &token(2), "DELETE", "/status", ""),
    ];
    for ask in other {
        expect(&agent, &ask, &unauthorized(), "signature");
    }
    expect(&agent, &Ask::unsigned("GET", "/nothing"), &unauthorized(), "header_missing");
    expect(&agent, &good(), &Answer::new(202, json!({"recorded": "restart"})), "accepted");
    assert_eq!(agent.end(Signal::SIGTERM).code, Some(0));
}

#[test]
fn a_request_passes_once_and_only_in_its_time() {
    let agent = Agent::start(with_static(&token(1)));
    let once = Ask::new("panel", &token(1), "POST", "/command", &restart());
    expect(&agent, &once, &Answer::new(202, json!({"recorded": "restart"})), "accepted");
    expect(&agent, &once, &unauthorized(), "replayed");
    let status = |time| Ask::at(time, "panel", &token(1), "GET", "/status", "");
    expect(&agent, &status(unix() - 62), &unauthorized(), "clock");
    expect(&agent, &status(unix() + 65), &unauthorized(), "clock");
    // Signed before the start, in time for all that the caller knows: it may have passed before a restart.
    expect(&agent, &status(unix() - 30), &unauthorized(), "clock");
    let ahead = status(unix() + 55);
    assert_eq!(agent.send(&ahead).status, 200);
    expect(&agent, &ahead, &unauthorized(), "replayed");
    agent.end(Signal::SIGTERM);
}

#[test]
fn what_has_passed_does_not_pass_again_after_a_restart_however_quick() {
    let before = Agent::start(with_static(&token(1)));
    let once = Ask::new("panel", &token(1), "POST", "/command", &restart());
    expect(&before, &once, &Answer::new(202, json!({"recorded": "restart"})), "accepted");
    before.end(Signal::SIGKILL);
    let after = Agent::start(with_static(&token(1)));
    expect(&after, &once, &unauthorized(), "clock");
    // The agent is not ready before a request of now passes.
    let now = Ask::new("panel", &token(1), "POST", "/command", &restart());
    expect(&after, &now, &Answer::new(202, json!({"recorded": "restart"})), "accepted");
    after.end(Signal::SIGTERM);
}

#[test]
fn an_agent_does_not_start_with_a_token_that_can_be_guessed() {
    for short in ["a", "fifteen letters", &format!("{}a", " ".repeat(40))] {
        let agent = Agent::start(with_static(short));
        assert_eq!(agent.at(), "", "it listens");
        let ended = agent.ended();
        let said = "status_agent: the token is shorter than 16 bytes; take a longer one that is made at random\n";
        assert_eq!((ended.code, ended.lines, ended.stderr.as_str()), (Some(1), vec![], said));
    }
    let agent = Agent::start(with_static("sixteen letters!"));
    expect(&agent, &Ask::status("sixteen letters"), &unauthorized(), "signature");
    assert_eq!(agent.send(&Ask::status("sixteen letters!")).status, 200);
    agent.end(Signal::SIGTERM);
}

#[test]
fn a_caller_does_what_its_scopes_allow_and_an_unknown_one_nothing() {
    let agent = Agent::start(with_static(&token(1)));
    let forbidden = Answer::error(403, "forbidden");
    assert_eq!(agent.send(&Ask::new("ci", &token(1), "GET", "/status", "")).status, 200);
    expect(&agent, &Ask::new("ci", &token(1), "POST", "/command", &restart()), &forbidden, "scope");
    expect(&agent, &Ask::new("ci", &token(1), "POST", "/refresh", ""), &forbidden, "scope");
    expect(&agent, &Ask::new("nobody", &token(1), "GET", "/status", ""), &forbidden, "unknown_caller");
    let status = agent.send(&Ask::status(&token(1)));
    assert_eq!(status.body["commands"], json!([]), "nothing was recorded");
    agent.end(Signal::SIGTERM);
}

#[test]
fn a_caller_that_asks_too_often_waits_and_the_others_do_not() {
    let mut command = with_static(&token(1));
    command.env("AGENT_RATE", "3");
    let agent = Agent::start(command);
    let too_many = Answer { retry_after: Some("1".into()), ..Answer::error(429, "too many requests") };
    let mut refused = None;
    eventually("the rate is used up", || {
        let ask = Ask::status(&token(1));
        let answer = agent.send(&ask);
        assert!(answer.status == 200 || answer == too_many, "{answer:?}");
        if answer.status == 429 {
            assert_eq!(agent.last_decision(), "rate");
            refused = Some(ask);
        }
        refused.is_some()
    });
    assert_eq!(agent.send(&Ask::new("ci", &token(1), "GET", "/status", "")).status, 200);
    // What was refused so has not passed: it may come again as it is.
    let again = refused.expect("a request");
    eventually("it passes a little later", || agent.send(&again).status == 200);
    agent.end(Signal::SIGTERM);
}

#[test]
fn what_cannot_be_remembered_is_not_let_in() {
    let mut command = with_static(&token(1));
    command.env("AGENT_NONCES", "2");
    let agent = Agent::start(command);
    let full = Answer::error(503, "too many requests in memory");
    let first = Ask::status(&token(1));
    assert_eq!(agent.send(&first).status, 200);
    assert_eq!(agent.send(&Ask::status(&token(1))).status, 200);
    expect(&agent, &Ask::status(&token(1)), &full, "full");
    expect(&agent, &first, &unauthorized(), "replayed");
    assert_eq!(agent.health().status, 200);
    agent.end(Signal::SIGTERM);
}

#[test]
fn a_body_that_is_too_long_is_not_read_however_it_comes() {
    let agent = Agent::start(with_static(&token(1)));
    let longest = " ".repeat(16 << 10);
    let fits = agent.send(&Ask::new("panel", &token(1), "POST", "/command", &longest));
    assert_eq!((fits.status, agent.last_decision().as_str()), (400, "accepted"));
    let ask = Ask::new("panel", &token(1), "POST", "/command", &format!("{longest} "));
    let declared = raw(&agent, &ask, "Content-Length: 16385\r\n", "");
    let chunk = format!("4001\r\n{longest} \r\n0\r\n\r\n");
    let chunked = raw(&agent, &ask, "Transfer-Encoding: chunked\r\n", &chunk);
    for answer in [declared, chunked] {
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with(r#"{"error":"body too long"}"#), "{answer}");
    }
    let lines = agent.decisions();
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(reasons, [Value::Null, json!("body_too_long"), json!("body_too_long")]);
    // Without the headers, it is not looked at.
    let unsigned = raw(&agent, &Ask::unsigned("POST", "/command"), "Content-Length: 16385\r\n", "");
    assert!(unsigned.starts_with("HTTP/1.1 401 "), "{unsigned}");
    agent.end(Signal::SIGTERM);
}

/// Sends the head with a header more, and these bytes behind it.
fn raw(agent: &Agent, ask: &Ask, header: &str, behind: &str) -> String {
    agent.count(ask);
    exchange(agent.at(), &(ask.head(header) + behind))
}

/// What is answered until the agent closes the connection, or nothing comes any more.
pub(super) fn exchange(at: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("it listens");
    stream.set_read_timeout(Some(LONGEST)).expect("a socket");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    // The end may be a reset: the agent has not read everything.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("text")
}

#[test]
fn what_cannot_be_told_of_in_the_audit_log_is_not_done() {
    let mut command = with_static(&token(1));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = spawn_bound(command);
    let mut line = String::new();
    // Nobody reads on.
    BufReader::new(agent.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let started: Value = serde_json::from_str(&line).expect("JSON");
    let at = started["listen"].as_str().expect("an address");
    let ask = |ask: &Ask| exchange(at, &ask.head(""));
    let unwritten = r#"{"error":"the audit log cannot be written"}"#;
    for request in [Ask::status(&token(1)), Ask::status(&token(2)), Ask::unsigned("GET", "/status")] {
        let answer = ask(&request);
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(unwritten), "{answer}");
    }
    assert!(ask(&Ask::unsigned("GET", "/health")).starts_with("HTTP/1.1 200 "));
    kill(Pid::from_raw(agent.id().try_into().expect("an id")), Signal::SIGTERM).expect("it is there");
    let ended = agent.wait_with_output().expect("it ends");
    let said = String::from_utf8(ended.stderr).expect("text");
    assert_eq!((ended.status.code(), said.as_str()), (Some(1), "status_agent: Broken pipe (os error 32)\n"));
}

#[test]
fn whoever_is_slow_is_not_waited_for_and_the_others_are_answered() {
    let agent = Agent::start(with_static(&token(1)));
    let ask = Ask::new("panel", &token(1), "POST", "/command", &restart());
    std::thread::scope(|scope| {
        let head = scope.spawn(|| raw(&agent, &Ask::unsigned("GET", "/health"), "X-Slow: ", ""));
        let body = scope.spawn(|| raw(&agent, &ask, "Content-Length: 40\r\n", "{"));
        assert_eq!(agent.send(&ask).status, 202);
        let body = body.join().expect("no panic");
        assert!(body.starts_with("HTTP/1.1 408 ") && body.ends_with(r#"{"error":"body too late"}"#), "{body}");
        assert_eq!(head.join().expect("no panic"), "");
    });
    assert_eq!(agent.last_decision(), "body_too_late");
    agent.end(Signal::SIGTERM);
}

#[test]
fn every_setting_that_cannot_be_used_is_told_at_once() {
    let mut command = with_static(&token(1));
    for (name, value) in [("AGENT_LISTEN", "8080"), ("AGENT_GRACE", "1m"), ("AGENT_REFRESH", "0"), ("AGENT_RATE", "0")]
    {
        command.env(name, value);
    }
    command.env("AGENT_NONCES", "many").env("AGENT_SCOPES", "panel:status;panel:restart");
    let ended = Agent::start(command).ended();
    let said = "\
status_agent: AGENT_LISTEN = \"8080\": not an address and a port, e.g. 127.0.0.1:8080
status_agent: AGENT_REFRESH = \"0\": not a number of seconds from 1 on
status_agent: AGENT_GRACE = \"1m\": not a number of seconds
status_agent: AGENT_SCOPES = \"panel:status;panel:restart\": a caller stands in it twice
status_agent: AGENT_RATE = \"0\": not a number from 1 on
status_agent: AGENT_NONCES = \"many\": not a number from 1 on
";
    assert_eq!((ended.code, ended.lines, ended.stderr.as_str()), (Some(1), vec![], said));
    let scopes = |text: &str| {
        let mut command = with_static(&token(1));
        command.env("AGENT_SCOPES", text);
        let ended = Agent::start(command).ended();
        assert_eq!(ended.code, Some(1));
        ended.stderr
    };
    for (text, cause) in [
        ("", "AGENT_SCOPES: unset; set it to who may do what, e.g. panel:status,restart,refresh"),
        ("panel", "AGENT_SCOPES = \"panel\": no NAME:SCOPE,SCOPE, with ; between callers"),
        ("panel:all", "AGENT_SCOPES = \"panel:all\": a scope is status, restart or refresh"),
        ("a b:status", "AGENT_SCOPES = \"a b:status\": a caller's name has 1 to 64 of A-Z a-z 0-9 _ - ."),
    ] {
        assert_eq!(scopes(text), format!("status_agent: {cause}\n"));
    }
    let taken = Agent::start(with_static(&token(1)));
    let mut command = with_static(&token(1));
    command.env("AGENT_LISTEN", taken.at());
    let ended = Agent::start(command).ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("in use"), "{}", ended.stderr);
    taken.end(Signal::SIGTERM);
}
