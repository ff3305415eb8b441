//! What is kept current, and which of two reads is the later one.

use std::time::SystemTime;

use crate::kv::{KvData, Version};

/// What can be kept current: a read of a secret.
pub trait Kept: Send + Sync + 'static {
    /// Which version it is; `None` where it was not read from the server.
    fn mark(&self) -> Option<Mark>;
}

/// Which version of a secret a read has brought. The time tells a secret that was deleted with its metadata and written
/// anew from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number.
    pub number: u64,
    /// When it was written, where the server says so.
    pub created: Option<SystemTime>,
}

/// What a read is to the one in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The same version.
    Same,
    /// A later one.
    Later,
    /// An earlier one: a node that lags behind has answered, or a backup was restored.
    Earlier,
}

impl Mark {
    /// What `read` is to `in_hand`.
    pub fn compared(in_hand: Option<Self>, read: Option<Self>) -> Compared {
        let (Some(before), Some(now)) = (in_hand, read) else {
            return if in_hand == read { Compared::Same } else { Compared::Later };
        };
        let is_written_later = now.created.zip(before.created).is_some_and(|(now, before)| now > before);
        match now.number.cmp(&before.number) {
            std::cmp::Ordering::Greater => Compared::Later,
            _ if is_written_later => Compared::Later,
            std::cmp::Ordering::Equal if now.created == before.created => Compared::Same,
            _ => Compared::Earlier,
        }
    }
}

impl Kept for KvData {
    fn mark(&self) -> Option<Mark> {
        Some(Mark { number: self.metadata.version, created: Some(self.metadata.created_time) })
    }
}

impl Kept for Version {
    fn mark(&self) -> Option<Mark> {
        let created = self.created.as_deref().and_then(|it| humantime::parse_rfc3339(it).ok());
        Some(Mark { number: self.number, created })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_version_is_later_by_its_number_or_where_the_secret_was_written_anew_by_its_time() {
        let mark = |number, at| Some(Mark { number, created: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(at)) });
        let untimed = |number| Some(Mark { number, created: None });
        for (in_hand, read, compared) in [
            (mark(3, 30), mark(3, 30), Compared::Same),
            (mark(3, 30), mark(4, 40), Compared::Later),
            // A leader's clock may be behind that of the one before.
            (mark(3, 30), mark(4, 29), Compared::Later),
            (mark(3, 30), mark(1, 40), Compared::Later),
            (mark(1, 30), mark(1, 40), Compared::Later),
            (mark(3, 30), mark(2, 20), Compared::Earlier),
            (mark(1, 40), mark(1, 30), Compared::Earlier),
            (untimed(3), untimed(3), Compared::Same),
            (untimed(3), untimed(2), Compared::Earlier),
            (None, untimed(1), Compared::Later),
            (None, None, Compared::Same),
        ] {
            assert_eq!(Mark::compared(in_hand, read), compared, "{in_hand:?} {read:?}");
        }
    }
}
