//! The ids of an `AppRole`.

use std::path::PathBuf;

use super::super::reader::{Found, Reader};
use super::super::{setting, value};
use crate::login::{AppRole, Credential, Login};
use crate::secret::Secret;

/// The ids of an `AppRole`, as far as they are set.
pub struct Ids {
    /// The role's, and whether it has the name that is `AppRole`'s alone.
    role_id: Option<(Secret, bool)>,
    secret_id: Option<Secret>,
    file: Option<PathBuf>,
}

impl Ids {
    pub fn read(reader: &mut Reader) -> Self {
        let named = reader.find(&setting::APPROLE_ROLE_ID).is_some_and(|Found { name, .. }| name != "VAULT_ROLE_ID");
        let role_id = reader.parse(&setting::APPROLE_ROLE_ID, |text| value::line(text).map(Secret::new));
        let secret_id = reader.parse(&setting::APPROLE_SECRET_ID, |text| value::line(text).map(Secret::new));
        let file = reader.find(&setting::APPROLE_SECRET_ID_FILE).map(|found| found.text.into());
        Self { role_id: role_id.map(|it| (it, named)), secret_id, file }
    }

    /// Whether a name that is `AppRole`'s alone gives the role id.
    pub fn is_named(&self) -> bool {
        self.role_id.as_ref().is_some_and(|it| it.1)
    }

    /// Whether a role id stands beside a secret id.
    pub fn is_paired(&self) -> bool {
        self.role_id.is_some() && self.secret_id.is_some()
    }

    /// Whether a secret id is given.
    pub fn has_secret_id(&self) -> bool {
        self.secret_id.is_some() || self.file.is_some()
    }

    /// Returns `None` only if a fault was recorded.
    pub fn login(self, reader: &mut Reader, mount: String, unwrap: bool, revoke: bool) -> Option<Box<dyn Login>> {
        reader.demand(&setting::APPROLE_ROLE_ID, "the approle login needs the id of the role");
        let secret_id = self.secret_id.map(Credential::given).or_else(|| self.file.map(Credential::file));
        let secret_id = if unwrap { secret_id.map(Credential::wrapped) } else { secret_id };
        Some(Box::new(AppRole { mount, role_id: self.role_id?.0, secret_id, revoke }))
    }
}
