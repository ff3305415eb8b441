//! Durations of settings.

use std::time::Duration;

use vault_client::Seconds;
use vault_client::settings::value::{duration, duration_or_zero};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What is read as a duration is at most a year, says so in digits and units alone, and is read again from the way it
/// is shown in messages, which leave out what is less than a millisecond, beside minutes less
/// than a second and beside hours less than a minute.
pub fn durations(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let read = duration_or_zero(&text);
    assert_eq!(duration(&text).ok(), read.ok().filter(|read| !read.is_zero()));
    let Ok(read) = read else { return };
    assert!(read <= YEAR);
    assert!(!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b".smh".contains(&b)), "{text}");
    let shown = Seconds(read).to_string();
    let again = duration_or_zero(&shown).expect("what is shown can be written");
    let left_out = read.checked_sub(again).expect("nothing is added");
    let least = match shown.trim_end_matches("ms") {
        hours if hours.contains('h') => 60_000,
        minutes if minutes.contains('m') => 1000,
        _ => 1,
    };
    assert!(left_out < Duration::from_millis(least));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn durations_hold_for_texts_that_are_nearly_right(text in "([0-9]{0,12}[.]?[0-9.]{0,24}(ms|s|m|h|d|)[ -]?){0,4}") {
            durations(text.as_bytes());
        }

        #[test]
        fn whole_numbers_of_each_unit_add_up(h in 0..100_u64, m in 0..100_u64, s in 0..100_u64, ms in 0..5000_u64) {
            let sum = Duration::from_millis(((h * 60 + m) * 60 + s) * 1000 + ms);
            prop_assert_eq!(duration_or_zero(&format!("{h}h{m}m{s}s{ms}ms")), Ok(sum));
        }
    }
}
