//! The cache as one login sees it: the token to start with, the right to ask a person, and what is kept afterwards.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Oidc;
use super::cache::{self, CachedLogin, Entry, Folder, LEAST, Lock};
use crate::endpoint::Endpoint;
use crate::observe::Event;
use crate::secret::Secret;
use crate::session::Session;
use crate::text;
use crate::time::{Call, Ended};
use crate::token::{Kept, TokenInfo};

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
        let entry = self.read(self.folder.as_ref()?)?;
        let left = entry.left(SystemTime::now());
        let info = TokenInfo::cached(left, entry.renewable, entry.policies);
        (left >= LEAST).then(|| Session::cached(self.endpoint, Arc::new(entry.token), info))
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
        let is_sound = matches!(cache::read(folder, &self.key), Ok(Some(_)));
        if is_sound { self.session() } else { None }
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
