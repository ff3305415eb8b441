//! A reader of standard output that does not read on: what cannot be told of is not done, and all else goes on.

use std::io::{self, BufRead as _, BufReader, PipeReader, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::openbao::spawn_bound;

use super::checks::exchange;
use super::{Ask, of, rotate, token, with_static};
use crate::support::with_corner;

/// An agent whose standard output and standard error are one pipe.
struct Agent {
    child: Child,
    at: String,
    pipe: BufReader<PipeReader>,
}

impl Agent {
    /// Starts it, and reads no more than the first line.
    fn start(mut command: Command) -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        // The smallest that there is.
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe");
        command.stdin(Stdio::null()).stderr(writer.try_clone().expect("a descriptor")).stdout(writer);
        let child = spawn_bound(command);
        let (mut pipe, mut line) = (BufReader::new(reader), String::new());
        pipe.read_line(&mut line).expect("a line");
        let started: Value = serde_json::from_str(&line).expect("JSON");
        Self { child, at: started["listen"].as_str().expect("an address").to_owned(), pipe }
    }

    /// Asks for the status, and says whether it was answered; otherwise it could not be told of.
    fn is_answered(&self) -> bool {
        let answer = exchange(&self.at, &Ask::status(&token(1)).head(""));
        let is_ok = answer.starts_with("HTTP/1.1 200 ");
        let refused = answer.starts_with("HTTP/1.1 503 ") && answer.contains("the audit log cannot be written");
        assert!(is_ok || refused, "{answer:?}");
        is_ok
    }

    fn fill(&self) {
        eventually("the pipe is full", || !self.is_answered());
    }

    fn health(&self) -> Value {
        let answer = exchange(&self.at, &Ask::unsigned("GET", "/health").head(""));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
    }

    fn end(mut self) -> ExitStatus {
        kill(Pid::from_raw(self.child.id().try_into().expect("an id")), Signal::SIGTERM).expect("it is there");
        let mut status = None;
        eventually("it ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

#[test]
fn a_full_pipe_refuses_requests_until_it_is_read_on_and_holds_up_neither_health_nor_the_end() {
    let mut agent = Agent::start(with_static(&token(1)));
    agent.fill();
    for _ in 0..20 {
        assert!(!agent.is_answered());
    }
    assert_eq!(agent.health()["status"], "ok");

    fcntl(agent.pipe.get_ref(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe");
    let mut read = Vec::new();
    let end = agent.pipe.read_to_end(&mut read).map_err(|error| error.kind());
    assert_eq!(end, Err(io::ErrorKind::WouldBlock));
    for line in String::from_utf8(read).expect("text").lines() {
        assert_eq!(serde_json::from_str::<Value>(line).expect("a whole line")["decision"], "accepted");
    }
    assert!(agent.is_answered());

    agent.fill();
    assert_eq!(agent.end().code(), Some(1));
}

#[test]
fn a_full_pipe_does_not_keep_the_token_from_being_read_again() {
    with_corner("a_full_pipe_does_not_keep_the_token_from_being_read_again", |corner| {
        rotate(corner, &token(1));
        let mut command = of(corner);
        command.env("AGENT_REFRESH", "1");
        let agent = Agent::start(command);
        agent.fill();
        for number in 2..=4 {
            rotate(corner, &token(number));
            eventually("it is read", || agent.health()["version"] == json!(number));
        }
        assert_eq!(agent.end().code(), Some(1));
        assert_eq!(corner.live_tokens(), 0);
    });
}
