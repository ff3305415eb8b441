//! Standard output and standard error, for those who write lines there; and lines that stay whole.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A slow reader may take this long to make room.
const ROOM: Duration = Duration::from_secs(1);

/// A stream of the process. It may be one that does not block, and that is no fault of who writes: it is waited for.
pub struct Output(File);

impl Output {
    /// Standard output, without a buffer.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn stdout() -> io::Result<Self> {
        io::stdout().as_fd().try_clone_to_owned().map(File::from).map(Self)
    }

    /// Standard error, without a buffer.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn stderr() -> io::Result<Self> {
        io::stderr().as_fd().try_clone_to_owned().map(File::from).map(Self)
    }

    /// Waits until there is room, to `end` at most.
    fn wait(&self, end: Instant) -> io::Result<()> {
        let left = end.saturating_duration_since(Instant::now());
        // Rounded up, or the last part of a millisecond would be spent in a loop.
        let left = PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)], left) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Write for Output {
    /// Writes what there is room for. Where there is none for a second, it is an error.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = Instant::now() + ROOM;
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(end)?,
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines so that each begins on a line of its own, also after one that was cut.
pub struct WholeLines<W> {
    pub(crate) to: W,
    /// The last line there is not whole: another one must not begin on it.
    is_torn: bool,
}

impl<W: Write> WholeLines<W> {
    /// Lines behind one that is whole, or is not.
    pub fn new(to: W, is_torn: bool) -> Self {
        Self { to, is_torn }
    }

    /// Writes `lines`, which are whole, and returns how many bytes of them were written before the system refused.
    pub fn write(&mut self, lines: &[u8]) -> usize {
        if self.is_torn {
            if self.write_all(b"\n") == 0 {
                return 0;
            }
            self.is_torn = false;
        }
        let written = self.write_all(lines);
        self.is_torn = written > 0 && lines[written - 1] != b'\n';
        written
    }

    fn write_all(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.to.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::thread;

    use nix::fcntl::OFlag;

    use super::*;

    /// A pipe whose writer does not block and has no room.
    fn full_pipe() -> (File, Output, usize) {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_NONBLOCK).unwrap();
        let mut writer = File::from(writer);
        let mut filled = 0;
        while let Ok(more) = writer.write(&[b'x'; 4096]) {
            filled += more;
        }
        (File::from(reader), Output(writer), filled)
    }

    #[test]
    fn a_reader_that_is_slow_gets_every_byte() {
        let (mut reader, mut output, filled) = full_pipe();
        let writing = thread::spawn(move || output.write_all(&vec![b'y'; 200_000]));
        let (mut read, mut buffer) = (0, [0; 4096]);
        vault_testkit::eventually("everything is read", || {
            read += reader.read(&mut buffer).unwrap_or_default();
            read == filled + 200_000
        });
        writing.join().unwrap().unwrap();
    }

    #[test]
    fn nobody_who_reads_is_an_error_after_a_second() {
        let (_reader, mut output, _) = full_pipe();
        let begun = Instant::now();
        assert_eq!(output.write(b"y").map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
        assert!(begun.elapsed() >= ROOM);
    }
}
