//! What can be told about a read that was refused or found nothing; for a dry run, never on the good path.

use super::Location;
use crate::fault::Fault;
use crate::http::path::encode;
use crate::session::Session;
use crate::step::Step;

/// What the server tells of a read that failed.
#[derive(Debug)]
pub struct Explained {
    /// What is mounted there.
    pub mount: Mount,
    /// Whether a policy of the token allows the read; asked only where the read was denied, of a mount of KV version 2.
    pub may_read: Option<bool>,
}

/// What the server tells of a mount.
#[derive(Debug)]
pub enum Mount {
    /// It is not there, or no policy of the token touches it: the server does not tell them apart.
    Hidden,
    /// Nothing, for this reason.
    Untold(Fault),
    /// An engine.
    Engine {
        /// Its type; empty where it has none.
        kind: String,
        /// Its version, where it has versions.
        version: Option<String>,
    },
}

impl Mount {
    /// Whether it is of KV version 2.
    pub fn is_version_2(&self) -> bool {
        matches!(self, Self::Engine { kind, version: Some(version) } if kind == "kv" && version == "2")
    }
}

impl Session {
    /// Asks which of mount, engine, path or policy is in the way of a read, as far as the server tells; and where it can
    /// be a policy, because the read was `denied`, whether one allows it.
    /// [`GET sys/internal/ui/mounts/{path}`](https://openbao.org/api-docs/system/internal-ui-mounts/)
    pub fn explain(&self, location: &Location, denied: bool) -> Explained {
        let mount = self.mount(location);
        let may_read = if denied && mount.is_version_2() { self.may_read(location) } else { None };
        Explained { mount, may_read }
    }

    fn mount(&self, Location { mount, path, .. }: &Location) -> Mount {
        let url = format!("sys/internal/ui/mounts/{}/{}", encode(mount), encode(path));
        let answer = match self.endpoint().try_once(&Step::Preflight, &self.get(&url)) {
            Ok(answer) => answer,
            Err(fault) if fault.status == Some(403) => return Mount::Hidden,
            Err(fault) => return Mount::Untold(fault),
        };
        let engine = answer.document().ok().and_then(|said| said.object(&["data"]).ok());
        let clean = |text: &str| self.endpoint().scrubber().clean(&[text]);
        let kind = engine.as_ref().and_then(|e| Some(clean(&e.string("type").ok()?))).unwrap_or_default();
        let version = engine.and_then(|e| Some(clean(&e.object(&["options"]).ok()?.get("version")?.string()?)));
        Mount::Engine { kind, version }
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
