//! Signals and time limits in each step of a person's login.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal::{SIGINT, SIGTERM};
use serde_json::{Value, json};
use vault_testkit::raw::{Gate, READ, Raw, Reply};

use super::open_this;
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;
use crate::support::started::Started;

faults! { FAULTS, scripted;
    a_signal_ends_each_step_of_a_persons_login: "a signal in any step of a person's login, or while the person is waited for", Login, 130 | 143, AtOnce;
    a_persons_token_that_comes_with_a_signal_is_revoked: "a signal right before a person's token comes; it is revoked and not kept", Login, 143, AtOnce;
    each_request_of_a_persons_login_has_its_limit: "a request of a person's login hangs", Login, 69, Tries;
    each_request_of_a_persons_login_has_the_limit_of_everything: "such a request hangs, and the start-up has no time left", Login, 69, Budget;
}

/// Far less than anything else that could end these runs, and enough for a machine that is busy.
const SOON: Duration = Duration::from_secs(1);

const AUTH_URL: &str = "auth/oidc/oidc/auth_url";
const CALLBACK: &str = "auth/oidc/oidc/callback";
const POLL: &str = "auth/oidc/oidc/poll";

/// A request of the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Url,
    Callback,
    Poll,
}

const ALL: [Asked; 3] = [Asked::Url, Asked::Callback, Asked::Poll];

/// What a login of a browser begins with, or, asked for so often in seconds, one that ends at the server.
fn begun(interval: Option<u64>) -> Reply {
    let mut data = json!({"auth_url": "http://127.0.0.1:1/auth?state=st_0123456789"});
    if let Some(seconds) = interval {
        data["state"] = json!("st_0123456789");
        data["poll_interval"] = json!(seconds.to_string());
    }
    Reply::json(200, &json!({"data": data}))
}

/// A server that answers so, and a scenario with a person.
fn scripted(interval: Option<u64>) -> (Raw, Scenario<'static>) {
    let raw = Raw::start([(AUTH_URL, vec![begun(interval)])]);
    let scenario = Scenario::against(&raw).unset("VAULT_K8S_TOKEN_PATH");
    let listen = if interval.is_some() { "none" } else { "localhost:0" };
    (raw, scenario.person(listen))
}

impl Asked {
    fn path(self) -> &'static str {
        match self {
            Self::Url => AUTH_URL,
            Self::Callback => CALLBACK,
            Self::Poll => POLL,
        }
    }

    /// A server that answers this request so, and a scenario with a person.
    fn scripted(self, reply: Reply) -> (Raw, Scenario<'static>) {
        let (raw, scenario) = scripted((self == Self::Poll).then_some(1));
        raw.script(self.path(), vec![reply]);
        (raw, scenario)
    }

    /// How many requests come before it.
    fn before(self) -> usize {
        if self == Self::Url { 1 } else { 2 }
    }

    /// The person does what leads there. The browser waits for its page as long as the connection is held.
    fn reach(self, started: &Started, raw: &Raw) -> Option<TcpStream> {
        let browser = (self == Self::Callback).then(|| {
            started.url();
            come_back(raw)
        });
        raw.await_requests(self.before() + 1);
        browser
    }

    /// What is said before the end.
    fn told(self) -> Vec<String> {
        let asked = [open_this().replace("{name}", "oidc"), "http{any}".to_owned()];
        if self == Self::Url { Vec::new() } else { asked.to_vec() }
    }
}

/// The port that the program listens at.
fn port(raw: &Raw) -> u16 {
    let body: Value = serde_json::from_str(&raw.whole_requests()[1].body).expect("JSON");
    let uri = body["redirect_uri"].as_str().expect("a text");
    uri.rsplit(':').next().and_then(|rest| rest.split('/').next()?.parse().ok()).expect("a port")
}

/// The browser comes back from the provider.
fn come_back(raw: &Raw) -> TcpStream {
    let port = port(raw);
    let mut browser = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let query = "state=st_0123456789&code=code-0123456789";
    let request = format!("GET /oidc/callback?{query} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    browser.write_all(request.as_bytes()).expect("it is sent");
    browser
}

/// Nobody listens any more, and the cache is as it was: empty, without a lock and without a part of a file.
fn assert_nothing_is_left(scenario: &Scenario, raw: &Raw) {
    assert_eq!(scenario.cached(), Vec::<String>::new());
    if raw.requests().iter().any(|it| it.ends_with("auth_url")) && scenario.given_env()["VAULT_OIDC_LISTEN"] != "none" {
        TcpListener::bind(("127.0.0.1", port(raw))).expect("the port is free again");
    }
}

fn ended(asked: Asked, signal: &str, code: i32) -> Expect {
    let last = format!("ERROR vault-exec: {signal}: ended by it during start-up");
    Expect::done().code(code).stderr([asked.told(), vec![last]].concat())
}

fn a_signal_ends_each_step_of_a_persons_login() {
    for asked in ALL {
        let (raw, scenario) = asked.scripted(Reply::Hang(Vec::new()));
        let mut started = scenario.start();
        let browser = asked.reach(&started, &raw);
        started.signal(SIGTERM);
        let outcome = started.finish();
        assert!(outcome.after_signal < SOON, "{asked:?}: {:?}", outcome.after_signal);
        outcome.expect(ended(asked, "SIGTERM", 143));
        assert_eq!(raw.requests().len(), asked.before() + 1, "{:?}", raw.requests());
        assert_nothing_is_left(&scenario, &raw);
        drop(browser);
    }
    // While nobody has come back, and between two polls.
    for (interval, asked) in [(None, Asked::Callback), (Some(60), Asked::Poll)] {
        for (signal, name, code) in [(SIGTERM, "SIGTERM", 143), (SIGINT, "SIGINT", 130)] {
            let (raw, scenario) = scripted(interval);
            let mut started = scenario.start();
            started.url();
            started.signal(signal);
            let outcome = started.finish();
            assert!(outcome.after_signal < SOON, "{asked:?}: {:?}", outcome.after_signal);
            outcome.expect(ended(asked, name, code));
            assert_eq!(raw.requests().len(), 2, "{:?}", raw.requests());
            assert_nothing_is_left(&scenario, &raw);
        }
    }
}

fn a_persons_token_that_comes_with_a_signal_is_revoked() {
    for asked in [Asked::Callback, Asked::Poll] {
        let gate = Gate::default();
        // Long enough to be kept.
        let login = Reply::login(&json!({"lease_duration": 28800}));
        let (raw, scenario) = asked.scripted(login.held(&gate));
        let started = scenario.start();
        let browser = asked.reach(&started, &raw);
        gate.open_after(started.pid(), SIGTERM);
        started.finish().expect(ended(asked, "SIGTERM", 143));
        assert_eq!(raw.requests().last().map(String::as_str), Some("POST auth/token/revoke-self"), "{asked:?}");
        assert_nothing_is_left(&scenario, &raw);
        drop(browser);
    }
}

fn each_request_of_a_persons_login_has_its_limit() {
    for asked in ALL {
        let (raw, scenario) = asked.scripted(Reply::Hang(Vec::new()));
        let scenario = scenario.env("VAULT_TIMEOUT", "300ms").env("VAULT_MAX_RETRIES", "1").env("VAULT_WAIT", "10s");
        let scenario = if asked == Asked::Url { scenario.unset("VAULT_WAIT") } else { scenario };
        let started = scenario.start();
        let browser = asked.reach(&started, &raw);
        let outcome = started.finish();
        assert_eq!(outcome.code(), 69, "{}", outcome.describe());
        let error = outcome.log().last().copied().unwrap_or_default().to_owned();
        assert!(error.contains("no complete answer within 300ms (VAULT_TIMEOUT); "), "{error}");
        // A code is good for one time, and a state that met an error is gone.
        let tries = if asked == Asked::Url { 2 } else { 1 };
        assert_eq!(raw.requests().len(), asked.before() + tries, "{:?}", raw.requests());
        assert_nothing_is_left(&scenario, &raw);
        drop(browser);
    }
}

fn each_request_of_a_persons_login_has_the_limit_of_everything() {
    for asked in ALL {
        let (raw, scenario) = asked.scripted(Reply::Hang(Vec::new()));
        let scenario = scenario.env("VAULT_STARTUP_TIMEOUT", "700ms");
        let started = scenario.start();
        let browser = asked.reach(&started, &raw);
        let outcome = started.finish();
        assert_eq!(outcome.code(), 69, "{}", outcome.describe());
        let error = outcome.log().last().copied().unwrap_or_default().to_owned();
        assert!(error.contains("ms left of VAULT_STARTUP_TIMEOUT; "), "{error}");
        assert_eq!(raw.requests().len(), asked.before() + 1, "{:?}", raw.requests());
        assert_nothing_is_left(&scenario, &raw);
        drop(browser);
    }
}

/// Two polls take longer than the start-up may, and the read afterwards has what was left of it.
#[test]
fn what_is_polled_for_takes_no_time_of_the_start_up_and_the_read_does() {
    let (raw, scenario) = scripted(Some(1));
    let pending = Reply::json(400, &json!({"errors": ["authorization_pending"]}));
    raw.script(POLL, vec![pending.clone(), pending, Reply::login(&json!({}))]);
    raw.script(READ, vec![Reply::Hang(Vec::new())]);
    let scenario = scenario.env("VAULT_STARTUP_TIMEOUT", "1500ms");
    let outcome = scenario.run();
    assert!(outcome.elapsed > Duration::from_secs(3), "{:?}", outcome.elapsed);
    assert_eq!(outcome.code(), 69, "{}", outcome.describe());
    let error = outcome.log().last().copied().unwrap_or_default().to_owned();
    assert!(
        error.contains("the read of kv/shop/app: ") && error.contains(" left of VAULT_STARTUP_TIMEOUT; "),
        "{error}"
    );
    assert_eq!(raw.requests().last().map(String::as_str), Some("POST auth/token/revoke-self"), "{:?}", raw.requests());
}
