//! The keys of an issuer as they change: who asks for a fetch, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

use super::fault::Fault;
use super::fetch::Source;
use super::keys::{Key, KeySet};

/// What is told of each fetch: the URL of the issuer, and whether the keys came.
pub type Observer = Arc<dyn Fn(&str, bool) + Send + Sync>;

/// Between two fetches in the background.
const REFRESH: Duration = Duration::from_secs(300);

/// Between a fetch in the background that failed and the next.
const RETRY: Duration = Duration::from_secs(30);

/// Between two fetches because of an unknown key.
const PAUSE: Duration = Duration::from_secs(30);

/// So many callers may wait for a fetch because of an unknown key. Each of them takes one of the places of the service, and
/// who forges tokens must not hold them all while the issuer is slow.
pub const MOST_WAITING: usize = 32;

/// The keys of an issuer.
pub struct Keyring {
    source: Source,
    keys: RwLock<Arc<KeySet>>,
    /// Goes up whenever the keys have changed. Written under the lock of `keys`.
    generation: AtomicU64,
    state: Mutex<State>,
    /// How many fetches have ended.
    ended: watch::Sender<u64>,
    /// The places of those who wait because of an unknown key.
    waiting: Semaphore,
}

#[derive(Default)]
struct State {
    under_way: bool,
    last: Option<Last>,
    succeeded: Option<Instant>,
    /// When an unknown key may lead to a fetch again.
    may_demand: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Last {
    at: Instant,
    ok: bool,
}

/// A key, and the generation of the keys that it is of.
pub struct Found {
    /// The key.
    pub key: Arc<Key>,
    /// The generation of the keys.
    pub generation: u64,
}

impl Keyring {
    /// Without keys; nothing is fetched yet.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            keys: RwLock::default(),
            generation: AtomicU64::new(0),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    /// Where the keys come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Goes up whenever the keys have changed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The key of this name.
    pub fn find(&self, kid: &str) -> Option<Found> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(kid).map(|key| Found { key: Arc::clone(key), generation: self.generation() })
    }

    /// How long ago the keys were fetched; `None`: they never were.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.state().succeeded.map(|at| now.saturating_duration_since(at))
    }

    /// Returns when a fetch has ended, well or not.
    pub async fn first_try(&self) {
        // It cannot fail: the sender is here.
        let _ = self.ended.subscribe().wait_for(|ended| *ended > 0).await;
    }

    /// How long the background may rest. `jitter` is near to 1; it keeps replicas from asking at the same time.
    pub fn rest(&self, jitter: f64, now: Instant) -> Duration {
        let Some(last) = self.state().last else { return Duration::ZERO };
        let pause = if last.ok { REFRESH } else { RETRY };
        pause.mul_f64(jitter).saturating_sub(now.saturating_duration_since(last.at))
    }

    /// Fetches the keys. A fetch that is under way already is waited for instead.
    pub async fn refresh(self: &Arc<Self>, observer: &Observer) {
        let ended = {
            let mut state = self.state();
            let ended = self.ended.subscribe();
            self.start(&mut state, observer);
            ended
        };
        wait(ended).await;
    }

    /// Fetches the keys because a token names an unknown one. All who ask wait for one fetch. For 30 seconds after it has
    /// begun there is no other, and this returns at once. So it does where [`MOST_WAITING`] wait already.
    pub async fn demand(self: &Arc<Self>, observer: &Observer, now: Instant) {
        let Ok(_place) = self.waiting.try_acquire() else { return };
        let ended = {
            let mut state = self.state();
            // Taken before the lock is released: the end of the fetch cannot be missed.
            let ended = self.ended.subscribe();
            if !state.under_way {
                if state.may_demand.is_some_and(|at| now < at) {
                    return;
                }
                state.may_demand = Some(now + PAUSE);
                self.start(&mut state, observer);
            }
            ended
        };
        wait(ended).await;
    }

    /// Starts a fetch unless one is under way. It goes on where nobody waits for it any more.
    fn start(self: &Arc<Self>, state: &mut State, observer: &Observer) {
        if std::mem::replace(&mut state.under_way, true) {
            return;
        }
        let (keyring, observer) = (Arc::clone(self), Arc::clone(observer));
        tokio::spawn(async move {
            let source = keyring.source.clone();
            let fetched = tokio::task::spawn_blocking(move || source.fetch()).await.unwrap_or(Err(Fault::Panic));
            observer(keyring.source.issuer(), fetched.is_ok());
            keyring.end(fetched);
        });
    }

    /// Takes the keys over. Those in hand stay where there are none.
    fn end(&self, fetched: Result<KeySet, Fault>) {
        let ok = fetched.is_ok();
        match fetched {
            Ok(keys) => self.replace(keys),
            Err(fault) => {
                tracing::warn!(issuer = self.source.issuer(), "issuer: the keys were not fetched: {fault}");
            }
        }
        let at = Instant::now();
        let mut state = self.state();
        state.under_way = false;
        state.last = Some(Last { at, ok });
        if ok {
            state.succeeded = Some(at);
        }
        // Under the lock, or who starts the next fetch would take this end for that of its own.
        self.ended.send_modify(|ended| *ended += 1);
    }

    fn replace(&self, keys: KeySet) {
        let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if **current == keys {
            return;
        }
        let count = keys.len();
        *current = Arc::new(keys);
        self.generation.fetch_add(1, Ordering::Release);
        drop(current);
        tracing::info!(issuer = self.source.issuer(), keys = count, "issuer: the keys are new");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns at the end of the first fetch after `ended` was subscribed.
async fn wait(mut ended: watch::Receiver<u64>) {
    // It cannot fail: who waits holds the keyring, and that the sender.
    let _ = ended.changed().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::tests::forge;

    #[test]
    fn the_background_rests_five_minutes_and_half_a_minute_after_a_failure() {
        let keyring = Keyring::new(Source::of(&forge::issuer("https://idp.example")));
        let at = Instant::now();
        assert_eq!(keyring.rest(1.0, at), Duration::ZERO);
        for (ok, jitter, passed, rest) in [
            (true, 1.0, 0, 300),
            (true, 1.0, 100, 200),
            (true, 1.0, 301, 0),
            (true, 0.5, 100, 50),
            (false, 1.0, 0, 30),
            (false, 1.0, 31, 0),
        ] {
            keyring.state().last = Some(Last { at, ok });
            let rested = keyring.rest(jitter, at + Duration::from_secs(passed));
            assert_eq!(rested, Duration::from_secs(rest), "{ok} {jitter} {passed}");
        }
    }

    /// Nothing that is spawned runs on this runtime before all of them wait.
    #[tokio::test(flavor = "current_thread")]
    async fn whoever_asks_joins_the_fetch_that_is_under_way() {
        let none = std::path::PathBuf::from("/none/keys.json");
        let keyring = Arc::new(Keyring::new(Source::of(&forge::issuer_of_file("https://idp.example", none))));
        let observer: Observer = Arc::new(|_, _| ());
        let fetches = async {
            // Each fetch holds the keys, and so does this test.
            assert_eq!(Arc::strong_count(&keyring), 2);
        };
        let now = Instant::now();
        let demands = async { tokio::join!(keyring.demand(&observer, now), keyring.demand(&observer, now)) };
        tokio::join!(keyring.refresh(&observer), keyring.refresh(&observer), demands, fetches);
        assert_eq!(keyring.state().may_demand, None, "nobody began a fetch for an unknown key");
    }
}
