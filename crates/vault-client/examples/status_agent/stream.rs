//! Standard output and standard error. Nobody waits long for their readers: a pipe that is not read would hold up every
//! request, the reads of the token, and the end.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A pipe that is ready takes so many bytes in one piece.
const PIPE_BUF: usize = 4096;

/// How long a stream that is full is waited for, in milliseconds.
const PATIENCE: u8 = 100;

/// Whether a stream was full the last time: it is not waited for again then.
static OUT_IS_FULL: AtomicBool = AtomicBool::new(false);
static ERR_IS_FULL: AtomicBool = AtomicBool::new(false);

/// Writes `line` to standard output.
///
/// # Errors
///
/// It is not written: its reader is gone or does not read on, or the disk is full.
pub fn write(line: &[u8]) -> io::Result<()> {
    send(&mut io::stdout().lock(), &OUT_IS_FULL, line)
}

/// Says `text` on standard error, as a line. It is dropped where it cannot be written.
pub fn say(text: impl fmt::Display) {
    let line = format!("status_agent: {text}\n");
    let _ = send(&mut io::stderr().lock(), &ERR_IS_FULL, line.as_bytes());
}

/// Nobody else writes while `stream` is locked, so what is ready stays ready.
fn send(stream: &mut (impl Write + AsFd), is_full: &AtomicBool, line: &[u8]) -> io::Result<()> {
    for piece in line.chunks(PIPE_BUF) {
        let was_full = is_full.load(Ordering::Relaxed);
        let is_ready = is_ready(stream, if was_full { PollTimeout::ZERO } else { PATIENCE.into() })?;
        is_full.store(!is_ready, Ordering::Relaxed);
        if !is_ready {
            return Err(io::Error::new(ErrorKind::WouldBlock, "standard output is full; its reader does not read on"));
        }
        stream.write_all(piece)?;
    }
    stream.flush()
}

fn is_ready(stream: &impl AsFd, patience: PollTimeout) -> io::Result<bool> {
    loop {
        match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], patience) {
            Ok(count) => return Ok(count > 0),
            // A signal says nothing of the stream, and the one that ends the agent may come now.
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
