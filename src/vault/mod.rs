//! The client: status, login, read and revoke over one connection, each tried again where that can help.
//!
//! It takes plain [`Options`] and knows neither flags nor variables. Messages name the settings all the same, because
//! they are what an operator can turn.

pub mod address;
pub mod auth;
mod fault;
mod http;
pub mod kv;
pub mod preflight;
pub mod retry;
mod status;
pub mod tls;
pub mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Fault};
use crate::process::wait::Waiter;
use crate::text::{Scrubber, shown};
use address::Address;
use fault::Asked;
pub(crate) use fault::Step;
#[cfg(any(test, fuzzing))]
pub(crate) use http::retry_after;
use http::{Answer, Http, Request};
use retry::{GivenUp, Policy};

/// Where Vault is and how to talk to it.
pub struct Options {
    /// Its base URL.
    pub address: Address,
    /// Sent with everything except the status check, which refuses it; none is the root namespace.
    pub namespace: Option<String>,
    /// The limit of one request, from name resolution to the last byte; the budget of the policy holds beside it.
    pub timeout: Duration,
    /// Trust and identity.
    pub tls: tls::Tls,
    /// The HTTP proxy to go through.
    pub proxy: Option<Proxy>,
}

/// A checked proxy URL; it can hold a password and has no `Debug`.
pub struct Proxy(pub(crate) ureq::Proxy);

impl Proxy {
    /// Checks `url`: http or https, with or without user and password.
    ///
    /// # Errors
    ///
    /// What to write instead, where it is no URL, or one of a proxy that does not speak HTTP. The text is not repeated: it can
    /// hold a password.
    ///
    /// # Examples
    ///
    /// ```
    /// use vault_exec::vault::Proxy;
    ///
    /// assert!(Proxy::parse("http://shop:password@proxy.example:3128").is_ok());
    /// assert_eq!(Proxy::parse("socks5://proxy.example").err(), Some("not an HTTP proxy; write http://[user:password@]host:port"));
    /// ```
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let proxy = ureq::Proxy::new(url).map_err(|_| "not a URL; write http://[user:password@]host:port")?;
        if matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https) {
            Ok(Self(proxy))
        } else {
            Err("not an HTTP proxy; write http://[user:password@]host:port")
        }
    }
}

/// A Vault or `OpenBao` server.
pub struct Client {
    http: Http,
    waiter: Arc<Waiter>,
    policy: Policy,
    scrubber: Scrubber,
    at: String,
    namespace: Option<String>,
}

impl Client {
    /// Prepares the connection; nothing is sent before the first call. Every wait of the client is one of `waiter`'s.
    pub fn new(options: &Options, policy: Policy, waiter: Arc<Waiter>) -> Self {
        let http = Http::new(options, Arc::clone(&waiter), policy.budget.0);
        Self::with(http, options, policy, waiter)
    }

    /// One that sends nothing and gets `answer` to whatever it asks.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn canned(options: &Options, policy: Policy, answer: &[u8]) -> Self {
        let waiter = Arc::new(Waiter::new(None));
        let http = Http::canned(options, Arc::clone(&waiter), policy.budget.0, answer);
        Self::with(http, options, policy, waiter)
    }

    fn with(http: Http, options: &Options, policy: Policy, waiter: Arc<Waiter>) -> Self {
        let (at, namespace) = (shown(&options.address.to_string()), options.namespace.clone());
        Self { http, waiter, policy, scrubber: Scrubber::default(), at, namespace }
    }

    /// The address, for messages.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Runs one step under the retry policy.
    fn step<T>(&self, step: Step, attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Error> {
        let begun = Instant::now();
        let done = self.policy.run(step, &*self.waiter, attempt);
        if done.is_ok() {
            let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            log::debug!(step = step.name(), elapsed_ms = elapsed; "{}: done in {elapsed}ms", step.name());
        }
        done.map_err(|given_up| match given_up {
            GivenUp::Signal(signal) => Error::Signal(signal),
            GivenUp::Fault(fault, effort) => {
                // What is absent is named by its path, and what is asked first needs no name.
                let subject = step.subject();
                let named =
                    matches!(step, Step::Status) || fault.code == Code::Absent || fault.cause.contains(&subject);
                let during = if named { String::new() } else { format!("{subject}: ") };
                Error::Vault { at: self.at.clone(), during, fault, effort }
            }
        })
    }

    /// Sends `request` and returns the answer if its status is 200 or 204, else what that comes to.
    fn ask(&self, step: Step, request: &Request) -> Result<Answer, Fault> {
        let answer = self.http.call(request).map_err(|none| fault::of_transport(&none, &self.scrubber))?;
        match answer.status {
            200 | 204 => Ok(answer),
            _ => {
                if let (Step::Read { .. }, Ok(answer)) = (step, answer.document()) {
                    kv::learn(&answer, &self.scrubber);
                }
                Err(fault::of_status(&self.asked(step, request), &answer))
            }
        }
    }

    /// What the answer to `request` is judged by.
    fn asked<'a>(&'a self, step: Step<'a>, request: &Request<'a>) -> Asked<'a> {
        let namespace = self.namespace.as_deref().filter(|_| request.in_namespace);
        Asked { step, at: &self.at, path: request.path, namespace, scrubber: &self.scrubber }
    }
}

/// Percent-encodes a path for a URL; slashes stay.
fn encode(path: &str) -> String {
    use std::fmt::Write;
    path.bytes().fold(String::with_capacity(path.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
