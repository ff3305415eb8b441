//! A server, without a token and without a thread: for a program that logs in once, reads and revokes, as `vault-exec` does.
//! A program that runs on uses [`VaultClient`](crate::VaultClient).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{AskedIn, Effort, VaultError};
use crate::fault::{Fault, Retry, Unreachable, Way, What};
use crate::http::{Answer, Http, Method, Request};
use crate::json::{Json, Malformed, Object};
use crate::judge::{self, Asked};
use crate::observe::{Event, Observer};
use crate::options::{Leaf, Options, Tls};
use crate::retry::{GivenUp, Policy};
use crate::secret::Secret;
use crate::step::{Step, Verb};
use crate::text::{Scrubber, shown};
use crate::time::{Call, Cancel, Ended, Granted, Limit, Limits, Turn, after};

/// A Vault or `OpenBao` server. Clones share its connections.
#[derive(Clone)]
pub struct Endpoint {
    server: Arc<Server>,
    limits: Limits,
    /// Until when [`Limits::wait`] is waited.
    waits_until: Instant,
    cancel: Cancel,
    namespace: Option<Arc<str>>,
    /// That of the login and its token.
    auth_namespace: Option<Arc<str>>,
    correlation: Option<Arc<str>>,
    /// Whether its requests find a connection where all others are in use.
    has_its_own_lane: bool,
    /// What people had taken of the time when the limits began.
    granted_before: Duration,
}

struct Server {
    http: Http,
    scrubber: Scrubber,
    observer: Arc<dyn Observer>,
    address: String,
    at: String,
    granted: Granted,
    /// Whether the connection is in TLS, or does not leave this machine.
    is_private: bool,
}

impl Endpoint {
    /// Prepares the connections; nothing is sent before the first call.
    pub fn new(options: &Options, limits: Limits, cancel: Cancel, observer: Arc<dyn Observer>) -> Self {
        Self::with(Http::new(options), options, limits, cancel, observer)
    }

    /// One that sends nothing and gets `answer` to whatever it asks.
    #[cfg(any(test, feature = "canned"))]
    pub fn canned(options: &Options, limits: Limits, observer: Arc<dyn Observer>, answer: &[u8]) -> Self {
        Self::with(Http::canned(options, answer), options, limits, Cancel::never(), observer)
    }

    fn with(http: Http, options: &Options, limits: Limits, cancel: Cancel, observer: Arc<dyn Observer>) -> Self {
        let address = options.address.to_string();
        let at = shown(&address);
        let is_private = options.address.is_https() || options.address.is_loopback();
        let granted = Granted::default();
        let server = Server { http, scrubber: Scrubber::default(), observer, address, at, granted, is_private };
        let namespace = options.namespace.as_deref().map(Into::into);
        let auth_namespace = options.auth_namespace.as_deref().map(Into::into);
        let waits_until = after(Instant::now(), limits.wait);
        Self {
            server: Arc::new(server),
            limits,
            waits_until,
            cancel,
            namespace,
            auth_namespace,
            correlation: None,
            has_its_own_lane: false,
            granted_before: Duration::ZERO,
        }
    }

    /// The address, for messages.
    pub fn at(&self) -> &str {
        &self.server.at
    }

    /// The address as it is, without credentials.
    pub(crate) fn address(&self) -> &str {
        &self.server.address
    }

    /// The namespace of the login and its token.
    pub(crate) fn auth_namespace(&self) -> Option<&str> {
        self.auth_namespace.as_deref()
    }

    /// The time that people take: no limit of this server is about it.
    pub(crate) fn granted(&self) -> &Granted {
        &self.server.granted
    }

    /// The namespace that it is asked in.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// How long and how often it tries. What people have taken of the time is added.
    pub fn limits(&self) -> Limits {
        Limits { until: self.limits.until.map(|until| until + self.granted_since()), ..self.limits }
    }

    /// What people have taken of the time since the limits began.
    fn granted_since(&self) -> Duration {
        self.server.granted.total().saturating_sub(self.granted_before)
    }

    /// The end of an operation that begins at `begun`, and which limit that is.
    pub(crate) fn end(&self, begun: Instant) -> (Instant, Limit) {
        self.limits().end(begun)
    }

    /// The same server under other limits.
    #[must_use]
    pub fn within(&self, limits: Limits) -> Self {
        let granted_before = self.server.granted.total();
        Self { limits, waits_until: after(Instant::now(), limits.wait), granted_before, ..self.clone() }
    }

    /// The same server, asked for secrets in another namespace; none is the root namespace. The login keeps its own.
    #[must_use]
    pub fn in_namespace(&self, namespace: Option<&str>) -> Self {
        Self { namespace: namespace.map(Into::into), ..self.clone() }
    }

    /// The same server, with calls that `cancel` ends.
    #[must_use]
    pub fn cancelled_by(&self, cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..self.clone() }
    }

    /// The same server, with an id in each request (`X-Correlation-Id`) by which its audit log is joined to the caller's.
    #[must_use]
    pub fn correlated(&self, id: &str) -> Self {
        Self { correlation: Some(id.into()), ..self.clone() }
    }

    /// Trusts and shows what `tls` says from now on; so do all clones.
    pub(crate) fn trust(&self, tls: Tls) {
        self.server.http.trust(tls);
    }

    /// What the client certificate says of itself that its connections show.
    pub(crate) fn client_certificate(&self) -> Option<Leaf> {
        self.server.http.client_certificate()
    }

    /// What is known to be secret, and is struck out of what the server says.
    pub(crate) fn scrubber(&self) -> &Scrubber {
        &self.server.scrubber
    }

    /// What cancels its calls.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Tells the observer of `event`.
    pub(crate) fn note(&self, event: &Event<'_>) {
        self.server.observer.note(event);
    }

    /// Runs one step, with as many tries as the limits allow.
    pub(crate) fn step<T>(&self, step: &Step, attempt: impl FnMut(&Call) -> Result<T, Fault>) -> Result<T, VaultError> {
        let begun = Instant::now();
        let done = self.part(step, attempt)?;
        // A file that was read is no news.
        if *step != Step::Credential {
            self.note(&Event::Done { step, elapsed: begun.elapsed() });
        }
        Ok(done)
    }

    /// The same of a part of a step, which is no news by itself.
    pub(crate) fn part<T>(
        &self,
        step: &Step,
        mut attempt: impl FnMut(&Call) -> Result<T, Fault>,
    ) -> Result<T, VaultError> {
        let mut done = None;
        self.drive(step, &mut |call| attempt(call).map(|value| done = Some(value)))?;
        // It is there once an attempt has succeeded.
        done.ok_or_else(|| self.failed(step, GivenUp::Cancelled))
    }

    /// The same of any attempt, once for all types that one brings.
    fn drive(&self, step: &Step, attempt: &mut dyn FnMut(&Call) -> Result<(), Fault>) -> Result<(), VaultError> {
        let begun = Instant::now();
        let end = self.end(begun);
        let policy = self.policy(begun);
        let done = policy.run(step, &self.cancel, &*self.server.observer, || attempt(&self.attempt(end)));
        done.map_err(|given_up| self.failed(step, given_up))
    }

    /// The error of a step that was given up.
    pub(crate) fn failed(&self, step: &Step, given_up: GivenUp) -> VaultError {
        let (fault, effort) = match given_up {
            GivenUp::Fault(fault, effort) => (fault, effort),
            GivenUp::Cancelled => (What::Cancelled.into(), Effort::default()),
        };
        VaultError::new(self.at(), step.clone(), fault, effort).asked_in(self.asked_in(step))
    }

    /// Whether [`Limits::wait`] is waited still.
    pub(crate) fn waits(&self) -> bool {
        !self.limits.wait.is_zero() && Instant::now() < self.waits_until
    }

    /// How long and how often a step tries that begins at `begun`.
    pub(crate) fn policy(&self, begun: Instant) -> Policy {
        let Limits { retries, delay, wait, whole, .. } = self.limits;
        let wait = Some((self.waits_until + self.granted_since(), wait)).filter(|_| !wait.is_zero());
        Policy { retries, delay, wait, budget: (self.end(begun).0, whole) }
    }

    /// One attempt of an operation that ends at `end`, and by which limit.
    fn attempt(&self, (end, of): (Instant, Limit)) -> Call {
        let now = Instant::now();
        let own = after(now, self.limits.request);
        let (until, limit, length) = if own <= end {
            (own, Limit::Request, self.limits.request)
        } else {
            (end, of, end.saturating_duration_since(now))
        };
        Call { until, limit, length, grace: Duration::ZERO, cancel: self.cancel.clone() }
    }

    /// The namespace that `step` is asked in. The status check refuses one. A wrapping token can be looked up in any that is
    /// there; in the login's, one that is not there shows before the token is spent.
    fn namespace_of(&self, step: &Step) -> Option<&str> {
        match step {
            Step::Status => None,
            _ if is_of_token(step) => self.auth_namespace.as_deref(),
            _ => self.namespace.as_deref(),
        }
    }

    /// The namespace that `step` is asked in, for messages.
    fn asked_in(&self, step: &Step) -> AskedIn {
        let own = is_of_token(step) && self.auth_namespace != self.namespace;
        AskedIn { namespace: self.namespace_of(step).map(str::to_owned), of_login: own }
    }

    /// `request` as this endpoint sends it: in its namespace, unless the step refuses one, and with its correlation.
    fn addressed<'a>(&'a self, step: &Step, request: &Request<'a>) -> Request<'a> {
        let (namespace, correlation) = (self.namespace_of(step), self.correlation.as_deref());
        Request { namespace, correlation, ..*request }
    }

    /// Sends `request` and returns the answer if its status is 200 or 204, else what that comes to.
    pub(crate) fn ask(&self, step: &Step, request: &Request, call: &Call) -> Result<Answer, Fault> {
        let answer = self.send(step, request, call)?;
        match answer.status {
            200 | 204 => Ok(answer),
            _ => Err(self.refusal(step, request, &answer)),
        }
    }

    /// Sends `request` and returns the answer whatever its status is, or what it comes to that there is none.
    pub(crate) fn send(&self, step: &Step, request: &Request, call: &Call) -> Result<Answer, Fault> {
        let request = self.addressed(step, request);
        let token = request.token.map(Secret::expose);
        for (what, value) in [("namespace", request.namespace), ("correlation", request.correlation), ("token", token)]
        {
            // A line break in it would be a header of its own.
            if value.is_some_and(|value| value.bytes().any(|byte| byte.is_ascii_control())) {
                return Err(What::NoHeader(what).into());
            }
        }
        self.server.http.call(&request, call, self.has_its_own_lane).map_err(|none| {
            if let Some(failed) = none.tls() {
                self.note(&Event::Tls(&self.scrubber().clean(&[failed.error.to_string()])));
            }
            let fault = judge::of_transport(&none, self.scrubber());
            if none.sent { outcome_unknown(step, request.method, fault) } else { fault }
        })
    }

    /// What `answer` to `request` comes to, whose status is not the one wanted.
    pub(crate) fn refusal(&self, step: &Step, request: &Request, answer: &Answer) -> Fault {
        let said = answer.document().ok();
        if let (Step::Read { .. }, Some(said)) = (step, &said) {
            learn(said, self.scrubber());
        }
        let fault = judge::of_status(&self.asked(step, request), answer);
        // A proxy that got no answer says nothing of what the server has done.
        let unknown = matches!(answer.status, 408 | 502 | 504);
        let fault = if unknown { outcome_unknown(step, request.method, fault) } else { fault };
        Fault { request_id: said.as_ref().and_then(request_id), ..fault }
    }

    /// The namespace of a login that is sent along with a request for a secret, where it is another.
    pub(crate) fn auth_namespace_beside(&self) -> Option<&str> {
        let is_other = self.auth_namespace != self.namespace;
        is_other.then(|| self.auth_namespace.as_deref().unwrap_or("root"))
    }

    /// Whether nobody in between can read along.
    pub(crate) fn is_private(&self) -> bool {
        self.server.is_private
    }

    /// The same server, whose requests find a connection where all others are in use.
    pub(crate) fn with_lane_of_its_own(&self) -> Self {
        Self { has_its_own_lane: true, ..self.clone() }
    }

    /// The same server for one operation that begins now: all its steps end with its limit together.
    pub(crate) fn for_one_operation(&self) -> Self {
        let granted_before = self.server.granted.total();
        let until = Some(self.end(Instant::now()).0);
        Self { limits: Limits { until, ..self.limits }, granted_before, ..self.clone() }
    }

    /// As long as an operation may take that begins now.
    pub(crate) fn whole(&self) -> Call {
        Call::until(self.end(Instant::now()).0, self.cancel.clone())
    }

    /// One attempt that begins now.
    pub(crate) fn call(&self) -> Call {
        self.attempt(self.end(Instant::now()))
    }

    /// Waits for what another thread does, as long as an operation may take that begins now.
    ///
    /// # Errors
    ///
    /// Why the wait ended before.
    pub(crate) fn wait_for(&self, turn: &Turn) -> Result<(), Ended> {
        let operation = self.for_one_operation();
        loop {
            let call = operation.whole();
            match turn.wait(&call) {
                // A person has taken of the time meanwhile: whoever waits for one waits as long.
                Err(Ended::Deadline) if operation.whole().until > call.until => {}
                done => return done,
            }
        }
    }

    /// The error of `step` that ended without a request: cancelled, out of time, or refused something by the kernel.
    pub(crate) fn ended(&self, step: &Step, ended: Ended) -> VaultError {
        let what = match ended {
            Ended::Cancelled => return self.failed(step, GivenUp::Cancelled),
            Ended::Deadline => What::Unreachable { why: Unreachable::NoTokenInTime, way: Way::Network },
            Ended::Refused(refused) => What::Forbidden(refused),
        };
        VaultError::new(self.at(), step.clone(), what.into(), Effort::default())
    }

    /// The answer to `request`, whatever its status; `None` where there is none.
    pub(crate) fn ask_once(&self, step: &Step, request: &Request) -> Option<Answer> {
        self.server.http.call(&self.addressed(step, request), &self.call(), self.has_its_own_lane).ok()
    }

    /// Sends `request` once, as [`Endpoint::ask`] does, without a further try.
    pub(crate) fn try_once(&self, step: &Step, request: &Request) -> Result<Answer, Fault> {
        self.ask(step, request, &self.call())
    }

    /// What the answer to `request` is judged by.
    pub(crate) fn asked<'a>(&'a self, step: &'a Step, request: &Request<'a>) -> Asked<'a> {
        Asked { step, at: self.at(), path: request.path, scrubber: self.scrubber() }
    }

    /// What `answer` to `request` comes to, whose body is not what `step` needs.
    pub(crate) fn judge_body(&self, step: &Step, request: &Request, answer: &Answer, fault: &Malformed) -> Fault {
        judge::of_body(&self.asked(step, request), answer, fault)
    }
}

/// Whether `step` is about the login or its token, and not about a secret.
fn is_of_token(step: &Step) -> bool {
    use Step::{Login, LookUp, Renew, Revoke, Unwrap, Wrapping};
    matches!(step, Login { .. } | LookUp | Renew | Revoke | Unwrap | Wrapping)
}

/// What is not to be done twice is not tried again once it may have been done: another version may have come meanwhile,
/// and a wrapping token is good for one time.
fn outcome_unknown(step: &Step, method: Method, fault: Fault) -> Fault {
    let is_write = matches!(step, Step::Secret { verb: Verb::Write | Verb::Patch, .. });
    let is_once = is_write || *step == Step::Unwrap || method == Method::Delete;
    if is_once { Fault { what: What::Unsure(Box::new(fault.what)), retry: Retry::Never, ..fault } } else { fault }
}

/// The server's id of the request.
pub(crate) fn request_id(said: &Object) -> Option<String> {
    let id = said.string("request_id").ok()?;
    // It is a UUID; what is none is not passed on.
    let is_plain = !id.is_empty() && id.len() <= 64 && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    is_plain.then(|| id.to_string())
}

/// Whatever the answer comes to, what it holds may be a secret's value.
pub(crate) fn learn(answer: &Object, scrubber: &Scrubber) {
    scrubber.learn_all(answer.get("data").iter().flat_map(Json::leaves));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::ToLog;
    use crate::options::Address;

    const WHOLE: Duration = Duration::from_millis(40);

    /// One whose operations end together after 40 ms.
    fn short() -> Endpoint {
        let address = Address::parse("http://vault.example:8200").unwrap();
        let (user_agent, tls) = ("test/1".into(), Tls::default());
        let options =
            Options { address, namespace: None, auth_namespace: None, tls, proxy: None, user_agent, lanes: 1 };
        let limits = Limits { whole: WHOLE, until: Some(Instant::now() + WHOLE), ..Limits::default() };
        Endpoint::canned(&options, limits, Arc::new(ToLog), b"")
    }

    /// This much time goes by.
    fn let_pass(time: Duration) {
        let until = Instant::now() + time;
        Call::until(until + WHOLE, Cancel::never()).pause(until).unwrap();
    }

    #[test]
    fn what_a_person_takes_of_the_time_is_added_to_the_ends_that_have_begun_and_to_no_others() {
        let endpoint = short();
        let operation = endpoint.for_one_operation();
        let ends = [&endpoint, &operation].map(|it| it.limits().until.unwrap());
        let begun = Instant::now();
        let taking = endpoint.granted().begin();
        let_pass(3 * WHOLE);
        drop(taking);
        let taken = begun.elapsed();
        let later = [&endpoint, &operation].map(|it| it.limits().until.unwrap());
        for (end, later) in ends.into_iter().zip(later) {
            assert!((3 * WHOLE..=taken).contains(&(later - end)), "{:?} of {taken:?}", later - end);
        }
        // One that is handed on has what the person took in it already.
        let again = endpoint.within(endpoint.limits());
        assert_eq!(again.limits().until, endpoint.limits().until);
        let now = Instant::now();
        let fresh = endpoint.within(Limits { until: Some(now), ..endpoint.limits() });
        assert_eq!(fresh.limits().until, Some(now));
        assert!(endpoint.call().until > now && endpoint.policy(now).budget.0 > now);
    }

    #[test]
    fn whoever_waits_for_another_thread_waits_as_long_as_its_person_takes_and_no_longer() {
        let endpoint = short();
        let turn = Turn::begin().unwrap();
        std::thread::scope(|scope| {
            let taking = endpoint.granted().begin();
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| endpoint.wait_for(&turn))).collect();
            let_pass(4 * WHOLE);
            drop(taking);
            turn.end();
            assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap() == Ok(())));
        });
        // Nobody takes time now, and the turn of another thread never ends.
        let begun = Instant::now();
        let again = endpoint.within(Limits { until: None, ..endpoint.limits() });
        assert_eq!(again.wait_for(&Turn::begin().unwrap()), Err(Ended::Deadline));
        assert!(begun.elapsed() < 100 * WHOLE);
    }
}
