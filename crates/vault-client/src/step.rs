//! What a client does: the parts of a start, and the operations on secrets.

/// What was being done, with the names that its remedies speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// `sys/seal-status`
    Status,
    /// The file with the JWT or token.
    Credential,
    /// A login at an auth mount.
    Login {
        /// The auth method's mount.
        mount: String,
        /// The role asked for.
        role: String,
    },
    /// A KV v2 read.
    Read {
        /// The KV mount.
        mount: String,
        /// The path in it.
        path: String,
        /// The version asked for, if one was.
        version: Option<u64>,
        /// Whether the token was handed in, and can be any.
        handed_in: bool,
    },
    /// `auth/token/lookup-self`
    LookUp,
    /// `sys/internal/ui/mounts`, in a dry run.
    Preflight,
    /// `auth/token/revoke-self`
    Revoke,
}

impl Step {
    /// The word for the step in messages and log fields.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Credential => "credential",
            Self::Login { .. } => "login",
            Self::Read { .. } => "read",
            Self::LookUp => "token",
            Self::Preflight => "preflight",
            Self::Revoke => "revoke",
        }
    }

    /// The step with its object.
    pub fn subject(&self) -> String {
        match self {
            Self::Status => "the status check".into(),
            Self::Credential => "the credential".into(),
            Self::Login { mount, role } => format!("the login at auth/{mount} with role {role}"),
            Self::Read { mount, path, version: None, .. } => format!("the read of {mount}/{path}"),
            Self::Read { mount, path, version: Some(version), .. } => {
                format!("the read of {mount}/{path} version {version}")
            }
            Self::LookUp => "the look-up of the token".into(),
            Self::Preflight => "the preflight".into(),
            Self::Revoke => "the revoke of the login's token".into(),
        }
    }
}
