//! Who a caller is: the check of its token, and the keys of the issuers.
//!
//! A token is taken apart (`token`), its header and claims are checked (`check`), the key that it names is looked up
//! or fetched (`keyring`), and the signature is verified (`signature`). The checks come before the signature: they are
//! cheap, and so no token that is refused anyhow leads to a fetch. Nothing of a token is handed out before all of it holds.
//! [RFC 8725](https://www.rfc-editor.org/rfc/rfc8725) has the attacks that the rules are made against.

mod caller;
mod check;
mod fault;
mod fetch;
mod json;
mod keyring;
mod keys;
mod rejected;
mod remembered;
mod signature;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;
use vault_client::retry::uniform;

use crate::claims::Claims;
use crate::config::{Issuer, KeySource};
use fetch::Source;
use keyring::Keyring;
use remembered::{Name, Now, Remembered, VerifiedWith};
use token::Token;

pub use caller::{Caller, NoTenant};
pub use fault::Fault;
pub use keyring::Observer;
pub use rejected::Rejected;

/// Whether the file with the keys of this issuer is a key set, where it has one. No network is asked.
///
/// # Errors
///
/// The file cannot be read, or is no key set.
pub fn check_file(issuer: &Issuer) -> Result<(), Fault> {
    match issuer.jwks {
        KeySource::File(_) => Source::of(issuer).fetch().map(drop),
        _ => Ok(()),
    }
}

/// Verifies the tokens of callers, for one configuration. Its drop ends the fetches in the background.
pub struct Verifier {
    issuers: Vec<Known>,
    remembered: Option<Remembered>,
    observer: Observer,
}

/// An issuer and its keys.
struct Known {
    issuer: Arc<Issuer>,
    keyring: Arc<Keyring>,
    background: JoinHandle<()>,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.background.abort();
    }
}

impl Verifier {
    /// Verifies tokens of `issuers`, and verifies none again for `remember`; zero: each time. Fetches of keys begin at once
    /// and are told to `observer`. Keys of `before` are taken over where they come from the same place; tokens that it
    /// remembers are not.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(issuers: &[Arc<Issuer>], remember: Duration, before: Option<&Self>, observer: Observer) -> Self {
        let known = |issuer: &Arc<Issuer>| {
            let source = Source::of(issuer);
            let keyring = before.and_then(|before| before.keyring(&source));
            let keyring = keyring.unwrap_or_else(|| Arc::new(Keyring::new(source)));
            let background = tokio::spawn(keep_fresh(Arc::clone(&keyring), Arc::clone(&observer)));
            Known { issuer: Arc::clone(issuer), keyring, background }
        };
        Self { issuers: issuers.iter().map(known).collect(), remembered: Remembered::new(remember), observer }
    }

    fn keyring(&self, source: &Source) -> Option<Arc<Keyring>> {
        let known = self.issuers.iter().find(|known| known.keyring.source() == source)?;
        Some(Arc::clone(&known.keyring))
    }

    /// The caller with this token. It may wait for a fetch of keys, at most five seconds.
    ///
    /// # Errors
    ///
    /// Why the token is refused, which is not for the caller to know.
    pub async fn verify(&self, token: &str) -> Result<Arc<Caller>, Rejected> {
        if token.len() > token::MAX_TOKEN {
            return Err(Rejected::TooLarge);
        }
        let now = Now::read();
        let Some(remembered) = &self.remembered else { return Ok(self.check(token, now).await?.caller) };
        let name = Name::of(token);
        if let Some(caller) = remembered.get(&name, now) {
            return Ok(caller);
        }
        let Verified { caller, with, exp } = self.check(token, now).await?;
        remembered.put(name, &caller, with, exp, now);
        Ok(caller)
    }

    async fn check(&self, token: &str, now: Now) -> Result<Verified, Rejected> {
        let token = Token::parse(token)?;
        let iss = token.claims.get("iss").and_then(Value::as_str).ok_or(Rejected::Issuer)?;
        let known = self.issuers.iter().find(|known| known.issuer.url == iss).ok_or(Rejected::Issuer)?;
        check::header(&token.header, &known.issuer)?;
        let exp = check::claims(&token.claims, &known.issuer, now.wall)?;
        let kid = token.header.kid.as_deref().ok_or(Rejected::Key)?;
        let found = self.key(known, kid, now).await?;
        let algorithm = token.header.alg;
        if !found.key.takes(algorithm) {
            return Err(Rejected::Algorithm);
        }
        if !signature::is_of(found.key.material(), algorithm, token.signed, token.signature) {
            return Err(Rejected::Signature);
        }
        let caller = Arc::new(Caller::new(Arc::clone(&known.issuer), Claims::new(token.claims)));
        let with = VerifiedWith { keyring: Arc::clone(&known.keyring), generation: found.generation };
        Ok(Verified { caller, with, exp })
    }

    /// The key of this name, fetched where it is unknown.
    async fn key(&self, known: &Known, kid: &str, now: Now) -> Result<keyring::Found, Rejected> {
        let keyring = &known.keyring;
        if let Some(found) = keyring.find(kid) {
            return Ok(found);
        }
        // In a box, so that the future of a known key, the most frequent one, is small.
        Box::pin(keyring.demand(&self.observer, now.steady)).await;
        let missing = || if keyring.age(now.steady).is_some() { Rejected::Key } else { Rejected::NoKeys };
        keyring.find(kid).ok_or_else(missing)
    }

    /// Returns when the keys of every issuer were fetched once, or could not be.
    pub async fn first_try(&self) {
        for known in &self.issuers {
            known.keyring.first_try().await;
        }
    }

    /// For each issuer its URL, and how long ago its keys were fetched; `None`: they never were.
    pub fn ages(&self) -> Vec<(&str, Option<Duration>)> {
        let now = Instant::now();
        self.issuers.iter().map(|known| (known.issuer.url.as_str(), known.keyring.age(now))).collect()
    }
}

/// A token that holds.
struct Verified {
    caller: Arc<Caller>,
    with: VerifiedWith,
    exp: f64,
}

/// Fetches keys again and again.
async fn keep_fresh(keyring: Arc<Keyring>, observer: Observer) {
    loop {
        let jitter = 0.9 + 0.2 * uniform();
        // A fetch for an unknown key makes the rest begin again.
        loop {
            let rest = keyring.rest(jitter, Instant::now());
            if rest.is_zero() {
                break;
            }
            tokio::time::sleep(rest).await;
        }
        keyring.refresh(&observer).await;
    }
}
