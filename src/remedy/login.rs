//! What to do about a login that was refused, in the names of its method's settings.

use vault_client::AuthMethod;
use vault_client::fault::{Answered, Why};

use super::{Namespace, Remedy};

/// A login, as messages name it.
pub(super) struct Login<'a> {
    pub method: AuthMethod,
    pub mount: &'a str,
    pub role: Option<&'a str>,
}

impl Login<'_> {
    /// What to do about `answered`.
    pub(super) fn remedy(&self, answered: &Answered, namespace: Option<&Namespace>) -> Remedy {
        let Self { method, mount, .. } = self;
        let (name, setting) = (method.name(), self.mount_setting());
        match answered.why {
            Why::Unconfigured if *method == AuthMethod::Oidc => format!(
                "write auth/{mount}/config on the server with a provider (oidc_discovery_url, oidc_client_id): nobody can log \
                 in there yet"
            )
            .into(),
            Why::Unconfigured => {
                format!("write auth/{mount}/config on the server: the method is enabled, but not set up").into()
            }
            Why::OtherMethod => format!("auth/{mount} is not of type {name}; set {setting} to a mount that is").into(),
            Why::Malformed => {
                format!("look for characters that cannot be seen in {setting} ({mount}) and VAULT_ADDR").into()
            }
            Why::NoKeys => format!(
                "auth/{mount} does not get the keys that the issuer signs with: look at the issuer, as Vault reaches it"
            )
            .into(),
            Why::NoProvider => {
                format!("look at the provider that auth/{mount}/config names, as Vault reaches it").into()
            }
            Why::Denied | Why::DeadToken => self.denied(),
            Why::Unexplained => self.unexplained(),
            Why::NoServiceAccount => "it is no service account's JWT; correct VAULT_K8S_TOKEN_PATH".into(),
            Why::OtherAddress => "this address is in none of the networks that the role allows (bound CIDRs)".into(),
            Why::NoSecretId => "set VAULT_APPROLE_SECRET_ID or VAULT_APPROLE_SECRET_ID_FILE".into(),
            Why::NoCertificate => {
                "the certificate has not come to Vault: check that nothing in between ends TLS, and that \
                                   its listener does not set tls_disable_client_certs"
                    .into()
            }
            why if why == Why::NoNamespace || answered.status == 404 => {
                let namespace = namespace.map_or("VAULT_NAMESPACE", |it| it.setting);
                format!("check {namespace} and {setting}, and the path in VAULT_ADDR").into()
            }
            _ => self.misconfigured(),
        }
    }

    /// The setting that its mount comes from.
    fn mount_setting(&self) -> &'static str {
        if self.method == AuthMethod::Kubernetes { "VAULT_K8S_AUTH_MOUNT_POINT" } else { "VAULT_AUTH_MOUNT" }
    }

    /// The role as it is named beside the mount.
    fn role(&self) -> String {
        self.role.map_or_else(|| "its default role".to_owned(), |role| format!("its role {role}"))
    }

    /// What the caller proves is refused.
    fn denied(&self) -> Remedy {
        let Self { mount, role, .. } = self;
        match self.method {
            AuthMethod::AppRole => format!(
                "check that the secret id is the role's own, not expired, not used up and not wrapped (VAULT_UNWRAP), and that \
                 VAULT_APPROLE_ROLE_ID is the id of a role at auth/{mount}, not its name"
            ),
            AuthMethod::Jwt => format!(
                "check that auth/{mount} trusts the JWT's issuer, and that {} allows its audience, subject and claims",
                self.role()
            ),
            AuthMethod::Cert => match role {
                Some(role) => format!(
                    "check that auth/{mount} has a certificate role {role} (VAULT_ROLE), and that it trusts the issuer of \
                     VAULT_CLIENT_CERT and allows its names"
                ),
                None => format!(
                    "check that a certificate role at auth/{mount} trusts the issuer of VAULT_CLIENT_CERT and allows its \
                     names"
                ),
            },
            AuthMethod::Oidc => match role {
                Some(role) => format!("check that the role {role} at auth/{mount} allows this person"),
                None => format!("check that the default role at auth/{mount} allows this person"),
            },
            _ => format!(
                "check that auth/{mount} is enabled and that {} allows this service account, namespace and audience",
                self.role()
            ),
        }
        .into()
    }

    /// Vault gives no reason.
    fn unexplained(&self) -> Remedy {
        let mount = self.mount;
        let what = match self.method {
            AuthMethod::AppRole => format!(
                "check that auth/{mount} (VAULT_AUTH_MOUNT) is enabled, and that the role is not locked: after some wrong \
                 secret ids the server refuses all its clients for 15 minutes, so no further try is made"
            ),
            // A mount of any other type but jwt has no such path.
            AuthMethod::Oidc => format!(
                "check that auth/{mount} (VAULT_AUTH_MOUNT) is enabled and of type oidc, and that {} allows this address",
                self.role()
            ),
            AuthMethod::Jwt | AuthMethod::Cert => {
                let role = self.role();
                format!("check that auth/{mount} (VAULT_AUTH_MOUNT) is enabled, and that {role} allows this address")
            }
            _ => format!(
                "check that auth/{mount} is enabled, that {} allows this address, and that the TokenReview works: the \
                 reviewer JWT, its right system:auth-delegator, the API server as Vault reaches it",
                self.role()
            ),
        };
        format!("Vault gives no reason: {what}").into()
    }

    /// A role or a setting of the server is not there.
    fn misconfigured(&self) -> Remedy {
        let (mount, setting) = (self.mount, self.mount_setting());
        match (self.method, self.role) {
            (AuthMethod::AppRole, _) => {
                format!("check VAULT_AUTH_MOUNT ({mount}) and the role's settings on the server")
            }
            (_, Some(role)) => {
                format!("check VAULT_ROLE ({role}), {setting} ({mount}) and the role's settings on the server")
            }
            (_, None) => format!("set VAULT_ROLE, or a default role at auth/{mount} (VAULT_AUTH_MOUNT)"),
        }
        .into()
    }
}
