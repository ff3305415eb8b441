//! The lines of the log that wait, and the thread that writes them.
//!
//! What reads standard error may be slow or stand still. The service must not: it puts lines into a buffer, and those that
//! have no room there are lost and counted.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::output::WholeLines;

/// Lines of so many bytes may wait.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// Buffers beyond this size are given back after use.
const KEPT_BYTES: usize = 64 << 10;

/// Lines that wait for the thread that writes them. Each write into it is a line; it never waits and never fails.
#[derive(Default)]
pub(super) struct Lines {
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// What was taken is written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Lines that came after those, and were lost.
    lost: u64,
    is_writing: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.lost == 0
    }
}

impl Lines {
    /// Starts the thread, which lives as long as the process.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn start(to: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let lines = Arc::new(Self::default());
        let of_thread = Arc::clone(&lines);
        thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.serve(Writer::new(to)))?;
        Ok(lines)
    }

    /// Returns true when all lines are written, and false after `most`.
    pub fn flush(&self, most: Duration) -> bool {
        let waits = |state: &mut State| state.is_writing || !state.is_empty();
        let waited = self.written.wait_timeout_while(self.state(), most, waits);
        let (_state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    fn put(&self, line: &[u8]) {
        let mut state = self.state();
        // After one that is lost there is none, so that the gap is where it is told.
        if state.lost > 0 || state.bytes.len() + line.len() > MOST_BYTES {
            state.lost += 1;
        } else {
            state.bytes.extend_from_slice(line);
        }
        drop(state);
        self.work.notify_one();
    }

    fn serve(&self, mut writer: Writer<impl Write>) {
        let mut batch = Vec::new();
        loop {
            let lost = self.take(&mut batch);
            writer.write_batch(&batch, lost);
        }
    }

    /// Waits for lines and puts them into `batch`; returns how many were lost after them.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        batch.clear();
        batch.shrink_to(KEPT_BYTES);
        let mut state = self.state();
        state.is_writing = false;
        self.written.notify_all();
        let mut state = self.work.wait_while(state, |it| it.is_empty()).unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        mem::swap(&mut state.bytes, batch);
        mem::take(&mut state.lost)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where lines go.
struct Writer<W> {
    to: WholeLines<W>,
    /// Lines that were lost and are not told yet.
    lost: u64,
}

/// What is told of lines that were lost, with the members of every other line.
#[derive(Serialize)]
struct Told<'a> {
    timestamp: &'a str,
    level: &'a str,
    message: &'a str,
    lost: u64,
    target: &'a str,
}

impl<W: Write> Writer<W> {
    fn new(to: W) -> Self {
        Self { to: WholeLines::new(to, false), lost: 0 }
    }

    /// Writes these lines, and then how many were lost, these and earlier ones.
    fn write_batch(&mut self, lines: &[u8], lost: u64) {
        let left = &lines[self.to.write(lines)..];
        let unwritten = left.split(|byte| *byte == b'\n').skip(1).count();
        self.lost += lost + u64::try_from(unwritten).unwrap_or(u64::MAX);
        if self.lost > 0 && left.is_empty() {
            let told = told(self.lost);
            if self.to.write(&told) == told.len() {
                self.lost = 0;
            }
        }
    }
}

/// The line that says it.
fn told(lost: u64) -> Vec<u8> {
    let told = Told {
        timestamp: &humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
        level: "ERROR",
        message: "lines of the log were lost: standard error took none; see what reads it",
        lost,
        target: module_path!(),
    };
    let mut line = serde_json::to_vec(&told).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use serde_json::Value;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// What waits for a permission before each write, and hands on what it writes.
    struct Held {
        permissions: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permissions.recv().map_err(io::Error::other)?;
            self.written.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(lines: &Lines, text: &str) {
        let mut lines = lines;
        lines.write_all(text.as_bytes()).unwrap();
    }

    /// What was lost according to this line.
    fn lost(line: &[u8]) -> Option<u64> {
        serde_json::from_slice::<Value>(line).ok()?["lost"].as_u64()
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up_and_is_told_what_it_has_missed() {
        let (permit, permissions) = mpsc::channel();
        let (written, reader) = mpsc::channel();
        let lines = Lines::start(Held { permissions, written }).unwrap();
        put(&lines, "first\n");
        vault_testkit::eventually("the thread stands still", || lines.state().is_writing);
        // There is room for a shorter one behind them.
        let line = format!("{}\n", "x".repeat(999));
        for _ in 0..MOST_BYTES / 1000 + 3 {
            put(&lines, &line);
        }
        put(&lines, "short\n");
        assert!(!lines.flush(Duration::from_millis(10)), "it does not wait for ever");
        for _ in 0..4 {
            permit.send(()).unwrap();
        }
        put(&lines, "short\n");
        let read = || reader.recv_timeout(LONG).unwrap();
        assert_eq!((read(), read().len()), (b"first\n".to_vec(), MOST_BYTES / 1000 * 1000));
        let told = read();
        assert!(matches!(lost(&told), Some(4 | 5)), "{}", String::from_utf8_lossy(&told));
        // The last one is lost as well where it came before the thread went on.
        if lost(&told) == Some(4) {
            assert_eq!(read(), b"short\n");
        }
    }

    #[test]
    fn a_flush_returns_when_the_lines_are_written() {
        let (permit, permissions) = mpsc::channel();
        let (written, reader) = mpsc::channel();
        let lines = Lines::start(Held { permissions, written }).unwrap();
        put(&lines, "a\n");
        vault_testkit::eventually("it is taken", || lines.state().bytes.is_empty());
        assert!(!lines.flush(Duration::from_millis(10)), "it is not written");
        permit.send(()).unwrap();
        assert!(lines.flush(LONG));
        assert_eq!(reader.try_recv(), Ok(b"a\n".to_vec()));
    }

    /// Takes so many bytes and refuses the rest.
    struct Room(Vec<u8>, usize);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.1);
            self.1 -= taken;
            self.0.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_is_ended_and_counted() {
        let mut writer = Writer::new(Room(Vec::new(), 6));
        writer.write_batch(b"one\ntwo\nthree\n", 0);
        assert_eq!((&writer.to.to.0[..], writer.lost), (&b"one\ntw"[..], 2));
        writer.write_batch(b"four\n", 1);
        assert_eq!((writer.to.to.0.len(), writer.lost), (6, 4));
        writer.to.to.1 = usize::MAX;
        writer.write_batch(b"five\n", 0);
        let text = String::from_utf8(writer.to.to.0).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((&lines[..3], lost(lines[3].as_bytes()), writer.lost), (&["one", "tw", "five"][..], Some(4), 0));
    }
}
