//! What a person's login needs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::super::reader::Reader;
use super::super::{setting, value};
use crate::login::{Listen, Oidc, cache_folder};

/// What a person's login needs, beside mount and role.
pub struct Person {
    listen: Listen,
    browser: bool,
    cache: Option<PathBuf>,
    is_at_terminal: bool,
}

impl Person {
    pub fn read(reader: &mut Reader) -> Self {
        let listen = reader.value(&setting::OIDC_LISTEN, Listen::parse);
        let browser = reader.value(&setting::OIDC_BROWSER, value::boolean);
        let cache = cache_folder(|name| reader.bytes(name).map(|bytes| OsStr::from_bytes(bytes).to_owned()));
        Self { listen, browser, cache, is_at_terminal: reader.is_at_terminal() }
    }

    /// Whether there is one to ask.
    pub fn is_there(&self) -> bool {
        self.is_at_terminal
    }

    /// The login. Whoever has named it can be asked wherever that is: by the browser that opens, or by what is written to
    /// standard error.
    pub fn oidc(self, (mount, role): (String, Option<String>), is_named: bool, revoke: bool) -> Oidc {
        let Self { listen, browser, cache, is_at_terminal } = self;
        Oidc { mount, role, listen, browser, interactive: is_named || is_at_terminal, cache, revoke }
    }
}
