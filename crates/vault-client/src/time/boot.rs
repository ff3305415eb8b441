//! A clock that goes on while the machine is suspended, and that nobody sets.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The time since the machine was started, suspension included: a lease goes on meanwhile too.
/// [`CLOCK_BOOTTIME`](https://man7.org/linux/man-pages/man2/clock_gettime.2.html)
pub fn since_boot() -> Duration {
    // Linux has had this clock since 2.6.39; one that is refused makes every lease look fresh, and a 403 ends it then.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}
