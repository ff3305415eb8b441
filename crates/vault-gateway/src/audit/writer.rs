//! The queue of lines, and the thread that writes them.

use std::fs::File;
use std::io::Write;
use std::mem;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Unwritten;
use crate::output::WholeLines;

/// So many lines may wait.
pub(super) const MOST_LINES: usize = 4096;

/// Lines of so many bytes may wait, and one more: a caller can make a line long by its own request id.
const MOST_BYTES: usize = 4 << 20;

/// With so many lines the writer is called at once: more of them make no write cheaper.
const FULL_BATCH: usize = 16;

/// Buffers beyond this size are given back after use.
const KEPT_BYTES: usize = 256 << 10;

/// Lines that wait, and what the writer has to know.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something for the writer.
    work: Condvar,
    /// The writer has taken the new sink.
    replaced: Condvar,
    is_failing: AtomicBool,
}

#[derive(Default)]
struct State {
    lines: Batch,
    /// Where lines go from now on.
    next: Option<Sink>,
    is_closed: bool,
    writer: Writer,
}

/// What the writer does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Writer {
    /// It writes, or is about to look for lines.
    #[default]
    Works,
    /// It waits and has to be woken.
    Waits,
    /// The same, and somebody is about to wake it.
    Called,
    /// It has ended.
    Ended,
}

/// Lines for one write.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
}

/// Who waits for a line.
struct Waiting {
    /// Where the line ends in the bytes of its batch.
    end: usize,
    told: oneshot::Sender<Result<(), Unwritten>>,
}

/// Where lines go.
pub(super) struct Sink(WholeLines<Box<dyn Write + Send>>);

/// A line that was taken.
pub(super) struct Taken<'a> {
    /// Is told what became of it.
    pub written: oneshot::Receiver<Result<(), Unwritten>>,
    /// The duty to call the writer, where nobody else has it.
    pub call: Option<Call<'a>>,
}

/// The duty to wake the writer; its drop does it.
#[must_use]
pub(super) struct Call<'a>(&'a Queue);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.wake(self.0.state());
    }
}

impl Queue {
    /// Adds a line, which ends in a line feed.
    pub fn put(&self, line: &[u8]) -> Result<Taken<'_>, Unwritten> {
        let (told, written) = oneshot::channel();
        let mut state = self.state();
        if state.is_closed {
            return Err(Unwritten::Closed);
        }
        if state.lines.waiting.len() >= MOST_LINES || state.lines.bytes.len() >= MOST_BYTES {
            return Err(Unwritten::Full);
        }
        state.lines.bytes.extend_from_slice(line);
        let end = state.lines.bytes.len();
        state.lines.waiting.push(Waiting { end, told });
        if state.lines.waiting.len() >= FULL_BATCH {
            self.wake(state);
            return Ok(Taken { written, call: None });
        }
        let is_mine = state.writer == Writer::Waits;
        if is_mine {
            state.writer = Writer::Called;
        }
        drop(state);
        Ok(Taken { written, call: is_mine.then(|| Call(self)) })
    }

    /// Lets lines go there from now on, and returns when they do.
    pub fn replace(&self, sink: Sink) {
        let mut state = self.state();
        state.next = Some(sink);
        self.wake(state);
        let waits = |state: &mut State| state.next.is_some() && state.writer != Writer::Ended;
        drop(self.replaced.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner));
    }

    /// Refuses lines from now on. The writer ends when it has written those that wait.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        self.wake(state);
    }

    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Writes what comes, until the queue is closed and empty.
    pub fn serve(&self, mut sink: Sink) {
        let mut batch = Batch::default();
        while self.take(&mut batch, &mut sink) {
            let written = sink.write(&batch.bytes);
            self.is_failing.store(written < batch.bytes.len(), Ordering::Relaxed);
            for Waiting { end, told } in batch.waiting.drain(..) {
                // Whoever has stopped waiting is not told.
                let _ = told.send(if end <= written { Ok(()) } else { Err(Unwritten::Failed) });
            }
        }
    }

    /// Waits for lines and puts them into `batch`; `false` where none will come. A new sink is taken on the way.
    fn take(&self, batch: &mut Batch, sink: &mut Sink) -> bool {
        batch.bytes.clear();
        batch.bytes.shrink_to(KEPT_BYTES);
        let mut state = self.state();
        loop {
            if let Some(next) = state.next.take() {
                *sink = next;
                self.replaced.notify_all();
            }
            if !state.lines.waiting.is_empty() {
                mem::swap(&mut state.lines, batch);
                return true;
            }
            if state.is_closed {
                state.writer = Writer::Ended;
                self.replaced.notify_all();
                return false;
            }
            state.writer = Writer::Waits;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.writer = Writer::Works;
        }
    }

    /// A writer that is at work looks here by itself afterwards.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let waits = matches!(state.writer, Writer::Waits | Writer::Called);
        if waits {
            state.writer = Writer::Works;
        }
        drop(state);
        if waits {
            self.work.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    /// A regular file. A line that an earlier process has not ended is ended first.
    pub fn of_file(file: File) -> Self {
        let is_torn = !ends_whole(&file);
        Self(WholeLines::new(Box::new(file), is_torn))
    }

    /// What has no past: a pipe, or a test's.
    pub fn of_stream(to: impl Write + Send + 'static) -> Self {
        Self(WholeLines::new(Box::new(to), false))
    }

    /// Writes `bytes`, which are whole lines, and returns how many were written before the system refused.
    fn write(&mut self, bytes: &[u8]) -> usize {
        self.0.write(bytes)
    }
}

/// Whether the file is empty or ends in a line feed. What cannot be read counts as not whole: an empty line harms nobody.
fn ends_whole(file: &File) -> bool {
    let last = |length: u64| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, length - 1).map(|()| byte[0] == b'\n')
    };
    matches!(file.metadata().map(|data| data.len()), Ok(0))
        || file.metadata().and_then(|data| last(data.len())).unwrap_or(false)
}
