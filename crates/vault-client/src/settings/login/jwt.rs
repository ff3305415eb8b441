//! A JWT that is handed in.

use std::path::PathBuf;

use super::super::reader::Reader;
use super::super::{remedy, setting, value};
use crate::login::{Credential, Jwt, Login, is_jwt, json_is};
use crate::secret::Secret;

/// A JWT that is handed in, as far as one is.
pub struct GivenJwt {
    given: Option<Secret>,
    file: Option<PathBuf>,
}

impl GivenJwt {
    pub fn read(reader: &mut Reader, unwrap: bool) -> Self {
        let given = reader.parse(&setting::JWT, |text| {
            if text.starts_with('{') {
                let document = json_is(text.as_bytes());
                return Err(format!("{document}; {}", remedy::of_json(document)));
            }
            let token = value::token(text)?;
            if unwrap && is_jwt(token) {
                return Err("a JWT, which is no wrapping token; unset VAULT_UNWRAP".to_owned());
            }
            if !unwrap && token.split('.').count() != 3 {
                return Err("not a JWT; give the three parts with the dots between them".to_owned());
            }
            Ok(Secret::new(token))
        });
        let file = reader.find(&setting::JWT_FILE).map(|found| found.text.into());
        Self { given, file }
    }

    /// Whether a setting gives one.
    pub fn is_configured(&self) -> bool {
        self.given.is_some() || self.file.is_some()
    }

    /// Returns `None` only if a fault was recorded.
    pub fn login(
        self,
        reader: &mut Reader,
        (mount, role): (String, Option<String>),
        unwrap: bool,
        revoke: bool,
    ) -> Option<Box<dyn Login>> {
        let found = self.given.map(Credential::given).or_else(|| self.file.map(Credential::file));
        let Some(jwt) = found else {
            reader.demand(&setting::JWT, "the jwt login needs a JWT: set it, or VAULT_JWT_FILE");
            return None;
        };
        let jwt = if unwrap { jwt.wrapped() } else { jwt };
        Some(Box::new(Jwt { mount, role, jwt, revoke }))
    }
}
