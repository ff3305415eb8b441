//! When a watched secret is read again. Nothing here sends, reads a clock or draws a number: `spread` is a number in
//! [0, 1), drawn anew for each call, and a moment is a [`Duration`] since any fixed point.

use std::time::Duration;

/// How often a watched secret is read again: after this long and a twelfth to a sixth more, so that programs that started
/// together do not stay together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Every(Duration);

impl Every {
    /// The shortest.
    pub const LEAST: Duration = Duration::from_secs(1);

    /// Every so many seconds; 0 is taken for 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use vault_client::watch::Every;
    ///
    /// assert_eq!(Every::seconds(60).length(), Duration::from_secs(60));
    /// assert_eq!(Every::of(Duration::from_millis(20)), Every::seconds(1));
    /// ```
    pub fn seconds(seconds: u64) -> Self {
        Self::of(Duration::from_secs(seconds))
    }

    /// Every so often; less than a second is taken for one.
    pub fn of(length: Duration) -> Self {
        Self(length.max(Self::LEAST))
    }

    /// How often, without what is added.
    pub fn length(self) -> Duration {
        self.0
    }

    /// The length × uniform[13/12, 7/6]: of 60 s it is 65 to 70 s.
    fn pause(self, spread: f64) -> Duration {
        let twelfth = self.0 / 12;
        self.0.saturating_add(twelfth).saturating_add(twelfth.mul_f64(spread))
    }
}

/// When a secret is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    every: Every,
    due: Duration,
}

impl Cycle {
    /// One of a secret that was read at `sent`.
    pub fn new(every: Every, sent: Duration, spread: f64) -> Self {
        Self { every, due: sent.saturating_add(every.pause(spread)) }
    }

    /// How often.
    pub fn every(&self) -> Every {
        self.every
    }

    /// When it is read next.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// A read was sent at `sent` and ended at `ended`, well or not: the next is an interval after it was sent. One that
    /// took longer than that is not followed by another at once.
    pub fn tried(&mut self, sent: Duration, ended: Duration, spread: f64) {
        let pause = self.every.pause(spread);
        let next = sent.saturating_add(pause);
        self.due = if next > ended { next } else { ended.saturating_add(pause) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_secret_of_60_s_is_read_again_after_65_to_70_s() {
        for (spread, due) in [(0.0, 65_000), (0.5, 67_500), (1.0, 70_000)] {
            let cycle = Cycle::new(Every::seconds(60), s(100), spread);
            assert_eq!(cycle.due(), s(100) + Duration::from_millis(due));
        }
    }

    #[test]
    fn a_read_counts_from_when_it_was_sent_and_one_that_took_too_long_from_its_end() {
        let mut cycle = Cycle::new(Every::seconds(12), s(0), 0.0);
        cycle.tried(s(13), s(20), 0.0);
        assert_eq!(cycle.due(), s(26));
        cycle.tried(s(26), s(56), 1.0);
        assert_eq!(cycle.due(), s(70));
    }

    #[test]
    fn no_length_overflows() {
        let cycle = Cycle::new(Every::of(Duration::MAX), s(1), 0.999);
        assert_eq!(cycle.due(), Duration::MAX);
    }
}
