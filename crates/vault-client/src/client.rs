//! The client: cheap clones, used by any number of threads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::ErrorKind;
use crate::fault::Fault;
use crate::http::{Answer, Request};
use crate::keeper::{Held, Keeper};
use crate::kv::{Kv, KvData, KvMetadata};
use crate::session::Revoked;
use crate::status::Status;
use crate::step::Step;
use crate::time::{Cancel, Limits};
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
pub struct VaultClient {
    shared: Arc<Shared>,
    endpoint: Endpoint,
}

struct Shared {
    keeper: Keeper,
    /// The state that the cluster had come to with the last write of this client.
    index: Mutex<Option<Arc<str>>>,
}

impl VaultClient {
    /// A client of `endpoint` with the tokens of `keeper`.
    pub(crate) fn new(endpoint: &Endpoint, keeper: Keeper) -> Self {
        let shared = Shared { keeper, index: Mutex::new(None) };
        // What a login waits for is the keeper's to know.
        let limits = Limits { wait: std::time::Duration::ZERO, ..endpoint.limits() };
        Self { shared: Arc::new(shared), endpoint: endpoint.within(limits) }
    }

    /// The KV version 2 engine at `mount`.
    pub fn kv(&self, mount: impl AsRef<str>) -> Kv {
        Kv::new(self.clone(), mount.as_ref())
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
        self.endpoint.status().map(|version| Status { version })
    }

    /// What is known of the token in hand; logs in where there is none.
    ///
    /// # Errors
    ///
    /// The login's, with any kind.
    pub fn token(&self) -> Result<TokenInfo, VaultError> {
        Ok(self.shared.keeper.token(&self.endpoint)?.info())
    }

    /// Renews the token now; where the server refuses that, logs in again. The keeper does it in time by itself.
    /// [API](https://openbao.org/api-docs/auth/token/#renew-a-token-self)
    ///
    /// # Errors
    ///
    /// The renewal's or the login's, with any kind.
    pub fn renew(&self) -> Result<TokenInfo, VaultError> {
        self.shared.keeper.renew(&self.endpoint)
    }

    /// The same client under other limits. [`Limits::wait`] has no effect here: it is the first login's.
    #[must_use]
    pub fn within(&self, limits: Limits) -> Self {
        let limits = Limits { wait: std::time::Duration::ZERO, ..limits };
        Self { endpoint: self.endpoint.within(limits), ..self.clone() }
    }

    /// The same client and token in another namespace; `""`, `/` and `root` are the root namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        let named = Some(namespace.trim_matches('/')).filter(|it| !matches!(*it, "" | "root"));
        Self { endpoint: self.endpoint.in_namespace(named), ..self.clone() }
    }

    /// The same client, whose calls end when `cancel` fires, with [`ErrorKind::Cancelled`].
    #[must_use]
    pub fn cancelled_by(&self, cancel: &Cancel) -> Self {
        Self { endpoint: self.endpoint.cancelled_by(cancel), ..self.clone() }
    }

    /// The same client, with `id` in each request (`X-Correlation-Id`), where the server's audit log can show it.
    /// [Audited headers](https://openbao.org/api-docs/system/config-auditing/)
    #[must_use]
    pub fn correlated(&self, id: &str) -> Self {
        Self { endpoint: self.endpoint.correlated(id), ..self.clone() }
    }

    /// Ends the client and all its clones: stops the keeping, revokes the token of a login, and waits for that up to two
    /// seconds. Calls after it fail with [`ErrorKind::Closed`]; values in hand stay.
    pub fn close(&self) -> Revoked {
        self.shared.keeper.close()
    }

    /// The server that its calls go to.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Runs `step`: sends `request` with the token, and reads the answer. Where a dead token is the
    /// reason for a refusal, it is replaced, and the request is sent once more.
    pub(crate) fn run<T>(
        &self,
        step: &Step,
        request: &Request,
        read: &dyn Fn(&Answer, &Endpoint, &Request) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let keeper = &self.shared.keeper;
        let held = keeper.token(&self.endpoint)?;
        let sent = Instant::now();
        let denied = match self.send(&held, step, request, read) {
            Err(error) if error.kind() == ErrorKind::Denied && error.status() == Some(403) => error,
            done => return done,
        };
        if !keeper.has_replaced(&held, &self.endpoint, sent)? {
            return Err(denied);
        }
        let held = keeper.token(&self.endpoint)?;
        let sent = Instant::now();
        self.send(&held, step, request, read).inspect_err(|error| {
            if error.status() == Some(403) {
                keeper.doubt(&held, &self.endpoint, sent);
            }
        })
    }

    fn send<T>(
        &self,
        held: &Held,
        step: &Step,
        request: &Request,
        read: &dyn Fn(&Answer, &Endpoint, &Request) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let index = self.index();
        let request = held.session.with(request);
        let request = Request { index: index.as_deref().or(request.index), ..request };
        self.endpoint.step(step, |call| {
            let answer = self.endpoint.ask(step, &request, call)?;
            if !matches!(step, Step::Read { .. }) {
                self.note_index(&answer.index);
            }
            read(&answer, &self.endpoint, &request)
        })
    }

    fn index(&self) -> Option<Arc<str>> {
        self.shared.index.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is no index is not sent back, where it could only spoil the request.
    fn note_index(&self, index: &str) {
        if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_graphic()) {
            *self.shared.index.lock().unwrap_or_else(PoisonError::into_inner) = Some(index.into());
        }
    }
}

impl std::fmt::Debug for VaultClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultClient").field("at", &self.endpoint.at()).finish_non_exhaustive()
    }
}
