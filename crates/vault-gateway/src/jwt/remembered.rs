//! Tokens that were verified a short while ago.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::digest;

use super::Caller;
use super::keyring::Keyring;

/// How many are remembered at most.
const MAX_TOKENS: usize = 10_000;

/// Threads that meet different tokens seldom wait for each other.
const SHARDS: usize = 16;

/// What the clocks say.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since 1970: what the times of tokens are compared with.
    pub wall: Duration,
    /// What durations are measured with: nobody sets this clock.
    pub steady: Instant,
}

impl Now {
    /// What they say now.
    pub fn read() -> Self {
        Self { wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), steady: Instant::now() }
    }
}

/// The SHA-256 of a token: the memory of the process does not hold the token itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; 32]);

impl Name {
    /// That of `token`.
    pub fn of(token: &str) -> Self {
        let mut name = [0; 32];
        name.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(name)
    }
}

/// Which keys a token was verified with.
#[derive(Clone)]
pub struct VerifiedWith {
    /// The keys of the issuer.
    pub keyring: Arc<Keyring>,
    /// Which of their generations.
    pub generation: u64,
}

struct Entry {
    caller: Arc<Caller>,
    with: VerifiedWith,
    exp: f64,
    until: Instant,
}

impl Entry {
    fn holds(&self, now: Now) -> bool {
        now.steady < self.until
            && now.wall.as_secs_f64() < self.exp
            && self.with.keyring.generation() == self.with.generation
    }
}

/// Tokens that need not be verified again.
pub struct Remembered {
    shards: [Mutex<Shard>; SHARDS],
    time: Duration,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Name, Entry>,
    /// The names of all entries, the oldest first.
    order: VecDeque<Name>,
}

impl Remembered {
    /// Remembers each token for `time`; `None` where that is zero.
    pub fn new(time: Duration) -> Option<Self> {
        (!time.is_zero()).then(|| Self { shards: std::array::from_fn(|_| Mutex::default()), time })
    }

    /// The caller with this token. `None` where it has to be verified: it was not, too long ago, it has expired since, or
    /// the keys of the issuer have changed since.
    pub fn get(&self, name: &Name, now: Now) -> Option<Arc<Caller>> {
        let shard = self.shard(name).lock().unwrap_or_else(PoisonError::into_inner);
        let entry = shard.entries.get(name)?;
        entry.holds(now).then(|| Arc::clone(&entry.caller))
    }

    /// Remembers that the token was verified. `exp` is its claim.
    pub fn put(&self, name: Name, caller: &Arc<Caller>, with: VerifiedWith, exp: f64, now: Now) {
        let entry = Entry { caller: Arc::clone(caller), with, exp, until: now.steady + self.time };
        self.shard(&name).lock().unwrap_or_else(PoisonError::into_inner).put(name, entry, now);
    }

    fn shard(&self, name: &Name) -> &Mutex<Shard> {
        &self.shards[usize::from(name.0[0]) % SHARDS]
    }
}

impl Shard {
    fn put(&mut self, name: Name, entry: Entry, now: Now) {
        if self.entries.insert(name, entry).is_some() {
            self.order.retain(|other| *other != name);
        }
        self.order.push_back(name);
        while let Some(oldest) = self.order.front() {
            let is_full = self.order.len() > MAX_TOKENS / SHARDS;
            // The oldest are those whose time is over first.
            if !is_full && self.entries.get(oldest).is_some_and(|entry| entry.holds(now)) {
                break;
            }
            self.entries.remove(oldest);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;
    use crate::jwt::fetch::Source;
    use crate::jwt::tests::forge;

    fn caller() -> Arc<Caller> {
        Arc::new(Caller::new(Arc::new(forge::issuer("https://idp.example")), Claims::new(serde_json::Map::new())))
    }

    fn with() -> VerifiedWith {
        let keyring = Arc::new(Keyring::new(Source::of(&forge::issuer("https://idp.example"))));
        VerifiedWith { generation: keyring.generation(), keyring }
    }

    fn later(now: Now, seconds: u64) -> Now {
        let passed = Duration::from_secs(seconds);
        Now { wall: now.wall + passed, steady: now.steady + passed }
    }

    #[test]
    fn a_token_is_remembered_for_a_time_and_until_it_expires() {
        let now = Now::read();
        let seconds = now.wall.as_secs_f64();
        for (exp, passed, remembered) in [
            (seconds + 300.0, 0, true),
            (seconds + 300.0, 59, true),
            (seconds + 300.0, 60, false),
            (seconds + 10.0, 9, true),
            (seconds + 10.0, 10, false),
            (seconds - 10.0, 0, false),
        ] {
            let tokens = Remembered::new(Duration::from_secs(60)).unwrap();
            let (name, caller) = (Name::of("token"), caller());
            tokens.put(name, &caller, with(), exp, now);
            let found = tokens.get(&name, later(now, passed));
            assert_eq!(found.is_some_and(|found| Arc::ptr_eq(&found, &caller)), remembered, "{exp} {passed}");
            assert!(tokens.get(&Name::of("Token"), now).is_none());
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_the_time_longer() {
        let tokens = Remembered::new(Duration::from_secs(60)).unwrap();
        let (now, name) = (Now::read(), Name::of("token"));
        tokens.put(name, &caller(), with(), now.wall.as_secs_f64() + 300.0, now);
        let steady = now.steady + Duration::from_secs(60);
        assert!(tokens.get(&name, Now { wall: Duration::ZERO, steady }).is_none());
    }

    #[test]
    fn a_token_is_gone_with_the_keys_that_it_was_verified_with() {
        let tokens = Remembered::new(Duration::from_secs(60)).unwrap();
        let (now, name, mut with) = (Now::read(), Name::of("token"), with());
        with.generation += 1;
        tokens.put(name, &caller(), with, now.wall.as_secs_f64() + 300.0, now);
        assert!(tokens.get(&name, now).is_none());
    }

    #[test]
    fn at_most_10_000_are_remembered_and_the_oldest_go_first() {
        let tokens = Remembered::new(Duration::from_secs(60)).unwrap();
        let (caller, with, now) = (caller(), with(), Now::read());
        let exp = now.wall.as_secs_f64() + 300.0;
        let names: Vec<_> = (0..30_000).map(|n| Name::of(&n.to_string())).collect();
        for name in names.iter().chain(&names) {
            tokens.put(*name, &caller, with.clone(), exp, now);
        }
        let lengths = tokens.shards.each_ref().map(|shard| {
            let shard = shard.lock().unwrap();
            (shard.entries.len(), shard.order.len())
        });
        assert_eq!(lengths, [(MAX_TOKENS / SHARDS, MAX_TOKENS / SHARDS); SHARDS]);
        assert!(tokens.get(&names[0], now).is_none());
        assert!(tokens.get(&names[29_999], now).is_some());
    }

    #[test]
    fn tokens_whose_time_is_over_make_room() {
        let tokens = Remembered::new(Duration::from_secs(60)).unwrap();
        let (caller, with, now) = (caller(), with(), Now::read());
        let exp = now.wall.as_secs_f64() + 3000.0;
        for n in 0..1000 {
            tokens.put(Name::of(&n.to_string()), &caller, with.clone(), exp, now);
        }
        for n in 0..1000 {
            tokens.put(Name::of(&format!("later {n}")), &caller, with.clone(), exp, later(now, 60));
        }
        let length: usize = tokens.shards.iter().map(|shard| shard.lock().unwrap().entries.len()).sum();
        assert_eq!(length, 1000);
    }

    #[test]
    fn nothing_is_remembered_for_no_time() {
        assert!(Remembered::new(Duration::ZERO).is_none());
    }
}
