//! A JWT that is handed in.

use super::super::reader::Reader;
use super::super::{setting, value};
use super::handed_in::{HandedIn, refuse_json};
use crate::login::{Jwt, Login, is_in_three_parts, is_jwt};
use crate::secret::Secret;

/// A JWT that is handed in, as far as one is.
pub struct GivenJwt(HandedIn);

impl GivenJwt {
    pub fn read(reader: &mut Reader, unwrap: bool) -> Self {
        let given = reader.parse(&setting::JWT, |text| {
            refuse_json(text)?;
            let token = value::token(text)?;
            if unwrap && is_jwt(token) {
                return Err("a JWT, which is no wrapping token; unset VAULT_UNWRAP".to_owned());
            }
            if !unwrap && !is_in_three_parts(token) {
                return Err("not a JWT; give the three parts with the dots between them".to_owned());
            }
            Ok(Secret::new(token))
        });
        Self(HandedIn::read(reader, given, &setting::JWT_FILE))
    }

    /// Whether a setting gives one.
    pub fn is_configured(&self) -> bool {
        self.0.is_configured()
    }

    /// Returns `None` only if a fault was recorded.
    pub fn login(
        self,
        reader: &mut Reader,
        (mount, role): (String, Option<String>),
        unwrap: bool,
        revoke: bool,
    ) -> Option<Box<dyn Login>> {
        let Some(jwt) = self.0.credential(unwrap) else {
            reader.demand(&setting::JWT, "the jwt login needs a JWT: set it, or VAULT_JWT_FILE");
            return None;
        };
        Some(Box::new(Jwt { mount, role, jwt, revoke }))
    }
}
