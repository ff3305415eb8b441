//! What the end of a cached login needs of the settings: the connection, and nothing of a secret.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::setting::{self, Setting, TABLE};
use super::{Flags, Texts, USER_AGENT};
use crate::error::Error;
use crate::process::environ::Environ;
use vault_client::settings::{self, Given, Reader, Server, Source};
use vault_client::{CachedLogin, Limits, Oidc, Options};

/// A cached login, and how its server is reached.
pub struct Cached {
    /// The login.
    pub oidc: Oidc,
    /// Where its server is and how to talk to it.
    pub vault: Options,
    /// How long and how often it is tried.
    pub limits: Limits,
    /// What is not wrong but deserves a warning.
    pub warnings: Vec<String>,
}

/// The user's folder of cached tokens.
pub fn folder(environ: &Environ) -> Option<PathBuf> {
    vault_client::cache_folder(|name| environ.get(name).map(|value| OsStr::from_bytes(value).to_owned()))
}

/// The login of the settings in force, or `login` with the settings of the connection.
///
/// # Errors
///
/// [`Error::Settings`] with every value that cannot be used.
pub fn read(environ: &Environ, login: Option<&CachedLogin>) -> Result<Cached, Error> {
    let flags = Flags::default();
    let source = Aimed { texts: Texts { environ, flags: &flags }, address: login.map(|login| login.address.as_str()) };
    let mut reader = Reader::new(&source, &TABLE);
    let server = Server::read(&mut reader, None);
    let mut warnings = Vec::new();
    let oidc = settings::oidc(&mut reader, &mut warnings);
    let connection = server.connection(&mut reader, Some(Box::new(oidc.clone())), None);
    let Some(connection) = connection.filter(|_| reader.faults.is_empty()) else {
        if reader.faults.is_empty() {
            let name = login.map_or(setting::ADDR.name, |_| OF_ENTRY);
            reader.fault(name, None, "empty; write the address of the server");
        }
        return Err(Error::Settings(reader.faults));
    };
    warnings.extend(connection.warnings);
    let mut vault = Options { user_agent: USER_AGENT.into(), lanes: 1, ..connection.options };
    if let Some(login) = login {
        vault.auth_namespace.clone_from(&login.namespace);
    }
    Ok(Cached { oidc, vault, limits: connection.limits, warnings })
}

/// What the address of an entry is called.
const OF_ENTRY: &str = "the address in it";

/// The settings with another address.
struct Aimed<'a> {
    texts: Texts<'a>,
    address: Option<&'a str>,
}

impl Source for Aimed<'_> {
    fn variable(&self, name: &str) -> Option<&[u8]> {
        self.texts.variable(name)
    }

    fn names(&self) -> Vec<&str> {
        self.texts.names()
    }

    fn given(&self, setting: &Setting) -> Vec<Given<'_>> {
        let address = self.address.filter(|_| setting.name == setting::ADDR.name);
        address.map(|it| Given { name: OF_ENTRY.into(), bytes: it.as_bytes() }).into_iter().collect()
    }
}
