//! A server, without a token and without a thread: for a program that logs in once, reads and revokes, as `vault-exec` does.
//! A program that runs on uses [`VaultClient`](crate::VaultClient).

mod ask;
mod tries;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http::Http;
use crate::observe::{Event, Observer};
use crate::options::{Leaf, Options, Tls};
use crate::text::{Scrubber, shown};
use crate::time::{Cancel, Granted, Limits, after};
pub(crate) use ask::{learn, request_id};

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
    /// Whether each step is tried once, whatever its fault is.
    tries_once: bool,
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
        // With a proxy, the address is one of the proxy's machine.
        let is_here = options.address.is_loopback() && options.proxy.is_none();
        let is_private = options.address.is_https() || is_here;
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
            tries_once: false,
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

    /// Strikes out of what the server says every value that is read from now on, and not those of the last 32 secrets alone:
    /// for a program that reads what it needs and ends.
    pub fn forget_nothing(&self) {
        self.scrubber().forget_nothing();
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
    pub fn trust(&self, tls: Tls) {
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

    /// The same server, each of whose steps is tried once.
    pub(crate) fn trying_once(&self) -> Self {
        Self { tries_once: true, ..self.clone() }
    }

    /// The same server for one operation that begins now: all its steps end with its limit together.
    pub(crate) fn for_one_operation(&self) -> Self {
        let granted_before = self.server.granted.total();
        let until = Some(self.end(Instant::now()).0);
        Self { limits: Limits { until, ..self.limits }, granted_before, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::ToLog;
    use crate::options::{Address, Proxy};

    #[test]
    fn a_connection_is_private_in_tls_or_on_this_machine_and_a_proxy_is_another() {
        let proxy = || Proxy::parse("http://proxy.example:3128").ok();
        for (url, proxy, is_private) in [
            ("https://vault.example", None, true),
            ("https://vault.example", proxy(), true),
            ("http://127.0.0.1:8200", None, true),
            ("http://127.0.0.1:8200", proxy(), false),
            ("http://vault.example:8200", None, false),
            ("unix:///run/vault.sock", None, true),
        ] {
            let options = Options { proxy, ..Options::new(Address::parse(url).unwrap()) };
            let endpoint = Endpoint::canned(&options, Limits::default(), Arc::new(ToLog), b"");
            assert_eq!(endpoint.is_private(), is_private, "{url}");
        }
    }
}
