//! Times and durations as JSON has them: RFC 3339, and seconds as the server reads them.

use std::time::{Duration, SystemTime};

use serde::Serializer;

pub fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339(*time))
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
pub fn rfc3339_or_null<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// A part of a second is a whole one: zero means that there is no end.
pub fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    serializer.collect_str(&format_args!("{whole}s"))
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
pub fn seconds_or_null<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => seconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}
