//! What a login with a client certificate needs of the connection.

use super::super::reader::Reader;
use super::super::setting;
use super::Beside;
use crate::login::{Cert, Login};

/// Returns `None` only if a fault was recorded.
pub fn login(
    reader: &mut Reader,
    beside: &Beside,
    (mount, role): (String, Option<String>),
    revoke: bool,
) -> Option<Box<dyn Login>> {
    let before = reader.faults.len();
    if beside.https == Some(false) {
        let cause = "not https, and the cert login shows its certificate in TLS alone; write an https:// URL";
        reader.fault(setting::ADDR.name, None, cause);
    }
    if !beside.has_identity {
        reader.demand(&setting::CLIENT_CERT, "the cert login needs it, and VAULT_CLIENT_KEY");
    }
    (reader.faults.len() == before).then(|| Box::new(Cert { mount, role, revoke }) as Box<dyn Login>)
}
