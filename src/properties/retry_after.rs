//! `Retry-After`, from the header to the pause.

use std::cell::Cell;
use std::time::{Duration, Instant, UNIX_EPOCH};

use vault_client::retry::{Clock, Policy};
use vault_client::{Fault, Retry, Step, ToLog, What};

/// What the budget of a run is here.
const BUDGET: Duration = Duration::from_secs(120);

/// A date like any other.
const NOW: Duration = Duration::from_secs(784_111_777);

/// A pause is read from whole seconds and from dates alone; it is kept exactly where the budget can hold it, and else
/// there is none.
pub fn retry_after(input: &[u8]) {
    let (text, now) = (String::from_utf8_lossy(input), UNIX_EPOCH + NOW);
    let read = vault_client::retry_after(&text, now);
    match (text.parse::<u32>(), httpdate::parse_http_date(&text)) {
        (Ok(seconds), _) if text.starts_with(|c: char| c.is_ascii_digit()) => {
            assert_eq!(read, Some(Duration::from_secs(seconds.into())));
        }
        (_, Ok(date)) => assert_eq!(read, Some(date.duration_since(now).unwrap_or_default())),
        _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            assert_eq!(read, Some(Duration::from_secs(u32::MAX.into())));
        }
        _ => assert_eq!(read, None),
    }
    let Some(pause) = read else { return };
    let clock = Counted { start: Instant::now(), passed: Cell::default() };
    let policy =
        Policy { once: false, retries: 1, delay: Duration::ZERO, wait: None, budget: (clock.start + BUDGET, BUDGET) };
    let tries = Cell::new(0);
    let _ = policy.run::<()>(&Step::Status, &clock, &ToLog, || {
        tries.set(tries.get() + 1);
        Err(Fault { what: What::NotInitialised, retry: Retry::After(pause), status: None, request_id: None })
    });
    let expected = if pause < BUDGET { (2, pause) } else { (1, Duration::ZERO) };
    assert_eq!((tries.get(), clock.passed.get()), expected);
}

/// Time that passes only in pauses.
struct Counted {
    start: Instant,
    passed: Cell<Duration>,
}

impl Clock for Counted {
    fn now(&self) -> Instant {
        self.start + self.passed.get()
    }

    fn pause(&self, until: Instant) {
        self.passed.set(until.duration_since(self.start));
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn retry_after_holds_for_numbers_dates_and_what_looks_like_them(
            text in prop_oneof![
                "[ +-]?[0-9]{0,24}[.]?[0-9]?",
                "(Sun|Mon), [0-9]{2} (Nov|Feb) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|UTC)",
                "(Sunday), [0-9]{2}-Nov-[0-9]{2} 08:49:37 GMT",
                "Sun Nov [ 0-9][0-9] 08:49:37 [0-9]{4}",
            ],
        ) {
            retry_after(text.as_bytes());
        }

        #[test]
        fn a_date_is_read_as_the_seconds_until_it(seconds in 0..10_000_000_u64) {
            let (now, pause) = (UNIX_EPOCH + NOW, Duration::from_secs(seconds));
            let date = httpdate::fmt_http_date(now + pause);
            prop_assert_eq!(vault_client::retry_after(&date, now), Some(pause));
        }
    }
}
