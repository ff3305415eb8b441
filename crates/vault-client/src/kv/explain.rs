//! What can be told about a read that was refused or found nothing; for a dry run, never on the good path.

use super::Location;
use crate::http::path::encode;
use crate::judge::{doubled, rule};
use crate::session::Session;
use crate::step::Step;

/// What the server tells of a read that failed.
#[derive(Debug, Default)]
pub struct Explained {
    /// Which of mount, engine, path or policy is in the way, as far as that can be told.
    pub said: String,
    /// Type of the engine that is mounted there.
    pub mount_type: Option<String>,
    /// Version of a KV engine.
    pub mount_version: Option<String>,
    /// Whether a policy of the token allows the read; asked only where the read was denied.
    pub may_read: Option<bool>,
}

impl Session {
    /// Says which of mount, engine, path or policy is in the way of a read, as far as the server tells; and where it
    /// can be a policy, because the read was `denied`, which rule it needs.
    /// [`GET sys/internal/ui/mounts/{path}`](https://openbao.org/api-docs/system/internal-ui-mounts/)
    pub fn explain(&self, location: &Location, denied: bool) -> Explained {
        let Location { mount, path, .. } = location;
        let url = format!("sys/internal/ui/mounts/{}/{}", encode(mount), encode(path));
        let answer = match self.endpoint().try_once(&Step::Preflight, &self.get(&url)) {
            Ok(answer) => answer,
            Err(fault) => {
                let said = match fault.status {
                    Some(403) if denied => format!(
                        "the mount {mount} is missing, or no policy of the token touches it (the server does not tell \
                         them apart); the read needs {}",
                        rule(mount, path)
                    ),
                    // A policy touches it, or the read would have been denied.
                    Some(403) => format!("there is no mount {mount}; check VAULT_MOUNT_POINT and VAULT_NAMESPACE"),
                    _ => format!("of the mount {mount} nothing is told: {}", fault.cause),
                };
                return Explained { said, ..Explained::default() };
            }
        };
        let engine = answer.document().ok().and_then(|said| said.object(&["data"]).ok());
        let clean = |text: &str| self.endpoint().scrubber().clean(&[text]);
        let kind = engine.as_ref().and_then(|e| Some(clean(&e.string("type").ok()?))).unwrap_or_default();
        let version = engine.and_then(|e| Some(clean(&e.object(&["options"]).ok()?.get("version")?.string()?)));
        let mut may_read = None;
        let said = match (kind.as_str(), version.as_deref()) {
            ("kv", Some("2")) => {
                let needed = rule(mount, path);
                may_read = denied.then(|| self.may_read(location)).flatten();
                match doubled(mount, path) {
                    Some(hint) => format!("the mount {mount} is KV version 2; {hint}"),
                    None if may_read == Some(true) => format!(
                        "a policy of the token allows the read and demands more of it, such as min_wrapping_ttl, \
                         required parameters or a control group; a plain read needs a rule without them: {needed}"
                    ),
                    None if denied => {
                        format!("the mount {mount} is there; VAULT_PATH is wrong, or the policy lacks {needed}")
                    }
                    None => format!("the mount {mount} is there and is KV version 2"),
                }
            }
            ("kv" | "generic", _) => format!("the mount {mount} is KV version 1, and only version 2 is read"),
            (other, _) => format!("the mount {mount} is of type {other}, not KV version 2"),
        };
        Explained { said, mount_type: Some(kind), mount_version: version, may_read }
    }

    /// Whether a policy of the token allows the read; `None` where the server does not tell.
    /// [`POST sys/capabilities-self`](https://openbao.org/api-docs/system/capabilities-self/)
    fn may_read(&self, Location { mount, path, .. }: &Location) -> Option<bool> {
        let body = serde_json::json!({"paths": [format!("{mount}/data/{path}")]}).to_string();
        let request = self.post("sys/capabilities-self", body.as_bytes());
        let answer = self.endpoint().try_once(&Step::Preflight, &request).ok()?;
        let data = answer.document().ok()?.object(&["data"]).ok()?;
        let capabilities = data.strings(&format!("{mount}/data/{path}"));
        (!capabilities.is_empty()).then(|| capabilities.iter().any(|it| ["read", "root"].contains(&it.as_str())))
    }
}
