//! Where a token can be.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::reader::Reader;
use super::super::{remedy, setting, value};
use crate::fault::FaultKind;
use crate::login::{Credential, Login, Token, json_is};
use crate::secret::Secret;

/// Where a token can be.
pub struct Tokens {
    given: Option<Secret>,
    file: Option<PathBuf>,
    /// The official client's, where it is there.
    home: Option<PathBuf>,
}

impl Tokens {
    pub fn read(reader: &mut Reader) -> Self {
        let given = reader.parse(&setting::TOKEN, |text| {
            if text.starts_with('{') {
                let document = json_is(text.as_bytes());
                return Err(format!("{document}; {}", remedy::of_json(document)));
            }
            value::token(text).map(Secret::new).map_err(str::to_owned)
        });
        let file = reader.find(&setting::TOKEN_FILE).map(|found| found.text.into());
        let home = reader
            .bytes("HOME")
            .filter(|home| !home.is_empty())
            .map(|home| Path::new(OsStr::from_bytes(home)).join(".vault-token"))
            .filter(|path| path.exists());
        Self { given, file, home }
    }

    /// Whether a setting gives one.
    pub fn is_configured(&self) -> bool {
        self.given.is_some() || self.file.is_some()
    }

    /// Whether the official client has left one.
    pub fn is_at_home(&self) -> bool {
        self.home.is_some()
    }

    /// Returns `None` only if a fault was recorded.
    pub fn login(self, reader: &mut Reader, unwrap: bool, revoke: bool) -> Option<Box<dyn Login>> {
        let found = self.given.map(Credential::given).or_else(|| self.file.or(self.home).map(Credential::file));
        let Some(token) = found else {
            if !reader.is_faulty(&setting::TOKEN) {
                let cause = "no token: set VAULT_TOKEN or VAULT_TOKEN_FILE, or log in with the official client \
                             ($HOME/.vault-token)";
                reader.record(FaultKind::NotDetected, setting::AUTH_METHOD.name.into(), None, cause.into());
            }
            return None;
        };
        let token = if unwrap { token.wrapped() } else { token };
        Some(Box::new(Token { token, revoke }))
    }
}
