//! What lets each signed request pass once, and no caller too often. It reads no clock.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// How far the clocks of caller and agent may be apart, in seconds.
pub const SKEW: u64 = 60;

/// The requests that have passed.
pub struct Gate {
    /// The nonces of each second, with their callers. A request that comes again has the same second: it is signed.
    passed: BTreeMap<u64, HashSet<(String, String)>>,
    /// How many nonces are in it, and may be.
    count: usize,
    most: usize,
    /// Requests that were signed before this second do not pass: whether they have is not known any more. It is the one after
    /// the agent's start at first.
    from: u64,
    /// How many requests of a caller pass in a second.
    rate: f64,
    buckets: BTreeMap<String, Bucket>,
}

/// What is left of a caller's rate.
struct Bucket {
    left: f64,
    at: Duration,
}

/// When a request is judged, by two clocks.
#[derive(Clone, Copy)]
pub struct Moment {
    /// Seconds since 1970, by a clock that can be set.
    pub unix: u64,
    /// By one that cannot, since any fixed point.
    pub steady: Duration,
}

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// It was signed too long ago, or too far in the future.
    Clock,
    /// It has passed before.
    Replayed,
    /// No more nonces can be remembered now.
    Full,
    /// The caller has to wait for so many seconds.
    TooMany(u64),
}

/// Whether a request that was signed at `timestamp` is of this time.
pub fn is_timely(timestamp: u64, now: u64) -> bool {
    timestamp.abs_diff(now) <= SKEW
}

impl Gate {
    /// One that opens when the second `start` is over, as an agent before may have let pass what was signed in it. It lets `rate` requests of a caller pass in a second, and remembers `most` nonces.
    pub fn new(start: u64, rate: u32, most: usize) -> Self {
        let (passed, buckets) = (BTreeMap::new(), BTreeMap::new());
        Self { passed, count: 0, most, from: start.saturating_add(1), rate: rate.into(), buckets }
    }

    /// Lets a request pass. Its signature has been verified, and its caller is known: others leave no trace here.
    ///
    /// # Errors
    ///
    /// It does not pass, and is not remembered: the same request may come again.
    pub fn pass(&mut self, caller: &str, nonce: &str, timestamp: u64, now: Moment) -> Result<(), Shut> {
        self.forget(now.unix);
        if timestamp < self.from || !is_timely(timestamp, now.unix) {
            return Err(Shut::Clock);
        }
        let key = (caller.to_owned(), nonce.to_owned());
        if self.passed.get(&timestamp).is_some_and(|passed| passed.contains(&key)) {
            return Err(Shut::Replayed);
        }
        if self.count >= self.most {
            return Err(Shut::Full);
        }
        self.take(caller, now.steady)?;
        self.passed.entry(timestamp).or_default().insert(key);
        self.count += 1;
        Ok(())
    }

    /// Forgets what is refused for its time anyhow. A clock that was set back does not bring it back.
    fn forget(&mut self, now: u64) {
        let kept = self.passed.split_off(&now.saturating_sub(SKEW));
        let forgotten = std::mem::replace(&mut self.passed, kept);
        for (second, passed) in forgotten {
            self.count -= passed.len();
            self.from = self.from.max(second + 1);
        }
    }

    /// Takes one of the caller's requests from its rate.
    fn take(&mut self, caller: &str, now: Duration) -> Result<(), Shut> {
        let full = Bucket { left: self.rate, at: now };
        let bucket = self.buckets.entry(caller.to_owned()).or_insert(full);
        let since = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * self.rate).min(self.rate);
        bucket.at = bucket.at.max(now);
        if bucket.left < 1.0 {
            // As `rate` is at least 1, a second is enough.
            return Err(Shut::TooMany(1));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}
