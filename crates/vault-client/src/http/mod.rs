//! One request and its answer: the only place that talks to `ureq`.

mod agent;
#[cfg(any(test, feature = "canned"))]
mod canned;
mod inline;
mod lane;
pub mod path;
mod resolver;
pub mod tls;
mod transport;
mod unix;

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ureq::http::header::{self, HeaderName};
use ureq::http::{self, Response};
use ureq::{Agent, SendBody};
use zeroize::Zeroizing;

use crate::fault::Way;
use crate::json::{self, Bytes, Object};
use crate::options::{Leaf, Options, Tls};
use crate::secret::Secret;
use crate::text::{self, Foreign};
use crate::time::{Call, Limit};
pub use inline::InlineLogin;
use lane::Lanes;
pub use resolver::Unresolved;
use tls::client;

/// Larger answers are refused; Vault's own limit for one secret is 1 MiB.
const MAX_BODY: u64 = 8 << 20;

/// The room for an answer that does not say how long it is.
const FIRST_ROOM: usize = 4 << 10;

/// Where a server says how far its state has come.
const INDEX: HeaderName = HeaderName::from_static("x-vault-index");

/// Where a server says that a login which came along was refused.
const INLINE_FAILED: HeaderName = HeaderName::from_static("x-vault-inline-auth-failed");

/// Talks to one server.
pub struct Http {
    lanes: Lanes,
    /// What the lanes trust and show.
    tls: Arc<Mutex<(Tls, client::Client)>>,
    base: String,
    host: String,
    way: Way,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    /// With a merge patch, <https://www.rfc-editor.org/rfc/rfc7386>.
    Patch,
    Delete,
}

/// A request under `/v1/`.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub method: Method,
    pub path: &'a str,
    pub token: Option<&'a Secret>,
    /// What a POST or PATCH sends; the others send nothing.
    pub body: &'a [u8],
    pub namespace: Option<&'a str>,
    /// What a node has to know before it answers: an earlier answer's `index`.
    pub index: Option<&'a str>,
    /// What the server's audit log can join it to the caller's own by.
    pub correlation: Option<&'a str>,
    /// A login that is sent along.
    pub inline: Option<&'a InlineLogin>,
}

impl<'a> Request<'a> {
    /// A GET of `path` in the root namespace, without a token.
    pub fn get(path: &'a str) -> Self {
        Self {
            method: Method::Get,
            path,
            token: None,
            body: &[],
            namespace: None,
            index: None,
            correlation: None,
            inline: None,
        }
    }

    /// A DELETE of `path` in the root namespace, without a token.
    pub fn delete(path: &'a str) -> Self {
        Self { method: Method::Delete, ..Self::get(path) }
    }

    /// A POST of `body` to `path` in the root namespace, without a token.
    pub fn post(path: &'a str, body: &'a [u8]) -> Self {
        Self { method: Method::Post, body, ..Self::get(path) }
    }
}

/// A complete answer, whatever its status.
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    pub content_type: Foreign,
    pub location: Foreign,
    pub retry_after: Option<Duration>,
    /// How far the cluster's state has come, where the server says so. What is no index is left out: sent back, it could
    /// only spoil a request.
    pub index: Option<String>,
    /// Whether a login that was sent along was refused, as far as the server says so.
    pub inline_failed: bool,
    /// The body ended with the connection: a cut is not told from its end.
    pub ends_with_connection: bool,
    /// The call that it is the answer to; its time limit holds for reading it too.
    pub call: Call,
}

impl Answer {
    /// The body as a JSON object; reading it is as bounded in time as receiving it.
    pub fn document(&self) -> Result<Object, json::Malformed> {
        Object::read(&self.body, || self.call.alive().is_ok())
    }

    /// Checks an answer that need not say anything: it says nothing, or something in JSON. A page of a proxy in its place
    /// means that the request never got there.
    pub fn acknowledged(&self) -> Result<(), json::Malformed> {
        if self.status == 204 { Ok(()) } else { self.document().map(drop) }
    }
}

#[cfg(test)]
impl Answer {
    /// One as from Vault, with nothing in its headers.
    pub fn canned(status: u16, body: &str) -> Self {
        use crate::time::Cancel;
        use std::time::Instant;

        let minute = Duration::from_secs(60);
        let call = Call::until(Instant::now() + minute, Cancel::never());
        Self {
            status,
            body: Arc::new(Zeroizing::new(body.as_bytes().to_vec())),
            content_type: Foreign::new("application/json"),
            location: Foreign::default(),
            retry_after: None,
            index: None,
            inline_failed: false,
            ends_with_connection: false,
            call: Call { limit: Limit::Request, length: minute, ..call },
        }
    }
}

/// Why there is no complete answer.
pub struct NoAnswer {
    pub error: ureq::Error,
    pub limit: Limit,
    /// How long that is in all.
    pub length: Duration,
    /// What leads to the server.
    pub way: Way,
    /// Whether a part of the request was on its way, so that the server may have done what it asks for.
    pub sent: bool,
}

impl NoAnswer {
    /// The failure of the TLS connection, where it is one.
    pub fn tls(&self) -> Option<&client::Failed> {
        fn inner(error: &ureq::Error) -> Option<&client::Failed> {
            let ureq::Error::Io(error) = error else { return None };
            let error = error.get_ref()?;
            error.downcast_ref().or_else(|| inner(error.downcast_ref()?))
        }
        inner(&self.error)
    }
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
    /// Prepares the connections; nothing is sent.
    pub fn new(options: &Options) -> Self {
        let config = agent::config(options);
        let tls = Arc::new(Mutex::new((options.tls.clone(), client::Client::new(&options.tls))));
        if let Some(path) = options.address.socket() {
            let path = path.to_owned();
            return Self::with(Lanes::new(options.lanes, move || agent::socket_lane(&config, &path)), tls, options);
        }
        let connect_to = options.tls.server_name.is_some().then(|| options.address.host().to_owned());
        let names = Arc::new(resolver::Names::default());
        let current = Arc::clone(&tls);
        let lane = move || {
            let tls = current.lock().unwrap_or_else(PoisonError::into_inner).1.for_lane();
            agent::lane(&config, tls, &names, connect_to.as_deref())
        };
        Self::with(Lanes::new(options.lanes, lane), tls, options)
    }

    /// The same, with each connection giving `answer` and nothing sent anywhere.
    #[cfg(any(test, feature = "canned"))]
    pub fn canned(options: &Options, answer: &[u8]) -> Self {
        let (config, answer): (_, Arc<[u8]>) = (agent::config(options), answer.into());
        let lane = move || {
            let agent = Agent::with_parts(config.clone(), canned::Canned(Arc::clone(&answer)), resolver::Nowhere);
            lane::Lane { agent, slot: lane::Slot::empty() }
        };
        let tls = Arc::new(Mutex::new((options.tls.clone(), client::Client::new(&options.tls))));
        Self::with(Lanes::new(1, lane), tls, options)
    }

    fn with(lanes: Lanes, tls: Arc<Mutex<(Tls, client::Client)>>, options: &Options) -> Self {
        let (address, way) = (&options.address, agent::way(options));
        let base = match options.tls.server_name.as_deref() {
            _ if way == Way::Socket => format!("http://{}", address.authority()),
            Some(name) => address.with_host(name),
            None => address.to_string(),
        };
        Self { lanes, tls, base, host: address.authority(), way }
    }

    /// What the client certificate says of itself that is shown.
    pub fn client_certificate(&self) -> Option<Leaf> {
        let current = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        current.0.identity.as_ref()?.leaf()
    }

    /// Trusts and shows what `tls` says from now on, on new connections; the old ones end where that is something else.
    pub fn trust(&self, tls: Tls) {
        let mut current = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != tls {
            let client = client::Client::new(&tls);
            *current = (tls, client);
            drop(current);
            self.lanes.renew();
        }
    }

    /// Sends `request` and reads the answer to its end, so that the connection can be kept; with a lane of its own it waits
    /// for none of the others.
    pub fn call(&self, request: &Request, call: &Call, has_its_own_lane: bool) -> Result<Answer, NoAnswer> {
        let (limit, length, way) = (call.limit, call.length, self.way);
        let none = |error, sent| NoAnswer { error, limit, length, way, sent };
        let lane =
            self.lanes.lend(call, has_its_own_lane).map_err(|ended| none(io::Error::other(ended).into(), false))?;
        self.exchange(&lane.agent, request, call).map_err(|error| none(error, lane.slot.has_sent()))
    }

    fn exchange(&self, agent: &Agent, request: &Request, call: &Call) -> Result<Answer, ureq::Error> {
        let head = self.head(request)?;
        let response = match request.method {
            Method::Get | Method::Delete => agent.run(head.map(|()| SendBody::none())),
            Method::Post | Method::Patch => agent.run(head.map(|()| request.body)),
        };
        read(response?, call)
    }

    /// All of `request` but its body.
    fn head(&self, request: &Request) -> Result<http::Request<()>, http::Error> {
        let (method, content_type) = match request.method {
            Method::Get => (http::Method::GET, None),
            Method::Delete => (http::Method::DELETE, None),
            Method::Post => (http::Method::POST, Some("application/json")),
            Method::Patch => (http::Method::PATCH, Some("application/merge-patch+json")),
        };
        // A node that is behind sends the request on, instead of answering as if what was just made were not there.
        // https://openbao.org/community/rfcs/index-headers/
        let inconsistent = request.index.map(|_| "forward-active-node");
        let fields = [
            (header::HOST, Some(self.host.as_str())),
            (const { HeaderName::from_static("x-vault-request") }, Some("true")),
            (const { HeaderName::from_static("x-vault-token") }, request.token.map(Secret::expose)),
            (const { HeaderName::from_static("x-vault-namespace") }, request.namespace),
            (const { HeaderName::from_static("x-correlation-id") }, request.correlation),
            (INDEX, request.index),
            (const { HeaderName::from_static("x-vault-inconsistent") }, inconsistent),
            (header::CONTENT_TYPE, content_type),
        ];
        let mut head = http::Request::new(());
        *head.method_mut() = method;
        *head.uri_mut() = [&self.base, "/v1/", request.path].concat().try_into()?;
        for (name, value) in fields {
            if let Some(value) = value {
                head.headers_mut().insert(name, value.try_into()?);
            }
        }
        for (name, value) in request.inline.map_or_else(|| Ok(Vec::new()), InlineLogin::fields)? {
            head.headers_mut().insert(name, value);
        }
        Ok(head)
    }
}

fn read(mut response: Response<ureq::Body>, call: &Call) -> Result<Answer, ureq::Error> {
    let text = |name: HeaderName| {
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
        index: Some(text(INDEX)).filter(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_graphic())),
        inline_failed: text(INLINE_FAILED) == "true",
        ends_with_connection: !framed && status != 204,
        call: call.clone(),
    };
    let announced = response.body().content_length();
    answer.body = read_wiping(response.body_mut().with_config().limit(MAX_BODY).reader(), announced)?.into();
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(ureq::Error::Other(Box::new(Encoded(encoding))));
    }
    Ok(answer)
}

/// Reads to the end; a buffer that is outgrown is wiped, which `Vec` would not do. With room for one byte more than is
/// `announced`, none is. What is wiped takes time: no buffer is much larger than the answer.
fn read_wiping(mut body: impl Read, announced: Option<u64>) -> Result<Zeroizing<Vec<u8>>, ureq::Error> {
    let room = announced.map_or(FIRST_ROOM, |length| usize::try_from(length.min(MAX_BODY)).unwrap_or_default() + 1);
    let mut buffer = Zeroizing::new(vec![0; room]);
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
