//! The token of an agent, which is rotated in Vault while the agent runs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::entry::{Plan, Subject};
use super::health::{Health, HealthStatus};
use super::kept::{Kept, Mark};
use super::secrets::no_vault;
use super::{Every, Watched};
use crate::client::VaultClient;
use crate::error::VaultError;
use crate::fault::{ErrorKind, SettingFaults, Shape, What};
use crate::kv::{Cas, Kv, KvData, KvVersion};
use crate::secret::Secret;
use crate::settings::{Agent, ProcessEnv};
use crate::time::since_boot;
use crate::token::{Kept as NotRevoked, Revoked};

/// The key that the token stands under.
const KEY: &str = "token";

/// How often it is read again, where a program does not say.
const EVERY: u64 = 60;

/// The token of an agent: the one in Vault, kept current, or a static one where there is no Vault.
///
/// | variable | default | meaning |
/// |---|---|---|
/// | `VAULT_ADDRESS` or `VAULT_ADDR` | – | where Vault is; without it the static token is used |
/// | `VAULT_TOKEN`, or what another login needs | – | as for [`VaultClient::from_env`] |
/// | `VAULT_AGENT_PATH_PREFIX` | – | the mount; needed with Vault |
/// | `DEPLOYMENT_HASH` | `default` | the deployment: the path is `DEPLOYMENT_HASH/token`, the key `token` |
/// | `AGENT_TOKEN` | – | the static token; with Vault it is used until the first read, where Vault is away at the start |
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use vault_client::AgentToken;
///
/// let token = AgentToken::from_env()?;
/// let (current, previous) = token.accepted(Duration::from_secs(30));
/// println!("{}", serde_json::to_string(&token.health()).expect("plain"));
/// # drop((current, previous));
/// token.close();
/// # Ok::<(), vault_client::VaultError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AgentToken {
    deployment: String,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    Static { token: Arc<Secret>, since: Duration },
    Vault(Box<InVault>),
}

/// A token that is kept current.
#[derive(Clone, Debug)]
struct InVault {
    kv: Kv,
    path: String,
    watched: Watched<Token>,
}

/// Where the token in hand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From AGENT_TOKEN.
    Static,
    /// From Vault.
    Vault,
}

/// A token, and the version that it was read from.
struct Token {
    secret: Arc<Secret>,
    mark: Option<Mark>,
}

impl Kept for Token {
    fn mark(&self) -> Option<Mark> {
        self.mark
    }
}

impl Token {
    /// That of `data`: any text but a blank one.
    fn of(data: &KvData) -> Result<Self, VaultError> {
        let field = data.data.get(KEY).ok_or_else(|| data.shape(Shape::Missing(KEY.into())))?;
        let text = field.text().ok_or_else(|| data.shape(Shape::OtherType))?;
        if text.trim().is_empty() {
            return Err(data.shape(Shape::Blank(KEY.into())));
        }
        Ok(Self { secret: Arc::new(Secret::new(text)), mark: data.mark() })
    }
}

impl AgentToken {
    /// The token that the environment describes, read again every 60 s.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Settings`] with every setting that is missing or cannot be used. With Vault, what the first read fails
    /// with; but where AGENT_TOKEN is set and Vault cannot be reached or is not ready, the agent begins with that one.
    pub fn from_env() -> Result<Self, VaultError> {
        Self::from_env_with(Every::seconds(EVERY), VaultClient::from_env)
    }

    /// The same, read again so often, by the client that `vault` makes. It is called where the environment says that there is
    /// Vault.
    ///
    /// # Errors
    ///
    /// As for [`from_env`](Self::from_env).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use vault_client::watch::Every;
    /// use vault_client::{AgentToken, ToLog, VaultClient};
    ///
    /// let token = AgentToken::from_env_with(Every::seconds(10), || VaultClient::builder().observer(ToLog).build())?;
    /// # token.close();
    /// # Ok::<(), vault_client::VaultError>(())
    /// ```
    pub fn from_env_with(
        every: Every,
        vault: impl FnOnce() -> Result<VaultClient, VaultError>,
    ) -> Result<Self, VaultError> {
        let Agent { has_vault, mount, deployment, token, mut faults } = Agent::read(&ProcessEnv::now());
        let vault = has_vault.then(vault).transpose().or_else(|error| match &error.fault().what {
            What::Settings(more) => {
                faults.extend(more.0.clone());
                Ok(None)
            }
            _ => Err(error),
        })?;
        if !faults.is_empty() {
            return Err(VaultError::of_settings(SettingFaults(faults)));
        }
        match (vault, token.map(Arc::new)) {
            (Some(vault), fallback) => {
                // A program that ends with this error does not wait for the drop of its client.
                Self::watch(&vault.kv(mount), &deployment, every, fallback).inspect_err(|_| {
                    vault.close();
                })
            }
            (None, Some(token)) => Ok(Self::fixed(token, deployment)),
            (None, None) => Err(no_vault()),
        }
    }

    /// One that stays as it is: there is no Vault.
    pub fn fixed(token: Arc<Secret>, deployment: impl Into<String>) -> Self {
        Self { deployment: deployment.into(), origin: Origin::Static { token, since: since_boot() } }
    }

    /// The token of `deployment` in `kv`, read again so often; until it was read first, `fallback`.
    ///
    /// With a `fallback` the first read is one try, and one that fails because Vault cannot be reached or is not ready is no
    /// error.
    ///
    /// # Errors
    ///
    /// As for [`Kv::watch`]; [`ErrorKind::Shape`] where there is no text under `token`.
    pub fn watch(kv: &Kv, deployment: &str, every: Every, fallback: Option<Arc<Secret>>) -> Result<Self, VaultError> {
        let path = format!("{deployment}/{KEY}");
        let (again, place) = (kv.in_the_background(), path.clone());
        let read = move || Token::of(&again.read(&place)?);
        let sent = since_boot();
        let first = match &fallback {
            Some(_) => read(),
            None => kv.with_the_token().read(&path).and_then(|data| Token::of(&data)),
        };
        let (first, failed) = match (first, fallback) {
            (Ok(token), _) => (token, None),
            (Err(error), Some(secret)) if is_away(&error) => (Token { secret, mark: None }, Some(error)),
            (Err(error), _) => return Err(error),
        };
        let plan = kv.plan(&path, (every, &Arc::default()), Box::new(read))?;
        let subject = Subject { deployment: Some(crate::text::shown(deployment)), ..plan.subject };
        let watched = Watched::begin(Plan { subject, ..plan }, (first, sent), failed)?;
        Ok(Self {
            deployment: deployment.to_owned(),
            origin: Origin::Vault(Box::new(InVault { kv: kv.clone(), path, watched })),
        })
    }

    /// The token in hand. It never waits and never fails.
    pub fn current(&self) -> Arc<Secret> {
        match &self.origin {
            Origin::Static { token, .. } => Arc::clone(token),
            Origin::Vault(vault) => Arc::clone(&vault.watched.current().secret),
        }
    }

    /// The token in hand, and the one before, if that was in hand within this time.
    pub fn accepted(&self, within: Duration) -> (Arc<Secret>, Option<Arc<Secret>>) {
        match &self.origin {
            Origin::Static { token, .. } => (Arc::clone(token), None),
            Origin::Vault(vault) => {
                let (now, before) = vault.watched.accepted(within);
                (Arc::clone(&now.secret), before.map(|before| Arc::clone(&before.secret)))
            }
        }
    }

    /// The changes from now on, as [`Watched::changes`]. A static token has none.
    pub fn changes(&self) -> impl Iterator<Item = Arc<Secret>> + use<> {
        let changes = match &self.origin {
            Origin::Static { .. } => None,
            Origin::Vault(vault) => Some(vault.watched.changes()),
        };
        changes.into_iter().flatten().map(|token| Arc::clone(&token.secret))
    }

    /// Where the token in hand comes from.
    pub fn source(&self) -> Source {
        match &self.origin {
            Origin::Vault(vault) if vault.watched.current().mark.is_some() => Source::Vault,
            _ => Source::Static,
        }
    }

    /// The deployment.
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// How it is doing. A static token is `ok`.
    pub fn health(&self) -> Health {
        match &self.origin {
            Origin::Vault(vault) => vault.watched.health(),
            Origin::Static { since, .. } => Health {
                status: HealthStatus::Ok,
                token_age_seconds: since_boot().saturating_sub(*since).as_secs(),
                last_refresh_ok: None,
                seconds_since_success: None,
                version: None,
                refreshes: 0,
                failures: 0,
            },
        }
    }

    /// Reads it again now, in this thread. A static token stays as it is.
    ///
    /// # Errors
    ///
    /// As for [`Watched::refresh`].
    pub fn refresh(&self) -> Result<(), VaultError> {
        match &self.origin {
            Origin::Static { .. } => Ok(()),
            Origin::Vault(vault) => vault.watched.refresh(),
        }
    }

    /// Writes `token` as the next version: a rotation. Every agent of the deployment has it within its interval.
    ///
    /// # Errors
    ///
    /// As for [`Kv::write`]; [`ErrorKind::Settings`] without Vault.
    pub fn store(&self, token: &Secret) -> Result<KvVersion, VaultError> {
        let (kv, path) = self.place()?;
        kv.write(path, &json!({ KEY: token.expose() }), Cas::Any)
    }

    /// Reads it from Vault, beside the one in hand.
    ///
    /// # Errors
    ///
    /// As for [`Kv::read`]; [`ErrorKind::Shape`] where there is no text under `token`, [`ErrorKind::Settings`] without Vault.
    pub fn fetch(&self) -> Result<Arc<Secret>, VaultError> {
        let (kv, path) = self.place()?;
        Ok(Token::of(&kv.read(path)?)?.secret)
    }

    /// Deletes the latest version in Vault. The agents keep the one that they have in hand, and say that it was deleted.
    ///
    /// # Errors
    ///
    /// As for [`Kv::delete`]; [`ErrorKind::Settings`] without Vault.
    pub fn delete(&self) -> Result<(), VaultError> {
        let (kv, path) = self.place()?;
        kv.delete(path)
    }

    /// Ends the client that reads the token, with all its clones, as [`VaultClient::close`] does. The token in hand stays. A
    /// static token has no client, and nothing to revoke.
    pub fn close(&self) -> Revoked {
        match &self.origin {
            Origin::Static { .. } => Revoked::No(NotRevoked::NoToken),
            Origin::Vault(vault) => vault.kv.close_the_client(),
        }
    }

    fn place(&self) -> Result<(&Kv, &str), VaultError> {
        match &self.origin {
            Origin::Static { .. } => Err(no_vault()),
            Origin::Vault(vault) => Ok((&vault.kv, &vault.path)),
        }
    }
}

/// Whether the server may be there later, and says nothing of the secret now.
fn is_away(error: &VaultError) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::NotReady | ErrorKind::RateLimited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_token_is_well_and_never_changes_and_nothing_is_asked_of_vault() {
        let token = AgentToken::fixed(Arc::new(Secret::new("static")), "default");
        assert_eq!((token.current().expose(), token.source()), ("static", Source::Static));
        assert_eq!(token.changes().count(), 0);
        assert!(token.accepted(Duration::MAX).1.is_none());
        assert_eq!(
            serde_json::to_string(&token.health()).unwrap(),
            r#"{"status":"ok","token_age_seconds":0,"last_refresh_ok":null,"seconds_since_success":null,"version":null,"refreshes":0,"failures":0}"#
        );
        token.refresh().unwrap();
        let kinds = [token.store(&Secret::new("x")).err(), token.fetch().err(), token.delete().err()];
        assert_eq!(kinds.map(|error| error.map(|it| it.kind())), [Some(ErrorKind::Settings); 3]);
        assert_eq!(token.close(), Revoked::No(NotRevoked::NoToken));
        assert_eq!(token.current().expose(), "static");
    }
}
