//! What is changed. A change that was begun goes on without its caller. The path leaves the cache before it is sent, and
//! after its answer, whatever that is.

use std::sync::Arc;

use serde_json::value::RawValue;
use vault_client::{Cas, Kv, KvVersion, VaultError};

use super::Upstream;
use super::asking::Asking;
use crate::problem::{Kind, Problem};

impl Upstream {
    /// Writes `body`, the compact JSON of an object, as a new version of `path`, byte for byte.
    ///
    /// # Errors
    ///
    /// `conflict` where the latest version is another one than `cas` says, with its number where it may be read;
    /// `precondition-required`, `too-large`, `schema` and `body` where Vault does not take it; `outcome-unknown` where it
    /// was sent and not answered; and as for [`Upstream::read_now`].
    pub async fn write<B: AsRef<str> + Send + Sync + 'static>(
        self: &Arc<Self>,
        path: &str,
        body: Arc<B>,
        cas: Cas,
        id: &str,
    ) -> Result<KvVersion, Problem> {
        let full = self.full(path).into_owned();
        let write = move |kv: &Kv| {
            // What is no JSON is no object either, and the client says so.
            let raw = serde_json::from_str::<&RawValue>((*body).as_ref()).unwrap_or(RawValue::NULL);
            kv.write(&full, &raw, cas)
        };
        self.change(Asking::new("write", path, id), path, write).await
    }

    /// Deletes the latest version of `path`. What is absent is no error. Returns Vault's id of the request, if known.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::read_now`], and `outcome-unknown`; so for the other changes.
    pub async fn delete(self: &Arc<Self>, path: &str, id: &str) -> Result<Option<String>, Problem> {
        let full = self.full(path).into_owned();
        let delete = move |kv: &Kv| kv.delete(&full).map(|()| None);
        self.change(Asking::new("delete", path, id), path, delete).await
    }

    /// Deletes these versions of `path`.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::delete`]; so for the others.
    pub async fn delete_versions(
        self: &Arc<Self>,
        path: &str,
        versions: &[u64],
        id: &str,
    ) -> Result<Option<String>, Problem> {
        self.change_versions("delete", path, versions, id, Kv::delete_versions).await
    }

    /// Brings deleted versions of `path` back.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::delete`].
    pub async fn undelete(self: &Arc<Self>, path: &str, versions: &[u64], id: &str) -> Result<Option<String>, Problem> {
        self.change_versions("undelete", path, versions, id, Kv::undelete).await
    }

    /// Destroys these versions of `path` for good.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::delete`].
    pub async fn destroy(self: &Arc<Self>, path: &str, versions: &[u64], id: &str) -> Result<Option<String>, Problem> {
        self.change_versions("destroy", path, versions, id, Kv::destroy).await
    }

    async fn change_versions(
        self: &Arc<Self>,
        operation: &'static str,
        path: &str,
        versions: &[u64],
        id: &str,
        verb: fn(&Kv, &str, &[u64]) -> Result<(), VaultError>,
    ) -> Result<Option<String>, Problem> {
        let (full, versions) = (self.full(path).into_owned(), versions.to_vec());
        let change = move |kv: &Kv| verb(kv, &full, &versions).map(|()| None);
        self.change(Asking::new(operation, path, id), path, change).await
    }

    /// Makes a change. One whose caller leaves before it is sent is not made.
    async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        asking: Asking,
        path: &str,
        call: impl FnOnce(&Kv) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Problem> {
        let pass = self.gate.enter().await?;
        let (this, full) = (Arc::clone(self), self.full(path).into_owned());
        let change = tokio::spawn(async move {
            this.place.purge(&full).await;
            let done = Arc::clone(&this).send(pass, asking, call).await;
            this.place.purge(&full).await;
            done.map_err(|failure| failure.problem)
        });
        change.await.unwrap_or_else(|_| {
            Err(Problem::new(
                Kind::OutcomeUnknown,
                "the write ended with a fault of the gateway; read before you write again",
            ))
        })
    }
}
