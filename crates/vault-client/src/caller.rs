//! Requests with the kept token: where a token is dead, it is replaced, and the request is sent once more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{ErrorKind, Fault, What};
use crate::http::{Answer, Request};
use crate::keeper::{Held, Keeper, LONGEST_END};
use crate::login::{Inline, Insist};
use crate::refused::Refused;
use crate::rounds::Rounds;
use crate::session::{LOOK_UP, is_of_policies, looked_up};
use crate::step::Step;
use crate::time::{Call, Cancel, Limits, since_boot};
use crate::token::{Revoked, TokenInfo};

/// Sends requests with the kept token. Clones share the token.
#[derive(Clone)]
pub struct Caller {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    /// Whether reads bring their login along, where it can be sent so.
    inline: bool,
}

struct Shared {
    keeper: Keeper,
    /// What is read again and again; `None` as long as nothing is.
    rounds: Mutex<Option<Arc<Rounds>>>,
    /// The state that the cluster had come to with the last write of this client.
    index: Mutex<Option<Arc<str>>>,
    /// The mounts that were looked at, by namespace and name, and whether they are KV version 1.
    mounts: Mutex<BTreeMap<(Option<String>, String), bool>>,
}

impl Caller {
    /// One that sends to `endpoint` with the tokens of `keeper`, and reads without one if `inline` says so.
    pub fn new(endpoint: Endpoint, keeper: Keeper, inline: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                keeper,
                rounds: Mutex::default(),
                index: Mutex::new(None),
                mounts: Mutex::default(),
            }),
            endpoint,
            inline,
        }
    }

    /// The same token, sent to `endpoint`.
    pub fn with(&self, endpoint: Endpoint) -> Self {
        Self { endpoint, ..self.clone() }
    }

    /// The same, whose reads use the kept token.
    pub fn with_the_token(&self) -> Self {
        Self { inline: false, ..self.clone() }
    }

    /// The same for a read in the background: one try, which the end of the client ends, and the interval is its retry.
    pub fn in_the_background(&self) -> Self {
        let limits = Limits { wait: Duration::ZERO, until: None, ..self.endpoint.limits() };
        let endpoint = self.endpoint.within(limits).trying_once().cancelled_by(self.keeper().end_of_client());
        self.with(endpoint).with_the_token()
    }

    /// What is read again and again.
    ///
    /// # Errors
    ///
    /// The kernel gives no descriptors.
    pub fn rounds(&self) -> Result<Arc<Rounds>, Refused> {
        let mut rounds = self.shared.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        match &*rounds {
            Some(rounds) => Ok(Arc::clone(rounds)),
            None => Ok(Arc::clone(rounds.insert(Rounds::new()?))),
        }
    }

    /// Ends the client: nothing is read again, and the token is revoked where that is owed. Waits for both up to two seconds.
    pub fn close(&self) -> Revoked {
        let until = Instant::now() + LONGEST_END;
        let revoked = self.keeper().close();
        let rounds = self.shared.rounds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(rounds) = rounds {
            rounds.end(&Call::until(until, Cancel::never()));
        }
        revoked
    }

    /// The server that its requests go to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What keeps the token alive.
    pub fn keeper(&self) -> &Keeper {
        &self.shared.keeper
    }

    /// Whether reads bring their login along, and no token is made for them.
    pub fn reads_inline(&self) -> bool {
        self.inline && self.endpoint.takes_along(self.keeper().login())
    }

    /// Whether `mount`, encoded as `url`, is KV version 1, as far as the server tells; it is asked once. A write there goes
    /// well, and stores the secret elsewhere.
    /// [`GET sys/internal/ui/mounts/{path}`](https://openbao.org/api-docs/system/internal-ui-mounts/)
    pub fn is_version_1(&self, mount: &str, url: &str) -> Result<bool, VaultError> {
        let key = (self.endpoint.namespace().map(str::to_owned), mount.to_owned());
        let known = || self.shared.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(&key) {
            return Ok(*known);
        }
        let held = self.keeper().token(&self.endpoint)?;
        let path = format!("sys/internal/ui/mounts/{url}");
        let answer = self.endpoint.try_once(&Step::Preflight, &held.session.get(&path)).ok();
        let data = answer.and_then(|answer| answer.document().ok()?.object(&["data"]).ok());
        let is_version_1 = data.is_some_and(|data| {
            let is_kv = data.string("type").is_ok_and(|kind| matches!(kind.as_str(), "kv" | "generic"));
            let version = data.object(&["options"]).ok().and_then(|options| options.string("version").ok());
            is_kv && version.is_none_or(|version| version.as_str() != "2")
        });
        known().insert(key, is_version_1);
        Ok(is_version_1)
    }

    /// Runs `step`: sends `request` with the token, and reads the answer. Where a dead token is the
    /// reason for a refusal, it is replaced, and the request is sent once more.
    pub fn run<T>(
        &self,
        step: &Step,
        request: &Request,
        read: &dyn Fn(&Answer, &Endpoint, &Request) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let caller = self.with(self.endpoint.for_one_operation());
        match caller.read_inline(step, request, read) {
            Some(done) => done,
            None => caller.run_within(step, request, read),
        }
    }

    /// A read that brings its login along; `None` where it is to be an ordinary one.
    fn read_inline<T>(
        &self,
        step: &Step,
        request: &Request,
        read: &dyn Fn(&Answer, &Endpoint, &Request) -> Result<T, Fault>,
    ) -> Option<Result<T, VaultError>> {
        if !self.reads_inline() || !matches!(step, Step::Read { .. }) {
            return None;
        }
        let along = match self.keeper().along(&self.endpoint) {
            Ok(along) => along,
            Err(error) => return Some(Err(error)),
        };
        let index = self.index();
        let request = Request { index: index.as_deref(), ..*request };
        let read = |answer: &Answer, request: &Request| read(answer, &self.endpoint, request);
        match along.endpoint().ask_inline((self.keeper().login(), Insist::Yes), step, &request, &read)? {
            Ok(Inline::Done(done)) => {
                along.taken();
                Some(Ok(done))
            }
            Ok(Inline::LogIn(_)) => None,
            Err(error) => {
                along.failed(&error);
                Some(Err(error))
            }
        }
    }

    fn run_within<T>(
        &self,
        step: &Step,
        request: &Request,
        read: &dyn Fn(&Answer, &Endpoint, &Request) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let keeper = &self.shared.keeper;
        let held = keeper.token(&self.endpoint)?;
        let sent = Instant::now();
        let denied = match self.send(&held, step, request, read) {
            // The server itself says that this token lives.
            Err(error) if is_of_policies(error.fault()) => return Err(error),
            Err(error) if error.kind() == ErrorKind::Denied && error.status() == Some(403) => error,
            done => return done,
        };
        if !keeper.has_replaced(&held, &self.endpoint, sent)? {
            return Err(keeper.told(denied, &held, &self.endpoint, sent));
        }
        let held = keeper.token(&self.endpoint)?;
        let sent = Instant::now();
        self.send(&held, step, request, read).map_err(|error| match error.status() {
            Some(403) => keeper.doubt(error, &held, &self.endpoint, sent),
            _ => error,
        })
    }

    /// What the server says of the token now. A dead one is replaced first. Of one that may not look itself up, what is
    /// known.
    pub fn look_up(&self) -> Result<TokenInfo, VaultError> {
        let limited = self.with(self.endpoint.for_one_operation());
        let held = limited.keeper().token(&limited.endpoint)?;
        // A lease that is counted from too early on is on the safe side.
        let sent = since_boot();
        let read = |answer: &Answer, endpoint: &Endpoint, request: &Request| looked_up(answer, endpoint, request, sent);
        match limited.run_within(&Step::LookUp, &Request::get(LOOK_UP), &read) {
            Ok(info) => {
                limited.keeper().learn(&held, &info);
                Ok(info)
            }
            Err(error) if is_of_policies(error.fault()) => Ok(held.info()),
            Err(error) => Err(error),
        }
    }

    fn send<T>(
        &self,
        held: &Held,
        step: &Step,
        request: &Request,
        read: &dyn Fn(&Answer, &Endpoint, &Request) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let index = self.index();
        let request = held.session.with(request);
        let request = Request { index: index.as_deref().or(request.index), ..request };
        self.endpoint.step(step, |call| {
            // A further try must not be one with a token that was revoked meanwhile.
            if self.keeper().is_closed() {
                return Err(What::Closed.into());
            }
            let answer = self.endpoint.ask(step, &request, call)?;
            if !matches!(step, Step::Read { .. }) {
                self.note_index(answer.index.as_deref());
            }
            read(&answer, &self.endpoint, &request)
        })
    }

    fn index(&self) -> Option<Arc<str>> {
        self.shared.index.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An answer without an index leaves the last one as it is.
    fn note_index(&self, index: Option<&str>) {
        if let Some(index) = index {
            *self.shared.index.lock().unwrap_or_else(PoisonError::into_inner) = Some(index.into());
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("at", &self.endpoint.at()).finish_non_exhaustive()
    }
}
