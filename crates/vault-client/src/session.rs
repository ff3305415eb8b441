//! Tokens: a session owns one, and revokes it at its end if a login made it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{ErrorKind, Fault, What, Why};
use crate::http::{Answer, Request};
use crate::json::{self, Object};
use crate::observe::Event;
use crate::retry;
use crate::secret::Secret;
use crate::step::{Step, TokenOf};
use crate::time::{Call, Limit, since_boot};
use crate::token::{Kept, Revoked, TokenInfo};

/// The path of a look-up.
/// [Token API](https://openbao.org/api-docs/auth/token/#lookup-a-token-self)
pub(crate) const LOOK_UP: &str = "auth/token/lookup-self";

/// No revoke takes longer, nor than a second more than the budget has left.
const LONGEST_REVOKE: Duration = Duration::from_secs(2);

/// No longer than this after a signal, which promises an end within a second.
const GRACE: Duration = Duration::from_millis(900);

/// A token in use. Dropping the session revokes the token where that is owed, on every way out; [`Session::revoke`] does
/// it earlier and says what became of it. Opened by [`Endpoint::login`].
pub struct Session {
    endpoint: Endpoint,
    /// `None` where an agent or a proxy adds one.
    token: Option<Arc<Secret>>,
    /// Whose it is.
    token_of: TokenOf,
    /// The state that a node has to have reached to know the token.
    index: Option<String>,
    /// What is known of the token.
    pub info: TokenInfo,
    /// `None` as long as a revoke is owed.
    revoked: Mutex<Option<Revoked>>,
    uses: Uses,
}

/// How often a token can be used.
#[derive(Default)]
struct Uses {
    /// `None`: as often as one likes, or it is not known.
    limit: Option<u64>,
    /// How many answers to reads it has got.
    spent: AtomicU64,
}

impl Session {
    /// A session with a token that was handed in, which is its owner's to revoke.
    pub(crate) fn handed_in(endpoint: &Endpoint, token: Arc<Secret>) -> Self {
        endpoint.scrubber().learn_token(token.expose());
        Self::of(endpoint, Some(token), TokenOf::Caller, Some(Revoked::No(Kept::HandedIn)))
    }

    /// A session with a token of an earlier login, which is left for the next start.
    pub(crate) fn cached(endpoint: &Endpoint, token: Arc<Secret>, info: TokenInfo) -> Self {
        endpoint.scrubber().learn_token(token.expose());
        let mut session = Self::of(endpoint, Some(token), TokenOf::Login, Some(Revoked::No(Kept::Cached)));
        session.info = info;
        session
    }

    /// A session without a token: an agent or a proxy on the way adds its own.
    pub(crate) fn without_token(endpoint: &Endpoint) -> Self {
        Self::of(endpoint, None, TokenOf::Agent, Some(Revoked::No(Kept::NoToken)))
    }

    fn of(endpoint: &Endpoint, token: Option<Arc<Secret>>, token_of: TokenOf, revoked: Option<Revoked>) -> Self {
        let (endpoint, info, revoked) = (endpoint.clone(), TokenInfo::default(), Mutex::new(revoked));
        Self { endpoint, token, token_of, index: None, info, revoked, uses: Uses::default() }
    }

    /// The session that `answer` to the `request` of a login opens, which was sent at `sent` in time since boot. Its token is
    /// revoked at the end if `revoke` says so.
    pub(crate) fn from_answer(
        endpoint: &Endpoint,
        step: &Step,
        request: &Request,
        answer: &Answer,
        (sent, revoke): (Duration, bool),
    ) -> Result<Self, Fault> {
        let session = answer
            .document()
            .inspect_err(|_| drop(Self::salvage(endpoint, &answer.body, revoke)))
            .and_then(|object| Self::from_login(endpoint, &object, (answer.index.as_deref(), sent), revoke));
        match session {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(Fault { status: Some(answer.status), ..What::WithoutToken.into() }),
            Err(fault) => Err(endpoint.judge_body(step, request, answer, &fault)),
        }
    }

    /// The session that a login's answer opens; none if it holds no token, as a login that needs MFA. `index` is the
    /// answer's, `sent` when its request was sent, `revoke` the setting.
    ///
    /// The token is taken out before anything else is judged, so that it is revoked whatever else is wrong.
    fn from_login(
        endpoint: &Endpoint,
        answer: &Object,
        (index, sent): (Option<&str>, Duration),
        revoke: bool,
    ) -> Result<Option<Self>, json::Malformed> {
        let auth = answer.object(&["auth"])?;
        let token = auth.string("client_token")?;
        if token.is_empty() {
            return Ok(None);
        }
        endpoint.scrubber().learn_token(&token);
        let token = Some(Arc::new(Secret::from(token)));
        let mut session = Self::of(endpoint, token, TokenOf::Login, None);
        session.index = index.map(str::to_owned);
        if !revoke {
            session.leave(Kept::Wanted);
        } else if auth.string("token_type")?.as_str() == "batch" {
            session.leave(Kept::Batch);
        } else if auth.number("num_uses")? == 1 {
            session.leave(Kept::OneUse);
        }
        session.uses.limit = Some(auth.number("num_uses")?).filter(|uses| *uses > 0);
        session.info = TokenInfo::of_auth(&auth, sent, session.endpoint.scrubber())?;
        Ok(Some(session))
    }

    /// The session of a login's answer that is refused as a whole: its token is looked for as text, to be revoked and
    /// for nothing else.
    fn salvage(endpoint: &Endpoint, answer: &[u8], revoke: bool) -> Option<Self> {
        let token = Secret::new(token_in(answer)?);
        endpoint.scrubber().learn_token(token.expose());
        let revoked = Some(Revoked::No(Kept::Wanted)).filter(|_| !revoke);
        Some(Self::of(endpoint, Some(Arc::new(token)), TokenOf::Login, revoked))
    }

    /// The same session, whose revoke is one of `endpoint`: the one that opened it may be cancelled by then.
    pub(crate) fn kept_by(mut self, endpoint: &Endpoint) -> Self {
        self.endpoint = endpoint.clone();
        self
    }

    /// Leaves the token as it is at the end, for this reason.
    pub(crate) fn leave(&self, reason: Kept) {
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
        if self.uses.limit.is_some_and(|uses| uses <= self.uses.spent.load(Ordering::Relaxed)) {
            self.leave(Kept::Spent);
            return self.revoke();
        }
        let revoked = match self.revoke_self() {
            Ok(()) => Revoked::Yes,
            Err(fault) => {
                self.endpoint.note(&Event::RevokeFailed(&fault, self.info.lease_duration));
                Revoked::No(Kept::Failed)
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

    /// The token; `None` where an agent or a proxy adds one.
    pub(crate) fn token(&self) -> Option<&Arc<Secret>> {
        self.token.as_ref()
    }

    /// Whether the token is dead, as its look-up says. Who cannot find out takes it for alive.
    pub fn is_dead(&self) -> bool {
        self.look_up_once(&self.endpoint, &self.endpoint.call()).is_err_and(|fault| is_death(&fault))
    }

    /// Whether the token is of an earlier start, or left for the next one.
    pub fn is_cached(&self) -> bool {
        self.revoked() == Some(Revoked::No(Kept::Cached))
    }

    /// How many uses the login gave the token; `None` where they are not limited, or it is not known.
    pub fn uses(&self) -> Option<u64> {
        self.uses.limit
    }

    /// Notes that a read got an answer, which has cost the token a use.
    pub(crate) fn has_read(&self) {
        self.uses.spent.fetch_add(1, Ordering::Relaxed);
    }

    /// Whose the token is.
    pub fn token_of(&self) -> TokenOf {
        self.token_of
    }

    /// `request` with the token.
    pub(crate) fn with<'r>(&'r self, request: &Request<'r>) -> Request<'r> {
        Request { token: self.token.as_deref(), index: self.index.as_deref(), ..*request }
    }

    /// A GET of `path` with the token.
    pub(crate) fn get<'r>(&'r self, path: &'r str) -> Request<'r> {
        self.with(&Request::get(path))
    }

    /// A POST of `body` to `path` with the token.
    pub(crate) fn post<'r>(&'r self, path: &'r str, body: &'r [u8]) -> Request<'r> {
        self.with(&Request::post(path, body))
    }

    /// What the server says of the token; it costs one of its uses.
    /// [`GET auth/token/lookup-self`](https://openbao.org/api-docs/auth/token/#lookup-a-token-self)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) where the token is dead or may not look itself up; as for
    /// [`Endpoint::login`] otherwise.
    pub fn look_up(&self) -> Result<TokenInfo, VaultError> {
        self.look_up_at(&self.endpoint)
    }

    /// The same under the limits of `endpoint`.
    pub(crate) fn look_up_at(&self, endpoint: &Endpoint) -> Result<TokenInfo, VaultError> {
        endpoint.step(&Step::LookUp, |call| self.look_up_once(endpoint, call))
    }

    /// One look-up at `endpoint`.
    pub(crate) fn look_up_once(&self, endpoint: &Endpoint, call: &Call) -> Result<TokenInfo, Fault> {
        let (request, sent) = (self.get(LOOK_UP), since_boot());
        let answer = endpoint.ask(&Step::LookUp, &request, call)?;
        looked_up(&answer, endpoint, &request, sent)
    }

    /// Renews the token once, for as long as the server sees fit.
    /// [`POST auth/token/renew-self`](https://openbao.org/api-docs/auth/token/#renew-a-token-self)
    pub(crate) fn renew_once(&self, endpoint: &Endpoint, call: &Call) -> Result<TokenInfo, Fault> {
        let (step, sent) = (Step::Renew, since_boot());
        let request = self.post("auth/token/renew-self", b"{}");
        let answer = endpoint.ask(&step, &request, call)?;
        let broken = |fault: json::Malformed| endpoint.judge_body(&step, &request, &answer, &fault);
        let auth = answer.document().and_then(|said| said.object(&["auth"])).map_err(broken)?;
        TokenInfo::of_renewal(&auth, sent, endpoint.scrubber()).map_err(broken)
    }
}

/// What the `answer` to the `request` of a look-up says, which was sent at `sent` in time since boot.
pub(crate) fn looked_up(
    answer: &Answer,
    endpoint: &Endpoint,
    request: &Request,
    sent: Duration,
) -> Result<TokenInfo, Fault> {
    let broken = |fault: json::Malformed| endpoint.judge_body(&Step::LookUp, request, answer, &fault);
    let data = answer.document().and_then(|said| said.object(&["data"])).map_err(broken)?;
    TokenInfo::of_look_up(&data, sent, endpoint.scrubber()).map_err(broken)
}

/// Whether a look-up that failed with `fault` says that the token is dead.
pub(crate) fn is_death(fault: &Fault) -> bool {
    fault.kind() == ErrorKind::Denied && !is_of_policies(fault)
}

/// Whether a look-up that failed with `fault` says that the token lives, and may not look itself up.
pub(crate) fn is_of_policies(fault: &Fault) -> bool {
    matches!(&fault.what, What::Answered(answered) if answered.why == Why::NoLookUp)
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
        let (endpoint, now) = (&self.endpoint, Instant::now());
        let left = endpoint.end(now).0.saturating_duration_since(now);
        let length = LONGEST_REVOKE.min(left + Duration::from_secs(1));
        let call =
            Call { until: now + length, limit: Limit::Own, length, grace: GRACE, cancel: endpoint.cancel().clone() };
        retry::persist(call.until, endpoint.cancel(), || self.revoke_once(endpoint, &call))
    }

    /// Revokes the token whether that is owed or not, with as many tries as the limits of `endpoint` allow.
    pub(crate) fn revoke_now(&self, endpoint: &Endpoint) -> Result<(), VaultError> {
        endpoint.step(&Step::Revoke, |call| self.revoke_once(endpoint, call))?;
        self.set(Revoked::Yes);
        Ok(())
    }

    fn revoke_once(&self, endpoint: &Endpoint, call: &Call) -> Result<(), Fault> {
        let (step, request) = (Step::Revoke, self.post("auth/token/revoke-self", b"{}"));
        let answer = endpoint.ask(&step, &request, call)?;
        answer.acknowledged().map_err(|fault| endpoint.judge_body(&step, &request, &answer, &fault))
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
