//! Durations as they are written in messages.

use std::fmt;
use std::time::Duration;

/// A duration as an operator writes it: `350ms`, `2.5s`, `1m30s`, `2h30m`.
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match (millis / 60_000, millis % 60_000) {
            (0, millis @ 0..1000) => write!(f, "{millis}ms"),
            (0, millis) if millis % 1000 == 0 => write!(f, "{}s", millis / 1000),
            (0, millis) => write!(f, "{}.{}s", millis / 1000, format!("{:03}", millis % 1000).trim_end_matches('0')),
            (minutes @ 120.., _) if minutes % 60 == 0 => write!(f, "{}h", minutes / 60),
            (minutes @ 120.., _) => write!(f, "{}h{}m", minutes / 60, minutes % 60),
            (minutes, 0..1000) => write!(f, "{minutes}m"),
            (minutes, millis) => write!(f, "{minutes}m{}s", millis / 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for (millis, text) in [
            (0, "0ms"),
            (350, "350ms"),
            (2500, "2.5s"),
            (120_000, "2m"),
            (90_400, "1m30s"),
            (7_200_000, "2h"),
            (9_000_000, "2h30m"),
            (2_764_800_000, "768h"),
        ] {
            assert_eq!(Seconds(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
