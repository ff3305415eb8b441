//! One call of the client: on the blocking pool, at most so many at once, counted and judged.

use std::sync::Arc;
use std::time::Instant;

use vault_client::{Cancel, ErrorKind, Kv, VaultClient, VaultError};

use super::Upstream;
use super::cause::Cause;
use super::gate::Pass;
use super::judge::{Asked, Judged, judge};
use crate::cache::Failure;
use crate::problem::{Kind, Problem};

/// What is asked of Vault.
pub(super) struct Asking {
    /// Its word in metrics.
    pub operation: &'static str,
    /// The path as the caller gave it, for what is told of it; empty where there is none.
    pub path: String,
    /// The id of the request; empty where there is none.
    pub id: String,
}

impl Asking {
    pub(super) fn new(operation: &'static str, path: &str, id: &str) -> Self {
        Self { operation, path: path.to_owned(), id: id.to_owned() }
    }
}

/// Ends a call whose caller has left.
struct Leaving(Cancel);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Upstream {
    /// Calls the KV engine. The end of this future ends the call.
    pub(super) async fn ask<T: Send + 'static>(
        self: Arc<Self>,
        asking: Asking,
        call: impl FnOnce(&Kv) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Failure> {
        let mount = self.tenant.mount.clone();
        self.ask_client(asking, move |client| call(&client.kv(mount))).await
    }

    /// Calls the client. The end of this future ends the call.
    pub(super) async fn ask_client<T: Send + 'static>(
        self: Arc<Self>,
        asking: Asking,
        call: impl FnOnce(&VaultClient) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Failure> {
        let pass = self.gate.enter().await?;
        let cancel = Cancel::new().map_err(|_| Failure::from(no_descriptor()))?;
        let client = self.client_for(&asking).cancelled_by(&cancel);
        let _leaving = Leaving(cancel);
        self.run(pass, asking, move || call(&client)).await
    }

    /// Calls the KV engine. Nothing ends the call but its limits.
    pub(super) async fn send<T: Send + 'static>(
        self: Arc<Self>,
        pass: Pass,
        asking: Asking,
        call: impl FnOnce(&Kv) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Failure> {
        let kv = self.client_for(&asking).kv(&self.tenant.mount);
        self.run(pass, asking, move || call(&kv)).await
    }

    async fn run<T: Send + 'static>(
        self: Arc<Self>,
        pass: Pass,
        asking: Asking,
        call: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, Failure> {
        let done = tokio::task::spawn_blocking(move || {
            // The place is given back when the call has ended, which may be later than its caller.
            let _pass = pass;
            let begun = Instant::now();
            let done = call();
            let is_cancelled = done.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled);
            let done = done.map_err(|error| self.judged(&error, &asking));
            if done.is_ok() {
                self.identity.is_well();
            }
            let word = match &done {
                Ok(_) => "ok",
                Err(_) if is_cancelled => "cancelled",
                Err(failure) => failure.problem.kind.word(),
            };
            self.counted.upstream(asking.operation, word, &self.tenant.name, begun.elapsed());
            done
        });
        match done.await {
            Ok(done) => done,
            Err(_) => Err(Problem::new(Kind::Internal, "the call of Vault ended with a fault of the gateway").into()),
        }
    }

    fn client_for(&self, asking: &Asking) -> VaultClient {
        if asking.id.is_empty() { self.client.clone() } else { self.client.correlated(&asking.id) }
    }

    /// Notes what an error says of the tenant, and returns what it is to the caller.
    fn judged(&self, error: &VaultError, asking: &Asking) -> Failure {
        let asked = Asked { mount: &self.tenant.mount, path: &asking.path };
        let is_dead = self.client.token_in_hand().is_some_and(|token| token.is_expired());
        let Judged { failure, state } = judge(error.step(), error.fault(), asked, is_dead);
        if let Some(state) = state {
            self.identity.note(state, &Cause::of(error));
        }
        failure
    }
}

fn no_descriptor() -> Problem {
    Problem::new(Kind::Unavailable, "the gateway lacks descriptors; try again later").after(1)
}
