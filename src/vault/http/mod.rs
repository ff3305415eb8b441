//! One request and its answer: the only place that talks to `ureq`.

#[cfg(any(test, fuzzing))]
mod canned;
mod resolver;
pub use resolver::Unresolved;
mod tls;
mod transport;

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ureq::Agent;
use ureq::config::Config;
use ureq::http::{Response, header};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};
use zeroize::Zeroizing;

use super::Options;
use super::tls::Client;
use crate::json::{self, Bytes, Object};
use crate::process::wait::Waiter;
use crate::secret::Secret;
use crate::text::{self, Foreign};

/// Larger answers are refused; Vault's own limit for one secret is 1 MiB.
const MAX_BODY: u64 = 8 << 20;

/// Longer headers are refused.
const MAX_HEADER: usize = 16 << 10;

/// Where a server says how far its state has come.
const INDEX: header::HeaderName = header::HeaderName::from_static("x-vault-index");

/// Talks to one server over one kept connection.
pub struct Http {
    agent: Agent,
    waiter: Arc<Waiter>,
    base: String,
    host: String,
    namespace: Option<String>,
    timeout: Duration,
    deadline: Instant,
}

/// A request under `/v1/`.
pub struct Request<'a> {
    pub path: &'a str,
    pub token: Option<&'a Secret>,
    /// A body makes it a POST.
    pub body: Option<&'a [u8]>,
    pub in_namespace: bool,
    /// What a node has to know before it answers: an earlier answer's `index`.
    pub index: Option<&'a str>,
    /// How much longer it may take after a signal.
    pub grace: Duration,
    /// A nearer limit than the client's own: its end, and how long it is in all.
    pub within: Option<(Instant, Duration)>,
}

impl<'a> Request<'a> {
    /// A GET of `path` within the namespace, without a token.
    pub fn get(path: &'a str) -> Self {
        Self { path, token: None, body: None, in_namespace: true, index: None, grace: Duration::ZERO, within: None }
    }
}

/// A complete answer, whatever its status.
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    pub content_type: Foreign,
    pub location: Foreign,
    pub retry_after: Option<Duration>,
    /// How far the cluster's state has come, where the server says so; empty else.
    pub index: String,
    /// The body ended with the connection: a cut is not told from its end.
    pub ends_with_connection: bool,
    /// The time limit that holds for reading it too.
    pub limit: Limit,
    waiter: Arc<Waiter>,
}

impl Answer {
    /// The body as a JSON object; reading it is as bounded in time as receiving it.
    pub fn document(&self) -> Result<Object, json::Fault> {
        Object::read(&self.body, || self.waiter.alive().is_ok())
    }
}

#[cfg(test)]
impl Answer {
    /// One as from Vault, with nothing in its headers.
    pub fn canned(status: u16, body: &str) -> Self {
        let waiter = Waiter::new(None);
        waiter.expect(Instant::now() + Duration::from_secs(60), Duration::ZERO);
        Self {
            status,
            body: Arc::new(Zeroizing::new(body.as_bytes().to_vec())),
            content_type: Foreign::new("application/json"),
            location: Foreign::default(),
            retry_after: None,
            index: String::new(),
            ends_with_connection: false,
            limit: Limit { setting: Some("VAULT_TIMEOUT"), length: Duration::from_secs(60) },
            waiter: Arc::new(waiter),
        }
    }
}

/// The time limit that holds for a request: its setting, where it has one, and how much it came to.
#[derive(Clone, Copy)]
pub struct Limit {
    pub setting: Option<&'static str>,
    pub length: Duration,
}

/// Why there is no complete answer.
pub struct NoAnswer {
    pub error: ureq::Error,
    pub limit: Limit,
    /// Whether it went through a proxy, which is nearer than Vault and suspected first.
    pub through_proxy: bool,
}

/// A body in an encoding that was not asked for.
#[derive(Debug)]
pub struct Encoded(pub String);

impl fmt::Display for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an answer encoded as {}", text::escaped(&self.0))
    }
}

impl std::error::Error for Encoded {}

impl Http {
    /// Prepares the connection; nothing is sent. `deadline` ends every request.
    pub fn new(options: &Options, waiter: Arc<Waiter>, deadline: Instant) -> Self {
        Self::with(agent(options, &waiter), options, waiter, deadline)
    }

    /// The same, with each connection giving `answer` and nothing sent anywhere.
    #[cfg(any(test, fuzzing))]
    pub fn canned(options: &Options, waiter: Arc<Waiter>, deadline: Instant, answer: &[u8]) -> Self {
        let agent = Agent::with_parts(agent_config(options), canned::Canned(answer.into()), canned::Nowhere);
        Self::with(agent, options, waiter, deadline)
    }

    fn with(agent: Agent, options: &Options, waiter: Arc<Waiter>, deadline: Instant) -> Self {
        let server_name = options.tls.server_name.as_deref();
        Self {
            agent,
            waiter,
            base: server_name.map_or_else(|| options.address.to_string(), |name| options.address.with_host(name)),
            host: options.address.authority(),
            namespace: options.namespace.clone(),
            timeout: options.timeout,
            deadline,
        }
    }

    /// Sends `request` and reads the answer to its end, so that the connection can be kept.
    pub fn call(&self, request: &Request) -> Result<Answer, NoAnswer> {
        let now = Instant::now();
        let own = request.within.map_or(now + self.timeout, |(end, _)| end);
        let deadline = if request.within.is_some() { own } else { own.min(self.deadline) };
        self.waiter.expect(deadline, request.grace);
        let (setting, length) = match request.within {
            Some((_, within)) => (None, within),
            None if deadline == own => (Some("VAULT_TIMEOUT"), self.timeout),
            None => (Some("VAULT_STARTUP_TIMEOUT"), deadline - now),
        };
        let limit = Limit { setting, length };
        let through_proxy = self.agent.config().proxy().is_some();
        self.exchange(request, limit).map_err(|error| NoAnswer { error, limit, through_proxy })
    }

    fn exchange(&self, request: &Request, limit: Limit) -> Result<Answer, ureq::Error> {
        let url = format!("{}/v1/{}", self.base, request.path);
        let mut headers = vec![(header::HOST.as_str(), self.host.as_str()), ("x-vault-request", "true")];
        headers.extend(request.token.map(|token| ("x-vault-token", token.expose())));
        headers.extend(self.namespace.as_deref().filter(|_| request.in_namespace).map(|n| ("x-vault-namespace", n)));
        // A node that is behind sends the request on, instead of answering as if what was just made were not there.
        // https://openbao.org/community/rfcs/index-headers/
        let inconsistent = ("x-vault-inconsistent", "forward-active-node");
        headers.extend(request.index.into_iter().flat_map(|index| [("x-vault-index", index), inconsistent]));
        let response = if let Some(body) = request.body {
            headers.push((header::CONTENT_TYPE.as_str(), "application/json"));
            headers.into_iter().fold(self.agent.post(url), |r, (name, value)| r.header(name, value)).send(body)
        } else {
            headers.into_iter().fold(self.agent.get(url), |r, (name, value)| r.header(name, value)).call()
        };
        self.read(response?, limit)
    }

    fn read(&self, mut response: Response<ureq::Body>, limit: Limit) -> Result<Answer, ureq::Error> {
        let text = |name: header::HeaderName| {
            response.headers().get(name).map_or(String::new(), |value| text::lossy(value.as_bytes()).into_owned())
        };
        let framed = response.headers().contains_key(header::CONTENT_LENGTH)
            || response.headers().contains_key(header::TRANSFER_ENCODING);
        let status = response.status().as_u16();
        let encoding = text(header::CONTENT_ENCODING);
        let mut answer = Answer {
            status,
            body: Bytes::default(),
            content_type: Foreign::new(text(header::CONTENT_TYPE)),
            location: Foreign::new(text(header::LOCATION)),
            retry_after: retry_after(&text(header::RETRY_AFTER), SystemTime::now()),
            index: text(INDEX),
            ends_with_connection: !framed && status != 204,
            limit,
            waiter: Arc::clone(&self.waiter),
        };
        let announced = response.body().content_length().unwrap_or_default();
        answer.body = read_wiping(response.body_mut().with_config().limit(MAX_BODY).reader(), announced)?.into();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err(ureq::Error::Other(Box::new(Encoded(encoding))));
        }
        Ok(answer)
    }
}

/// Reads to the end; a buffer that is outgrown is wiped, which `Vec` would not do. With room for one byte more than is
/// `announced`, none is.
fn read_wiping(mut body: impl Read, announced: u64) -> Result<Zeroizing<Vec<u8>>, ureq::Error> {
    let room = usize::try_from(announced.min(MAX_BODY)).unwrap_or_default() + 1;
    let mut buffer = Zeroizing::new(vec![0; room.max(16 << 10)]);
    let mut length = 0;
    loop {
        if length == buffer.len() {
            let mut larger = Zeroizing::new(vec![0; length * 2]);
            larger[..length].copy_from_slice(&buffer);
            buffer = larger;
        }
        match body.read(&mut buffer[length..])? {
            0 => break,
            n => length += n,
        }
    }
    buffer.truncate(length);
    Ok(buffer)
}

/// The pause that a server asks for, in seconds or as a date;
/// [RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3). What is neither is no wish.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More seconds than fit are more than any budget holds.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX)).min(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn agent(options: &Options, waiter: &Arc<Waiter>) -> Agent {
    let names = Arc::new(resolver::Names::default());
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(transport::TcpConnector { waiter: Arc::clone(waiter), names: Arc::clone(&names) })
            .chain(tls::TlsConnector(Arc::new(Client::new(&options.tls))));
    let connect_to = options.tls.server_name.is_some().then(|| options.address.host().to_owned());
    let resolver = resolver::Lookup { waiter: Arc::clone(waiter), names, connect_to };
    Agent::with_parts(agent_config(options), connector, resolver)
}

/// The one place where the HTTP client is set up; what is a default of `ureq` is written out all the same, because a
/// default may change and none of these may.
fn agent_config(options: &Options) -> Config {
    Agent::config_builder()
        // Headers and the body of an error are needed, and an unread body costs the connection.
        .http_status_as_error(false)
        // ureq sends X-Vault-Token on to another host.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .save_redirect_history(false)
        // Never from the environment.
        .proxy(options.proxy.as_ref().map(|proxy| proxy.0.clone()))
        .https_only(false)
        .no_delay(true)
        .user_agent(concat!("vault-exec/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        .accept_encoding("identity")
        .allow_non_standard_methods(false)
        .max_response_header_size(MAX_HEADER)
        // One byte more: a full buffer without a whole header looks like the end of the connection to ureq.
        .input_buffer_size(MAX_HEADER + 1)
        .output_buffer_size(16 << 10)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .max_idle_age(Duration::from_secs(15))
        // The waiter's deadline holds for every phase; ureq's own limits would be counted per phase beside it.
        .timeout_global(None)
        .timeout_await_100(None)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_nothing_else() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("99999999999999999999", Some(u64::from(u32::MAX))),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
