//! The mount of an auth method.

use super::super::reader::Reader;
use super::super::setting::{self, Setting};
use super::super::value;
use crate::step::AuthMethod;

/// The mounts that are set.
pub struct Mounts {
    any: Option<String>,
    kubernetes: Option<String>,
}

impl Mounts {
    pub fn read(reader: &mut Reader) -> Self {
        let any = reader.parse(&setting::AUTH_MOUNT, value::segments);
        let kubernetes = reader.parse(&setting::K8S_AUTH_MOUNT_POINT, value::segments);
        Self { any, kubernetes }
    }

    /// The mount of `method`: for kubernetes its own setting's, else that of any method, else the method's name.
    pub fn of(&mut self, method: AuthMethod, reader: &mut Reader, warnings: &mut Vec<String>) -> String {
        let is_pods = method == AuthMethod::Kubernetes;
        let own = self.kubernetes.take().filter(|_| is_pods);
        match (own, self.any.take()) {
            (Some(mount), _) => without_auth(&setting::K8S_AUTH_MOUNT_POINT, mount, warnings),
            (None, Some(mount)) if !is_pods || reader.is_unset(&setting::K8S_AUTH_MOUNT_POINT) => {
                without_auth(&setting::AUTH_MOUNT, mount, warnings)
            }
            _ => method.name().to_owned(),
        }
    }
}

/// `mount` without `auth/` in front, which is added to it anyway.
fn without_auth(setting: &Setting, mut mount: String, warnings: &mut Vec<String>) -> String {
    if mount.starts_with("auth/") {
        mount.drain(.."auth/".len());
        warnings.push(format!("{} is read as {mount}: leave auth/ out, it is added by itself", setting.name));
    }
    mount
}
