//! What a client does: the parts of a start, and the operations on secrets.

/// What was being done, with the names that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// `sys/seal-status`
    Status,
    /// The file with the JWT or token.
    Credential,
    /// A login at an auth mount.
    Login {
        /// The method.
        method: AuthMethod,
        /// The mount of the method.
        mount: String,
        /// The role asked for, where one is.
        role: Option<String>,
    },
    /// The look-up of a wrapping token, `sys/wrapping/lookup`.
    Wrapping,
    /// `sys/wrapping/unwrap`
    Unwrap,
    /// A KV v2 read.
    Read {
        /// The KV mount.
        mount: String,
        /// The path in it.
        path: String,
        /// The version asked for, if one was.
        version: Option<u64>,
        /// Whose the token is.
        token: TokenOf,
    },
    /// `auth/token/lookup-self`
    LookUp,
    /// `sys/internal/ui/mounts`, in a dry run.
    Preflight,
    /// `auth/token/renew-self`
    Renew,
    /// `auth/token/revoke-self`
    Revoke,
    /// Anything else that is done with a secret, or with its mount.
    Secret {
        /// What is done.
        verb: Verb,
        /// The KV mount.
        mount: String,
        /// The path in it; empty where it is about the mount.
        path: String,
    },
}

/// A method that callers log in by at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthMethod {
    /// The JWT of a pod's service account.
    Kubernetes,
    /// A role id, and as a rule a secret id.
    AppRole,
    /// A JWT of any issuer.
    Jwt,
    /// The client certificate of the TLS connection.
    Cert,
    /// A person in a browser.
    Oidc,
}

impl AuthMethod {
    /// The word for it in settings and messages, which is the usual name of its mount.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::AppRole => "approle",
            Self::Jwt => "jwt",
            Self::Cert => "cert",
            Self::Oidc => "oidc",
        }
    }
}

/// Whose the token is that a secret is read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOf {
    /// A login's, made a moment ago.
    Login,
    /// The caller's: it was handed in, and can be any.
    Caller,
    /// That of an agent or a proxy, which adds it on the way.
    Agent,
}

/// What is done with a secret, beside reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// A new version is written.
    Write,
    /// A new version is made of the latest by a merge patch.
    Patch,
    /// Versions are deleted.
    Delete,
    /// Deleted versions are brought back.
    Undelete,
    /// Versions are destroyed.
    Destroy,
    /// The metadata is read.
    Metadata,
    /// The metadata is set.
    SetMetadata,
    /// The secret is deleted with all its versions.
    DeleteAll,
    /// A folder is listed.
    List,
    /// The mount's configuration is read.
    Config,
}

impl Verb {
    /// The word for it in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Undelete => "undelete",
            Self::Destroy => "destroy",
            Self::Metadata => "metadata",
            Self::SetMetadata => "set-metadata",
            Self::DeleteAll => "delete-all",
            Self::List => "list",
            Self::Config => "config",
        }
    }

    /// It with its object.
    fn subject(self, mount: &str, path: &str) -> String {
        let what = match self {
            Self::SetMetadata => "change of the metadata",
            Self::DeleteAll => "delete of all versions",
            Self::Config => "configuration",
            _ => self.name(),
        };
        let slash = if path.is_empty() { "" } else { "/" };
        format!("the {what} of {mount}{slash}{path}")
    }
}

impl Step {
    /// The word for the step in messages and log fields.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Credential => "credential",
            Self::Login { .. } => "login",
            Self::Wrapping => "wrapping",
            Self::Unwrap => "unwrap",
            Self::Read { .. } => "read",
            Self::LookUp => "token",
            Self::Preflight => "preflight",
            Self::Renew => "renew",
            Self::Revoke => "revoke",
            Self::Secret { verb, .. } => verb.name(),
        }
    }

    /// The step with its object.
    pub fn subject(&self) -> String {
        match self {
            Self::Status => "the status check".into(),
            Self::Credential => "the credential".into(),
            Self::Login { mount, role: Some(role), .. } => format!("the login at auth/{mount} with role {role}"),
            Self::Login { mount, role: None, .. } => format!("the login at auth/{mount}"),
            Self::Wrapping => "the look-up of the wrapping token".into(),
            Self::Unwrap => "the unwrapping of the credential".into(),
            Self::Read { mount, path, version: None, .. } => format!("the read of {mount}/{path}"),
            Self::Read { mount, path, version: Some(version), .. } => {
                format!("the read of {mount}/{path} version {version}")
            }
            Self::LookUp => "the look-up of the token".into(),
            Self::Preflight => "the preflight".into(),
            Self::Renew => "the renewal of the token".into(),
            Self::Secret { verb, mount, path } => verb.subject(mount, path),
            Self::Revoke => "the revoke of the login's token".into(),
        }
    }

    /// Where the secret is that is asked for; `None` for a step that asks for none.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Read { mount, path, .. } | Self::Secret { mount, path, .. } => Some(format!("{mount}/{path}")),
            _ => None,
        }
    }
}
