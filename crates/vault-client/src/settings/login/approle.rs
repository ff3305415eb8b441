//! The ids of an `AppRole`.

use super::super::reader::{Found, Reader};
use super::super::{setting, value};
use super::handed_in::HandedIn;
use crate::login::{AppRole, Login};
use crate::secret::Secret;

/// The ids of an `AppRole`, as far as they are set.
pub struct Ids {
    /// The role's, and whether it has the name that is `AppRole`'s alone.
    role_id: Option<(Secret, bool)>,
    secret_id: HandedIn,
}

impl Ids {
    pub fn read(reader: &mut Reader) -> Self {
        let named = reader.find(&setting::APPROLE_ROLE_ID).is_some_and(|Found { name, .. }| name != "VAULT_ROLE_ID");
        let role_id = reader.parse(&setting::APPROLE_ROLE_ID, |text| value::line(text).map(Secret::new));
        let secret_id = reader.parse(&setting::APPROLE_SECRET_ID, |text| value::line(text).map(Secret::new));
        let secret_id = HandedIn::read(reader, secret_id, &setting::APPROLE_SECRET_ID_FILE);
        Self { role_id: role_id.map(|it| (it, named)), secret_id }
    }

    /// Whether a name that is `AppRole`'s alone gives the role id.
    pub fn is_named(&self) -> bool {
        self.role_id.as_ref().is_some_and(|it| it.1)
    }

    /// Whether a role id stands beside a secret id.
    pub fn is_paired(&self) -> bool {
        self.role_id.is_some() && self.secret_id.is_given()
    }

    /// Whether a secret id is given.
    pub fn has_secret_id(&self) -> bool {
        self.secret_id.is_configured()
    }

    /// Returns `None` only if a fault was recorded.
    pub fn login(self, reader: &mut Reader, mount: String, unwrap: bool, revoke: bool) -> Option<Box<dyn Login>> {
        reader.demand(&setting::APPROLE_ROLE_ID, "the approle login needs the id of the role");
        let secret_id = self.secret_id.credential(unwrap);
        Some(Box::new(AppRole { mount, role_id: self.role_id?.0, secret_id, revoke }))
    }
}
