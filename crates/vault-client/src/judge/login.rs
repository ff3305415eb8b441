//! Logins that were refused.

use super::said::Said;
use super::text::Meaning;
use crate::error::{ErrorKind, Fault, Retry};

/// One that was denied.
pub(super) fn denied(mount: &str, role: &str, said: Said) -> Fault {
    if said.meaning != Some(Meaning::Bare) {
        let remedy = format!(
            "check that auth/{mount} is enabled and that its role {role} allows this service account, namespace and audience"
        );
        return said.refused(ErrorKind::Denied, remedy);
    }
    // So is a TokenReview that failed, which may do so once: the API server was away, or slow.
    let remedy = format!(
        "Vault gives no reason: check that auth/{mount} is enabled, that its role {role} allows this address, and that \
         the TokenReview works: the reviewer JWT, its right system:auth-delegator, the API server as Vault reaches it"
    );
    Fault { retry: Retry::Again, ..said.refused(ErrorKind::Denied, remedy) }
}

/// One that did not come to a judgement on the JWT.
pub(super) fn refused(mount: &str, role: &str, said: Said) -> Fault {
    let (code, remedy) = match (said.meaning, said.status) {
        (Some(Meaning::Unconfigured), _) => (
            ErrorKind::Rejected,
            format!("write auth/{mount}/config on the server: the method is enabled, but not set up"),
        ),
        (Some(Meaning::OtherMethod), _) | (_, 405) => (
            ErrorKind::Rejected,
            format!("auth/{mount} is not of type kubernetes; set VAULT_K8S_AUTH_MOUNT_POINT to a mount that is"),
        ),
        (Some(Meaning::NoServiceAccount), _) => {
            (ErrorKind::Denied, "it is no service account's JWT; correct VAULT_K8S_TOKEN_PATH".into())
        }
        (_, 404) => (
            ErrorKind::Rejected,
            "check VAULT_NAMESPACE and VAULT_K8S_AUTH_MOUNT_POINT, and the path in VAULT_ADDR".into(),
        ),
        _ if said.document.is_none() => (
            ErrorKind::Rejected,
            format!("look for characters that cannot be seen in VAULT_K8S_AUTH_MOUNT_POINT ({mount}) and VAULT_ADDR"),
        ),
        _ => (
            ErrorKind::Rejected,
            format!(
                "check VAULT_ROLE ({role}), VAULT_K8S_AUTH_MOUNT_POINT ({mount}) and the role's settings on the server"
            ),
        ),
    };
    said.refused(code, remedy)
}
