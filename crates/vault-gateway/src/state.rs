//! What a request needs of the service: the configuration in force with what was made of it, and what outlives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::audit::Audit;
use crate::cache::Lookup;
use crate::config::Config;
use crate::jwt::Verifier;
use crate::limits::{BODIES, Bodies, Concurrent, Rate};
use crate::metrics::Metrics;
use crate::upstream::{Counted, Setup, Tenants};

/// A configuration and what was made of it. A request keeps that which it began with.
pub struct Generation {
    /// The configuration.
    pub config: Config,
    /// Who verifies tokens.
    pub verifier: Verifier,
    /// Vault, for each tenant, and the cache.
    pub tenants: Tenants,
    /// How much a subject may send.
    pub rate: Rate,
    /// How many requests may be under way.
    pub concurrent: Concurrent,
    /// How much memory their bodies may take; one for all generations.
    pub bodies: Arc<Bodies>,
}

/// What outlives a configuration.
pub struct Service {
    current: ArcSwap<Generation>,
    /// The audit log.
    pub audit: Audit,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    phase: AtomicU8,
}

impl Generation {
    /// What `config` comes to. What did not change is taken over from the generation before.
    ///
    /// # Errors
    ///
    /// A line for each thing that is wrong with the login of a tenant.
    pub fn new(config: Config, metrics: &Arc<Metrics>, before: Option<&Self>) -> Result<Self, Vec<String>> {
        let limits = config.limits;
        let setup = Setup { counted: Arc::new(Counts(Arc::clone(metrics))), ..Setup::default() };
        let tenants = Tenants::with(&config, before.map(|it| &it.tenants), &setup)?;
        let counts = Arc::clone(metrics);
        let fetched = Arc::new(move |issuer: &str, is_ok| counts.jwks_fetch(issuer, is_ok));
        let verifier = Verifier::new(&config.issuers, limits.remember_tokens, before.map(|it| &it.verifier), fetched);
        let rate = Rate::new(limits.rate, limits.burst);
        let bodies = before.map_or_else(|| Bodies::new(BODIES), |it| Arc::clone(&it.bodies));
        Ok(Self { verifier, tenants, rate, concurrent: Concurrent::new(limits.concurrent), bodies, config })
    }
}

/// Counts what is asked of Vault and of the cache.
struct Counts(Arc<Metrics>);

impl Counted for Counts {
    fn upstream(&self, operation: &'static str, result: &'static str, tenant: &str, took: Duration) {
        self.0.upstream(operation, result, tenant, took);
    }

    fn cache(&self, lookup: Lookup, tenant: &str) {
        self.0.cache_lookup(lookup.word(), tenant);
    }
}

/// Where the service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Not everything was tried yet.
    Begins,
    /// Callers should come.
    Serves,
    /// Callers should go elsewhere.
    Ends,
}

impl Service {
    /// A service with this generation, not ready yet.
    pub fn new(generation: Generation, audit: Audit, metrics: Arc<Metrics>) -> Arc<Self> {
        let (current, phase) = (ArcSwap::from_pointee(generation), AtomicU8::new(Phase::Begins as u8));
        Arc::new(Self { current, audit, metrics, phase })
    }

    /// The generation in force.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Puts a generation in force, and gives back the one before.
    pub fn replace(&self, generation: Generation) -> Arc<Generation> {
        self.current.swap(Arc::new(generation))
    }

    /// Whether `/ready` is 200.
    pub fn is_ready(&self) -> bool {
        self.phase.load(Ordering::SeqCst) == Phase::Serves as u8
    }

    /// `/ready` is 200 from now on, unless the end has begun.
    pub fn set_ready(&self) {
        let (begins, serves) = (Phase::Begins as u8, Phase::Serves as u8);
        let _ = self.phase.compare_exchange(begins, serves, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The end begins: `/ready` is 503 from now on.
    pub fn end_readiness(&self) {
        self.phase.store(Phase::Ends as u8, Ordering::SeqCst);
    }

    /// Takes the gauges of what changes by itself.
    pub fn measure(&self) {
        let generation = self.current();
        let held = generation.tenants.cache_stats();
        self.metrics.cache_size(held.bytes, held.entries);
        for (tenant, left) in generation.tenants.leases() {
            self.metrics.token_lease(&tenant, left);
        }
        for (issuer, age) in generation.verifier.ages() {
            if let Some(age) = age {
                self.metrics.jwks_age(issuer, age);
            }
        }
    }

    /// Revokes the tokens of all tenants, and writes what waits for the audit log.
    pub async fn end(self: Arc<Self>) {
        self.current().tenants.close(None).await;
        // It blocks as long as the writing does.
        let _ = tokio::task::spawn_blocking(move || self.audit.close()).await;
    }
}
