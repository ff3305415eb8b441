//! What a client certificate says of itself, for a dry run.

use std::time::SystemTime;

use super::Inspected;
use crate::options::Leaf;
use crate::time::Seconds;

/// `seen`, with what `leaf` says of itself at `now`.
pub(super) fn inspected(seen: Inspected, leaf: &Leaf, now: SystemTime) -> Inspected {
    let Leaf { subject, not_after } = leaf;
    let (expiry, expires_in) = match not_after.map(|at| at.duration_since(now)) {
        None => ("never expires".to_owned(), None),
        Some(Ok(left)) => (format!("expires in {}", whole(left.as_secs())), Some(seconds(left.as_secs()))),
        Some(Err(past)) => {
            let past = past.duration().as_secs();
            (format!("expired {} ago by the clock here", whole(past)), Some(-seconds(past)))
        }
    };
    let who = if subject.is_empty() { "none" } else { subject };
    let said = format!("{}: subject {who}, {expiry}", seen.said);
    Inspected { said, subject: Some(subject.clone()), expires_in, ..seen }
}

fn whole(seconds: u64) -> Seconds {
    Seconds(std::time::Duration::from_secs(seconds))
}

fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_certificate_is_told_with_its_expiry_against_the_clock_here() {
        for (subject, not_after, said, expires_in) in [
            ("CN=till", Some(1090), "it: subject CN=till, expires in 1m30s", Some(90)),
            ("", Some(940), "it: subject none, expired 1m ago by the clock here", Some(-60)),
            ("CN=till", None, "it: subject CN=till, never expires", None),
        ] {
            let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
            let leaf = Leaf { subject: subject.to_owned(), not_after: not_after.map(at) };
            let seen = Inspected { said: "it".into(), ..Inspected::default() };
            let expected =
                Inspected { said: said.into(), subject: Some(subject.into()), expires_in, ..Inspected::default() };
            assert_eq!(inspected(seen, &leaf, at(1000)), expected);
        }
    }
}
