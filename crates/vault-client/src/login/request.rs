//! A login that is one request: what it sends, and the session that the answer opens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Login;
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{Fault, What};
use crate::http::{Request, path};
use crate::secret::Secret;
use crate::session::Session;
use crate::text::Scrubber;
use crate::time::{Call, since_boot};

/// How much longer a login may take when a signal arrives: an answer that is nearly here holds a token to revoke.
pub(super) const GRACE: Duration = Duration::from_millis(150);

/// What a login proves who it is with: the members of its request.
///
/// Sent to the method's mount it is a login. Sent along with a read it is inline authentication.
pub struct Proof {
    mount: String,
    members: Vec<Member>,
}

struct Member {
    name: &'static str,
    value: Arc<Secret>,
    /// Whether it must not be seen.
    is_secret: bool,
}

impl Proof {
    /// One without members, for a login at this mount.
    pub(super) fn at(mount: &str) -> Self {
        Self { mount: mount.to_owned(), members: Vec::new() }
    }

    /// The path of the login, encoded.
    ///
    /// # Errors
    ///
    /// The mount cannot be sent.
    pub(crate) fn path(&self) -> Result<String, Fault> {
        let mount = path::checked(self.mount.trim_matches('/')).map_err(What::Mount)?;
        Ok(format!("auth/{mount}/login"))
    }

    /// The same with this member, which may be seen.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.members.push(Member { name, value: Arc::new(Secret::new(value)), is_secret: false });
        self
    }

    /// The same with this member, which may not.
    pub(super) fn with_secret(mut self, name: &'static str, value: Arc<Secret>) -> Self {
        self.members.push(Member { name, value, is_secret: true });
        self
    }

    /// The value of this member.
    pub(super) fn member(&self, name: &str) -> Option<&Arc<Secret>> {
        self.members.iter().find(|member| member.name == name).map(|member| &member.value)
    }

    /// Names and values in the order in which they were added.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        self.members.iter().map(|member| (member.name, &*member.value))
    }

    /// Strikes what must not be seen out of what the server says.
    pub(crate) fn teach(&self, scrubber: &Scrubber) {
        self.members.iter().filter(|member| member.is_secret).for_each(|member| scrubber.learn(member.value.expose()));
    }

    /// The request's body.
    pub(super) fn body(&self) -> Zeroizing<Vec<u8>> {
        let mut body = Zeroizing::new(Vec::with_capacity(16 << 10));
        for (n, (name, value)) in self.members().enumerate() {
            let value = Zeroizing::new(serde_json::to_string(value.expose()).unwrap_or_default());
            body.extend_from_slice(if n == 0 { b"{\"" } else { b",\"" });
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(b"\":");
            body.extend_from_slice(value.as_bytes());
        }
        body.extend_from_slice(if self.members.is_empty() { b"{}" } else { b"}" });
        body
    }
}

/// It shows the names alone.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| member.name)).finish()
    }
}

/// Sends the one request of `login`: `first`, and at each further try what `again` gives. The token is revoked at the end
/// if `revoke` says so.
///
/// # Errors
///
/// As for [`Endpoint::login`].
pub(super) fn log_in(
    (login, revoke): (&dyn Login, bool),
    endpoint: &Endpoint,
    first: Proof,
    again: &dyn Fn() -> Result<Proof, Fault>,
) -> Result<Session, VaultError> {
    let step = login.step();
    let path = first.path().map_err(|fault| VaultError::new(endpoint.at(), step.clone(), fault, Effort::default()))?;
    let mut first = Some(first);
    endpoint.step(&step, |call| {
        let proof = match first.take().map_or_else(again, Ok) {
            Ok(proof) => proof,
            Err(none) => return Ok(Err(VaultError::of_credential(none))),
        };
        proof.teach(endpoint.scrubber());
        let body = proof.body();
        let request = Request::post(&path, &body);
        let sent = since_boot();
        let answer = endpoint.ask(&step, &request, &Call { grace: GRACE, ..call.clone() });
        let session =
            answer.and_then(|answer| Session::from_answer(endpoint, &step, &request, &answer, (sent, revoke)));
        session.map(Ok).map_err(|fault| login.explain(fault, &proof))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_whatever_stands_in_a_value_and_debug_shows_names_alone() {
        let secret = || Arc::new(Secret::new("a\"\\\n\u{1}é"));
        let proof = Proof::at("approle").with("role", "shop").with_secret("secret_id", secret());
        assert_eq!(*proof.body(), br#"{"role":"shop","secret_id":"a\"\\\n\u0001"#.iter().chain("é\"}".as_bytes()).copied().collect::<Vec<_>>());
        assert_eq!(*Proof::at("approle").body(), b"{}");
        assert_eq!(format!("{proof:?}"), r#"["role", "secret_id"]"#);
    }
}
