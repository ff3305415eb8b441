//! Where a token can be.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::reader::Reader;
use super::super::{setting, value};
use super::handed_in::{HandedIn, refuse_json};
use crate::fault::FaultKind;
use crate::login::{Login, Token};
use crate::secret::Secret;

/// Where a token can be.
pub struct Tokens {
    /// That of the settings.
    set: HandedIn,
    /// The official client's, where it is there.
    home: Option<PathBuf>,
}

impl Tokens {
    pub fn read(reader: &mut Reader) -> Self {
        let given = reader.parse(&setting::TOKEN, |text| {
            refuse_json(text)?;
            value::token(text).map(Secret::new).map_err(str::to_owned)
        });
        let set = HandedIn::read(reader, given, &setting::TOKEN_FILE);
        let home = reader
            .bytes("HOME")
            .filter(|home| !home.is_empty())
            .map(|home| Path::new(OsStr::from_bytes(home)).join(".vault-token"))
            .filter(|path| path.exists());
        Self { set, home }
    }

    /// Whether a setting gives one.
    pub fn is_configured(&self) -> bool {
        self.set.is_configured()
    }

    /// Whether the official client has left one.
    pub fn is_at_home(&self) -> bool {
        self.home.is_some()
    }

    /// Returns `None` only if a fault was recorded.
    pub fn login(self, reader: &mut Reader, unwrap: bool, revoke: bool) -> Option<Box<dyn Login>> {
        let Some(token) = self.set.or_file(self.home).credential(unwrap) else {
            if !reader.is_faulty(&setting::TOKEN) {
                let cause = "no token: set VAULT_TOKEN or VAULT_TOKEN_FILE, or log in with the official client \
                             ($HOME/.vault-token)";
                reader.record(FaultKind::NotDetected, setting::AUTH_METHOD.name.into(), None, cause.into());
            }
            return None;
        };
        Some(Box::new(Token { token, revoke }))
    }
}
