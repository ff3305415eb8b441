//! The cache as one login sees it: the token to start with, the right to ask a person, and what is kept afterwards.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Oidc;
use super::cache::{self, CachedLogin, Entry, Folder, LEAST, Lock};
use crate::endpoint::Endpoint;
use crate::observe::Event;
use crate::secret::Secret;
use crate::session::Session;
use crate::text;
use crate::time::{Call, Ended};
use crate::token::Kept;

/// So often it is looked whether another program has logged in.
const LOOK: Duration = Duration::from_millis(100);

/// The cache, for one login at one server.
pub struct Store<'a> {
    endpoint: &'a Endpoint,
    key: CachedLogin,
    name: String,
    path: Option<&'a Path>,
    /// `None` where there is none, or none that can be used.
    folder: Option<Folder>,
    /// Whether what is wrong with a file is told.
    tells: bool,
}

/// Who logs in.
pub enum Turn<'a> {
    /// This program, which may keep the token.
    Mine(Lock<'a>),
    /// Another one has, with this token.
    Theirs(Box<Session>),
    /// This program, which cannot keep the token.
    Uncached,
}

impl<'a> Store<'a> {
    /// That of `oidc` at `endpoint`. A folder that cannot be used is told once, and not used.
    pub fn of(oidc: &'a Oidc, endpoint: &'a Endpoint) -> Self {
        Self::telling(oidc, endpoint, true)
    }

    /// The same, without a word about what is wrong.
    pub fn quiet(oidc: &'a Oidc, endpoint: &'a Endpoint) -> Self {
        Self::telling(oidc, endpoint, false)
    }

    fn telling(oidc: &'a Oidc, endpoint: &'a Endpoint, tells: bool) -> Self {
        let key = oidc.cached_login(endpoint);
        let mut path = oidc.cache.as_deref();
        let folder = path.and_then(|folder| {
            Folder::open(folder).unwrap_or_else(|flaw| {
                path = None;
                if tells {
                    warn(endpoint, &text::os(folder), &flaw);
                }
                None
            })
        });
        Self { endpoint, name: key.name(), key, path, folder, tells }
    }

    /// A session with the cached token; `None` where there is none that is good for long enough. It asks the server nothing.
    pub fn session(&self) -> Option<Session> {
        self.open(self.read(self.folder.as_ref()?)?)
    }

    fn open(&self, entry: Entry) -> Option<Session> {
        let left = entry.left(SystemTime::now());
        (left >= LEAST).then(|| entry.session(self.endpoint, left))
    }

    fn read(&self, folder: &Folder) -> Option<Entry> {
        cache::read(folder, &self.key).unwrap_or_else(|flaw| {
            if self.tells {
                warn(self.endpoint, &cache::shown(self.path?, &self.name), &flaw);
            }
            None
        })
    }

    /// Makes the folder where there is none.
    pub fn make(&mut self) {
        if let (Some(path), None) = (self.path, &self.folder) {
            self.folder = Folder::make(path).inspect_err(|flaw| warn(self.endpoint, &text::os(path), flaw)).ok();
        }
    }

    /// Waits until this program may ask a person, or another one has. `told` is called once where it has to wait.
    pub fn turn(&self, call: &Call, told: impl FnOnce()) -> Result<Turn<'_>, Ended> {
        let (Some(path), Some(folder)) = (self.path, &self.folder) else { return Ok(Turn::Uncached) };
        let mut told = Some(told);
        loop {
            match folder.lock(&self.name) {
                // Who had it before may have stored a token.
                Ok(Some(lock)) => {
                    return Ok(match self.stored(folder) {
                        Some(session) => Turn::Theirs(Box::new(session)),
                        None => Turn::Mine(lock),
                    });
                }
                Ok(None) => {}
                Err(flaw) => {
                    warn(self.endpoint, &text::os(path), &flaw);
                    return Ok(Turn::Uncached);
                }
            }
            if let Some(told) = told.take() {
                told();
            }
            call.pause(Instant::now() + LOOK)?;
            if let Some(session) = self.stored(folder) {
                return Ok(Turn::Theirs(Box::new(session)));
            }
        }
    }

    /// What another program has stored meanwhile. What is wrong with a file was told before.
    fn stored(&self, folder: &Folder) -> Option<Session> {
        cache::read(folder, &self.key).ok().flatten().and_then(|entry| self.open(entry))
    }

    /// Keeps the token of `session` for the next start where it is good for long enough, and leaves it alive then.
    pub fn keep(&self, lock: &Lock, session: &Session) {
        let left = session.info.expires_in().filter(|left| *left >= LEAST);
        let (Some(left), Some(token)) = (left, session.token()) else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let entry = Entry {
            key: self.key.clone(),
            token: Secret::new(token.expose()),
            expires_at: (now + left).as_secs(),
            renewable: session.info.renewable,
            policies: session.info.policies.clone(),
        };
        match lock.write(&self.name, &entry.encode()) {
            Ok(()) => session.leave(Kept::Cached),
            Err(flaw) => {
                let file = self.path.map(|path| cache::shown(path, &self.name)).unwrap_or_default();
                let told = format!("the login's token is not kept for the next start: {file}: {flaw}");
                self.endpoint.note(&Event::Warning(&told));
            }
        }
    }

    /// Drops the cached token where it is this one, which is dead.
    pub fn drop_token(&self, token: &Secret) {
        let Some(folder) = &self.folder else { return };
        // Whoever has the lock is about to replace it.
        if let (Ok(Some(_lock)), Some(entry)) = (folder.lock(&self.name), self.read(folder))
            && entry.token.expose() == token.expose()
        {
            let _ = folder.remove(&self.name);
        }
    }
}

fn warn(endpoint: &Endpoint, place: &str, flaw: &str) {
    endpoint.note(&Event::Warning(&format!("the cached token in {place} is not used: {flaw}")));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::super::Listen;
    use super::*;
    use crate::observe::ToLog;
    use crate::options::{Address, Options};
    use crate::time::{Cancel, Limits};
    use crate::token::TokenInfo;

    fn endpoint() -> Endpoint {
        let address = Address::parse("http://vault.example:8200").unwrap();
        Endpoint::canned(&Options::new(address), Limits::default(), Arc::new(ToLog), b"")
    }

    fn oidc(place: &Path) -> Oidc {
        let cache = Some(place.join("vault-client"));
        Oidc {
            mount: "oidc".into(),
            role: None,
            listen: Listen::None,
            browser: false,
            interactive: true,
            cache,
            revoke: true,
        }
    }

    /// A session of a login whose token is good for so long.
    fn session(endpoint: &Endpoint, token: &str, left: Duration) -> Session {
        let info = TokenInfo::cached(left, true, vec!["shop".into()]);
        let session = Session::cached(endpoint, Arc::new(Secret::new(token)), info);
        session.leave(Kept::Wanted);
        session
    }

    /// Keeps this token, as another program does.
    fn keep(oidc: &Oidc, endpoint: &Endpoint, token: &str, left: Duration) -> bool {
        let mut store = Store::of(oidc, endpoint);
        store.make();
        let lock = store.folder.as_ref().unwrap().lock(&store.name).unwrap().unwrap();
        let session = session(endpoint, token, left);
        store.keep(&lock, &session);
        session.is_cached()
    }

    fn cached(oidc: &Oidc, endpoint: &Endpoint) -> Option<String> {
        Store::of(oidc, endpoint).session().map(|session| session.token().unwrap().expose().to_owned())
    }

    fn call(cancel: &Cancel) -> Call {
        Call::until(Instant::now() + Duration::from_secs(60), cancel.clone())
    }

    #[test]
    fn a_token_is_kept_and_used_while_an_hour_of_it_is_left() {
        let (place, endpoint) = (tempfile::tempdir().unwrap(), endpoint());
        let oidc = oidc(place.path());
        assert!(!keep(&oidc, &endpoint, "short", LEAST.mul_f64(0.99)));
        assert_eq!(cached(&oidc, &endpoint), None);
        assert!(keep(&oidc, &endpoint, "long", LEAST + Duration::from_secs(60)));
        assert_eq!(cached(&oidc, &endpoint).as_deref(), Some("long"));
        // Time goes by.
        let store = Store::of(&oidc, &endpoint);
        let mut entry = store.read(store.folder.as_ref().unwrap()).unwrap();
        entry.expires_at -= 61;
        let lock = store.folder.as_ref().unwrap().lock(&store.name).unwrap().unwrap();
        lock.write(&store.name, &entry.encode()).unwrap();
        assert_eq!(cached(&oidc, &endpoint), None);
    }

    #[test]
    fn a_token_that_was_stored_meanwhile_is_found_by_whoever_gets_the_turn() {
        let (place, endpoint) = (tempfile::tempdir().unwrap(), endpoint());
        let oidc = oidc(place.path());
        let mut store = Store::of(&oidc, &endpoint);
        assert!(store.session().is_none());
        store.make();
        keep(&oidc, &endpoint, "theirs", 2 * LEAST);
        let turn = store.turn(&call(&Cancel::never()), || panic!("nobody is waited for")).unwrap();
        assert!(matches!(turn, Turn::Theirs(session) if session.token().unwrap().expose() == "theirs"));
    }

    #[test]
    fn who_waits_says_so_once_and_gets_the_token_the_turn_or_the_cancellation() {
        let (place, endpoint) = (tempfile::tempdir().unwrap(), endpoint());
        let oidc = oidc(place.path());
        let mut store = Store::of(&oidc, &endpoint);
        store.make();
        let others = Folder::open(oidc.cache.as_deref().unwrap()).unwrap().unwrap();
        let lock = others.lock(&store.name).unwrap().unwrap();
        let told = Cell::new(0);
        let cancel = Cancel::new().unwrap();
        // Once somebody waits, the login is cancelled.
        let ended = store.turn(&call(&cancel), || {
            told.set(told.get() + 1);
            cancel.cancel();
        });
        assert_eq!((ended.err(), told.get()), (Some(Ended::Cancelled), 1));
        // Or the other one is gone.
        let lock = Cell::new(Some(lock));
        let turn = store.turn(&call(&Cancel::never()), || drop(lock.take())).unwrap();
        assert!(matches!(turn, Turn::Mine(_)));
        drop(turn);
        // Or it has stored a token, and is not gone yet.
        let lock = others.lock(&store.name).unwrap().unwrap();
        let stored = || store.keep(&lock, &session(&endpoint, "theirs", 2 * LEAST));
        assert!(matches!(store.turn(&call(&Cancel::never()), stored).unwrap(), Turn::Theirs(_)));
    }

    #[test]
    fn a_dead_token_is_dropped_and_one_that_has_replaced_it_stays() {
        let (place, endpoint) = (tempfile::tempdir().unwrap(), endpoint());
        let oidc = oidc(place.path());
        keep(&oidc, &endpoint, "new", 2 * LEAST);
        let store = Store::of(&oidc, &endpoint);
        store.drop_token(&Secret::new("old"));
        assert_eq!(cached(&oidc, &endpoint).as_deref(), Some("new"));
        store.drop_token(&Secret::new("new"));
        assert_eq!(cached(&oidc, &endpoint), None);
    }
}
