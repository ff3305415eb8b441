//! All tenants, and what becomes of them at a reload and at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vault_client::fault::{FaultKind, SettingFault};
use vault_client::settings::{ProcessEnv, Reader, TABLE, setting, value};
use vault_client::{Limits, Revoked, TokenInfo, VaultClient, VaultClientBuilder, VaultError, What};

use super::asking::Asking;
use super::gate::Gate;
use super::identity::{Identity, State, Told};
use super::{Bounds, Counted, Uncounted, Upstream};
use crate::cache::{Cache, Place, Stats};
use crate::config::{CacheLimits, Config, ServiceLimits, Tenant};

/// This part of a request's time is Vault's. What is left is for the answer: a stale value, or why there is none.
const SHARE: f64 = 0.9;

/// Every tenant with its client.
pub struct Tenants {
    upstreams: BTreeMap<String, Arc<Upstream>>,
    cache: Arc<Cache<super::Secret>>,
}

/// What clients are made with, beside the configuration.
pub struct Setup<'a> {
    /// Who counts what is asked.
    pub counted: Arc<dyn Counted + Send + Sync>,
    /// What is set of each client before the tenant's own settings; a test gives its server here.
    pub connect: &'a dyn Fn(VaultClientBuilder) -> VaultClientBuilder,
}

impl Default for Setup<'_> {
    /// Nothing is counted, and everything else comes from the environment.
    fn default() -> Self {
        Self { counted: Arc::new(Uncounted), connect: &std::convert::identity }
    }
}

impl Tenants {
    /// The tenants of `config`. Nothing is sent. One that has not changed is taken over from `before`, with its client,
    /// its token and what it has read. One whose login is refused begins anew: a client waits up to half an hour before it
    /// tries such a login again, and whoever has corrected it does not want to wait.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings of which tenant, a line each.
    pub fn new(config: &Config, before: Option<&Self>) -> Result<Self, Vec<String>> {
        Self::with(config, before, &Setup::default())
    }

    /// The same, with another setup.
    ///
    /// # Errors
    ///
    /// As for [`Tenants::new`].
    pub fn with(config: &Config, before: Option<&Self>, setup: &Setup<'_>) -> Result<Self, Vec<String>> {
        Self::of(&config.tenants, config.cache, &config.limits, before, setup)
    }

    pub(super) fn of(
        tenants: &[Arc<Tenant>],
        cache: CacheLimits,
        limits: &ServiceLimits,
        before: Option<&Self>,
        setup: &Setup<'_>,
    ) -> Result<Self, Vec<String>> {
        let bounds = Bounds { request: limits.request.mul_f64(SHARE), most: limits.upstream_per_tenant.max(1) };
        let kept = before.map(|before| &before.cache).filter(|kept| kept.limits() == cache);
        let cache = kept.map_or_else(|| Arc::new(Cache::new(cache, before.map(|it| &*it.cache))), Arc::clone);
        let (mut upstreams, mut faults) = (BTreeMap::new(), Vec::new());
        for tenant in tenants {
            let kept = before.and_then(|before| before.get(&tenant.name));
            let kept = kept.filter(|kept| kept.is_of(tenant, bounds) && kept.identity.state() != State::Denied);
            match Upstream::new(tenant, bounds, &cache, kept, setup) {
                Ok(upstream) => drop(upstreams.insert(tenant.name.clone(), upstream)),
                Err(error) => faults.push((&*tenant.name, lines(&error))),
            }
        }
        if faults.is_empty() { Ok(Self { upstreams, cache }) } else { Err(merged(&faults, tenants.len())) }
    }

    /// What is wrong with the settings of these tenants in the environment of the process, a line each. Nothing is sent.
    pub fn faults(tenants: &[Arc<Tenant>]) -> Vec<String> {
        let bounds = Bounds { request: Duration::from_secs(1), most: 1 };
        let faults = tenants.iter().filter_map(|tenant| {
            let identity = Arc::new(Identity::new(&tenant.name));
            let error = client(tenant, bounds, &identity, &Setup::default()).err()?;
            Some((&*tenant.name, lines(&error)))
        });
        merged(&faults.collect::<Vec<_>>(), tenants.len())
    }

    /// The tenant of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.upstreams.get(name)
    }

    /// Asks Vault of every tenant that is not `ok` whether it takes the login, once and all at a time. What it says is in
    /// [`Tenants::states`]. A login that was refused is not sent again before its time, whoever asks.
    pub async fn try_all(&self) {
        let mut tries = JoinSet::new();
        for upstream in self.upstreams.values().filter(|it| it.identity.state() != State::Ok).map(Arc::clone) {
            let asking = Asking::new("login", "", "");
            tries.spawn(async move { drop(upstream.ask_client(asking, ask_of_the_login).await) });
        }
        drop(tries.join_all().await);
    }

    /// How each tenant is doing, by what Vault said last: `ok`, `denied`, `unavailable` or `untried`.
    pub fn states(&self) -> Vec<(String, &'static str)> {
        let states = self.upstreams.iter();
        states.map(|(name, upstream)| (name.clone(), upstream.identity.state().word())).collect()
    }

    /// How long the token of each tenant lives that has one; `None` where it has no end.
    pub fn leases(&self) -> Vec<(String, Option<Duration>)> {
        let tokens =
            self.upstreams.iter().filter_map(|(name, upstream)| Some((name, upstream.client.token_in_hand()?)));
        tokens.map(|(name, token)| (name.clone(), token.expires_in())).collect()
    }

    /// How much the cache holds.
    pub fn cache_stats(&self) -> Stats {
        self.cache.stats()
    }

    /// Frees the memory of what is too old in the cache. To be called every few seconds: without requests nothing else
    /// does.
    pub async fn tidy(&self) {
        self.cache.tidy().await;
    }

    /// Those that `successor` has not taken over.
    fn ending<'a>(&'a self, successor: Option<&'a Self>) -> impl Iterator<Item = &'a Arc<Upstream>> {
        let is_kept = move |upstream: &Upstream| {
            let next = successor.and_then(|successor| successor.get(&upstream.tenant.name));
            next.is_some_and(|next| Arc::ptr_eq(&next.identity, &upstream.identity))
        };
        self.upstreams.values().filter(move |upstream| !is_kept(upstream))
    }

    /// Forgets what every tenant has read that `successor` has not taken over: another one may read the same mount.
    pub fn forget(&self, successor: Option<&Self>) {
        self.ending(successor).for_each(|upstream| upstream.place.end());
    }

    /// Ends every tenant that `successor` has not taken over: its token is revoked, and what it has read is gone. Waits at
    /// most some two seconds for that. Requests that are under way fail; who lets them end first calls this later.
    pub async fn close(&self, successor: Option<&Self>) {
        self.forget(successor);
        let mut ends = JoinSet::new();
        for upstream in self.ending(successor).map(Arc::clone) {
            ends.spawn_blocking(move || (upstream.tenant.name.clone(), upstream.client.close()));
        }
        for (tenant, revoked) in ends.join_all().await {
            match revoked {
                Revoked::Yes => tracing::info!(tenant, "token: revoked"),
                Revoked::No(kept) => tracing::info!(tenant, reason = kept.words(), "token: not revoked"),
            }
        }
    }
}

impl Upstream {
    /// The tenant with a client of its own, or with that of `kept`.
    fn new(
        tenant: &Arc<Tenant>,
        limits: Bounds,
        cache: &Arc<Cache<super::Secret>>,
        kept: Option<&Arc<Self>>,
        setup: &Setup<'_>,
    ) -> Result<Arc<Self>, VaultError> {
        if let Some(kept) = kept.filter(|kept| Arc::ptr_eq(kept.place.cache(), cache)) {
            return Ok(Arc::clone(kept));
        }
        let (client, identity) = if let Some(kept) = kept {
            (kept.client.clone(), Arc::clone(&kept.identity))
        } else {
            let identity = Arc::new(Identity::new(&tenant.name));
            (client(tenant, limits, &identity, setup)?, identity)
        };
        let place = Place::new(cache, &namespace_of(tenant), &tenant.mount, &identity.owner);
        let (tenant, counted) = (Arc::clone(tenant), Arc::clone(&setup.counted));
        let gate = Gate::new(limits.most, limits.request);
        Ok(Arc::new(Self { tenant, client, identity, gate, place, counted, limits }))
    }

    /// Whether it is what `tenant` and `limits` would make.
    fn is_of(&self, tenant: &Tenant, limits: Bounds) -> bool {
        *self.tenant == *tenant && self.limits == limits
    }
}

/// The client of `tenant`; what it does not set comes from the environment.
fn client(
    tenant: &Tenant,
    limits: Bounds,
    identity: &Arc<Identity>,
    setup: &Setup<'_>,
) -> Result<VaultClient, VaultError> {
    let Tenant { namespace, login, .. } = tenant;
    let set =
        |builder: VaultClientBuilder, text: Option<&str>, with: fn(VaultClientBuilder, &str) -> VaultClientBuilder| {
            match text {
                Some(text) => with(builder, text),
                None => builder,
            }
        };
    let builder = (setup.connect)(VaultClient::builder());
    let builder = set(builder, Some(&**namespace).filter(|it| !it.is_empty()), VaultClientBuilder::namespace);
    // What the JWT's file is for depends on the method, which comes first.
    let builder = set(builder, login.auth_method.as_deref(), VaultClientBuilder::auth_method);
    let builder = set(builder, login.auth_mount.as_deref(), VaultClientBuilder::auth_mount);
    let builder = set(builder, login.auth_namespace.as_deref(), VaultClientBuilder::auth_namespace);
    let mut builder = set(builder, login.role.as_deref(), VaultClientBuilder::role);
    if let Some(file) = &login.jwt_file {
        builder = builder.jwt_file(file);
    }
    if let Some(file) = &login.token_file {
        builder = builder.token_file(file);
    }
    let Bounds { request, most } = limits;
    builder
        .limits(Limits { request, whole: request, retries: 0, ..Limits::default() })
        .lanes(most)
        .application_name(concat!("vault-gateway/", env!("CARGO_PKG_VERSION")))
        .observer(Told(Arc::clone(identity)))
        .build()
}

/// Asks Vault whether it takes the login. What is known of a token in hand says nothing of now, and a token that was handed
/// in is asked of as it comes.
fn ask_of_the_login(client: &VaultClient) -> Result<TokenInfo, VaultError> {
    if client.token_in_hand().is_some() { client.look_up() } else { client.token() }
}

/// The namespace of the tenant, as all tenants in it have it: its own, or that of the environment.
fn namespace_of(tenant: &Tenant) -> String {
    let given = Some(&*tenant.namespace).filter(|it| !it.is_empty()).map(|it| value::namespace(it).ok().flatten());
    let of_environment = || Reader::new(&ProcessEnv::now(), &TABLE).parse(&setting::NAMESPACE, value::namespace);
    given.or_else(of_environment).flatten().unwrap_or_default()
}

/// A line for each fault.
fn lines(error: &VaultError) -> Vec<String> {
    let line = |fault: &SettingFault| match fault.kind {
        // Of what the library would name, most is a fault here, or in the file.
        FaultKind::NotDetected => {
            "it has no way to log in; write token_file, or auth_method (kubernetes, jwt, approle or cert) with its role"
                .to_owned()
        }
        _ => fault.to_string(),
    };
    match &error.fault().what {
        What::Settings(faults) => faults.0.iter().map(line).collect(),
        _ => vec![error.to_string()],
    }
}

/// What several tenants have stands once: without their names where that is every one of two or more.
fn merged(faults: &[(&str, Vec<String>)], tenants: usize) -> Vec<String> {
    let mut merged: Vec<(&str, Vec<&str>)> = Vec::new();
    for (tenant, lines) in faults {
        for line in lines {
            match merged.iter_mut().find(|known| known.0 == line) {
                Some((_, names)) => names.push(tenant),
                None => merged.push((line, vec![tenant])),
            }
        }
    }
    let text = |(line, names): (&str, Vec<&str>)| match &names[..] {
        [name] => format!("tenant {name}: {line}"),
        all if all.len() == tenants => format!("each tenant: {line}"),
        some => format!("tenants {}: {line}", some.join(", ")),
    };
    merged.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TenantLogin;

    #[test]
    fn what_several_tenants_have_is_one_line() {
        let of = |faults: &[(&'static str, &[&str])]| {
            let faults: Vec<_> =
                faults.iter().map(|(name, lines)| (*name, lines.iter().map(|it| (*it).to_owned()).collect())).collect();
            merged(&faults, 3)
        };
        assert_eq!(of(&[]), [""; 0]);
        assert_eq!(of(&[("a", &["x", "y"])]), ["tenant a: x", "tenant a: y"]);
        let some = [("a", &["x", "y"][..]), ("b", &["x"])];
        assert_eq!(of(&some), ["tenants a, b: x", "tenant a: y"]);
        let every = [("a", &["x"][..]), ("b", &["x"]), ("c", &["z", "x"])];
        assert_eq!(of(&every), ["each tenant: x", "tenant c: z"]);
        assert_eq!(merged(&[("a", vec!["x".to_owned()])], 1), ["tenant a: x"]);
    }

    #[test]
    fn a_namespace_is_the_same_however_it_is_written() {
        let of = |namespace: &str| {
            let (login, text) = (TenantLogin::default(), String::from);
            let [name, mount, prefix] = ["team-a", "kv", ""].map(text);
            let namespace = text(namespace);
            namespace_of(&Tenant { name, namespace, mount, prefix, login, shared_identity: false, overlap: false })
        };
        for (written, namespace) in [("a/b", "a/b"), ("/a/b/", "a/b"), ("root", ""), ("/", "")] {
            assert_eq!(of(written), namespace, "{written}");
        }
    }
}
