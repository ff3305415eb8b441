//! The end of what is cached: the token is revoked, its entry removed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::cache::{self, CachedLogin, Entry, Folder};
use super::{Oidc, flow};
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{ErrorKind, NoPerson, What};
use crate::observe::Event;
use crate::step::Step;
use crate::text;
use crate::time::Seconds;

/// What became of a cached token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// There was none.
    NotCached,
    /// An entry was there that cannot be used, and is removed. Its token is not revoked; a warning has said why.
    Unusable,
    /// It is revoked.
    Revoked,
    /// It was dead, or may not revoke itself: the server does not tell which.
    Refused,
    /// It could not be revoked, and stays valid for this long.
    Left(Duration),
}

/// What became of all that is cached.
#[derive(Debug)]
pub struct LoggedOutAll<E> {
    /// The logins whose entries are gone.
    pub done: Vec<(CachedLogin, LoggedOut)>,
    /// The files, as they may be shown, that are still there, each with why.
    pub left: Vec<(String, E)>,
}

impl Oidc {
    /// Revokes the cached token of this login at `endpoint`, and removes it from the cache, whatever became of the revoke.
    /// [`POST auth/token/revoke-self`](https://openbao.org/api-docs/auth/token/#revoke-a-token-self)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::System`] where the entry cannot be read or removed, and [`ErrorKind::Cancelled`].
    pub fn log_out(&self, endpoint: &Endpoint) -> Result<LoggedOut, VaultError> {
        let Some(path) = self.cache.as_deref() else { return Ok(LoggedOut::NotCached) };
        let failed = |flaw| flow::failed(endpoint, &Step::Revoke, flawed(path, flaw));
        let Some(folder) = Folder::open(path).map_err(failed)? else { return Ok(LoggedOut::NotCached) };
        let key = self.cached_login(endpoint);
        let outcome = match cache::read(&folder, &key) {
            Ok(Some(entry)) => revoke(endpoint, entry),
            Ok(None) => Ok(LoggedOut::NotCached),
            // It goes all the same: no start would use it.
            Err(flaw) => {
                endpoint.note(&Event::Warning(&unusable(&cache::shown(path, &key.name()), &flaw)));
                Ok(LoggedOut::Unusable)
            }
        };
        folder.remove(&key.name()).map_err(failed)?;
        outcome
    }
}

/// Revokes all tokens in the cache `path`, and removes them. `connect` gives the server of each, in the namespace of its
/// login: an entry that it fails for stays, and so does what cannot be removed. What is no entry is removed and told to `warn`.
///
/// # Errors
///
/// [`ErrorKind::System`] where the folder cannot be used, and [`ErrorKind::Cancelled`].
pub fn log_out_all<E: From<VaultError>>(
    path: &Path,
    connect: &dyn Fn(&CachedLogin) -> Result<Endpoint, E>,
    warn: &dyn Fn(&str),
) -> Result<LoggedOutAll<E>, E> {
    let failed = |flaw| {
        let fault = What::NoPerson(Box::new(flawed(path, flaw))).into();
        VaultError::new("", Step::Credential, fault, Effort::default())
    };
    let mut all = LoggedOutAll { done: Vec::new(), left: Vec::new() };
    let Some(folder) = Folder::open(path).map_err(failed)? else { return Ok(all) };
    for name in cache::names(path) {
        let file = cache::shown(path, &name);
        let ended = match folder.read(&name).and_then(|text| text.map(|text| Entry::decode(&text)).transpose()) {
            Ok(Some(entry)) if entry.key.name() == name => {
                let key = entry.key.clone();
                match connect(&key) {
                    Ok(endpoint) => Ok(Some((key, revoke(&endpoint, entry)?))),
                    Err(error) => Err(error),
                }
            }
            Ok(None) => continue,
            unfit => {
                let flaw = unfit.err().unwrap_or_else(|| "of another login".into());
                warn(&unusable(&file, &flaw));
                Ok(None)
            }
        };
        match ended.and_then(|ended| folder.remove(&name).map(|_| ended).map_err(|flaw| failed(flaw).into())) {
            Ok(ended) => all.done.extend(ended),
            Err(error) => all.left.push((file, error)),
        }
    }
    Ok(all)
}

/// The warning about an entry that is not used.
fn unusable(file: &str, flaw: &str) -> String {
    format!("the cached token in {file} is not revoked: {flaw}; it stays valid until it expires")
}

/// Revokes the token of `entry`, with as many tries as the limits of `endpoint` allow.
fn revoke(endpoint: &Endpoint, entry: Entry) -> Result<LoggedOut, VaultError> {
    let left = entry.left(SystemTime::now());
    match entry.session(endpoint, left).revoke_now(endpoint) {
        Ok(()) => Ok(LoggedOut::Revoked),
        Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
        Err(error) if error.kind() == ErrorKind::Denied => Ok(LoggedOut::Refused),
        Err(error) => {
            let left = Seconds(left);
            endpoint.note(&Event::Warning(&format!("{error}; the token that was cached stays valid for {left}")));
            Ok(LoggedOut::Left(left.0))
        }
    }
}

fn flawed(path: &Path, flaw: String) -> NoPerson {
    NoPerson::Cache { path: text::os(path), flaw }
}
