//! The end of cached logins: their tokens are revoked and removed.

use std::sync::Arc;
use std::time::Instant;

use crate::config::{self, Cached};
use crate::error::Error;
use crate::observer::Log;
use crate::process::environ::Environ;
use crate::process::wait::Waiter;
use crate::steps::ended_by;
use vault_client::text::{os, shown};
use vault_client::{CachedLogin, Endpoint, Limits, LoggedOut, Seconds, log_out_all};

/// Ends the cached login of the settings in force, and all of them where they name no server.
///
/// # Errors
///
/// [`Error::Settings`], why the folder or an entry cannot be used, and [`Error::LeftCached`] where some of all are left. A
/// token that cannot be revoked is a warning.
pub fn log_out(environ: &Environ, waiter: &Arc<Waiter>) -> Result<(), Error> {
    let ended = ended_by(waiter);
    let begun = Instant::now();
    let connect = |cached: &Cached| {
        for warning in &cached.warnings {
            log::warn!("{warning}");
        }
        let limits = Limits { until: Some(begun + cached.limits.whole), ..cached.limits };
        Endpoint::new(&cached.vault, limits, waiter.cancel().clone(), Arc::new(Log(Arc::clone(waiter))))
    };
    if config::names_vault(environ) {
        let cached = config::cached(environ, None)?;
        let vault = connect(&cached);
        let outcome = cached.oidc.log_out(&vault).map_err(&ended)?;
        say(vault.at(), &cached.oidc.mount, cached.oidc.role.as_deref(), outcome);
        return Ok(());
    }
    let Some(folder) = config::cache_folder(environ) else {
        log::info!("no token is cached: neither XDG_CACHE_HOME nor HOME names a folder");
        return Ok(());
    };
    let connect = |login: &CachedLogin| config::cached(environ, Some(login)).map(|cached| connect(&cached));
    let all = log_out_all(&folder, &connect, &|warning| log::warn!("{warning}")).map_err(|error| match error {
        Error::Vault(error) => ended(error),
        other => other,
    })?;
    if all.done.is_empty() && all.left.is_empty() {
        log::info!("no token is cached in {}", os(&folder));
    }
    for (login, outcome) in all.done {
        say(&shown(&login.address), &login.mount, login.role.as_deref(), outcome);
    }
    for (file, error) in &all.left {
        for cause in error.to_string().lines() {
            log::warn!("the cached token in {file} is not revoked: {cause}");
        }
    }
    let number = all.left.len();
    match all.left.into_iter().next() {
        Some((_, first)) => Err(Error::LeftCached { folder: os(&folder), number, code: first.exit_code() }),
        None => Ok(()),
    }
}

fn say(at: &str, mount: &str, role: Option<&str>, outcome: LoggedOut) {
    let role = role.map(|role| format!(" with role {}", shown(role))).unwrap_or_default();
    let login = format!("vault at {at}: the login at auth/{}{role}", shown(mount));
    match outcome {
        LoggedOut::NotCached => log::info!("{login}: no token is cached"),
        LoggedOut::Unusable => {
            log::warn!("{login}: the cached entry cannot be used and is removed, its token not revoked");
        }
        LoggedOut::Revoked => log::info!("{login}: the cached token is revoked"),
        LoggedOut::Refused => {
            log::info!(
                "{login}: the cached token is removed; the server knew it no more, or does not let it revoke itself"
            );
        }
        LoggedOut::Left(left) => {
            log::warn!("{login}: the cached token is removed, and stays valid for {}", Seconds(left));
        }
    }
}
