//! No login at all: an agent or a proxy on the way adds its own token.

use super::{Inspected, Login, Origin};
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::Fault;
use crate::session::Session;

/// No login: no token is sent, looked up, renewed or revoked. For a server behind an agent or a proxy that adds a token.
/// [Auto-auth token](https://openbao.org/docs/agent-and-proxy/proxy/apiproxy/)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLogin;

impl Login for NoLogin {
    fn name(&self) -> &'static str {
        "none"
    }

    fn origin(&self) -> Origin {
        Origin::Token
    }

    fn look(&self) -> Result<Inspected, Fault> {
        Ok(Inspected { said: "none is sent: an agent or a proxy has to add a token".into(), ..Inspected::default() })
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        Ok(Session::without_token(endpoint))
    }
}
