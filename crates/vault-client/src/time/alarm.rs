//! What a thread of the client waits with: a point in time, or somebody who rings.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::refused::Refused;

/// Wakes one thread. Its timer goes on while the machine is suspended.
/// [`timerfd_create`](https://man7.org/linux/man-pages/man2/timerfd_create.2.html)
#[derive(Debug)]
pub struct Alarm {
    timer: TimerFd,
    bell: EventFd,
}

impl Alarm {
    /// One that is not set.
    pub fn new() -> Result<Self, Refused> {
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
            .map_err(Refused::by("timerfd_create"))?;
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        Ok(Self { timer, bell: bell.map_err(Refused::by("eventfd2"))? })
    }

    /// Ends the wait that is under way, or else the next one, at once.
    pub fn ring(&self) {
        // It fails only where the counter is full, and then it is readable.
        let _ = self.bell.write(1);
    }

    /// Waits until `at`, in time since boot, or until it rings; with `None` until it rings.
    pub fn wait(&self, at: Option<Duration>) -> Result<(), Refused> {
        match at {
            // A time of zero would switch the timer off.
            Some(at) => {
                let at = Expiration::OneShot(TimeSpec::from_duration(at.max(Duration::from_nanos(1))));
                self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            }
            None => self.timer.unset(),
        }
        .map_err(Refused::by("timerfd_settime"))?;
        let mut both = [&self.timer.as_fd(), &self.bell.as_fd()].map(|it| PollFd::new(*it, PollFlags::POLLIN));
        match poll(&mut both, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Refused { call: "poll or ppoll", errno }),
        }
        let _ = self.bell.read();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::since_boot;
    use super::*;

    #[test]
    fn it_wakes_at_its_time_and_not_before() {
        let (alarm, at) = (Alarm::new().unwrap(), since_boot() + Duration::from_millis(20));
        alarm.wait(Some(at)).unwrap();
        assert!(since_boot() >= at);
    }

    #[test]
    fn a_time_that_has_passed_and_a_bell_that_rang_before_end_a_wait_at_once() {
        let alarm = Alarm::new().unwrap();
        alarm.wait(Some(Duration::ZERO)).unwrap();
        alarm.ring();
        alarm.wait(None).unwrap();
    }

    #[test]
    fn it_is_rung_by_another_thread() {
        let alarm = Arc::new(Alarm::new().unwrap());
        let ringer = std::thread::spawn({
            let alarm = Arc::clone(&alarm);
            move || alarm.ring()
        });
        alarm.wait(None).unwrap();
        ringer.join().unwrap();
    }
}
