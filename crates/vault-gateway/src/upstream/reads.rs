//! What is read: secrets through the cache and past it, metadata, names; and the token.

use std::sync::Arc;
use std::time::Instant;

use vault_client::{Kv, KvMetadata, TokenInfo, VaultError};

use super::asking::Asking;
use super::{Current, Looked, Reading, Secret, Upstream};
use crate::cache::{Failure, Found};
use crate::problem::{Kind, Problem};

impl Upstream {
    /// The latest version of `path`, or this one, from the cache or from Vault.
    pub async fn read(self: &Arc<Self>, path: &str, version: Option<u64>, how: Reading<'_>) -> Looked {
        let full = self.full(path);
        let begin = || {
            let asking = Asking::new("read", path, how.id);
            found(Arc::clone(self).ask(asking, reading(full.to_string(), version)))
        };
        let (done, lookup) = self.place.look_up(&full, version, how.refresh, begin).await;
        self.counted.cache(lookup, &self.tenant.name);
        let result = match done {
            Ok((Found::Present(secret), _)) => Ok(secret),
            Ok((Found::Absent(problem), _)) => Err(problem),
            Err(failure) => Err(failure.problem),
        };
        Looked { result, lookup }
    }

    /// The latest version of `path` from Vault. The cache neither gives nor keeps it.
    ///
    /// # Errors
    ///
    /// What Vault's refusal or absence is to a caller; so for all that is asked here.
    pub async fn read_now(self: &Arc<Self>, path: &str, id: &str) -> Result<Secret, Problem> {
        let call = reading(self.full(path).into_owned(), None);
        self.asked(Asking::new("read", path, id), path, call).await
    }

    /// The latest version of `path` by its number, from Vault.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::read_now`], but for `not-found`.
    pub async fn current(self: &Arc<Self>, path: &str, id: &str) -> Result<Current, Problem> {
        match self.read_now(path, id).await {
            Ok(secret) => Ok(Current { version: secret.version, is_readable: true }),
            Err(problem) if problem.kind == Kind::NotFound => {
                Ok(Current { version: problem.version.unwrap_or_default(), is_readable: false })
            }
            Err(problem) => Err(problem),
        }
    }

    /// The metadata of `path`, with all its versions.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::read_now`].
    pub async fn metadata(self: &Arc<Self>, path: &str, id: &str) -> Result<KvMetadata, Problem> {
        let full = self.full(path).into_owned();
        self.asked(Asking::new("metadata", path, id), path, move |kv| kv.metadata(&full)).await
    }

    /// All names in `folder`, `""` for the tenant's root. Those of folders end in a slash.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::read_now`]; `not-found` where nothing is in it.
    pub async fn list(self: &Arc<Self>, folder: &str, id: &str) -> Result<Vec<String>, Problem> {
        let full = self.full(folder).into_owned();
        self.asked(Asking::new("list", folder, id), folder, move |kv| kv.list(&full)).await
    }

    /// Up to `limit` names in `folder`, by bytes, behind `after`.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::list`].
    pub async fn list_page(
        self: &Arc<Self>,
        folder: &str,
        after: Option<&str>,
        limit: usize,
        id: &str,
    ) -> Result<Vec<String>, Problem> {
        let (full, after) = (self.full(folder).into_owned(), after.map(str::to_owned));
        let call = move |kv: &Kv| kv.list_page(&full, after.as_deref(), limit);
        self.asked(Asking::new("list", folder, id), folder, call).await
    }

    /// Renews the token of the tenant. One without an end stays as it is.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::read_now`].
    pub async fn renew(self: &Arc<Self>, id: &str) -> Result<TokenInfo, Problem> {
        let asking = Asking::new("renew", "", id);
        let renewed = Arc::clone(self).ask_client(asking, |client| {
            let token = client.token()?;
            if token.is_static() { Ok(token) } else { client.renew() }
        });
        renewed.await.map_err(|failure| failure.problem)
    }

    /// Asks the KV engine about `path`. What the policies refuse is known no longer.
    async fn asked<T: Send + 'static>(
        self: &Arc<Self>,
        asking: Asking,
        path: &str,
        call: impl FnOnce(&Kv) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Problem> {
        match Arc::clone(self).ask(asking, call).await {
            Ok(done) => Ok(done),
            Err(failure) => {
                if failure.denied {
                    self.place.purge(&self.full(path)).await;
                }
                Err(failure.problem)
            }
        }
    }
}

/// Reads a secret, and makes the answer of it.
fn reading(full: String, version: Option<u64>) -> impl FnOnce(&Kv) -> Result<Secret, VaultError> + Send + 'static {
    move |kv| {
        let began = Instant::now();
        let read = match version {
            Some(version) => kv.read_version(&full, version),
            None => kv.read(&full),
        };
        Secret::of(&read?, began)
    }
}

/// The same for the cache, which keeps absences too.
async fn found(read: impl Future<Output = Result<Secret, Failure>>) -> Result<Found<Secret>, Failure> {
    match read.await {
        Ok(secret) => Ok(Found::Present(Arc::new(secret))),
        Err(failure) if failure.problem.kind == Kind::NotFound => Ok(Found::Absent(failure.problem)),
        Err(failure) => Err(failure),
    }
}
