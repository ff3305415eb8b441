//! The memory for the bodies of all requests that are under way. Each alone has a limit; as many at once as there may be
//! requests would take more than the service has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many bytes there are for the bodies of all requests together. The memory limits of the deployments rest on it.
pub const BODIES: usize = 64 << 20;

/// So many bytes, of which one tenant never has more than half.
pub struct Bodies {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Of each tenant that has any.
    of: HashMap<String, usize>,
}

/// What one request has of it; all of it is free again when this is dropped.
pub struct Room {
    bodies: Arc<Bodies>,
    tenant: String,
    bytes: usize,
}

impl Bodies {
    /// So many bytes.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// For a request of this tenant, which has nothing yet.
    pub fn room(self: &Arc<Self>, tenant: &str) -> Room {
        Room { bodies: Arc::clone(self), tenant: tenant.to_owned(), bytes: 0 }
    }

    /// How many bytes are taken.
    pub fn taken(&self) -> usize {
        self.lock().all
    }

    /// A poisoned lock only means that a panic is under way; nothing here is half-changed then.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Takes so many bytes more. Returns false where the service or the tenant has not as many left; nothing is taken then.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        let mut taken = self.bodies.lock();
        let all = taken.all.saturating_add(bytes);
        let own = taken.of.get(&self.tenant).copied().unwrap_or_default().saturating_add(bytes);
        if all > self.bodies.most || own > self.bodies.most / 2 {
            return false;
        }
        taken.all = all;
        taken.of.insert(self.tenant.clone(), own);
        self.bytes += bytes;
        true
    }

    /// Gives so many bytes back, or all where it has less.
    pub fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        let mut taken = self.bodies.lock();
        taken.all -= bytes;
        if let Some(own) = taken.of.get_mut(&self.tenant) {
            *own -= bytes;
            if *own == 0 {
                taken.of.remove(&self.tenant);
            }
        }
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_has_half_at_most_and_all_together_have_no_more_than_there_is() {
        let bodies = Bodies::new(100);
        let (mut one, mut another) = (bodies.room("team-a"), bodies.room("team-a"));
        assert!(one.take(30) && another.take(20) && !another.take(1) && one.take(0));
        let mut third = bodies.room("team-b");
        assert!(third.take(40) && bodies.taken() == 90);
        let mut last = bodies.room("team-c");
        assert!(!last.take(11) && last.take(10) && !last.take(usize::MAX));
        assert_eq!((last.bytes(), bodies.taken()), (10, 100));
        one.give_back(5);
        assert!(another.take(5) && !last.take(1));
        drop(another);
        one.give_back(1000);
        assert_eq!((one.bytes(), bodies.taken()), (0, 50));
        drop((one, third, last));
        assert!(bodies.taken() == 0 && bodies.lock().of.is_empty());
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let bodies = Bodies::new(64);
        std::thread::scope(|scope| {
            for tenant in ["a", "b", "c", "d"] {
                let bodies = &bodies;
                scope.spawn(move || {
                    for bytes in 0..2000 {
                        let mut room = bodies.room(tenant);
                        let is_taken = room.take(bytes % 40);
                        assert!(bodies.taken() <= 64 && is_taken == (room.bytes() == bytes % 40));
                    }
                });
            }
        });
        assert!(bodies.taken() == 0 && bodies.lock().of.is_empty());
    }
}
