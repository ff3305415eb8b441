//! What a login of a pod needs.

use std::path::{Path, PathBuf};

use super::super::reader::Reader;
use super::super::setting;
use crate::login::{Kubernetes, Login};

/// What a login of a pod needs, beside mount and role.
pub struct Pod {
    jwt: PathBuf,
}

impl Pod {
    pub fn read(reader: &mut Reader) -> Self {
        let jwt = reader.find(&setting::K8S_TOKEN_PATH).map(|found| found.text);
        Self { jwt: jwt.as_deref().or(setting::K8S_TOKEN_PATH.default).unwrap_or_default().into() }
    }

    /// The file with the JWT.
    pub fn jwt(&self) -> &Path {
        &self.jwt
    }

    /// Whether this process runs in a pod.
    pub fn is_this(&self, reader: &Reader) -> bool {
        reader.bytes("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty()) || self.jwt.exists()
    }

    /// Returns `None` only if a fault was recorded.
    pub fn login(
        self,
        reader: &mut Reader,
        (mount, role): (String, Option<String>),
        revoke: bool,
    ) -> Option<Box<dyn Login>> {
        reader.demand(&setting::ROLE, "the kubernetes login needs a role, set it to the one made for this pod");
        Some(Box::new(Kubernetes { mount, role: role?, jwt: self.jwt, revoke }))
    }
}
