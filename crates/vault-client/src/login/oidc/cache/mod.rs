//! Tokens of a person's logins, kept for the next start: one file for each server, namespace, mount and role, which holds
//! the token and what is needed to revoke it.

mod folder;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::callback::hash;
use crate::endpoint::Endpoint;
use crate::json::{Malformed, Object};
use crate::secret::Secret;
use crate::session::Session;
use crate::text;
use crate::token::TokenInfo;
use folder::Flaw;
pub use folder::{Folder, Lock};

/// A token with less left is neither stored nor used.
pub const LEAST: Duration = Duration::from_secs(3600);

/// What the files of entries end in.
const SUFFIX: &str = ".json";

/// The folder for the cached tokens of logins by OIDC: `vault-client` in `$XDG_CACHE_HOME` where that is an absolute path,
/// else in `.cache` of `$HOME`. `None` where there is neither. `variable` gives the value of a variable.
pub fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("vault-client"))
}

/// Which login a cached token is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedLogin {
    /// The server's address.
    pub address: String,
    /// The namespace of the login; `None` is the root namespace.
    pub namespace: Option<String>,
    /// The mount of the method.
    pub mount: String,
    /// The role; `None` is the mount's default role.
    pub role: Option<String>,
}

impl CachedLogin {
    /// The name of its file. It tells nobody who looks at the folder which server it is.
    pub(super) fn name(&self) -> String {
        let absent_or = |text: &Option<String>| text.as_ref().map_or("-".to_owned(), |text| format!("+{text}"));
        // No part can hold the separator, so that no two keys come to one text.
        let parts = [self.address.clone(), absent_or(&self.namespace), self.mount.clone(), absent_or(&self.role)];
        let digest = hash(&parts.join("\0"));
        let hex = digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        hex + SUFFIX
    }
}

/// A cached token.
#[derive(Debug)]
pub struct Entry {
    pub key: CachedLogin,
    pub token: Secret,
    /// In seconds since 1970.
    pub expires_at: u64,
    pub renewable: bool,
    pub policies: Vec<String>,
}

impl Entry {
    /// How much longer the token lives at `now`.
    pub fn left(&self, now: SystemTime) -> Duration {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Duration::from_secs(self.expires_at).saturating_sub(now)
    }

    /// A session with the token, which lives for `left` from now on. The server is asked nothing.
    pub fn session(self, endpoint: &Endpoint, left: Duration) -> Session {
        let info = TokenInfo::cached(left, self.renewable, self.policies);
        Session::cached(endpoint, Arc::new(self.token), info)
    }

    /// The text of its file.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let quoted = |text: &str| Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
        let optional = |text: &Option<String>| text.as_deref().map_or_else(|| Zeroizing::new("null".into()), quoted);
        let policies: Vec<_> = self.policies.iter().map(|policy| quoted(policy).to_string()).collect();
        let (address, namespace) = (quoted(&self.key.address), optional(&self.key.namespace));
        let (mount, role) = (quoted(&self.key.mount), optional(&self.key.role));
        let (expires_at, renewable, policies) = (self.expires_at, self.renewable, policies.join(","));
        let head = format!(
            "{{\"address\":{},\"namespace\":{},\"mount\":{},\"role\":{},\"expires_at\":{expires_at},\
             \"renewable\":{renewable},\"policies\":[{policies}],\"token\":",
            *address, *namespace, *mount, *role
        );
        Zeroizing::new([head.as_bytes(), quoted(self.token.expose()).as_bytes(), b"}"].concat())
    }

    /// Reads the text of a file.
    pub fn decode(text: &[u8]) -> Result<Self, Flaw> {
        let damaged = |_: Malformed| "damaged".to_owned();
        let object = Object::parse(text).map_err(damaged)?;
        let text = |name: &str| object.string(name).map(|text| text.to_string()).map_err(damaged);
        let optional = |name: &str| if object.get(name).is_some() { text(name).map(Some) } else { Ok(None) };
        let key = CachedLogin {
            address: text("address")?,
            namespace: optional("namespace")?,
            mount: text("mount")?,
            role: optional("role")?,
        };
        let token = object.string("token").map_err(damaged)?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("damaged".into());
        }
        let policies = object.strings("policies").iter().map(|it| it.to_string()).collect();
        let (expires_at, renewable) =
            (object.number("expires_at").map_err(damaged)?, object.bool("renewable").map_err(damaged)?);
        Ok(Self { key, token: token.into(), expires_at, renewable, policies })
    }
}

/// The token of `key` in `folder`; `None` where there is none.
pub fn read(folder: &Folder, key: &CachedLogin) -> Result<Option<Entry>, Flaw> {
    let Some(text) = folder.read(&key.name())? else { return Ok(None) };
    let entry = Entry::decode(&text)?;
    // A token that came here under the name of another login would be sent to another server.
    if entry.key == *key { Ok(Some(entry)) } else { Err("of another login".into()) }
}

/// The file of an entry, for messages, as a shell finds it: its name is a hash, and all of it would be taken for a credential
/// and masked.
pub fn shown(folder: &Path, name: &str) -> String {
    format!("{}/{}*{SUFFIX}", text::os(folder), name.get(..8).unwrap_or_default())
}

/// The names of all entries in the folder at `path`.
pub fn names(path: &Path) -> Vec<String> {
    let is_entry = |name: &&str| {
        let hash = name.strip_suffix(SUFFIX).unwrap_or_default();
        hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.filter_map(|entry| OsStr::to_str(&entry.file_name()).filter(is_entry).map(str::to_owned)).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests;
