//! The client: cheap clones, used by any number of threads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::caller::Caller;
use crate::endpoint::Endpoint;
use crate::error::VaultError;
#[cfg(doc)]
use crate::fault::ErrorKind;
use crate::keeper::{Keeper, Rules};
use crate::kv::{Kv, KvData, KvMetadata};
use crate::login::Login;
use crate::status::Status;
use crate::time::{Cancel, Limits};
use crate::token::Revoked;
use crate::token::TokenInfo;

/// A client of one server, with one token that is kept alive. Clones share both; they are cheap, and each can have its own
/// limits, namespace, cancellation and correlation.
///
/// Nothing is sent before the first call, which logs in. The last clone's drop revokes the token of a login in the
/// background; [`VaultClient::close`] does it and waits.
///
/// # Examples
///
/// ```no_run
/// use vault_client::VaultClient;
///
/// let vault = VaultClient::from_env()?;
/// let secret = vault.kv_read("secret", "my/path")?;
/// println!("{} keys", secret.data.len());
/// # Ok::<(), vault_client::VaultError>(())
/// ```
#[derive(Clone)]
pub struct VaultClient(Caller);

impl VaultClient {
    /// A client of `endpoint` with the tokens of `keeper`, whose reads bring their login along if `inline` says so.
    pub(crate) fn new(endpoint: &Endpoint, keeper: Keeper, inline: bool) -> Self {
        // What a login waits for is the keeper's to know.
        let limits = Limits { wait: Duration::ZERO, ..endpoint.limits() };
        Self(Caller::new(endpoint.within(limits), keeper, inline))
    }

    /// A client of `endpoint` with the tokens of `login`, for a program that reads its settings itself. [`Limits::wait`] holds
    /// for its first login, and for the reads of `endpoint`'s own limits. `refresh` is called before each login but the
    /// first: it may read files of trust and identity again and hand them to [`Endpoint::trust`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::System`] where the kernel gives no descriptors.
    pub fn over(
        endpoint: &Endpoint,
        login: Arc<dyn Login>,
        refresh: impl Fn(&Endpoint) + Send + Sync + 'static,
    ) -> Result<Self, VaultError> {
        let keeper = Keeper::new(login, Box::new(refresh), endpoint, Rules::default())?;
        Ok(Self(Caller::new(endpoint.clone(), keeper, false)))
    }

    fn with(&self, endpoint: Endpoint) -> Self {
        Self(self.0.with(endpoint))
    }

    /// The KV version 2 engine at `mount`.
    pub fn kv(&self, mount: impl AsRef<str>) -> Kv {
        Kv::new(self.0.clone(), mount.as_ref())
    }

    /// Reads the latest version of the secret at `path` of `mount`.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-version)
    ///
    /// # Errors
    ///
    /// As for [`Kv::read`].
    pub fn kv_read(&self, mount: &str, path: &str) -> Result<KvData, VaultError> {
        self.kv(mount).read(path)
    }

    /// Reads the metadata of the secret at `path` of `mount`.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-metadata)
    ///
    /// # Errors
    ///
    /// As for [`Kv::metadata`].
    pub fn kv_metadata(&self, mount: &str, path: &str) -> Result<KvMetadata, VaultError> {
        self.kv(mount).metadata(path)
    }

    /// Asks whether the server is initialised and unsealed; no token is needed.
    /// [API](https://openbao.org/api-docs/system/seal-status/)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`] where it is not initialised or sealed, [`ErrorKind::Unreachable`], [`ErrorKind::Tls`] or
    /// [`ErrorKind::NotVault`] where it cannot be asked.
    pub fn status(&self) -> Result<Status, VaultError> {
        if self.0.keeper().is_closed() {
            return Err(VaultError::closed());
        }
        self.0.endpoint().status().map(|version| Status { version })
    }

    /// Logs in, where no token is in hand. A client does it with its first call by itself.
    ///
    /// # Errors
    ///
    /// The login's, with any kind.
    pub fn log_in(&self) -> Result<(), VaultError> {
        self.0.keeper().token(&self.0.endpoint().for_one_operation()).map(drop)
    }

    /// What is known of the token in hand, without asking anybody; `None` where there is none.
    pub fn token_in_hand(&self) -> Option<TokenInfo> {
        self.0.keeper().in_hand()
    }

    /// What is known of the token in hand; logs in where there is none. A token that was handed in and could not be looked
    /// up as it came is so now, as by [`VaultClient::look_up`].
    ///
    /// # Errors
    ///
    /// The login's or the look-up's, with any kind.
    pub fn token(&self) -> Result<TokenInfo, VaultError> {
        let info = self.0.keeper().token(&self.0.endpoint().for_one_operation())?.info();
        if info.is_known() { Ok(info) } else { self.look_up() }
    }

    /// What the server says of the token now; logs in where there is none, and where the token is dead. A token that lives
    /// and may not look itself up is none that fails: it is told as it was handed in, without an end and without policies.
    /// [API](https://openbao.org/api-docs/auth/token/#lookup-a-token-self)
    ///
    /// # Errors
    ///
    /// The login's or the look-up's, with any kind; [`ErrorKind::Denied`] where the token is dead and there is no other.
    pub fn look_up(&self) -> Result<TokenInfo, VaultError> {
        self.0.look_up()
    }

    /// Renews the token now; where the server refuses that, logs in again. The keeper does it in time by itself.
    /// [API](https://openbao.org/api-docs/auth/token/#renew-a-token-self)
    ///
    /// # Errors
    ///
    /// The renewal's or the login's, with any kind.
    pub fn renew(&self) -> Result<TokenInfo, VaultError> {
        self.0.keeper().renew(&self.0.endpoint().for_one_operation())
    }

    /// The same client under other limits. [`Limits::wait`] has no effect here: it is the first login's.
    #[must_use]
    pub fn within(&self, limits: Limits) -> Self {
        let limits = Limits { wait: Duration::ZERO, ..limits };
        self.with(self.0.endpoint().within(limits))
    }

    /// The same client and token in another namespace; `""`, `/` and `root` are the root namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        let named = Some(namespace.trim_matches('/')).filter(|it| !matches!(*it, "" | "root"));
        self.with(self.0.endpoint().in_namespace(named))
    }

    /// The same client, whose calls end when `cancel` fires, with [`ErrorKind::Cancelled`].
    #[must_use]
    pub fn cancelled_by(&self, cancel: &Cancel) -> Self {
        self.with(self.0.endpoint().cancelled_by(cancel))
    }

    /// The same client, with `id` in each request (`X-Correlation-Id`), where the server's audit log can show it.
    /// [Audited headers](https://openbao.org/api-docs/system/config-auditing/)
    #[must_use]
    pub fn correlated(&self, id: &str) -> Self {
        self.with(self.0.endpoint().correlated(id))
    }

    /// Ends the client and all its clones: stops the keeping and the watching, revokes the token of a login, and waits for that up to two
    /// seconds. Calls after it fail with [`ErrorKind::Closed`]; values in hand stay.
    pub fn close(&self) -> Revoked {
        self.0.close()
    }
}

impl fmt::Debug for VaultClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultClient").field("at", &self.0.endpoint().at()).finish_non_exhaustive()
    }
}
