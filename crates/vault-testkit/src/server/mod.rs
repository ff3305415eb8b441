//! One surface for both servers, the embedded one and the real one: started, sealed, asked with the root token.

mod asked;
mod logins;
mod setup;
mod wrapping;

use std::collections::HashMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{LazyLock, Mutex, OnceLock};

pub use asked::Asked;
pub use logins::{CallbackMode, Keys, LOOPBACK_CALLBACK, Lockout};
use serde_json::{Value, json};

use crate::certs::{Tls, certs};
use crate::clock::eventually;
use crate::embedded::EmbeddedVault;
use crate::folders::unique;
use crate::http::{Answer, Call};
use crate::openbao::{OpenBao, Storage};
use crate::{tally, unix_front};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`crate::embedded`], within this process.
    Embedded,
    /// [`crate::openbao`], the real one.
    OpenBao,
}

impl Kind {
    /// As the tally has it: `embedded` or `openbao`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::OpenBao => "openbao",
        }
    }
}

/// Where a server listens. All but the first show a certificate of [`Certs`](crate::certs::Certs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// HTTP without TLS.
    Plain,
    /// Shows `good`.
    Tls,
    /// Shows `good`, and wants a certificate that `ca` signed.
    MutualTls,
    /// Shows `expired`.
    Expired,
    /// Shows `not_yet_valid`.
    NotYetValid,
    /// Shows `wrong_name`.
    WrongName,
    /// Shows `stranger`.
    Stranger,
    /// Shows `impostor`.
    Impostor,
    /// Shows `self_signed`.
    SelfSigned,
}

/// The TLS listeners, in the order of [`Listener`].
fn listeners() -> Vec<Tls> {
    let certs = certs();
    let shown = [
        (&certs.good, None),
        (&certs.good, Some(certs.ca.certificate.clone())),
        (&certs.expired, None),
        (&certs.not_yet_valid, None),
        (&certs.wrong_name, None),
        (&certs.stranger, None),
        (&certs.impostor, None),
        (&certs.self_signed, None),
    ];
    let tls =
        shown.map(|(pair, client_ca)| Tls { certificate: pair.certificate.clone(), key: pair.key.clone(), client_ca });
    tls.to_vec()
}

enum Running {
    Embedded(EmbeddedVault),
    OpenBao(OpenBao),
}

/// A running server of either kind.
///
/// Whoever needs a real one to restart starts it so:
///
/// ```no_run
/// use vault_testkit::server::Server;
///
/// // `None` where OpenBao is not installed.
/// let Some(server) = Server::durable().map(Server::ready) else { return };
/// server.stop();
/// server.resume();
/// server.unseal();
/// ```
pub struct Server {
    running: Running,
    /// Root token and unseal key, once it is initialised.
    secrets: OnceLock<(String, String)>,
    /// The policies of each accessor seen so far; they never change.
    policies: Mutex<HashMap<String, Value>>,
}

/// Runs one scenario on the shared server of its kind, and notes that it did or that it could not.
pub fn on(kind: Kind, scenario: &str, body: impl FnOnce(&Server)) {
    match Server::shared(kind) {
        Some(server) => {
            body(server);
            tally::note(kind.name(), scenario);
        }
        None => skip(scenario),
    }
}

/// Says that a scenario could not run for want of the real server.
pub fn skip(scenario: &str) {
    eprintln!("skipped: {scenario}: OpenBao is not installed in target/tools");
    tally::note("skipped", scenario);
}

impl Server {
    /// The server that all tests share: unsealed, with the KV v2 mount `kv`, the KV v1 mount `kv1` and
    /// Kubernetes auth.
    pub fn shared(kind: Kind) -> Option<&'static Self> {
        static EMBEDDED: LazyLock<Option<Server>> = LazyLock::new(|| Server::prepared(Kind::Embedded, "shared"));
        static OPENBAO: LazyLock<Option<Server>> = LazyLock::new(|| Server::prepared(Kind::OpenBao, "shared"));
        let shared = if kind == Kind::Embedded { &EMBEDDED } else { &OPENBAO };
        shared.as_ref()
    }

    /// A server of one's own, uninitialised.
    pub fn fresh(kind: Kind) -> Option<Self> {
        Self::start(kind, &unique())
    }

    fn start(kind: Kind, name: &str) -> Option<Self> {
        let running = match kind {
            Kind::Embedded => Running::Embedded(EmbeddedVault::start(&listeners())),
            Kind::OpenBao => Running::OpenBao(OpenBao::start(name, Storage::Memory, &listeners())?),
        };
        Some(Self::around(running))
    }

    fn around(running: Running) -> Self {
        Self { running, secrets: OnceLock::new(), policies: Mutex::default() }
    }

    fn prepared(kind: Kind, name: &str) -> Option<Self> {
        Self::start(kind, name).map(Self::ready)
    }

    /// The same server initialised, unsealed and with the mounts that all scenarios count on.
    #[must_use]
    pub fn ready(self) -> Self {
        self.initialise();
        self.unseal();
        self.prepare("");
        self
    }

    /// A real server, uninitialised and without TLS, that can be restarted.
    pub fn durable() -> Option<Self> {
        OpenBao::start(&unique(), Storage::Disk, &[]).map(Running::OpenBao).map(Self::around)
    }

    /// Ends a real server.
    pub fn stop(&self) {
        self.real().stop();
    }

    /// Starts it again, sealed.
    pub fn resume(&self) {
        self.real().resume();
    }

    fn real(&self) -> &OpenBao {
        match &self.running {
            Running::OpenBao(server) => server,
            Running::Embedded(_) => panic!("only a real server is restarted"),
        }
    }

    /// Which server this is.
    pub fn kind(&self) -> Kind {
        match self.running {
            Running::Embedded(_) => Kind::Embedded,
            Running::OpenBao(_) => Kind::OpenBao,
        }
    }

    /// The URL of a listener.
    pub fn addr(&self, listener: Listener) -> String {
        match (&self.running, (listener as usize).checked_sub(1)) {
            (Running::Embedded(server), None) => server.http_addr(),
            (Running::OpenBao(server), None) => server.http_addr(),
            (Running::Embedded(server), Some(index)) => server.tls_addr(index),
            (Running::OpenBao(server), Some(index)) => server.tls_addr(index),
        }
    }

    /// Makes `path`, which is not there yet, a socket of this server: a link to the real server's own, or one in front of
    /// the embedded one.
    pub fn listen_at(&self, path: &Path) {
        match &self.running {
            Running::Embedded(server) => unix_front::before(&server.http_addr(), path),
            Running::OpenBao(server) => symlink(server.socket(), path).expect("a link is made"),
        }
    }

    /// Sends any request to the plain listener.
    pub fn send(&self, call: &Call) -> Answer {
        call.send(&self.addr(Listener::Plain))
    }

    /// Makes root token and unseal key, and keeps both.
    pub fn initialise(&self) {
        let (status, made) = self.admin("PUT", "sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}));
        assert_eq!(status, 200, "{made}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let secrets = (text(&made["root_token"]), text(&made["keys_base64"][0]));
        self.secrets.set(secrets).expect("initialised once");
    }

    /// Unseals it and waits until it takes requests.
    pub fn unseal(&self) {
        let key = &self.secrets.get().expect("initialised").1;
        self.must("PUT", "sys/unseal", &json!({"key": key}));
        eventually("the server takes tokens", || self.admin("GET", "auth/token/lookup-self", &Value::Null).0 == 200);
    }

    /// Seals it.
    pub fn seal(&self) {
        self.must("PUT", "sys/seal", &json!({}));
    }

    /// Empty until it is initialised.
    pub fn root_token(&self) -> &str {
        self.secrets.get().map_or("", |(token, _)| token)
    }

    /// A request with the root token; status and JSON of the answer.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.admin_in("", method, path, body)
    }

    /// The same in a namespace.
    pub fn admin_in(&self, namespace: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let call = Call {
            token: filled(self.root_token()),
            namespace: filled(namespace),
            body: (!body.is_null()).then(|| body.to_string()),
            ..Call::new(method, path)
        };
        let answer = self.send(&call);
        (answer.status, answer.json())
    }

    /// A request that has to succeed.
    pub fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        self.must_in("", method, path, body)
    }

    /// The same in a namespace.
    pub fn must_in(&self, namespace: &str, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.admin_in(namespace, method, path, body);
        assert!(matches!(status, 200 | 204), "{method} {path}: {status} {answer}");
        answer
    }
}
