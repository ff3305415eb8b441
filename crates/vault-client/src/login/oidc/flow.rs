//! One login: from the URL that the server gives to the token.

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::poll::{PollFd, PollFlags};
use zeroize::Zeroizing;

use super::Oidc;
use super::browser::Browser;
use super::callback::{self, Callback, Callbacks, Page};
use super::listen::{Bound, Listen, NotBound};
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{Fault, NoPerson, Retry, What};
use crate::http::{Request, path};
use crate::json::Object;
use crate::judge;
use crate::login::request::{GRACE, Proof};
use crate::retry::GivenUp;
use crate::secret::Secret;
use crate::session::Session;
use crate::step::Step;
use crate::text::{escaped, shown};
use crate::time::{Call, Ended, since_boot};

/// How much a poll becomes rarer where the provider wants it so; <https://www.rfc-editor.org/rfc/rfc8628#section-3.5>
const SLOWER: Duration = Duration::from_secs(5);

/// Between two polls there is at least and at most so much, in seconds.
const INTERVALS: (u64, u64) = (1, 60);

/// Longer URLs are not opened.
const LONGEST_URL: usize = 8 << 10;

/// Longer codes are not shown: nobody types them in.
const LONGEST_CODE: usize = 64;

/// So long standard error is waited for where the login can go on without what is written there.
const MOMENT: Duration = Duration::from_secs(2);

/// So much is written at once: a pipe that has room at all has room for it. A terminal may have room for a byte alone.
const PIECE: usize = 512;

/// One login.
pub struct Flow<'a> {
    oidc: &'a Oidc,
    endpoint: &'a Endpoint,
    step: &'a Step,
    /// Encoded.
    mount: String,
    /// What proves to the server that whoever ends the login has begun it.
    nonce: Arc<Secret>,
    /// As long as the person has.
    call: &'a Call,
}

/// What the server begins a login with.
struct Begun {
    url: String,
    /// What is typed in at the URL, where something is.
    user_code: Option<String>,
    /// Where the login ends at the server: its state there, and how often to ask.
    poll: Option<(Secret, Duration)>,
}

impl<'a> Flow<'a> {
    pub fn new(oidc: &'a Oidc, endpoint: &'a Endpoint, step: &'a Step, call: &'a Call) -> Result<Self, VaultError> {
        let failed = |what: What| endpoint.failed(step, GivenUp::Fault(what.into(), Effort::default()));
        let mount = path::checked(oidc.mount.trim_matches('/')).map_err(|why| failed(What::Mount(why)))?;
        let mut random = Zeroizing::new([0; 24]);
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut *random)
            .map_err(|_| failed(What::Exhausted("the system gives no random bytes".into())))?;
        let nonce = Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
        endpoint.scrubber().learn(&nonce);
        Ok(Self { oidc, endpoint, step, mount, nonce: Arc::new(nonce.into()), call })
    }

    /// Logs a person in.
    pub fn run(&self) -> Result<Session, VaultError> {
        let Listen::At { host, port } = &self.oidc.listen else {
            let begun = self.begin(&self.redirect_uri())?;
            return match &begun.poll {
                Some(poll) => self.at_server(&begun, poll),
                None => Err(self.failed(NoPerson::NotListening)),
            };
        };
        // Before the URL is asked for: who opens it may be back at once.
        let bound = Bound::new(host, *port).map_err(|NotBound { at, error }| {
            self.failed(NoPerson::NotBound { at, reason: escaped(&error.to_string()) })
        })?;
        let callbacks = Callbacks::new(bound);
        let begun = self.begin(&callbacks.redirect_uri())?;
        match &begun.poll {
            Some(poll) => {
                drop(callbacks);
                self.at_server(&begun, poll)
            }
            None => self.in_browser(&begun, callbacks),
        }
    }

    /// The redirect URI of a login that ends at the server.
    fn redirect_uri(&self) -> String {
        let namespace = self.endpoint.auth_namespace().map(|it| path::encode(it) + "/").unwrap_or_default();
        format!("{}/v1/{namespace}auth/{}/oidc/callback", self.endpoint.address(), self.mount)
    }

    /// Asks for the URL.
    /// [`POST auth/{mount}/oidc/auth_url`](https://openbao.org/api-docs/auth/jwt/#oidc-authorization-url-request)
    fn begin(&self, redirect_uri: &str) -> Result<Begun, VaultError> {
        let path = format!("auth/{}/oidc/auth_url", self.mount);
        let proof = Proof::at(&self.oidc.mount).with("redirect_uri", redirect_uri);
        let proof = proof.with_secret("client_nonce", Arc::clone(&self.nonce));
        let proof = self.oidc.role.iter().fold(proof, |proof, role| proof.with("role", role));
        let body = proof.body();
        let request = Request::post(&path, &body);
        let data = self.endpoint.part(self.step, |call| {
            let answer = self.endpoint.ask(self.step, &request, call)?;
            let data = answer.document().and_then(|said| said.object(&["data"]));
            let read = data.and_then(|data| Ok((data.string("auth_url")?, data)));
            read.map_err(|fault| self.endpoint.judge_body(self.step, &request, &answer, &fault))
        });
        let (url, data) = data?;
        if url.is_empty() {
            return Err(self.failed(NoPerson::NoUrl { redirect_uri: shown(redirect_uri) }));
        }
        let nonce = self.nonce.expose();
        check(&url, nonce).map_err(|why| self.failed(NoPerson::BadUrl(why)))?;
        let user_code = text(&data, "user_code").filter(|code| is_typed(code) && !code.contains(nonce));
        Ok(Begun { url: url.to_string(), user_code, poll: polled(&data) })
    }

    /// The login that comes back to the listener.
    fn in_browser(&self, begun: &Begun, mut callbacks: Callbacks) -> Result<Session, VaultError> {
        let query = begun.url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
        let Ok(Some(state)) = callback::one(query, "state") else {
            return Err(self.failed(NoPerson::BadUrl("it has no state")));
        };
        self.endpoint.scrubber().learn(&state);
        let came = {
            let _taking = self.endpoint.granted().begin();
            self.announce(begun);
            callbacks.wait(&state, self.call)
        };
        let (callback, held) = came.map_err(|ended| self.ended(ended))?;
        let made = match callback {
            Callback::Code(code) => self.exchange(&state, &code),
            Callback::Refused { error, description } => Err(self.refused(&state, &error, &description)),
        };
        let why = made.as_ref().err().map(VaultError::to_string);
        let page = why.as_deref().map_or(Page::Worked, Page::Failed);
        callbacks.finish(held, page, self.endpoint.cancel());
        made
    }

    /// The token for a code. It is asked for once: a code and its state are good for one time.
    /// [`GET auth/{mount}/oidc/callback`](https://openbao.org/api-docs/auth/jwt/#oidc-callback)
    fn exchange(&self, state: &str, code: &Secret) -> Result<Session, VaultError> {
        self.endpoint.scrubber().learn(code.expose());
        // As it stands in the path, which a proxy may quote.
        self.endpoint.scrubber().learn(&path::encode(code.expose()));
        let path = self.callback_path(state, "code", code.expose());
        self.endpoint.part(self.step, |call| {
            let judged = |fault| Fault { retry: Retry::Never, ..judge::of_person(fault) };
            self.open(&Request::get(&path), call).map_err(judged)
        })
    }

    /// What the provider says in place of a code. The server hears it too, and forgets the login.
    fn refused(&self, state: &str, error: &str, description: &str) -> VaultError {
        let path = self.callback_path(state, "error", error);
        // Its own answer says less.
        let _ = self.endpoint.try_once(self.step, &Request::get(&path));
        let clean = |text: &str| self.endpoint.scrubber().clean(&[text]);
        self.failed(NoPerson::Refused { error: clean(error), description: clean(description) })
    }

    fn callback_path(&self, state: &str, name: &str, value: &str) -> Zeroizing<String> {
        let (state, value, nonce) = (path::encode(state), path::encode(value), path::encode(self.nonce.expose()));
        Zeroizing::new(format!("auth/{}/oidc/callback?state={state}&{name}={value}&client_nonce={nonce}", self.mount))
    }

    /// The login that ends at the server, which is asked for its token from time to time.
    /// [`POST auth/{mount}/oidc/poll`](https://openbao.org/api-docs/auth/jwt/#oidc-poll)
    fn at_server(&self, begun: &Begun, (state, interval): &(Secret, Duration)) -> Result<Session, VaultError> {
        self.endpoint.scrubber().learn(state.expose());
        let path = format!("auth/{}/oidc/poll", self.mount);
        let proof = Proof::at(&self.oidc.mount).with("state", state.expose());
        let body = proof.with_secret("client_nonce", Arc::clone(&self.nonce)).body();
        let request = Request::post(&path, &body);
        let _taking = self.endpoint.granted().begin();
        self.announce(begun);
        let mut interval = *interval;
        loop {
            self.call.pause(Instant::now() + interval).map_err(|ended| self.ended(ended))?;
            match self.open(&request, &self.endpoint.call()) {
                Ok(made) => return Ok(made),
                Err(fault) if judge::is_pending(&fault) => {}
                Err(fault) if judge::is_too_often(&fault) => interval += SLOWER,
                // A state that met an error is gone.
                Err(fault) => {
                    let fault = Fault { retry: Retry::Never, ..judge::of_person(fault) };
                    return Err(self.endpoint.failed(self.step, GivenUp::Fault(fault, Effort::default())));
                }
            }
        }
    }

    /// Sends `request` once, whose answer has the token.
    fn open(&self, request: &Request, call: &Call) -> Result<Session, Fault> {
        let (endpoint, sent) = (self.endpoint, since_boot());
        let answer = endpoint.ask(self.step, request, &Call { grace: GRACE, ..call.clone() })?;
        Session::from_answer(endpoint, self.step, request, &answer, (sent, self.oidc.revoke))
    }

    /// Tells the person where to log in, and opens a browser there. Standard error that takes nothing changes nothing where a
    /// browser opens; where none does, it is waited for: a terminal that is stopped goes on at a key.
    fn announce(&self, begun: &Begun) {
        let browser = Some(Browser::find(|name| std::env::var_os(name))).filter(|_| self.oidc.browser).flatten();
        let mount = shown(&self.oidc.mount);
        let before = match browser {
            Some(_) => format!("A browser opens for the login at auth/{mount}. If none does, open this URL in one:"),
            None => format!("Open this URL in a browser for the login at auth/{mount}:"),
        };
        let after = begun.user_code.as_ref().map(|code| format!("Enter the code {} there.\n", shown(code)));
        let patience = browser.as_ref().map(|_| MOMENT);
        write(io::stderr(), &format!("{before}\n{}\n{}", begun.url, after.unwrap_or_default()), self.call, patience);
        if let Some(browser) = browser {
            browser.open(&begun.url, self.call);
        }
    }

    fn failed(&self, why: NoPerson) -> VaultError {
        failed(self.endpoint, self.step, why)
    }

    fn ended(&self, ended: Ended) -> VaultError {
        super::ended(self.endpoint, self.step, ended)
    }
}

/// The error of a login without an answer.
pub fn failed(endpoint: &Endpoint, step: &Step, why: NoPerson) -> VaultError {
    let fault = What::NoPerson(Box::new(why)).into();
    endpoint.failed(step, GivenUp::Fault(fault, Effort::default()))
}

/// Writes `text` to standard error, unless nobody takes it within a moment.
pub fn say(text: &str, call: &Call) {
    write(io::stderr(), text, call, Some(MOMENT));
}

/// Writes `text` until the call ends, or nobody has taken any of it for as long as `patience`. The descriptor may be shared:
/// a write that does not wait would need a flag that others see too.
fn write(to: impl AsFd, text: &str, call: &Call, patience: Option<Duration>) {
    let length = if nix::unistd::isatty(&to) == Ok(true) { 1 } else { PIECE };
    for piece in text.as_bytes().chunks(length) {
        let ready = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
        let until = patience.map(|patience| Instant::now() + patience);
        let has_room = call.ready(&ready, until).is_ok_and(|index| index.is_some());
        if !has_room || nix::unistd::write(&to, piece) != Ok(piece.len()) {
            return;
        }
    }
}

/// The text `name` of `data`; `None` where it is missing or empty.
fn text(data: &Object, name: &str) -> Option<String> {
    data.string(name).ok().map(|text| text.to_string()).filter(|text| !text.is_empty())
}

/// Where the login ends at the server: the state there, and how often to ask for it.
fn polled(data: &Object) -> Option<(Secret, Duration)> {
    let interval: u64 = text(data, "poll_interval")?.parse().ok()?;
    let state = data.string("state").ok().filter(|state| !state.is_empty())?;
    Some((state.into(), Duration::from_secs(interval.clamp(INTERVALS.0, INTERVALS.1))))
}

/// Whether a code is one that a person types in.
fn is_typed(code: &str) -> bool {
    code.len() <= LONGEST_CODE && code.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a URL is one to show to a person and hand to a browser, and does not give away the login's `nonce`.
fn check(url: &str, nonce: &str) -> Result<(), &'static str> {
    let scheme = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let length = ["https://", "http://"].iter().find(|it| scheme(it)).map(|it| it.len());
    let Some(rest) = length.and_then(|length| url.get(length..)) else { return Err("it is neither https nor http") };
    // Browsers take a backslash for a slash, and other programs do not: each would go to another host.
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err("it holds what no URL can");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it names a user in front of its host");
    }
    if !is_host(authority) {
        return Err("it names no host");
    }
    if url.contains(nonce) {
        return Err("it gives away a secret of the login");
    }
    if url.len() > LONGEST_URL { Err("it is too long") } else { Ok(()) }
}

/// Whether `text` is a host, with a port or without: a name, or an address, which has brackets where it is of IPv6.
fn is_host(text: &str) -> bool {
    let (is_host, port) = if let Some(inside) = text.strip_prefix('[') {
        let Some((address, port)) = inside.split_once(']') else { return false };
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        (!name.is_empty() && name.bytes().all(is_of_name), port)
    };
    let digits = port.strip_prefix(':').map(|digits| (digits.bytes().all(|byte| byte.is_ascii_digit()), digits));
    let is_port = digits.map_or(port.is_empty(), |(are_all, digits)| are_all && digits.parse::<u16>().is_ok());
    is_host && is_port
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use nix::fcntl::FcntlArg;

    use super::*;
    use crate::time::Cancel;

    #[test]
    fn a_url_is_opened_where_a_browser_goes_and_a_terminal_shows_it_as_it_is() {
        let long = format!("https://idp.example/{}", "x".repeat(LONGEST_URL));
        for (url, checked) in [
            ("https://idp.example/auth?a=b&state=c#d", Ok(())),
            ("HTTP://127.0.0.1:9/", Ok(())),
            ("https://idp.example", Ok(())),
            ("", Err("it is neither https nor http")),
            ("javascript:alert(1)", Err("it is neither https nor http")),
            ("file:///etc/passwd", Err("it is neither https nor http")),
            ("https:idp.example", Err("it is neither https nor http")),
            ("-https://idp.example", Err("it is neither https nor http")),
            ("https://", Err("it names no host")),
            ("https:///path", Err("it names no host")),
            ("https://:443/", Err("it names no host")),
            ("https://[/?state=c", Err("it names no host")),
            ("https://[::1/", Err("it names no host")),
            ("https://[idp]/", Err("it names no host")),
            ("https://[::1]x/", Err("it names no host")),
            ("https://a%40b/", Err("it names no host")),
            ("https://a:b/", Err("it names no host")),
            ("https://a:+1/", Err("it names no host")),
            ("https://a:65536/", Err("it names no host")),
            ("https://[::1]:8443?state=c", Ok(())),
            ("https://idp_1.example:65535#d", Ok(())),
            ("https://idp.example/@a?b=c@d:e'`\"", Ok(())),
            ("https://user:pw@idp.example/", Err("it names a user in front of its host")),
            ("https://idp.example@evil.example?state=c", Err("it names a user in front of its host")),
            ("https://a\\@b/", Err("it holds what no URL can")),
            ("https://idp.example/\\b", Err("it holds what no URL can")),
            ("https://idp.example/?state=c&x=the-nonce&y", Err("it gives away a secret of the login")),
            ("https://the-nonce.example/", Err("it gives away a secret of the login")),
            ("https://idp.example/\u{1b}[2J", Err("it holds what no URL can")),
            ("https://idp.example/a b", Err("it holds what no URL can")),
            ("https://idp.example/\nhttps://evil.example", Err("it holds what no URL can")),
            ("https://\u{e9}.example/", Err("it holds what no URL can")),
            (&long, Err("it is too long")),
        ] {
            assert_eq!(check(url, "the-nonce"), checked, "{url}");
        }
    }

    #[test]
    fn a_code_is_shown_where_somebody_could_type_it_in() {
        let (most, more) = ("A".repeat(64), "A".repeat(65));
        for (code, is_shown) in [
            ("WDJB-MJHT", true),
            (most.as_str(), true),
            (&more, false),
            ("WDJB MJHT", false),
            ("\u{1b}[31mAB", false),
            ("AB\nC", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(is_typed(code), is_shown, "{code:?}");
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    /// A pipe that takes no more, and its reader.
    fn full_pipe() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let size = nix::fcntl::fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        nix::unistd::write(&writer, &vec![b'x'; size.try_into().unwrap()]).unwrap();
        (reader, writer)
    }

    #[test]
    fn a_cancellation_ends_the_wait_for_a_reader_that_takes_nothing() {
        let (_reader, writer) = full_pipe();
        let cancel = Cancel::new().unwrap();
        let call = Call::until(Instant::now() + LONG, cancel.clone());
        let writing = std::thread::spawn(move || write(writer, "text", &call, None));
        cancel.cancel();
        writing.join().unwrap();
    }

    #[test]
    fn what_the_login_does_not_depend_on_is_given_up_after_a_moment() {
        let (_reader, writer) = full_pipe();
        let call = Call::until(Instant::now() + LONG, Cancel::never());
        write(writer, "text", &call, Some(Duration::from_millis(5)));
        assert!(call.alive().is_ok());
    }

    #[test]
    fn a_slow_reader_gets_all_of_it_and_the_descriptor_stays_as_it_is() {
        let (reader, writer) = full_pipe();
        let flags = |of: &OwnedFd| nix::fcntl::fcntl(of, FcntlArg::F_GETFL).unwrap();
        let (before, text) = (flags(&writer), "abcdefg".repeat(2000));
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            File::from(reader).read_to_end(&mut all).unwrap();
            String::from_utf8(all).unwrap()
        });
        write(&writer, &text, &Call::until(Instant::now() + LONG, Cancel::never()), None);
        assert_eq!(flags(&writer), before);
        drop(writer);
        assert_eq!(reading.join().unwrap().trim_start_matches('x'), text);
    }

    #[test]
    fn a_terminal_that_nobody_reads_does_not_hold_up_a_write() {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let call = Call::until(Instant::now() + LONG, Cancel::never());
        let more = "a line of a terminal, which takes some more for its end\n".repeat(4000);
        write(&terminal.slave, &more, &call, Some(Duration::from_millis(5)));
        write(&terminal.slave, &more, &call, Some(Duration::from_millis(5)));
        assert!(call.alive().is_ok());
    }

    #[test]
    fn a_login_is_polled_for_only_where_the_server_says_how_often() {
        let polled = |text: &str| {
            let data = Object::parse(text.as_bytes()).unwrap();
            polled(&data).map(|(state, interval)| (state.expose().to_owned(), interval.as_secs()))
        };
        for (data, expected) in [
            (r#"{"state":"st_1","poll_interval":"5"}"#, Some(5)),
            (r#"{"state":"st_1","poll_interval":"0"}"#, Some(1)),
            (r#"{"state":"st_1","poll_interval":"86400"}"#, Some(60)),
            (r#"{"state":"st_1","poll_interval":""}"#, None),
            (r#"{"state":"st_1","poll_interval":"-1"}"#, None),
            (r#"{"state":"st_1"}"#, None),
            (r#"{"state":"","poll_interval":"5"}"#, None),
            (r#"{"poll_interval":"5"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(polled(data), expected.map(|seconds| ("st_1".to_owned(), seconds)), "{data}");
        }
    }
}
