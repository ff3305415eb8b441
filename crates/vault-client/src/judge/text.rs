//! What the server's words mean where its status alone misleads: the only place that matches them. Each is named with the
//! source that it comes from, in `OpenBao` unless another is named.

/// What a text says beyond the status that it comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A KV mount becomes one of version 2, and is back when that is done.
    Upgrading,
    /// The node, or a backend on it, cannot write yet, because it does not lead yet or is being set up.
    ReadOnly,
    /// A refusal without a reason, as Vault gives it to whoever may not know one.
    Bare,
    /// The token lives, and a policy is at fault.
    ByPolicy,
    /// The token is expired, revoked or another server's; no policy is at fault.
    DeadToken,
    /// There is no such mount.
    NoMount,
    /// There is no such namespace.
    NoNamespace,
    /// A login that came along would need a second factor, which did not come.
    NeedsMfa,
    /// A login came along beside a token.
    Layered,
    /// The namespace is sealed, while the server is not.
    SealedNamespace,
    /// An administrator has locked the namespace's API.
    LockedNamespace,
    /// An auth mount that nobody has configured.
    Unconfigured,
    /// The same of the methods jwt and oidc.
    NoJwtConfiguration,
    /// An auth mount of another method.
    OtherMethod,
    /// `AppRole` misses the role id.
    NoRoleId,
    /// `AppRole` misses the secret id.
    NoSecretId,
    /// `AppRole` does not take the secret id: a wrong one, of another role, expired or used up.
    BadSecretId,
    /// The caller's address is not one that the role or the secret id allows.
    OtherAddress,
    /// A method that needs a role misses it, and has no default.
    NoRole,
    /// There is no such role.
    UnknownRole,
    /// The role is one for people in a browser.
    OidcRole,
    /// The connection has shown no client certificate.
    NoCertificate,
    /// The client certificate cannot be used: it has expired, or is none of a client.
    BadCertificate,
    /// The mount does not get the keys that the issuer signs with.
    NoKeys,
    /// The mount has no provider that a person could log in at.
    NoProvider,
    /// The provider does not begin or go on with the login of a device.
    ProviderFails,
    /// A person has not completed the login yet.
    Pending,
    /// The same, and it is asked for too often.
    TooOften,
    /// A person's login has failed.
    FailedLogin,
    /// A wrapping token is used up, expired or unknown.
    SpentWrapping,
    /// A JWT that is not of a service account.
    NoServiceAccount,
    /// The Kubernetes method does not take the JWT's claims for those of a service account.
    NoServiceAccountClaims,
    /// The role of the Kubernetes method is of other service accounts.
    OtherServiceAccount,
    /// There is no such role of the Kubernetes method.
    UnknownPodRole,
    /// The methods jwt and oidc miss the JWT.
    NoJwt,
    /// Somebody else has written in between.
    OtherVersion,
    /// The version that a patch goes on top of holds nothing.
    NoResource,
    /// The storage takes no value of this size.
    TooLarge,
    /// The token can be renewed no more.
    PastMaximum,
    /// The JWT is younger than the server's clock allows.
    NotYetValid,
}

/// How a text is found.
enum Match {
    Whole(&'static str),
    Part(&'static str),
}
use Match::{Part, Whole};

/// Statuses, text, meaning.
const KNOWN: &[(&[u16], Match, Meaning)] = &[
    // internal/builtin/logical/kv/upgrade.go, upgradeCheck; in vault-plugin-secrets-kv the same words.
    (&[400], Part("Upgrading from non-versioned to versioned data"), Meaning::Upgrading),
    (&[400], Part("Waiting for the primary to upgrade from non-versioned to versioned data"), Meaning::Upgrading),
    // sdk/logical/storage.go, ErrReadOnly and ErrSetupReadOnly; Vault wrote the first with a capital once.
    (&[400], Part("annot write to readonly storage"), Meaning::ReadOnly),
    (&[400], Part("annot write to storage during setup"), Meaning::ReadOnly),
    // sdk/logical/error.go, ErrPermissionDenied.
    (&[403], Whole("permission denied"), Meaning::Bare),
    // internal/vault/request_handling.go, checkToken: the same in a list, once the token is known. Vault has it too.
    (&[403], Whole("1 error occurred: * permission denied"), Meaning::ByPolicy),
    // HashiCorp Vault, sdk/logical/error.go: ErrPermissionDenied together with ErrInvalidToken.
    (&[403], Whole("2 errors occurred: * permission denied * invalid token"), Meaning::DeadToken),
    // internal/vault/namespace_store.go and internal/http/handler.go.
    (&[404], Part("namespace not found"), Meaning::NoNamespace),
    // internal/vault/request_handling.go, of a login that came along with a request.
    (&[500], Part("inline auth namespace was not found"), Meaning::NoNamespace),
    (&[500], Part("inline authentication with login MFA"), Meaning::NeedsMfa),
    (&[500], Part("cannot layer inline authentication with token authentication"), Meaning::Layered),
    // sdk/helper/consts/error.go, ErrNamespaceSealed and ErrAPILocked; Vault has the second as well.
    (&[503], Part("namespace is sealed"), Meaning::SealedNamespace),
    (&[503], Part("API access to this namespace has been locked"), Meaning::LockedNamespace),
    // internal/vault/router.go, in Vault too.
    (&[404], Part("no handler for route"), Meaning::NoMount),
    // internal/builtin/credential/kubernetes/path_login.go; jwt/path_login.go leaves out `backend`.
    (&[400, 500], Part("could not load backend configuration"), Meaning::Unconfigured),
    (&[400, 500], Part("ould not load configuration"), Meaning::NoJwtConfiguration),
    // internal/builtin/credential/approle/path_login.go and validation.go.
    (&[400, 500], Whole("missing role_id"), Meaning::NoRoleId),
    (&[400], Whole("missing secret_id"), Meaning::NoSecretId),
    (&[400], Whole("invalid role or secret ID"), Meaning::BadSecretId),
    (&[400], Part("CIDR restrictions on the "), Meaning::OtherAddress),
    // Earlier versions of HashiCorp Vault, builtin/credential/approle/path_login.go and validation.go.
    (&[400], Part("invalid role ID"), Meaning::BadSecretId),
    (&[400], Part("invalid secret id"), Meaning::BadSecretId),
    (&[400], Part("invalid secret_id"), Meaning::BadSecretId),
    // internal/builtin/credential/cert/path_login.go; the other two in HashiCorp Vault's.
    (&[400], Whole("no client certificate found"), Meaning::NoCertificate),
    (&[400], Whole("client certificate must be supplied"), Meaning::NoCertificate),
    (&[400], Whole("tls connection required"), Meaning::NoCertificate),
    (&[500], Part("failed to verify client's certificate"), Meaning::BadCertificate),
    // internal/builtin/credential/jwt/path_login.go, path_oidc.go and path_role.go.
    (&[400], Whole("missing role"), Meaning::NoRole),
    (&[400], Whole("missing token"), Meaning::NoJwt),
    (&[400], Part("could not be found"), Meaning::UnknownRole),
    (&[400], Part("role with oidc role_type is not allowed"), Meaning::OidcRole),
    // internal/builtin/credential/jwt/path_oidc.go, authURL and pathPoll.
    (&[400], Part("OIDC login is not configured for this mount"), Meaning::NoProvider),
    (&[500], Part("error authorizing device: "), Meaning::ProviderFails),
    (&[500], Part("error decoding issuer response to device auth: "), Meaning::ProviderFails),
    (&[500], Part("error polling for device authorization: "), Meaning::ProviderFails),
    // internal/builtin/credential/jwt/path_oidc.go, pathPoll, from https://www.rfc-editor.org/rfc/rfc8628#section-3.5
    (&[400], Whole("authorization_pending"), Meaning::Pending),
    (&[400], Whole("slow_down"), Meaning::TooOften),
    (&[400], Part("login failed. "), Meaning::FailedLogin),
    (&[400], Part("authorization failed: "), Meaning::FailedLogin),
    (&[400], Part("invalid client_nonce"), Meaning::FailedLogin),
    // hashicorp/cap, jwt/keyset.go, as path_login.go passes it on.
    (&[400], Part("fetching keys oidc: "), Meaning::NoKeys),
    (&[400], Part("keyset configuration error"), Meaning::NoKeys),
    // internal/vault/wrapping.go.
    (&[400], Part("wrapping token is not valid or does not exist"), Meaning::SpentWrapping),
    // sdk/logical/error.go, ErrUnsupportedPath and ErrUnsupportedOperation.
    (&[404], Part("unsupported path"), Meaning::OtherMethod),
    (&[405], Part("unsupported operation"), Meaning::OtherMethod),
    // internal/builtin/credential/kubernetes/path_login.go, uid.
    (&[500], Part("could not parse UID from claims"), Meaning::NoServiceAccount),
    // internal/builtin/credential/kubernetes/path_login.go, pathLogin and parseAndValidateJWT.
    (&[500], Part("decoding failed due to the following error(s)"), Meaning::NoServiceAccountClaims),
    (&[400, 403], Part("service account name "), Meaning::OtherServiceAccount),
    (&[400], Part("invalid role name \""), Meaning::UnknownPodRole),
    // internal/builtin/logical/kv/path_data.go, validateCheckAndSetOption.
    (&[400], Part("check-and-set parameter did not match the current version"), Meaning::OtherVersion),
    // internal/builtin/logical/kv/path_data.go, pathDataPatch, by way of sdk/framework.
    (&[500], Part("resource does not exist"), Meaning::NoResource),
    // internal/physical/raft/raft.go, ErrValueTooLarge of sdk/physical.
    (&[500], Part("put failed due to value being too large"), Meaning::TooLarge),
    // internal/vault/expiration.go, and each login method's renewal.
    (&[500], Part("past the max TTL"), Meaning::PastMaximum),
    (&[500], Part("does not exist during renewal"), Meaning::PastMaximum),
    // hashicorp/cap, jwt/jwt.go, as path_login.go passes it on.
    (&[400, 403], Part("invalid not before (nbf) claim"), Meaning::NotYetValid),
    (&[400, 403], Part("invalid issued at (iat) claim"), Meaning::NotYetValid),
];

/// What `texts`, flat and in one, mean with this status.
pub fn meaning(status: u16, texts: &str) -> Option<Meaning> {
    let says = |it: &Match| match it {
        Whole(text) => texts == *text,
        Part(text) => texts.contains(text),
    };
    let known = KNOWN.iter().find(|(statuses, text, _)| statuses.contains(&status) && says(text));
    known.map(|(.., meaning)| *meaning)
}
