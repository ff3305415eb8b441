//! The audit log: one line of JSON for each request.
//!
//! A request is answered after its line is written. Callers put their lines into one buffer. One thread takes all that
//! waits and writes it at once, so that a line costs little under load and no runtime thread ever waits for a disk.
//!
//! To wake that thread costs more than to write a line. So who finds it idle lets the other tasks of its own thread go
//! first, and then wakes it for the lines of all of them.

mod file;
mod line;
#[cfg(test)]
mod tests;
mod writer;

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::task::yield_now;

pub use line::{Line, Verdict};

use crate::output::Output;
use writer::{Queue, Sink, Taken};

/// The audit log. It is shared by reference, or in an `Arc`.
pub struct Audit {
    queue: Arc<Queue>,
    /// `None`: standard output.
    path: Option<PathBuf>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// Why a line is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritten {
    /// Too many lines wait already: what takes them is slow or stands still.
    #[error("too many audit lines wait to be written: see what holds up the audit log")]
    Full,
    /// The system refused to write it.
    #[error("the audit line cannot be written: see whether the disk is full or the reader is gone")]
    Failed,
    /// The log is closed.
    #[error("the audit log is closed: the service is about to end")]
    Closed,
}

thread_local! {
    /// Where a thread makes its lines.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Audit {
    /// Opens the file to append to, or takes standard output where there is no path.
    ///
    /// A file that is not there is made, for its owner only. An error is returned for what is no regular file, and for a
    /// symbolic link.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let sink = match path {
            Some(path) => Sink::of_file(file::open(path)?),
            None => Sink::of_stream(Output::stdout()?),
        };
        Self::start(sink, path)
    }

    fn start(sink: Sink, path: Option<&Path>) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let of_writer = Arc::clone(&queue);
        let writer = thread::Builder::new().name("audit".to_owned()).spawn(move || of_writer.serve(sink))?;
        Ok(Self { queue, path: path.map(Path::to_owned), writer: Mutex::new(Some(writer)) })
    }

    /// Writes the line and returns when it is written. A caller that stops waiting does not take its line back.
    pub async fn write(&self, line: &Line<'_>) -> Result<(), Unwritten> {
        let Taken { written, call } = self.put(line)?;
        if let Some(call) = call {
            // Where the caller leaves meanwhile, the writer is called by the drop.
            yield_now().await;
            drop(call);
        }
        written.await.unwrap_or(Err(Unwritten::Failed))
    }

    /// Hands the line to the writer, and does not wait until it is written.
    ///
    /// # Errors
    ///
    /// The line is not taken.
    pub fn note(&self, line: &Line<'_>) -> Result<(), Unwritten> {
        self.put(line).map(drop)
    }

    fn put(&self, line: &Line<'_>) -> Result<Taken<'_>, Unwritten> {
        LINE.with_borrow_mut(|buffer| {
            buffer.clear();
            serde_json::to_writer(&mut *buffer, line).map_err(|_| Unwritten::Failed)?;
            buffer.push(b'\n');
            self.queue.put(buffer)
        })
    }

    /// Whether the last attempt to write failed.
    pub fn is_failing(&self) -> bool {
        self.queue.is_failing()
    }

    /// Opens the file again, for one that was renamed. Lines go to the old one until this returns, or if it fails.
    /// Nothing is done about standard output.
    pub fn reopen(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        self.queue.replace(Sink::of_file(file::open(path)?));
        Ok(())
    }

    /// Writes what waits, and ends. Lines that come later are refused. It blocks as long as the writing does.
    pub fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The writer has nothing to hand back; whoever waited for a line was told.
        writer.map(JoinHandle::join);
    }
}

impl Drop for Audit {
    /// The thread writes what waits, and ends. Nobody waits for it here: it may be held up.
    fn drop(&mut self) {
        self.queue.close();
    }
}
