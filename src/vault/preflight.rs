//! What can be told about a read that was refused or found nothing; for a dry run, never on the good path.

use super::encode;
use super::fault::{Step, doubled, rule};
use super::http::Request;
use super::kv::Location;
use super::token::Session;

impl Session<'_> {
    /// Says which of mount, engine, path or policy is in the way of a read, as far as the server tells; and where it
    /// can be a policy, because the read was `denied`, which rule it needs.
    /// [`GET sys/internal/ui/mounts/{path}`](https://openbao.org/api-docs/system/internal-ui-mounts/)
    pub fn explain(&self, location: &Location, denied: bool) -> String {
        let Location { mount, path, .. } = location;
        let url = format!("sys/internal/ui/mounts/{}/{}", encode(mount), encode(path));
        let request = Request { token: Some(&self.token), ..Request::get(&url) };
        let Ok(answer) = self.client.ask(Step::Preflight, &request) else {
            let token = if self.handed_in { "the token is wrong or expired, " } else { "" };
            return format!(
                "{token}the mount {mount} is missing, or no policy of the token touches it (the server does not tell \
                 them apart); the read needs {}",
                rule(mount, path)
            );
        };
        let said = answer.document();
        let engine = said.ok().and_then(|said| said.object(&["data"]).ok());
        let kind = engine.as_ref().and_then(|e| e.string("type").ok()).unwrap_or_default();
        let version = engine.as_ref().and_then(|e| e.object(&["options"]).ok()?.get("version")?.string());
        let version = version.as_ref().map(|version| version.as_str());
        if let Some(hint) = doubled(mount, path).filter(|_| (kind.as_str(), version) == ("kv", Some("2"))) {
            return format!("the mount {mount} is KV version 2; {hint}");
        }
        match (kind.as_str(), version) {
            ("kv", Some("2")) if denied => {
                format!("the mount {mount} is there; VAULT_PATH is wrong, or the policy lacks {}", rule(mount, path))
            }
            ("kv", Some("2")) => format!("the mount {mount} is KV version 2, the path is at fault"),
            ("kv" | "generic", _) => format!("the mount {mount} is KV version 1, and only version 2 is read"),
            (other, _) => {
                format!("the mount {mount} is of type {}, not KV version 2", self.client.scrubber.clean(&[other]))
            }
        }
    }
}
