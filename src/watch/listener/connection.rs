//! One connection: a request, its answer, and an end at which the answer has arrived.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags};

use super::super::request::{Asked, MOST_BYTES, judge};

/// Of what is sent after a request so much is taken, so that the answer arrives: a connection that is closed before is reset.
const MOST_AFTER: usize = 64 << 10;

const TEXT: &str = "text/plain; charset=utf-8";

/// What a path has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    /// One that says no more than its status.
    fn bare(status: u16) -> Self {
        Self { status, content_type: TEXT, body: format!("{}\n", reason(status)) }
    }

    /// As it is sent, without its body where `is_head`.
    fn bytes(&self, is_head: bool) -> Vec<u8> {
        let Self { status, content_type, body } = self;
        let (reason, length) = (reason(*status), body.len());
        let allow = if *status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let body = if is_head { "" } else { body };
        format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{allow}\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// Tells somebody that there are too many, without a wait.
pub fn turn_away(mut stream: TcpStream) {
    // What has been sent already is taken, for the same reason as after an answer.
    let _ = stream.read(&mut [0; MOST_BYTES]);
    let _ = stream.write(&Answer::bare(503).bytes(false));
    let _ = stream.shutdown(Shutdown::Write);
}

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    until: Instant,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// What has come so far.
    Reading(Vec<u8>),
    /// The answer, and how much of it is written.
    Writing(Vec<u8>, usize),
    /// How much is still taken.
    Closing(usize),
    Over,
}

impl Connection {
    /// One that waits for nothing: its stream does not block. It ends at `until` at the latest.
    pub fn new(stream: TcpStream, until: Instant) -> Self {
        Self { stream, until, phase: Phase::Reading(Vec::new()) }
    }

    /// When it ends at the latest.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// What it waits for.
    pub fn awaited(&self) -> PollFd<'_> {
        let flags = match self.phase {
            Phase::Writing(..) => PollFlags::POLLOUT,
            Phase::Reading(_) | Phase::Closing(_) | Phase::Over => PollFlags::POLLIN,
        };
        PollFd::new(self.stream.as_fd(), flags)
    }

    /// Does all that can be done without waiting; `false` at its end.
    pub fn serve(&mut self, answer: &dyn Fn(&str) -> Option<Answer>, now: Instant) -> bool {
        if now >= self.until {
            return false;
        }
        loop {
            match self.step(answer) {
                Ok(Some(Phase::Over)) => return false,
                Ok(Some(phase)) => self.phase = phase,
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// One call of the kernel, and the phase that comes after it if that is another.
    fn step(&mut self, answer: &dyn Fn(&str) -> Option<Answer>) -> io::Result<Option<Phase>> {
        match &mut self.phase {
            Phase::Reading(head) => {
                let mut buffer = [0; 1024];
                let room = MOST_BYTES.saturating_sub(head.len()).min(buffer.len());
                let some = self.stream.read(&mut buffer[..room])?;
                head.extend_from_slice(&buffer[..some]);
                let answer = match judge(head) {
                    Asked::Incomplete if some == 0 => return Ok(Some(Phase::Over)),
                    Asked::Incomplete => return Ok(None),
                    Asked::Wrong(status) => Answer::bare(status).bytes(false),
                    Asked::For { path, is_head } => answer(path).unwrap_or_else(|| Answer::bare(404)).bytes(is_head),
                };
                Ok(Some(Phase::Writing(answer, 0)))
            }
            Phase::Writing(answer, written) => {
                *written += self.stream.write(&answer[*written..])?;
                if *written < answer.len() {
                    return Ok(None);
                }
                self.stream.shutdown(Shutdown::Write)?;
                Ok(Some(Phase::Closing(MOST_AFTER)))
            }
            Phase::Closing(left) => {
                let some = self.stream.read(&mut [0; 4096])?;
                Ok(Some(if some == 0 || some > *left { Phase::Over } else { Phase::Closing(*left - some) }))
            }
            Phase::Over => Ok(Some(Phase::Over)),
        }
    }
}
