//! What to do about an answer of Vault's with another status than the one wanted.

use vault_client::Step;
use vault_client::fault::{Answered, Why};
use vault_client::text::shown;

use super::{NOT_VAULT, Remedy, in_namespace, read};

const TOO_LONG: &str = "the request is longer than Vault, or a proxy before it, takes: look at its limits, and at how long \
                        the token or JWT, VAULT_PATH and VAULT_NAMESPACE are";

/// What to do about `answered`, the answer to a request of `step` in `namespace`.
pub(super) fn remedy(answered: &Answered, step: &Step, namespace: Option<&str>) -> Remedy {
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
            Step::Login { mount, role } => of_login(answered, (mount, role), namespace),
            Step::Read { mount, path, handed_in, .. } => {
                let too_long = answered.why == Why::TooLong;
                let remedy =
                    if too_long { TOO_LONG.into() } else { read::refused(answered, (mount, path), *handed_in) };
                in_namespace(remedy, namespace)
            }
            _ => of_another(answered, step, namespace),
        },
    }
}

/// The namespace that was asked in.
fn asked_in(namespace: Option<&str>) -> String {
    let named = namespace.map(|it| format!("the namespace {} (VAULT_NAMESPACE)", shown(it)));
    named.unwrap_or_else(|| "the namespace that is asked for (VAULT_NAMESPACE is unset)".into())
}

/// With what the JWT says of itself: the likely cause comes first where the server gives none.
fn of_login(answered: &Answered, names: (&str, &str), namespace: Option<&str>) -> Remedy {
    let remedy = in_namespace(of_refused_login(answered, names), namespace);
    let Some(jwt) = &answered.jwt else { return remedy };
    let expired = if answered.why == Why::Unexplained && jwt.is_expired() {
        "the JWT has expired: let the kubelet write a new one; else "
    } else {
        ""
    };
    format!("{expired}{remedy}; the JWT: {jwt}").into()
}

fn of_refused_login(answered: &Answered, (mount, role): (&str, &str)) -> Remedy {
    match answered.why {
        Why::TooLong => TOO_LONG.into(),
        Why::Denied | Why::DeadToken => format!(
            "check that auth/{mount} is enabled and that its role {role} allows this service account, namespace and audience"
        )
        .into(),
        Why::Unexplained => format!(
            "Vault gives no reason: check that auth/{mount} is enabled, that its role {role} allows this address, and that \
             the TokenReview works: the reviewer JWT, its right system:auth-delegator, the API server as Vault reaches it"
        )
        .into(),
        Why::Unconfigured => {
            format!("write auth/{mount}/config on the server: the method is enabled, but not set up").into()
        }
        Why::OtherMethod => {
            format!("auth/{mount} is not of type kubernetes; set VAULT_K8S_AUTH_MOUNT_POINT to a mount that is").into()
        }
        Why::NoServiceAccount => "it is no service account's JWT; correct VAULT_K8S_TOKEN_PATH".into(),
        Why::Malformed => {
            format!("look for characters that cannot be seen in VAULT_K8S_AUTH_MOUNT_POINT ({mount}) and VAULT_ADDR")
                .into()
        }
        _ if answered.status == 404 => {
            "check VAULT_NAMESPACE and VAULT_K8S_AUTH_MOUNT_POINT, and the path in VAULT_ADDR".into()
        }
        _ => format!(
            "check VAULT_ROLE ({role}), VAULT_K8S_AUTH_MOUNT_POINT ({mount}) and the role's settings on the server"
        )
        .into(),
    }
}

/// Of a step that is neither the login nor the read.
fn of_another(answered: &Answered, step: &Step, namespace: Option<&str>) -> Remedy {
    match (answered.why, step) {
        (Why::TooLong, _) => TOO_LONG.into(),
        (Why::Denied | Why::DeadToken, Step::LookUp) => {
            "the token is wrong, expired or revoked, or may not look itself up: hand in another one".into()
        }
        (Why::Denied | Why::DeadToken, _) => "check what stands between here and Vault".into(),
        (_, Step::Status) => "check the path in VAULT_ADDR".into(),
        (_, Step::LookUp) if answered.status == 404 && namespace.is_some() => {
            format!("check {}", asked_in(namespace)).into()
        }
        _ => NOT_VAULT.into(),
    }
}
