//! What a run asks Vault for: whether it is ready, a login, and the secrets; or both of these in one request.

use vault_client::kv::{Location, Version};
use vault_client::login::{Inline, Insist};
use vault_client::settings::InlineAuth;
use vault_client::{Endpoint, Origin, Session, VaultError};

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
    let inline = wanted(config);
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
        return Ok(Fetch { secrets: vec![Fetched { location, secret }], session: None });
    }
    let session = vault.login(&*config.auth)?;
    times.lap("login");
    if let Some(warning) = too_few_uses(&session, &config.locations) {
        log::warn!("{warning}");
    }
    let secrets = read(&session, &config.locations)?;
    times.lap("read");
    Ok(Fetch { secrets, session: Some(session) })
}

/// The one secret that the login is to come along with, and whether the server has to take it.
fn wanted(config: &Config) -> Option<(&Location, Insist)> {
    let insist = match config.inline {
        InlineAuth::No => return None,
        InlineAuth::WhereKnown => Insist::No,
        InlineAuth::Yes => Insist::Yes,
    };
    // Each such request spends a use of a secret id.
    let spends = config.auth.origin() == Origin::LoginOnce;
    let only = config.locations.only().filter(|_| !spends || insist == Insist::Yes);
    if only.is_none() && insist == Insist::Yes {
        without_effect("several paths are read in one session");
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
        Some(Inline::Done(secret)) => Ok(Some(secret)),
        Some(Inline::LogIn(status)) => {
            log::debug!("inline: the server answered with {status}, an ordinary login is made");
            Ok(None)
        }
        None => {
            if insist == Insist::Yes {
                without_effect("this login cannot be sent along, or would cross the network in plain text");
            }
            Ok(None)
        }
    }
}

fn without_effect(why: &str) {
    log::warn!("VAULT_INLINE_AUTH has no effect: {why}; an ordinary login is made");
}
