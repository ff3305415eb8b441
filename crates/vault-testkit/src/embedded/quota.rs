//! A rate limit on everything, as `sys/quotas/rate-limit/` of the real server sets one: a bucket that is filled anew
//! every second.

use std::time::{Duration, Instant};

use super::reply::Reply;

/// Never limited, so that a server can be looked after.
const EXEMPT: [&str; 3] = ["sys/seal-status", "sys/health", "sys/unseal"];

const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Quota {
    rate: u64,
    left: u64,
    filled: Instant,
}

impl Quota {
    /// So many requests a second.
    pub(crate) fn new(rate: u64) -> Self {
        Self { rate, left: rate, filled: Instant::now() }
    }

    /// Takes a request off, or refuses it.
    pub(crate) fn admit(&mut self, path: &str) -> Result<(), Reply> {
        if EXEMPT.contains(&path) {
            return Ok(());
        }
        if self.filled.elapsed() >= SECOND {
            self.filled = Instant::now();
            self.left = self.rate;
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            let text = format!("request path \"{path}\": rate limit quota exceeded");
            // The real server rounds down, to zero; a limiter in front of it rounds up.
            Reply { retry_after: Some(SECOND.as_secs()), ..Reply::error(429, text) }
        })?;
        Ok(())
    }
}
