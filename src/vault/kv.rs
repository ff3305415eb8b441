//! The KV version 2 engine: one path, one version.

use zeroize::Zeroizing;

use super::encode;
use super::fault::{self, Step};
use super::http::Request;
use super::token::Session;
use crate::error::Error;
use crate::json::{Fault, Object};
use crate::text::Scrubber;

/// Which secret to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The KV version 2 mount.
    pub mount: String,
    /// The path in it.
    pub path: String,
    /// The version, or the latest.
    pub version: Option<u64>,
}

/// A version of a secret: the server's answer as received, and what it says of itself.
pub struct Version {
    body: Zeroizing<Vec<u8>>,
    /// Its number.
    pub number: u64,
    /// When it was written, RFC 3339.
    pub created: String,
}

impl Version {
    /// Calls `with` with the secret's members, `data.data` of the answer.
    pub fn with_data<T>(&self, with: impl FnOnce(&Object) -> T) -> Result<T, Fault> {
        Object::parse(&self.body).and_then(|answer| answer.object(&["data", "data"]).map(with))
    }
}

impl Session<'_> {
    /// Reads a version. [`GET {mount}/data/{path}`](https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-version)
    ///
    /// The answer's envelope is checked here, keys and values are judged by whoever takes them.
    pub fn read(&self, location: &Location) -> Result<Version, Error> {
        let Location { mount, path, version } = location;
        let step = Step::Read { mount, path, version: *version, handed_in: self.handed_in };
        let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let url = format!("{}/data/{}{query}", encode(mount), encode(path));
        self.client.step(step, || {
            let answer = self.client.ask(step, &Request { token: Some(&self.token), ..Request::get(&url) })?;
            let (number, created) = match envelope(&answer.body, &self.client.scrubber) {
                Ok(found) => found,
                // In the secret it is its writer's fault and reported with the other keys; around it, the server's.
                Err(Fault::Duplicate(path)) if path.len() > 2 && path[..2] == ["data", "data"] => (0, String::new()),
                Err(fault) => return Err(fault::of_body(&answer, &fault, &self.client.scrubber)),
            };
            Ok(Version { body: answer.body, number, created })
        })
    }
}

fn envelope(body: &[u8], scrubber: &Scrubber) -> Result<(u64, String), Fault> {
    let answer = Object::parse(body)?;
    answer.object(&["data", "data"])?;
    let metadata = answer.object(&["data", "metadata"])?;
    Ok((metadata.number("version")?, scrubber.clean(&[metadata.string("created_time")?])))
}
