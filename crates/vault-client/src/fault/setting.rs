//! What is wrong with settings.

use std::fmt;

use super::ErrorKind;

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}{}: {cause}", .held.as_ref().map(|held| format!(" = {held}")).unwrap_or_default())]
pub struct SettingFault {
    /// The variable or flag it came from.
    pub name: String,
    /// What it held, quoted and cut; `None` for a credential.
    pub held: Option<String>,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong and what is accepted.
    pub cause: String,
}

/// What kind of fault a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// It is needed and has no text.
    Unset,
    /// Its text, or what its text points at, cannot be used.
    Unusable,
    /// No setting gives a way to log in.
    NotDetected,
}

/// Everything that is wrong with the settings of a client, at least one fault. Its text has a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingFaults(pub Vec<SettingFault>);

impl SettingFaults {
    /// [`ErrorKind::NotDetected`] where nothing is wrong but that there is no way to log in, else
    /// [`ErrorKind::Settings`].
    pub fn kind(&self) -> ErrorKind {
        let not_detected = self.0.iter().all(|fault| fault.kind == FaultKind::NotDetected);
        if not_detected { ErrorKind::NotDetected } else { ErrorKind::Settings }
    }
}

impl fmt::Display for SettingFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line_break = "";
        for fault in &self.0 {
            write!(f, "{line_break}{fault}")?;
            line_break = "\n";
        }
        Ok(())
    }
}

impl std::error::Error for SettingFaults {}
