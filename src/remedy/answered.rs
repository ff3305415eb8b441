//! What to do about an answer of Vault's with another status than the one wanted.

use vault_client::fault::{Answered, Why};
use vault_client::{AuthMethod, Step};

use super::login::Login;
use super::{NOT_VAULT, Namespace, Remedy, in_namespace, read};

const TOO_LONG: &str = "the request is longer than Vault, or a proxy before it, takes: look at its limits, and at how long \
                        the token or JWT, VAULT_PATH and VAULT_NAMESPACE are";

/// What to do about `answered`, the answer to a request of `step` in `namespace`.
pub(super) fn remedy(answered: &Answered, step: &Step, namespace: Option<&Namespace>) -> Remedy {
    match answered.why {
        Why::Upgrading => "the KV mount becomes one of version 2: try again when the server has done that".into(),
        Why::Behind => "the node has not caught up yet: try again, or address the active one".into(),
        Why::RateLimited => "a rate limit: raise the quota, or let VAULT_STARTUP_TIMEOUT allow for it".into(),
        Why::NamespaceSealed => {
            format!("unseal {}: the server is unsealed, the namespace is not", asked_in(namespace)).into()
        }
        Why::NamespaceLocked => format!("unlock {}", asked_in(namespace)).into(),
        Why::NotReady => match answered.status {
            502 | 504 => "the proxy in front of Vault got no answer from it: look there first".into(),
            _ => "look at the server's log: it may be starting, sealed or without a leader".into(),
        },
        Why::NeedsTls => "the port speaks TLS: write https:// in VAULT_ADDR".into(),
        Why::Unexpected => NOT_VAULT.into(),
        // It is denied, or cannot be fulfilled as it is.
        _ => match step {
            Step::Login { method, mount, role } => {
                of_login(answered, &Login { method: *method, mount, role: role.as_deref() }, namespace)
            }
            Step::Read { mount, path, token, .. } => {
                let too_long = answered.why == Why::TooLong;
                let remedy =
                    if too_long { TOO_LONG.into() } else { read::refused(answered, (mount, path), *token, namespace) };
                in_namespace(remedy, namespace)
            }
            _ => of_another(answered, step, namespace),
        },
    }
}

/// The namespace that was asked in.
fn asked_in(namespace: Option<&Namespace>) -> String {
    let named = namespace.map(|it| format!("the namespace {} ({})", it.name, it.setting));
    named.unwrap_or_else(|| "the namespace that is asked for (VAULT_NAMESPACE is unset)".into())
}

/// With what the JWT says of itself: the likely cause comes first where the server gives none.
fn of_login(answered: &Answered, login: &Login, namespace: Option<&Namespace>) -> Remedy {
    let remedy = if answered.why == Why::TooLong { TOO_LONG.into() } else { login.remedy(answered, namespace) };
    let remedy = in_namespace(remedy, namespace);
    let Some(jwt) = &answered.jwt else { return remedy };
    let renewed =
        if login.method == AuthMethod::Kubernetes { "let the kubelet write a new one" } else { "get a new one" };
    let may_be_age = answered.why == Why::Unexplained || login.method == AuthMethod::Jwt;
    let expired =
        if may_be_age && jwt.is_expired() { format!("the JWT has expired: {renewed}; else ") } else { String::new() };
    format!("{expired}{remedy}; the JWT: {jwt}").into()
}

/// Of a step that is neither the login nor the read.
fn of_another(answered: &Answered, step: &Step, namespace: Option<&Namespace>) -> Remedy {
    match (answered.why, step) {
        (Why::TooLong, _) => TOO_LONG.into(),
        (Why::Denied | Why::DeadToken | Why::NoLookUp, Step::LookUp) => {
            "the token is wrong, expired or revoked, or may not look itself up: hand in another one".into()
        }
        (Why::Refused, Step::Wrapping | Step::Unwrap) if answered.status == 404 && namespace.is_some() => {
            format!("check {}", asked_in(namespace)).into()
        }
        (_, Step::Wrapping | Step::Unwrap) => {
            "check that VAULT_ADDR leads to the server that made the wrapping token, and that nothing in between stops it"
                .into()
        }
        (Why::Denied | Why::DeadToken, _) => "check what stands between here and Vault".into(),
        (_, Step::Status) => "check the path in VAULT_ADDR".into(),
        (_, Step::LookUp) if answered.status == 404 && namespace.is_some() => {
            format!("check {}", asked_in(namespace)).into()
        }
        _ => NOT_VAULT.into(),
    }
}
