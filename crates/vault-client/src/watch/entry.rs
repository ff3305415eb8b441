//! A watched secret: its value, and the read that keeps it current.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::health::Health;
use super::kept::{Kept, Mark};
use super::plan::{Cycle, Every};
use super::record::{News, Record};
use crate::audit::{Audit, Outcome};
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{ErrorKind, What};
use crate::observe::Event;
use crate::retry::uniform;
use crate::rounds::{Round, Rounds};
use crate::step::{Step, TokenOf};
use crate::time::since_boot;

/// One try to read it.
pub type Read<T> = Box<dyn Fn() -> Result<T, VaultError> + Send + Sync>;

/// Whose secret it is, as it may be shown.
#[derive(Debug, Clone)]
pub struct Subject {
    pub mount: String,
    pub path: String,
    pub deployment: Option<String>,
}

/// The value in hand, and the one before.
pub struct InHand<T> {
    pub value: Arc<T>,
    /// Since when, in time since boot.
    pub since: Duration,
    pub before: Option<Arc<T>>,
}

/// A watched secret.
pub struct Entry<T> {
    subject: Subject,
    read: Read<T>,
    /// Whose observer is told.
    endpoint: Endpoint,
    in_hand: ArcSwap<InHand<T>>,
    record: Mutex<Record>,
    changed: Condvar,
    /// Counts the changes of several secrets.
    tally: Arc<AtomicU64>,
    rounds: Arc<Rounds>,
}

/// How a secret is watched.
pub struct Plan<T> {
    pub subject: Subject,
    pub every: Every,
    pub read: Read<T>,
    pub endpoint: Endpoint,
    pub tally: Arc<AtomicU64>,
    pub rounds: Arc<Rounds>,
}

impl<T: Kept> Entry<T> {
    /// One with this first value, read by a request that was sent at `sent`; or not read, for this reason.
    pub fn new(plan: Plan<T>, first: T, sent: Duration, failed: Option<VaultError>) -> Arc<Self> {
        let Plan { subject, every, read, endpoint, tally, rounds } = plan;
        let now = since_boot();
        let cycle = Cycle::new(every, sent, uniform());
        let record = match failed {
            Some(error) => Record::begun_failing(cycle, now, error),
            None => Record::new(cycle, now),
        };
        let in_hand = ArcSwap::from_pointee(InHand { value: Arc::new(first), since: now, before: None });
        let (record, changed) = (Mutex::new(record), Condvar::new());
        Arc::new(Self { subject, read, endpoint, in_hand, record, changed, tally, rounds })
    }

    /// The error of its read.
    pub fn error(&self, what: What) -> VaultError {
        let Subject { mount, path, .. } = self.subject.clone();
        let step = Step::Read { mount, path, version: None, token: TokenOf::Login };
        VaultError::new(self.endpoint.at(), step, what.into(), Effort::default())
    }

    /// The value in hand.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.in_hand.load().value)
    }

    /// The value in hand, and the one before, if that was in hand within this time.
    pub fn both(&self, within: Duration) -> (Arc<T>, Option<Arc<T>>) {
        let in_hand = self.in_hand.load();
        let is_accepted = since_boot().saturating_sub(in_hand.since) <= within;
        (Arc::clone(&in_hand.value), in_hand.before.clone().filter(|_| is_accepted))
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        let record = self.lock();
        let in_hand = self.in_hand.load();
        let version = in_hand.value.mark().map(|mark| mark.number);
        record.health(version, in_hand.since, since_boot())
    }

    /// Why the last read failed.
    pub fn failing(&self) -> Option<VaultError> {
        self.lock().failing().cloned()
    }

    /// How many changes there were.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Waits for another number of changes than `seen`, as long as `at_most`, and returns it. `None` where that time is over, or
    /// nothing is read again.
    pub fn wait(&self, seen: u64, at_most: Option<Duration>) -> Option<u64> {
        let record = self.lock();
        let waits = |record: &mut Record| record.changes == seen && !record.is_over;
        let record = match at_most {
            None => self.changed.wait_while(record, waits).unwrap_or_else(PoisonError::into_inner),
            Some(length) => {
                self.changed.wait_timeout_while(record, length, waits).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        Some(record.changes).filter(|changes| *changes != seen)
    }

    /// Reads it again now, whatever its plan says, and returns how that ended.
    pub fn refresh(&self) -> Result<(), VaultError> {
        let sent = since_boot();
        let read = (self.read)();
        let ended = since_boot();
        match read {
            Ok(value) => {
                self.take(value, sent, ended);
                Ok(())
            }
            Err(error) => {
                self.fail(&error, sent, ended);
                Err(error)
            }
        }
    }

    fn take(&self, value: T, sent: Duration, ended: Duration) {
        let mut record = self.lock();
        record.cycle.tried(sent, ended, uniform());
        let before = self.in_hand.load_full();
        let [from, to] = [before.value.mark(), value.mark()];
        let news = record.succeeded((from, to), sent, ended);
        if news == News::Changed {
            let (value, before) = (Arc::new(value), Some(Arc::clone(&before.value)));
            self.in_hand.store(Arc::new(InHand { value, since: ended, before }));
            self.tally.fetch_add(1, Ordering::Relaxed);
        }
        drop(record);
        let audit = |outcome, to| self.audit(outcome, (from, to), ended.saturating_sub(before.since));
        match news {
            News::Changed => {
                self.changed.notify_all();
                self.tell(&audit(Outcome::Changed, to), None);
            }
            News::Recovered => self.tell(&audit(Outcome::Recovered, from), None),
            News::None | News::Failing => {}
        }
    }

    fn fail(&self, error: &VaultError, sent: Duration, ended: Duration) {
        let mut record = self.lock();
        record.cycle.tried(sent, ended, uniform());
        // The client's end is no failure of the secret.
        let is_over = record.is_over || matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Closed);
        let news = if is_over { News::None } else { record.failed(error) };
        drop(record);
        if news == News::Failing {
            self.tell_failing(error, ended);
        }
    }

    /// Tells that the read which ended at `ended` failed.
    pub fn tell_failing(&self, error: &VaultError, ended: Duration) {
        let in_hand = self.in_hand.load();
        let age = ended.saturating_sub(in_hand.since);
        let audit = self.audit(Outcome::Failing, (in_hand.value.mark(), None), age);
        let audit = Audit { to: error.version(), cause: Some(error.to_string()), ..audit };
        self.tell(&audit, Some(error));
    }

    fn audit(&self, outcome: Outcome, (from, to): (Option<Mark>, Option<Mark>), age: Duration) -> Audit {
        let Subject { mount, path, deployment } = self.subject.clone();
        let [from, to] = [from, to].map(|mark| mark.map(|mark| mark.number));
        Audit { time: SystemTime::now(), outcome, mount, path, deployment, from, to, age, cause: None }
    }

    fn tell(&self, audit: &Audit, error: Option<&VaultError>) {
        self.endpoint.note(&Event::Watched { audit, error });
    }
}

impl<T> Entry<T> {
    fn lock(&self) -> MutexGuard<'_, Record> {
        // A poisoned lock only means that a panic is under way; nothing is half-changed then.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Kept> Round for Entry<T> {
    fn due(&self) -> Duration {
        self.lock().cycle.due()
    }

    fn go(&self) {
        let _ = self.refresh();
    }

    fn panicked(&self) {
        let now = since_boot();
        self.lock().cycle.tried(now, now, uniform());
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }
}

impl<T> Drop for Entry<T> {
    /// The thread has one less to look after, or none.
    fn drop(&mut self) {
        self.rounds.ring();
    }
}
