//! The metrics, for Prometheus.
//! [The text format](https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format)
//!
//! No label has a subject, a path or another text that a caller chooses: the number of series is bounded by the
//! configuration.

mod family;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use family::Family;

/// The upper bounds of the histograms' buckets, in seconds. A read from the cache takes less than the first one.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The recorder keeps each duration by itself until somebody renders. After so many they are put into their buckets.
const SETTLE_EVERY: u32 = 2048;

const REQUESTS: &str = "vault_gateway_requests_total";
const REQUEST_DURATION: &str = "vault_gateway_request_duration_seconds";
const REJECTED_TOKENS: &str = "vault_gateway_rejected_tokens_total";
const CACHE_LOOKUPS: &str = "vault_gateway_cache_lookups_total";
const CACHE_BYTES: &str = "vault_gateway_cache_bytes";
const CACHE_ENTRIES: &str = "vault_gateway_cache_entries";
const UPSTREAM_REQUESTS: &str = "vault_gateway_upstream_requests_total";
const UPSTREAM_DURATION: &str = "vault_gateway_upstream_duration_seconds";
const TOKEN_LEASE: &str = "vault_gateway_token_lease_seconds";
const JWKS_AGE: &str = "vault_gateway_jwks_age_seconds";
const JWKS_FETCHES: &str = "vault_gateway_jwks_fetches_total";
const AUDIT_ERRORS: &str = "vault_gateway_audit_errors_total";
const CONFIG_RELOADS: &str = "vault_gateway_config_reloads_total";
const BUILD_INFO: &str = "vault_gateway_build_info";

/// What each of them is.
const HELP: [(&str, &str); 14] = [
    (REQUESTS, "Requests of callers that were answered."),
    (REQUEST_DURATION, "Time from the head of a request to its answer."),
    (REJECTED_TOKENS, "Tokens of callers that were refused, by the reason."),
    (CACHE_LOOKUPS, "Reads by what the cache had."),
    (CACHE_BYTES, "Memory that the cached secrets take."),
    (CACHE_ENTRIES, "Cached secrets, absent ones included."),
    (UPSTREAM_REQUESTS, "Requests to Vault, by how they ended."),
    (UPSTREAM_DURATION, "Time that a request to Vault took."),
    (TOKEN_LEASE, "Time that the token of a tenant has left; 0 without a token."),
    (JWKS_AGE, "Time since the keys of an issuer were fetched."),
    (JWKS_FETCHES, "Fetches of the keys of an issuer, by how they ended."),
    (AUDIT_ERRORS, "Audit lines that could not be written."),
    (CONFIG_RELOADS, "Attempts to read the configuration again, by how they ended."),
    (BUILD_INFO, "The version of this program; always 1."),
];

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// All metrics of a process.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Durations since they were last put into their buckets.
    unsettled: AtomicU32,
    settling: RwLock<()>,
    requests: Family<(&'static str, &'static str, u16), Counter>,
    request_duration: Family<&'static str, Histogram>,
    rejected_tokens: Family<&'static str, Counter>,
    cache_lookups: Family<&'static str, Counter>,
    cache_bytes: Gauge,
    cache_entries: Gauge,
    upstream_requests: Family<(&'static str, &'static str), Counter>,
    upstream_duration: Family<&'static str, Histogram>,
    token_lease: Family<(), Gauge>,
    jwks_age: Family<(), Gauge>,
    jwks_fetches: Family<&'static str, Counter>,
    audit_errors: Counter,
    config_reloads: [Counter; 2],
}

impl Metrics {
    /// Metrics of their own, all at zero, for a program of this version.
    pub fn new(version: &'static str) -> Self {
        // An empty list of buckets is the only error.
        let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap_or_default().build_recorder();
        for (name, help) in HELP {
            // The recorder has one list of descriptions for all types.
            recorder.describe_counter(name.into(), None, help.into());
        }
        let gauge = |name, labels| recorder.register_gauge(&Key::from_parts(name, labels), &METADATA);
        let counter = |name, labels| recorder.register_counter(&Key::from_parts(name, labels), &METADATA);
        gauge(BUILD_INFO, vec![Label::new("version", version)]).set(1.0);
        Self {
            handle: recorder.handle(),
            unsettled: AtomicU32::new(0),
            settling: RwLock::default(),
            requests: Family::default(),
            request_duration: Family::default(),
            rejected_tokens: Family::default(),
            cache_lookups: Family::default(),
            cache_bytes: gauge(CACHE_BYTES, Vec::new()),
            cache_entries: gauge(CACHE_ENTRIES, Vec::new()),
            upstream_requests: Family::default(),
            upstream_duration: Family::default(),
            token_lease: Family::default(),
            jwks_age: Family::default(),
            jwks_fetches: Family::default(),
            audit_errors: counter(AUDIT_ERRORS, Vec::new()),
            config_reloads: [false, true].map(|ok| counter(CONFIG_RELOADS, vec![Label::new("result", ended(ok))])),
            recorder,
        }
    }

    /// A request of a caller was answered. `route` is the pattern of the route. `tenant` is a configured one, or empty.
    pub fn request(&self, route: &'static str, method: &str, status: u16, tenant: &str, took: Duration) {
        let method = bounded_method(method);
        let make = || {
            let labels = [("route", route), ("method", method), ("status", &status.to_string()), ("tenant", tenant)];
            self.counter(REQUESTS, &labels)
        };
        self.requests.with(tenant, (route, method, status), make, |counter| counter.increment(1));
        let make = || self.histogram(REQUEST_DURATION, &[("route", route)]);
        self.request_duration.with("", route, make, |histogram| self.record(histogram, took));
        self.settle();
    }

    /// A token was refused for this reason.
    pub fn rejected_token(&self, reason: &'static str) {
        let make = || self.counter(REJECTED_TOKENS, &[("reason", reason)]);
        self.rejected_tokens.with("", reason, make, |counter| counter.increment(1));
    }

    /// A read asked the cache, which had this.
    pub fn cache_lookup(&self, result: &'static str, tenant: &str) {
        let make = || self.counter(CACHE_LOOKUPS, &[("result", result), ("tenant", tenant)]);
        self.cache_lookups.with(tenant, result, make, |counter| counter.increment(1));
    }

    /// What the cache holds now.
    pub fn cache_size(&self, bytes: u64, entries: u64) {
        self.cache_bytes.set(as_float(bytes));
        self.cache_entries.set(as_float(entries));
    }

    /// A request to Vault ended so.
    pub fn upstream(&self, operation: &'static str, result: &'static str, tenant: &str, took: Duration) {
        let make =
            || self.counter(UPSTREAM_REQUESTS, &[("operation", operation), ("result", result), ("tenant", tenant)]);
        self.upstream_requests.with(tenant, (operation, result), make, |counter| counter.increment(1));
        let make = || self.histogram(UPSTREAM_DURATION, &[("operation", operation)]);
        self.upstream_duration.with("", operation, make, |histogram| self.record(histogram, took));
        self.settle();
    }

    /// The token of a tenant has this left; `None` where there is none, and for a tenant that is gone.
    pub fn token_lease(&self, tenant: &str, left: Option<Duration>) {
        let make = || self.gauge(TOKEN_LEASE, &[("tenant", tenant)]);
        self.token_lease.with(tenant, (), make, |gauge| gauge.set(left.unwrap_or_default()));
    }

    /// The keys of an issuer were fetched so long ago.
    pub fn jwks_age(&self, issuer: &str, age: Duration) {
        let make = || self.gauge(JWKS_AGE, &[("issuer", issuer)]);
        self.jwks_age.with(issuer, (), make, |gauge| gauge.set(age));
    }

    /// A fetch of the keys of an issuer went well, or did not.
    pub fn jwks_fetch(&self, issuer: &str, ok: bool) {
        let make = || self.counter(JWKS_FETCHES, &[("issuer", issuer), ("result", ended(ok))]);
        self.jwks_fetches.with(issuer, ended(ok), make, |counter| counter.increment(1));
    }

    /// An audit line could not be written.
    pub fn audit_error(&self) {
        self.audit_errors.increment(1);
    }

    /// The configuration was read again, or was not taken over.
    pub fn reload(&self, ok: bool) {
        self.config_reloads[usize::from(ok)].increment(1);
    }

    /// All of them, in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let _settling = self.settling.write().unwrap_or_else(PoisonError::into_inner);
        self.handle.render()
    }

    /// While durations are put into their buckets none is recorded: the exporter would lose it.
    fn record(&self, histogram: &Histogram, took: Duration) {
        let _recording = self.settling.read().unwrap_or_else(PoisonError::into_inner);
        histogram.record(took);
    }

    fn settle(&self) {
        if self.unsettled.fetch_add(1, Ordering::Relaxed) % SETTLE_EVERY == SETTLE_EVERY - 1 {
            let _settling = self.settling.write().unwrap_or_else(PoisonError::into_inner);
            self.handle.run_upkeep();
        }
    }

    fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder.register_counter(&key(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    fn histogram(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        self.recorder.register_histogram(&key(name, labels), &METADATA)
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    Key::from_parts(name, labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect::<Vec<_>>())
}

fn ended(ok: bool) -> &'static str {
    if ok { "ok" } else { "failed" }
}

/// A caller may invent methods: those that no route has are one.
fn bounded_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
fn as_float(number: u64) -> f64 {
    number as f64
}
