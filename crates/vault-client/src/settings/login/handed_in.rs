//! A credential that is handed in: in a setting, or in a file that one names.

use std::path::PathBuf;

use super::super::reader::Reader;
use super::super::remedy;
use super::super::setting::Setting;
use crate::login::{Credential, json_is};
use crate::secret::Secret;

/// A credential, as far as settings give one.
pub struct HandedIn {
    given: Option<Secret>,
    file: Option<PathBuf>,
}

impl HandedIn {
    /// The one that was `given`, or the one in the file that `file` names.
    pub fn read(reader: &mut Reader, given: Option<Secret>, file: &'static Setting) -> Self {
        Self { given, file: reader.find(file).map(|found| found.text.into()) }
    }

    /// Whether a setting gives it by value.
    pub fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// Whether a setting gives it, or names its file.
    pub fn is_configured(&self) -> bool {
        self.is_given() || self.file.is_some()
    }

    /// The same, with `file` where no setting gives it.
    pub fn or_file(self, file: Option<PathBuf>) -> Self {
        Self { file: self.file.or(file), ..self }
    }

    /// The credential, which has to be unwrapped if `unwrap` says so; `None` where there is none.
    pub fn credential(self, unwrap: bool) -> Option<Credential> {
        let credential = self.given.map(Credential::given).or_else(|| self.file.map(Credential::file))?;
        Some(if unwrap { credential.wrapped() } else { credential })
    }
}

/// Refuses a JSON document in the place of a token or a JWT.
///
/// # Errors
///
/// What the document is, and what to give.
pub fn refuse_json(text: &str) -> Result<(), String> {
    if !text.starts_with('{') {
        return Ok(());
    }
    let document = json_is(text.as_bytes());
    Err(format!("{document}; {}", remedy::of_json(document)))
}
