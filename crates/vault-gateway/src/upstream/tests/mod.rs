//! A tenant, what is counted of it, and a corner of a server for it.

mod given;
mod scripted;
mod servers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::slice;
use std::sync::Mutex;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use vault_client::Cas;
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Kind, Listener, Server, on};
use vault_testkit::{eventually, on_both, scratch, unique};
use zeroize::Zeroizing;

use super::*;
use crate::config::{CacheLimits, ServiceLimits, TenantLogin};

const ID: &str = "11111111-2222-4333-8444-555555555555";
const READING: Reading<'static> = Reading { refresh: false, id: ID };
const MINUTE: Duration = Duration::from_secs(60);

fn cache() -> CacheLimits {
    CacheLimits { ttl: MINUTE, max_bytes: 1 << 20, negative_ttl: MINUTE, stale_if_error: Duration::ZERO }
}

fn limits() -> ServiceLimits {
    ServiceLimits {
        rate: 0,
        burst: 0,
        concurrent: 16,
        upstream_per_tenant: 4,
        connections: 16,
        header_bytes: 1 << 14,
        body_bytes: 1 << 20,
        request: Duration::from_secs(10),
        head: Duration::from_secs(5),
        remember_tokens: MINUTE,
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Remembers what is counted.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, usize>>);

impl Counts {
    fn add(&self, what: String) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }

    fn of(&self, what: &str) -> usize {
        self.0.lock().unwrap().get(what).copied().unwrap_or_default()
    }
}

impl Counted for Counts {
    fn upstream(&self, operation: &'static str, result: &'static str, tenant: &str, _: Duration) {
        self.add(format!("{tenant} {operation} {result}"));
    }

    fn cache(&self, lookup: Lookup, tenant: &str) {
        self.add(format!("{tenant} {}", lookup.word()));
    }
}

/// A mount, a policy and a role of a server, for one tenant.
struct Corner {
    addr: String,
    tenant: Tenant,
    counts: Arc<Counts>,
}

impl Corner {
    /// One whose policy allows everything below the prefix but `denied/`.
    fn of(server: &Server) -> Self {
        let name = unique();
        server.mount_kv("", &name, 2);
        let all = r#"["create", "read", "update", "delete", "list"]"#;
        let rules = format!(
            "path \"{name}/*\" {{ capabilities = {all} }}\npath \"{name}/data/pre/denied/*\" {{ capabilities = [\"deny\"] }}\n"
        );
        server.write_policy("", &name, &rules);
        server.write_kubernetes_role("", "kubernetes", &name, &name, &json!({}));
        Self::at(&server.addr(Listener::Plain), &name)
    }

    fn at(addr: &str, name: &str) -> Self {
        let jwt = jwt(name, &Jwt::default());
        let login = TenantLogin {
            auth_method: Some("kubernetes".into()),
            role: Some(name.to_owned()),
            jwt_file: Some(jwt),
            ..TenantLogin::default()
        };
        let tenant = Tenant {
            name: "team-a".into(),
            namespace: String::new(),
            mount: name.to_owned(),
            prefix: "pre".into(),
            login,
            shared_identity: false,
            overlap: false,
        };
        Self { addr: addr.to_owned(), tenant, counts: Arc::default() }
    }

    fn tenants(&self, before: Option<&Tenants>) -> Tenants {
        self.with(slice::from_ref(&self.tenant), cache(), before)
    }

    fn with(&self, tenants: &[Tenant], cache: CacheLimits, before: Option<&Tenants>) -> Tenants {
        self.limited(tenants, cache, limits(), before).expect("tenants")
    }

    fn limited(
        &self,
        tenants: &[Tenant],
        cache: CacheLimits,
        limits: ServiceLimits,
        before: Option<&Tenants>,
    ) -> Result<Tenants, Vec<String>> {
        let tenants: Vec<_> = tenants.iter().cloned().map(Arc::new).collect();
        let connect = |builder: vault_client::VaultClientBuilder| builder.address(&self.addr).ignore_environment();
        let counted: Arc<dyn Counted + Send + Sync> = Arc::clone(&self.counts) as _;
        Tenants::of(&tenants, cache, &limits, before, &Setup { counted, connect: &connect })
    }
}

fn jwt(name: &str, jwt: &Jwt) -> PathBuf {
    let file = scratch(name).join("jwt");
    std::fs::write(&file, jwt.encode()).expect("the JWT is written");
    file
}

fn body(value: &Value) -> Arc<Zeroizing<String>> {
    Arc::new(Zeroizing::new(value.to_string()))
}

fn text(secret: &Secret) -> Value {
    serde_json::from_slice(&secret.body).expect("JSON")
}

/// Version and data of a read, or the word of its problem; and where it comes from.
async fn read(
    upstream: &Arc<Upstream>,
    path: &str,
    version: Option<u64>,
) -> (Result<(u64, String), &'static str>, Lookup) {
    let Looked { result, lookup } = upstream.read(path, version, READING).await;
    let shown = |secret: Arc<Secret>| (secret.version, String::from_utf8(secret.data().to_vec()).expect("text"));
    (result.map(shown).map_err(|problem| problem.kind.word()), lookup)
}

fn word<T>(done: Result<T, Problem>) -> &'static str {
    done.err().map_or("ok", |problem| problem.kind.word())
}

fn got(version: u64, data: &str, lookup: Lookup) -> (Result<(u64, String), &'static str>, Lookup) {
    (Ok((version, data.to_owned())), lookup)
}
