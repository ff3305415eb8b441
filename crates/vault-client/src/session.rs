//! Tokens: a session owns one, and revokes it at its end if a login made it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::error::{Fault, VaultError};
use crate::http::Request;
use crate::json::{self, Object};
use crate::judge;
use crate::observe::Event;
use crate::retry;
use crate::secret::Secret;
use crate::step::Step;
use crate::time::{Call, Limit, Seconds};

/// No revoke takes longer, nor than a second more than the budget has left.
const LONGEST_REVOKE: Duration = Duration::from_secs(2);

/// No longer than this after a signal, which promises an end within a second.
const GRACE: Duration = Duration::from_millis(900);

/// A token in use. Dropping the session revokes the token where that is owed, on every way out; [`Session::revoke`] does
/// it earlier and says what became of it. Opened by [`Endpoint::login`].
pub struct Session {
    endpoint: Endpoint,
    token: Secret,
    handed_in: bool,
    /// The state that a node has to have reached to know the token.
    index: Option<String>,
    /// What is known of the token.
    pub info: TokenInfo,
    /// `None` as long as a revoke is owed.
    revoked: Mutex<Option<Revoked>>,
}

/// What a login's answer says of its token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its time to live; zero for a token that was handed in.
    pub ttl: Duration,
    /// Its policies.
    pub policies: Vec<String>,
}

impl fmt::Display for TokenInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ttl = if self.ttl.is_zero() { "no end".to_owned() } else { Seconds(self.ttl).to_string() };
        match &self.policies[..] {
            [] => write!(f, "token without policies, TTL {ttl}"),
            policies => write!(f, "token with policies {}, TTL {ttl}", policies.join(", ")),
        }
    }
}

/// What became of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It is revoked.
    Yes,
    /// It is not, for this reason.
    No(&'static str),
}

impl Session {
    /// A session with a token that was handed in, which is its owner's to revoke.
    pub(crate) fn handed_in(endpoint: &Endpoint, token: Secret) -> Self {
        endpoint.scrubber().learn(token.expose());
        let revoked = Mutex::new(Some(Revoked::No("it was handed in")));
        Self { endpoint: endpoint.clone(), token, handed_in: true, index: None, info: TokenInfo::default(), revoked }
    }

    /// The session that a login's answer opens; none if it holds no token, as a login that needs MFA. `index` is the
    /// answer's, `revoke` the setting.
    ///
    /// The token is taken out before anything else is judged, so that it is revoked whatever else is wrong.
    pub(crate) fn from_login(
        endpoint: &Endpoint,
        answer: &Object,
        index: &str,
        revoke: bool,
    ) -> Result<Option<Self>, json::Fault> {
        let auth = answer.object(&["auth"])?;
        let token = auth.string("client_token")?;
        if token.is_empty() {
            return Ok(None);
        }
        endpoint.scrubber().learn(&token);
        let token = Secret::from(token);
        // What is no index is not sent back, where it could only spoil the request.
        let index =
            Some(index.to_owned()).filter(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_graphic()));
        let (info, revoked) = (TokenInfo::default(), Mutex::new(None));
        let mut session = Self { endpoint: endpoint.clone(), token, handed_in: false, index, info, revoked };
        if !revoke {
            session.leave("VAULT_REVOKE is false");
        } else if auth.string("token_type")?.as_str() == "batch" {
            session.leave("a batch token cannot be");
        } else if auth.number("num_uses")? == 1 {
            session.leave("the read is its only use");
        }
        session.info.ttl = Duration::from_secs(auth.number("lease_duration")?);
        session.info.policies =
            auth.strings("policies").into_iter().map(|it| endpoint.scrubber().clean(&[it])).collect();
        Ok(Some(session))
    }

    /// The session of a login's answer that is refused as a whole: its token is looked for as text, to be revoked and
    /// for nothing else.
    pub(crate) fn salvage(endpoint: &Endpoint, answer: &[u8], revoke: bool) -> Option<Self> {
        let token = Secret::new(token_in(answer)?);
        endpoint.scrubber().learn(token.expose());
        let revoked = Mutex::new(Some(Revoked::No("VAULT_REVOKE is false")).filter(|_| !revoke));
        let endpoint = endpoint.clone();
        Some(Self { endpoint, token, handed_in: false, index: None, info: TokenInfo::default(), revoked })
    }

    /// Leaves the token as it is at the end, for this reason.
    fn leave(&self, reason: &'static str) {
        self.set(Revoked::No(reason));
    }

    fn set(&self, revoked: Revoked) {
        *self.revoked.lock().unwrap_or_else(PoisonError::into_inner) = Some(revoked);
    }

    fn revoked(&self) -> Option<Revoked> {
        *self.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Revokes the token where that is owed, within two seconds at most, and says what became of it. A failure is a
    /// warning, not an error: the secret is there, and the token ends with its time to live.
    /// [`POST auth/token/revoke-self`](https://openbao.org/api-docs/auth/token/#revoke-a-token-self)
    pub fn revoke(&self) -> Revoked {
        if let Some(revoked) = self.revoked() {
            if let Revoked::No(reason) = revoked {
                self.endpoint.note(&Event::NotRevoked(reason));
            }
            return revoked;
        }
        let revoked = match self.revoke_self() {
            Ok(()) => Revoked::Yes,
            Err(fault) => {
                self.endpoint.note(&Event::RevokeFailed(&fault, self.info.ttl));
                Revoked::No("the revoke failed")
            }
        };
        self.set(revoked);
        revoked
    }
}

impl Session {
    /// The server that it is a session with.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the token was handed in, and no login has made it.
    pub fn is_handed_in(&self) -> bool {
        self.handed_in
    }

    /// A GET of `path` with the token.
    pub(crate) fn get<'r>(&'r self, path: &'r str) -> Request<'r> {
        Request { token: Some(&self.token), index: self.index.as_deref(), ..Request::get(path) }
    }

    /// What the server says of the token; it costs one of its uses.
    /// [`GET auth/token/lookup-self`](https://openbao.org/api-docs/auth/token/#lookup-a-token-self)
    pub fn look_up(&self) -> Result<TokenInfo, VaultError> {
        let (endpoint, step) = (&self.endpoint, Step::LookUp);
        let request = self.get("auth/token/lookup-self");
        endpoint.step(&step, |call| {
            let answer = endpoint.ask(&step, &request, call)?;
            let asked = endpoint.asked(&step, &request);
            let broken = |fault: json::Fault| judge::of_body(&asked, &answer, &fault);
            let said = answer.document().map_err(broken)?;
            let token = said.object(&["data"]).map_err(broken)?;
            Ok(TokenInfo {
                ttl: Duration::from_secs(token.number("ttl").map_err(broken)?),
                policies: token.strings("policies").into_iter().map(|it| endpoint.scrubber().clean(&[it])).collect(),
            })
        })
    }
}

/// What stands behind the first `"client_token":` in a document that is no good JSON.
fn token_in(document: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\"client_token\"";
    let at = document.windows(KEY.len()).position(|window| window == KEY)?;
    let rest = document[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let text = rest.strip_prefix(b"\"")?;
    let token = &text[..text.iter().position(|b| *b == b'"')?];
    let plain = !token.is_empty() && token.iter().all(|b| b.is_ascii_graphic() && *b != b'\\');
    plain.then(|| token.iter().copied().map(char::from).collect())
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.revoked().is_none() {
            self.revoke();
        }
    }
}

impl Session {
    /// As often as its time limit allows: a token that is left behind may be good for weeks, and an application that
    /// starts two seconds late is not late.
    fn revoke_self(&self) -> Result<(), Fault> {
        let (endpoint, step, now) = (&self.endpoint, Step::Revoke, Instant::now());
        let left = endpoint.limits().end(now).0.saturating_duration_since(now);
        let length = LONGEST_REVOKE.min(left + Duration::from_secs(1));
        let call =
            Call { until: now + length, limit: Limit::Own, length, grace: GRACE, cancel: endpoint.cancel().clone() };
        let request = Request { body: Some(b"{}"), ..self.get("auth/token/revoke-self") };
        retry::persist(call.until, endpoint.cancel(), || {
            let answer = endpoint.ask(&step, &request, &call)?;
            // Vault says nothing, or something in JSON. A page in its place means that the request never got there.
            let said = if answer.status == 204 { Ok(()) } else { answer.document().map(drop) };
            said.map_err(|fault| judge::of_body(&endpoint.asked(&step, &request), &answer, &fault))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_a_document_that_is_refused() {
        for (document, token) in [
            (r#"{"auth":{"a":1,"a":2,"client_token" : "s.abc","x":"#, Some("s.abc")),
            (r#"{"auth":{"client_token":"","client_token":"s.abc"}}"#, None),
            (r#"{"auth":{"client_token":null}}"#, None),
            (r#"{"auth":{"client_token":"s.ab"#, None),
            (r#"{"auth":{"client_token":"s.\u0061"}}"#, None),
            ("", None),
        ] {
            assert_eq!(token_in(document.as_bytes()).as_deref(), token, "{document}");
        }
    }
}
