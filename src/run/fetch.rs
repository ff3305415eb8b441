//! What a run asks Vault for: whether it is ready, a login, and the secrets; or both of these in one request.

use vault_client::kv::{Location, Version};
use vault_client::login::{Inline, Insist};
use vault_client::settings::InlineAuth;
use vault_client::{Endpoint, Origin, Session, TokenOf, VaultError};

use crate::config::Config;
use crate::ending::Times;
use crate::steps::{Fetched, read, too_few_uses};

/// What was asked for.
pub struct Fetch<'a> {
    /// The secrets, in the order of `VAULT_PATH`.
    pub secrets: Vec<Fetched<'a>>,
    /// The session that they were read in; `None` where the login came along with the read, and no token was made.
    pub session: Option<Session>,
}

/// Asks for all that `config` names.
///
/// # Errors
///
/// Why the first step that failed did.
pub fn fetch<'a>(config: &'a Config, vault: &Endpoint, times: &mut Times) -> Result<Fetch<'a>, VaultError> {
    let inline = wanted(config, vault);
    let is_taken = match inline {
        // The server is asked in a way that tells it as well.
        Some((_, Insist::No)) => vault.status_for_inline()?,
        _ => vault.status().map(|_| true)?,
    };
    times.lap("status");
    if let Some((location, insist)) = inline.filter(|_| is_taken)
        && let Some(secret) = along(config, vault, location, insist)?
    {
        times.lap("read");
        return Ok(Fetch { secrets: vec![Fetched { location, secret: secret.into() }], session: None });
    }
    let mut session = vault.login(&*config.auth)?;
    times.lap("login");
    if let Some(warning) = too_few_uses(&session, &config.locations) {
        log::warn!("{warning}");
    }
    let mut read_so_far = read(&session, &config.locations);
    if read_so_far.as_ref().is_err_and(|error| error.status() == Some(403))
        && may_be_lost(config, &session)
        && session.is_dead()
    {
        config.auth.lost(&session);
        session = vault.login(&*config.auth)?;
        times.lap("login");
        read_so_far = read(&session, &config.locations);
    }
    let secrets = read_so_far?;
    times.lap("read");
    Ok(Fetch { secrets, session: Some(session) })
}

/// Whether a token can have died before it was used: somebody has revoked one that was cached, or a server that is waited
/// for was started anew and has lost the login that it answered a moment before.
fn may_be_lost(config: &Config, session: &Session) -> bool {
    let is_ours = session.token_of() == TokenOf::Login;
    session.is_cached() || is_ours && !config.limits.wait.is_zero()
}

/// The one secret that the login is to come along with, and whether the server has to take it.
fn wanted<'a>(config: &'a Config, vault: &Endpoint) -> Option<(&'a Location, Insist)> {
    let insist = match config.inline {
        InlineAuth::No => return None,
        InlineAuth::WhereKnown => Insist::No,
        InlineAuth::Yes => Insist::Yes,
    };
    let login = &*config.auth;
    let (only, why) = match config.locations.only() {
        None => (None, "several paths are read in one session"),
        // Each such request spends a use of a secret id.
        Some(_) if insist == Insist::No && login.origin() == Origin::LoginOnce => (None, ""),
        Some(_) if !login.can_come_along() => (None, "this login cannot be sent along with the read"),
        Some(_) if !vault.takes_along(login) => (None, "the login would cross the network in plain text"),
        only => (only, ""),
    };
    if only.is_none() && insist == Insist::Yes {
        without_effect(why);
    }
    only.map(|location| (location, insist))
}

/// The secret, read with the login along; `None` where an ordinary login is to be made.
fn along(
    config: &Config,
    vault: &Endpoint,
    location: &Location,
    insist: Insist,
) -> Result<Option<Version>, VaultError> {
    match vault.read_inline((&*config.auth, insist), location).transpose()? {
        Some(Inline::Done(secret)) => return Ok(Some(secret)),
        Some(Inline::LogIn(status)) if insist == Insist::Yes => {
            without_effect(&format!("the server answered with {status}, as it does where a role has token_num_uses"));
        }
        Some(Inline::LogIn(status)) => {
            log::debug!("inline: the server answered with {status}; an ordinary login is made");
        }
        None if insist == Insist::Yes => without_effect("the credential is too long for a header"),
        None => {}
    }
    Ok(None)
}

fn without_effect(why: &str) {
    log::warn!("VAULT_INLINE_AUTH has no effect: {why}; an ordinary login is made");
}
