//! `deploy/kubernetes`: each manifest is rendered by kustomize and judged by the schemas of Kubernetes, and each pod is
//! run.

pub(super) mod manifests;
pub(super) mod memory;
mod pods;
mod sidecar;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_testkit::certs::certs;
use vault_testkit::server::{Listener, Server};
use vault_testkit::unique;

use crate::support::pod::manifests::Manifests;
use crate::support::pod::{self, ConfigMaps, Pod};

pub(super) const FILES: &[&str] = &[
    "kubernetes/cronjob/cronjob.yaml",
    "kubernetes/cronjob/kustomization.yaml",
    "kubernetes/env-file-key/deployment.yaml",
    "kubernetes/env-file-key/kustomization.yaml",
    "kubernetes/env-file-sourced/kustomization.yaml",
    "kubernetes/job/job.yaml",
    "kubernetes/job/kustomization.yaml",
    "kubernetes/overlays/check-env-file/kustomization.yaml",
    "kubernetes/overlays/check/kustomization.yaml",
    "kubernetes/overlays/failing/kustomization.yaml",
    "kubernetes/overlays/local/kustomization.yaml",
    "kubernetes/overlays/shop/kustomization.yaml",
    "kubernetes/pod-monitor/kustomization.yaml",
    "kubernetes/pod-monitor/pod-monitor.yaml",
    "kubernetes/pod/kustomization.yaml",
    "kubernetes/pod/pod.yaml",
    "kubernetes/settings/kustomization.yaml",
    "kubernetes/settings/network-policy.yaml",
    "kubernetes/settings/service-account.yaml",
    "kubernetes/sidecar-notify/kustomization.yaml",
    "kubernetes/sidecar/deployment.yaml",
    "kubernetes/sidecar/kustomization.yaml",
    "kubernetes/sidecar/network-policy.yaml",
    "kubernetes/token-reviewer/cluster-role-binding.yaml",
    "kubernetes/token-reviewer/kustomization.yaml",
    "kubernetes/wrapper/deployment.yaml",
    "kubernetes/wrapper/kustomization.yaml",
];

/// Those of the folders that have a pod.
const PODS: [&str; 12] = [
    "cronjob",
    "env-file-key",
    "env-file-sourced",
    "job",
    "overlays/check-env-file",
    "overlays/check",
    "overlays/failing",
    "overlays/local",
    "overlays/shop",
    "sidecar-notify",
    "sidecar",
    "wrapper",
];

/// What the secret of `shop` holds.
fn secret() -> BTreeMap<String, String> {
    let pairs = [("API_KEY", "line 1\n$line \"2\" \\"), ("DATABASE_URL", "postgres://shop:pa$$word@db/shop")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A namespace of a Vault, with what the manifests count on: the secret, and a role for the service account.
struct Vault<'a> {
    server: &'a Server,
    namespace: String,
}

impl<'a> Vault<'a> {
    fn prepared(server: &'a Server) -> Self {
        let namespace = unique();
        server.create_namespace(&namespace);
        let put = |path: &str, body: Value| server.must_in(&namespace, "POST", path, &body);
        put("kv/data/shop/prod", json!({"data": secret()}));
        put("sys/policies/acl/shop", json!({"policy": "path \"kv/data/shop/prod\" { capabilities = [\"read\"] }"}));
        put(
            "auth/kubernetes/role/shop",
            json!({
                "bound_service_account_names": "shop", "bound_service_account_namespaces": "shop",
                "audience": "vault", "token_policies": "shop",
            }),
        );
        Self { server, namespace }
    }

    /// The folder's manifests with these patches, and where this Vault is.
    fn manifests(&self, folder: &str, patches: &[Value]) -> Option<Manifests> {
        let here = json!([
            {"op": "replace", "path": "/data/VAULT_ADDR", "value": self.server.addr(Listener::Tls)},
            {"op": "add", "path": "/data/VAULT_NAMESPACE", "value": self.namespace},
        ]);
        let here = patch("ConfigMap", &here);
        Manifests::overlaid(&overlay(folder, &[&[here], patches].concat()))
    }

    /// Runs the pod of a folder; `None` where that is not possible.
    fn run(&self, folder: &str, patches: &[Value]) -> Option<Pod> {
        let manifests = pod::possible().then(|| self.manifests(folder, patches))??;
        Some(pod::run(&manifests, &cluster()))
    }

    /// Nothing is left of a run but what it was for.
    fn expect_no_trace(&self, pod: &Pod) {
        assert_eq!(self.server.live_tokens(&self.namespace, "shop"), 0);
        for container in &pod.ended {
            let shown = format!("{}{}", container.stderr, container.message);
            assert!(secret().values().all(|value| !shown.contains(value)), "{shown}");
        }
    }
}

/// An overlay of one folder. A base gets the settings that an overlay already has.
fn overlay(folder: &str, patches: &[Value]) -> Value {
    let is_base = !folder.starts_with("overlays/");
    let components: &[&str] = if is_base { &["{deploy}/settings"] } else { &[] };
    json!({"resources": [format!("{{deploy}}/{folder}")], "components": components, "patches": patches})
}

/// A patch of the one resource of this kind.
fn patch(kind: &str, operations: &Value) -> Value {
    json!({"target": {"kind": kind}, "patch": operations.to_string()})
}

/// What an operator has put into the cluster by hand.
fn cluster() -> ConfigMaps {
    [("vault-ca", json!({"ca.crt": certs().ca.certificate}))].into()
}
