//! The login of a person, in a browser, at the provider that the server trusts.
//!
//! `flow` is one login, `callback` what the browser comes back to, `store` the cache as a login sees it.

mod browser;
mod cache;
mod callback;
mod flow;
mod listen;
mod logout;
mod store;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Inspected, Login, Origin};
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{Fault, NoPerson};
use crate::observe::Event;
use crate::session::Session;
use crate::step::{AuthMethod, Step};
use crate::text::{self, shown};
use crate::time::{Call, Ended, Seconds};
pub use cache::{CachedLogin, cache_folder};
use flow::Flow;
pub use listen::Listen;
pub use logout::{LoggedOut, LoggedOutAll, log_out_all};
use store::{Store, Turn};

/// So long a person has for the login, and whoever waits for one that another program has begun.
const PATIENCE: Duration = Duration::from_secs(300);

/// A login of a person by OIDC: in a browser, or by a code that is typed in elsewhere, as the role has it.
/// [OIDC](https://openbao.org/docs/auth/jwt/#oidc-authentication)
///
/// The URL is written to standard error. The person has five minutes, which no other limit is about. A token that is good
/// for an hour or more is kept in the cache: the next start uses it and asks nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// Mount of the auth method.
    pub mount: String,
    /// Role to log in with; `None` is the mount's default role.
    pub role: Option<String>,
    /// Where the browser comes back to.
    pub listen: Listen,
    /// Whether a browser is opened where there is one: what `BROWSER` names, else `xdg-open`.
    pub browser: bool,
    /// Whether there is a person to ask. Where there is none, a login without a cached token fails.
    pub interactive: bool,
    /// The folder of cached tokens; see [`cache_folder`]. `None` keeps none.
    pub cache: Option<PathBuf>,
    /// Whether a token that is not kept in the cache is revoked at the end.
    pub revoke: bool,
}

impl Default for Oidc {
    /// The method at `oidc` with its default role, back at `localhost:8250`, with a browser and the user's cache. There is
    /// a person to ask where standard error is a terminal.
    fn default() -> Self {
        Self {
            mount: AuthMethod::Oidc.name().into(),
            role: None,
            listen: Listen::default(),
            browser: true,
            interactive: io::stderr().is_terminal(),
            cache: cache_folder(|name| std::env::var_os(name)),
            revoke: true,
        }
    }
}

impl Oidc {
    /// What its token is cached by at `endpoint`.
    fn cached_login(&self, endpoint: &Endpoint) -> CachedLogin {
        CachedLogin {
            address: endpoint.address().to_owned(),
            namespace: endpoint.auth_namespace().map(str::to_owned),
            mount: self.mount.trim_matches('/').to_owned(),
            role: self.role.clone(),
        }
    }

    /// Asks a person, unless another program does so and gets a token meanwhile.
    fn ask(&self, endpoint: &Endpoint, store: &mut Store<'_>) -> Result<Session, VaultError> {
        let (step, begun) = (self.step(), Instant::now());
        let call = Call { length: PATIENCE, ..Call::until(begun + PATIENCE, endpoint.cancel().clone()) };
        let flow = Flow::new(self, endpoint, &step, &call)?;
        store.make();
        let turn = {
            let _taking = endpoint.granted().begin();
            let mount = shown(&self.mount);
            store.turn(&call, || {
                flow::say(&format!("Another program has begun the login at auth/{mount}; waiting for it.\n"), &call);
            })
        };
        let lock = match turn.map_err(|ended| self::ended(endpoint, &step, ended))? {
            Turn::Theirs(session) => return Ok(*session),
            Turn::Mine(lock) => Some(lock),
            Turn::Uncached => None,
        };
        let session = flow.run()?;
        // A token that came with the cancellation is revoked.
        if let Err(why @ Ended::Cancelled) = endpoint.whole().alive() {
            return Err(endpoint.ended(&step, why));
        }
        // Each start would take uses that the next one counts on.
        if let Some(lock) = lock.filter(|_| session.uses().is_none()) {
            store.keep(&lock, &session);
        }
        endpoint.note(&Event::Done { step: &step, elapsed: begun.elapsed() });
        Ok(session)
    }
}

/// The error of a person's time that ended.
fn ended(endpoint: &Endpoint, step: &Step, ended: Ended) -> VaultError {
    match ended {
        Ended::Deadline => flow::failed(endpoint, step, NoPerson::TooLate(PATIENCE)),
        _ => endpoint.ended(step, ended),
    }
}

impl Login for Oidc {
    fn name(&self) -> &'static str {
        AuthMethod::Oidc.name()
    }

    fn step(&self) -> Step {
        let (mount, role) = (shown(&self.mount), self.role.as_deref().map(shown));
        Step::Login { method: AuthMethod::Oidc, mount, role }
    }

    fn origin(&self) -> Origin {
        Origin::Browser
    }

    fn look(&self) -> Result<Inspected, Fault> {
        let back = match &self.listen {
            Listen::None => "which ends at the server".into(),
            at @ Listen::At { .. } => format!("which comes back to {at}"),
        };
        let path = self.cache.as_ref().map(text::os);
        let cached = path.as_ref().map(|path| format!("; tokens are kept in {path}")).unwrap_or_default();
        Ok(Inspected { said: format!("a person's login in a browser, {back}{cached}"), path, ..Inspected::default() })
    }

    fn look_at(&self, endpoint: &Endpoint) -> Result<Inspected, VaultError> {
        let mut inspected = self.look().map_err(VaultError::of_credential)?;
        let left = Store::of(self, endpoint).session().and_then(|session| session.info.expires_in());
        let cached = match left {
            Some(left) => format!("; one is cached for {}", Seconds(Duration::from_secs(left.as_secs()))),
            None => "; none is cached".to_owned(),
        };
        inspected.said += &cached;
        inspected.expires_in = left.and_then(|left| left.as_secs().try_into().ok());
        Ok(inspected)
    }

    fn left_to_the_run(&self, endpoint: &Endpoint) -> Option<&'static str> {
        let has_one = Store::quiet(self, endpoint).session().is_some();
        (!has_one).then_some("no token is cached, and a check asks nobody")
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        let mut store = Store::of(self, endpoint);
        match store.session() {
            Some(session) => Ok(session),
            None if self.interactive => self.ask(endpoint, &mut store),
            None => Err(flow::failed(endpoint, &self.step(), NoPerson::NobodyToAsk)),
        }
    }

    fn lost(&self, session: &Session) {
        if let Some(token) = session.token() {
            Store::quiet(self, session.endpoint()).drop_token(token);
        }
    }
}
