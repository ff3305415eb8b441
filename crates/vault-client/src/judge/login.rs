//! Logins that were refused. What the caller proves wrongly is a denial, whatever the status; a role, mount or configuration
//! that is not there is not.

use super::said::Said;
use super::text::Meaning;
use crate::fault::{Fault, Retry, Why};
use crate::step::AuthMethod;

/// What a refusal of a login by `method` with 400, 404, 405 or a 500 that says more comes to.
pub(super) fn refused(method: AuthMethod, said: Said, soon: Retry) -> Fault {
    match why(method, &said) {
        why @ (Why::NoKeys | Why::NoProvider) => said.comes_to(why, soon),
        why => said.refused(why),
    }
}

/// Whether a 500 says more than that the server failed.
pub(super) fn is_final(method: AuthMethod, meaning: Meaning) -> bool {
    use AuthMethod::{Cert, Oidc};
    match meaning {
        Meaning::Unconfigured
        | Meaning::NoJwtConfiguration
        | Meaning::NoNamespace
        | Meaning::OtherMethod
        | Meaning::NoRoleId
        | Meaning::NoServiceAccount
        | Meaning::NoServiceAccountClaims => true,
        Meaning::BadCertificate => method == Cert,
        Meaning::ProviderFails => method == Oidc,
        _ => false,
    }
}

/// What a denial of a login comes to. One without a reason is tried again where a `TokenReview` may have failed, which it
/// may do once: the API server was away, or slow.
pub(super) fn denied(method: AuthMethod, said: Said) -> Fault {
    match said.meaning {
        Some(Meaning::Bare) if method == AuthMethod::Kubernetes => said.comes_to(Why::Unexplained, Retry::Again),
        Some(Meaning::Bare) => said.refused(Why::Unexplained),
        // It speaks of service accounts.
        Some(Meaning::OtherServiceAccount) if method != AuthMethod::Kubernetes => said.refused(Why::OtherMethod),
        _ => said.refused(Why::Denied),
    }
}

fn why(method: AuthMethod, said: &Said) -> Why {
    use AuthMethod::{AppRole, Cert, Jwt, Kubernetes, Oidc};
    match (said.meaning, method) {
        (Some(Meaning::NoNamespace), _) => Why::NoNamespace,
        (Some(Meaning::Unconfigured), _)
        | (Some(Meaning::NoJwtConfiguration), Jwt | Oidc)
        | (Some(Meaning::NoProvider), Oidc) => Why::Unconfigured,
        // What these say is another method's.
        (Some(Meaning::NoJwtConfiguration | Meaning::OtherMethod), _)
        | (Some(Meaning::NoRoleId), Kubernetes | Jwt | Cert | Oidc)
        | (Some(Meaning::NoCertificate), Kubernetes | AppRole | Jwt | Oidc)
        | (Some(Meaning::NoRole), AppRole | Cert)
        | (Some(Meaning::OidcRole | Meaning::NoJwt), Kubernetes | AppRole | Cert)
        | (
            Some(Meaning::UnknownPodRole | Meaning::NoServiceAccountClaims | Meaning::OtherServiceAccount),
            AppRole | Jwt | Cert | Oidc,
        ) => Why::OtherMethod,
        (_, _) if said.status == 405 => Why::OtherMethod,
        (Some(Meaning::NoServiceAccount | Meaning::NoServiceAccountClaims), _) => Why::NoServiceAccount,
        (Some(Meaning::NoCertificate), Cert) => Why::NoCertificate,
        (Some(Meaning::NoSecretId), AppRole) => Why::NoSecretId,
        (Some(Meaning::OtherAddress), _) => Why::OtherAddress,
        (Some(Meaning::NoKeys), Jwt) => Why::NoKeys,
        (Some(Meaning::ProviderFails), Oidc) => Why::NoProvider,
        (Some(Meaning::BadSecretId), AppRole)
        | (Some(Meaning::BadCertificate), Cert)
        | (Some(Meaning::FailedLogin), Oidc) => Why::Denied,
        (Some(Meaning::UnknownRole | Meaning::NoRole | Meaning::OidcRole), _) => Why::Refused,
        _ if said.status != 404 && said.document.is_none() => Why::Malformed,
        // Each other refusal of theirs is one of what was proved.
        (_, Jwt | Cert) if said.status == 400 => Why::Denied,
        _ => Why::Refused,
    }
}
