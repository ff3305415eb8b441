//! Threads that read while their tokens live for two seconds only.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use vault_testkit::server::Server;

use crate::corner::{Corner, PATH};

const THREADS: usize = 8;

/// What each thread waits for between two reads: more of them tell no more, and fill the server's log.
const PAUSE: Duration = Duration::from_millis(25);

/// What came of it.
pub(crate) struct Leases {
    pub(crate) length: Duration,
    pub(crate) reads: usize,
    pub(crate) failures: usize,
    pub(crate) logins: usize,
    pub(crate) renewals: usize,
}

impl Leases {
    /// Reads for `length`.
    pub(crate) fn watch(server: &Server, length: Duration) -> Self {
        let corner = Corner::of(server, "2s", "6s");
        let client = corner.client(&corner.url());
        let (reads, failures) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let end = Instant::now() + length;
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while Instant::now() < end {
                        let failed = client.kv_read(&corner.name, PATH).is_err();
                        reads.fetch_add(1, Ordering::Relaxed);
                        failures.fetch_add(usize::from(failed), Ordering::Relaxed);
                        std::thread::sleep(PAUSE);
                    }
                });
            }
        });
        client.close();
        Self {
            length,
            reads: reads.into_inner(),
            failures: failures.into_inner(),
            logins: corner.count("auth/kubernetes/login"),
            renewals: corner.count("renew-self"),
        }
    }
}
