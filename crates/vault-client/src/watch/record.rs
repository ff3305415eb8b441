//! What became of a secret's reads so far, and what there is to tell of them.

use std::time::Duration;

use super::health::{Health, HealthStatus};
use super::kept::{Compared, Mark};
use super::plan::Cycle;
use crate::error::VaultError;
use crate::fault::ErrorKind;

/// What became of the reads so far. Moments are in time since boot.
#[derive(Debug)]
pub struct Record {
    pub cycle: Cycle,
    /// How many changes there were: who waits for one knows by it what is new.
    pub changes: u64,
    /// Nothing is read again.
    pub is_over: bool,
    begun: Duration,
    succeeded: Option<Duration>,
    last: Option<bool>,
    refreshes: u64,
    failures: u64,
    /// Why the last read failed, where it did.
    failing: Option<VaultError>,
    /// The state that was told last.
    told: Option<State>,
    /// An earlier version than the one in hand, which the last read has brought.
    earlier: Option<Mark>,
    /// When the latest read was sent that has succeeded.
    asked: Duration,
}

/// Failures of one state are told once.
type State = (ErrorKind, Option<u16>, Option<u64>);

/// What a read has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing to tell.
    None,
    /// The value is another one.
    Changed,
    /// The value is the same, and reads succeed again.
    Recovered,
    /// Reads have begun to fail, or fail for another reason.
    Failing,
}

impl Record {
    /// That of a secret that was read, or asked for, at `now` for the first time.
    pub fn new(cycle: Cycle, now: Duration) -> Self {
        Self {
            cycle,
            changes: 0,
            is_over: false,
            begun: now,
            succeeded: Some(now),
            last: None,
            refreshes: 0,
            failures: 0,
            failing: None,
            told: None,
            earlier: None,
            asked: Duration::ZERO,
        }
    }

    /// The same where the first read failed.
    pub fn begun_failing(cycle: Cycle, now: Duration, error: VaultError) -> Self {
        let told = Some(state(&error));
        Self { succeeded: None, last: Some(false), failing: Some(error), told, ..Self::new(cycle, now) }
    }

    /// A read that was sent at `sent` has brought `read` at `now`, beside the one `in_hand`. One that was sent before another
    /// which has succeeded meanwhile says nothing of what is there now.
    ///
    /// An earlier version than that is taken when it was read twice in a row: a node that lags behind has caught up by then,
    /// and a backup that was restored stays.
    pub fn succeeded(&mut self, (in_hand, read): (Option<Mark>, Option<Mark>), sent: Duration, now: Duration) -> News {
        self.ended(true);
        if sent < self.asked {
            return News::None;
        }
        self.asked = sent;
        self.succeeded = Some(now);
        self.failing = None;
        let was_told = self.told.take().is_some();
        let before = self.earlier.take();
        match Mark::compared(in_hand, read) {
            Compared::Earlier if before != read => self.earlier = read,
            Compared::Later | Compared::Earlier => {
                self.changes += 1;
                return News::Changed;
            }
            Compared::Same => {}
        }
        if was_told { News::Recovered } else { News::None }
    }

    /// A read has failed.
    pub fn failed(&mut self, error: &VaultError) -> News {
        self.ended(false);
        self.failures += 1;
        self.failing = Some(error.clone());
        let before = self.told.replace(state(error));
        if before == self.told { News::None } else { News::Failing }
    }

    /// Why the last read failed; `None` where it succeeded.
    pub fn failing(&self) -> Option<&VaultError> {
        self.failing.as_ref()
    }

    fn ended(&mut self, well: bool) {
        self.refreshes += 1;
        self.last = Some(well);
    }

    /// How it is doing at `now`, with this version in hand since then.
    pub fn health(&self, version: Option<u64>, since: Duration, now: Duration) -> Health {
        let ago = |at: Duration| now.saturating_sub(at);
        Health {
            status: HealthStatus::of(self.cycle.every(), self.last, ago(self.succeeded.unwrap_or(self.begun))),
            token_age_seconds: ago(since).as_secs(),
            last_refresh_ok: self.last,
            seconds_since_success: self.succeeded.map(|at| ago(at).as_secs()),
            version,
            refreshes: self.refreshes,
            failures: self.failures,
        }
    }
}

fn state(error: &VaultError) -> State {
    (error.kind(), error.status(), error.version())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::plan::Every;
    use super::*;
    use crate::error::Effort;
    use crate::fault::What;
    use crate::step::Step;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn record() -> Record {
        Record::new(Cycle::new(Every::seconds(60), s(0), 0.0), s(0))
    }

    fn mark(number: u64) -> Mark {
        Mark { number, created: Some(SystemTime::UNIX_EPOCH + s(number)) }
    }

    fn error(what: What) -> VaultError {
        VaultError::new("", Step::Status, what.into(), Effort::default())
    }

    #[test]
    fn a_state_is_told_once_and_its_end_too() {
        let mut record = record();
        let (sealed, closed) = (error(What::Sealed { given: 0, needed: 1 }), error(What::NotInitialised));
        let denied = error(What::Version1);
        let told = [
            record.failed(&sealed),
            record.failed(&sealed),
            // The kind is the same.
            record.failed(&closed),
            record.failed(&denied),
            record.succeeded((Some(mark(1)), Some(mark(1))), s(100), s(100)),
            record.succeeded((Some(mark(1)), Some(mark(1))), s(160), s(160)),
            record.failed(&sealed),
            record.succeeded((Some(mark(1)), Some(mark(2))), s(300), s(300)),
            record.succeeded((Some(mark(2)), Some(mark(2))), s(360), s(360)),
        ];
        let wanted = [
            News::Failing,
            News::None,
            News::None,
            News::Failing,
            News::Recovered,
            News::None,
            News::Failing,
            News::Changed,
            News::None,
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn an_earlier_version_is_taken_when_it_is_read_twice_in_a_row() {
        let mut record = record();
        let read = |record: &mut Record, number| record.succeeded((Some(mark(5)), Some(mark(number))), s(1), s(1));
        assert_eq!(read(&mut record, 4), News::None);
        assert_eq!(read(&mut record, 5), News::None);
        assert_eq!(read(&mut record, 4), News::None);
        assert_eq!(read(&mut record, 3), News::None);
        assert_eq!(read(&mut record, 3), News::Changed);
        assert_eq!(record.changes, 1);
    }

    #[test]
    fn a_read_that_was_overtaken_by_another_brings_no_old_version_back() {
        let mut record = record();
        let read =
            |record: &mut Record, sent, number| record.succeeded((Some(mark(5)), Some(mark(number))), s(sent), s(9));
        assert_eq!(read(&mut record, 4, 5), News::None);
        assert_eq!([2, 3, 1].map(|sent| read(&mut record, sent, 4)), [News::None; 3]);
        assert_eq!(read(&mut record, 5, 6), News::Changed);
    }

    #[test]
    fn health_goes_from_ok_to_failing_to_stale_and_back() {
        let mut record = record();
        let health = |record: &Record, now| record.health(Some(1), s(0), s(now));
        let of = |status, last, since, failures, refreshes, age| Health {
            status,
            token_age_seconds: age,
            last_refresh_ok: last,
            seconds_since_success: Some(since),
            version: Some(1),
            refreshes,
            failures,
        };
        assert_eq!(health(&record, 10), of(HealthStatus::Ok, None, 10, 0, 0, 10));
        record.failed(&error(What::NotInitialised));
        assert_eq!(health(&record, 70), of(HealthStatus::Failing, Some(false), 70, 1, 1, 70));
        assert_eq!(health(&record, 180), of(HealthStatus::Failing, Some(false), 180, 1, 1, 180));
        assert_eq!(health(&record, 181), of(HealthStatus::Stale, Some(false), 181, 1, 1, 181));
        record.succeeded((Some(mark(1)), Some(mark(1))), s(200), s(200));
        assert_eq!(health(&record, 200), of(HealthStatus::Ok, Some(true), 0, 1, 2, 200));
        // A process that was suspended has a last read that went well, long ago.
        assert_eq!(health(&record, 10_000), of(HealthStatus::Stale, Some(true), 9800, 1, 2, 10_000));
    }

    #[test]
    fn one_that_could_not_be_read_at_first_is_failing_until_it_is_read() {
        let away = error(What::NotInitialised);
        let mut record = Record::begun_failing(Cycle::new(Every::seconds(60), s(0), 0.0), s(0), away.clone());
        let json =
            |record: &Record, version, now| serde_json::to_string(&record.health(version, s(0), s(now))).unwrap();
        assert_eq!(
            json(&record, None, 5),
            r#"{"status":"failing","token_age_seconds":5,"last_refresh_ok":false,"seconds_since_success":null,"version":null,"refreshes":0,"failures":0}"#
        );
        assert_eq!(record.failed(&away), News::None);
        assert_eq!(record.succeeded((None, Some(mark(1))), s(60), s(60)), News::Changed);
        assert_eq!(
            json(&record, Some(1), 61),
            r#"{"status":"ok","token_age_seconds":61,"last_refresh_ok":true,"seconds_since_success":1,"version":1,"refreshes":2,"failures":1}"#
        );
    }
}
