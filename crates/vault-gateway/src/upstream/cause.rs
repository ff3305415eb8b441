//! Why a tenant is not well, in words for the log.

use std::fmt;

use vault_client::fault::{NotVault, Unreachable};
use vault_client::{ErrorKind, Fault, Step, VaultError, What};

use super::judge::is_of_login;

/// Why a tenant is not well. Its text has no secret, no path of a caller and nothing that differs from one request to the
/// next: the same cause has the same text. Vault's own words are in it for a login alone, whose credentials the client
/// strikes out; what is said of a path may quote a value.
#[derive(Clone, Copy)]
pub(super) struct Cause<'a> {
    /// The server's address; empty where none was asked, or it is not known.
    at: &'a str,
    step: Option<&'a Step>,
    fault: &'a Fault,
}

impl<'a> Cause<'a> {
    /// That of an error.
    pub(super) fn of(error: &'a VaultError) -> Self {
        Self { at: error.at(), step: error.step(), fault: error.fault() }
    }

    /// That of a step of which only the fault is known.
    pub(super) fn of_step(step: &'a Step, fault: &'a Fault) -> Self {
        Self { at: "", step: Some(step), fault }
    }

    /// Whether no credential was found, and Vault was not asked for that reason.
    pub(super) fn is_of_credential(&self) -> bool {
        matches!(self.fault.kind(), ErrorKind::Credential | ErrorKind::Settings | ErrorKind::NotDetected)
    }
}

impl Cause<'_> {
    /// The cause without the address: what it is told from others by.
    pub(super) fn words(&self) -> String {
        let Self { step, fault, .. } = *self;
        // Whether a write was done is for its caller to know.
        let mut what = &fault.what;
        while let What::Unsure(inner) = what {
            what = inner;
        }
        match (what, step) {
            // How long it took differs.
            (What::Unread { .. } | What::Unreachable { why: Unreachable::Late { .. }, .. }, _) => {
                "no complete answer in time".into()
            }
            (_, Some(step)) if is_of_login(Some(step)) => fault.told(step),
            (What::Answered(answered), _) if fault.kind() == ErrorKind::Denied => {
                format!("the token is dead, a request was answered with {}", answered.status)
            }
            (What::Answered(answered), _) => format!("a request was answered with {}", answered.status),
            (What::NotVault(NotVault::Malformed(outline, _)), _) => outline.to_string(),
            (what, _) => what.to_string(),
        }
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() && self.step.is_some_and(|step| *step != Step::Credential) {
            write!(f, "vault at {}: ", self.at)?;
        }
        f.write_str(&self.words())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vault_client::fault::{Answered, NoCredential, Outline, Unusable, Wanted, Way, Why};
    use vault_client::{AuthMethod, Limit, Retry, TokenOf};

    use super::*;

    fn fault(what: What) -> Fault {
        Fault { what, retry: Retry::Never, status: None, request_id: None }
    }

    fn answered(status: u16, why: Why) -> What {
        What::Answered(Box::new(Answered { status, said: "SAID".into(), why, found: None, jwt: None }))
    }

    #[test]
    fn a_cause_names_address_and_file_and_quotes_vault_of_a_login_alone() {
        let login = Step::Login { method: AuthMethod::Kubernetes, mount: "kubernetes".into(), role: Some("r".into()) };
        let read = Step::Read { mount: "kv".into(), path: "PATH".into(), version: None, token: TokenOf::Caller };
        let missing =
            NoCredential { wanted: Wanted::Token, path: "/t".into(), misplaced: false, why: Unusable::Missing };
        let late = |seconds| What::Unreachable {
            why: Unreachable::Late { limit: Limit::Whole, length: Duration::from_secs(seconds) },
            way: Way::Network,
        };
        let refused = What::Unreachable { why: Unreachable::ConnectionRefused, way: Way::Network };
        let outline = || Box::new(Outline { status: 200, content_type: "text/html".into(), bytes: 9 });
        let malformed = What::NotVault(NotVault::Malformed(outline(), "SAID".into()));
        for (step, what, text) in [
            (&Step::Credential, What::NoCredential(Box::new(missing)), "token file /t: not found"),
            (&Step::LookUp, refused.clone(), "vault at URL: connection refused"),
            (&read, refused, "vault at URL: connection refused"),
            (&read, late(3), "vault at URL: no complete answer in time"),
            (&Step::LookUp, late(4), "vault at URL: no complete answer in time"),
            (
                &read,
                What::Unsure(Box::new(answered(502, Why::NotReady))),
                "vault at URL: a request was answered with 502",
            ),
            (&read, What::Sealed { given: 1, needed: 3 }, "vault at URL: sealed (1 of 3 keys given)"),
            (&read, answered(403, Why::DeadToken), "vault at URL: the token is dead, a request was answered with 403"),
            (&read, malformed, "vault at URL: an answer that is not Vault's (status 200, text/html, 9 bytes)"),
            (&login, answered(400, Why::Refused), LOGIN),
        ] {
            let fault = fault(what);
            assert_eq!(Cause { at: "URL", step: Some(step), fault: &fault }.to_string(), text);
        }
    }

    const LOGIN: &str = "vault at URL: the login at auth/kubernetes with role r was answered with 400: SAID";
}
