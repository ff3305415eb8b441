//! Makes a client.

use std::sync::Arc;
use std::time::Duration;

use crate::client::VaultClient;
use crate::endpoint::Endpoint;
use crate::error::{Effort, ErrorKind, Fault, VaultError};
use crate::keeper::{Keeper, Rules};
use crate::login::{Login, Token, TokenSource};
use crate::observe::{Observer, ToLog};
use crate::options::{Address, Options, Tls};
use crate::secret::Secret;
use crate::step::Step;
use crate::time::{Cancel, Limits};

/// Makes a client; begun by [`VaultClient::builder`].
pub struct VaultClientBuilder {
    address: Option<String>,
    login: Option<Box<dyn Login>>,
    namespace: Option<String>,
    tls: Option<Tls>,
    limits: Option<Limits>,
    application: Option<String>,
    rules: Rules,
    lanes: usize,
    observer: Arc<dyn Observer>,
}

impl VaultClient {
    /// Begins a client; what is not set is taken from the environment.
    pub fn builder() -> VaultClientBuilder {
        VaultClientBuilder {
            address: None,
            login: None,
            namespace: None,
            tls: None,
            limits: None,
            application: None,
            rules: Rules::default(),
            lanes: 8,
            observer: Arc::new(ToLog),
        }
    }
}

impl VaultClientBuilder {
    /// The server's URL. `VAULT_ADDR`
    #[must_use]
    pub fn address(mut self, url: &str) -> Self {
        self.address = Some(url.to_owned());
        self
    }

    /// A token that was handed in; it is not revoked at the end. `VAULT_TOKEN`
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.login(Token(TokenSource::Given(Secret::new(token))))
    }

    /// The way to log in.
    #[must_use]
    pub fn login(mut self, login: impl Login + 'static) -> Self {
        self.login = Some(Box::new(login));
        self
    }

    /// The namespace of the login and the secrets. `VAULT_NAMESPACE`
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Whom to trust, and who we are.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long and how often it is tried.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The application's name, which the server sees in front of this library's (`User-Agent`).
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        self.application = Some(name.to_owned());
        self
    }

    /// After which part of its lease a token is renewed, between 0 and 1. 0.75
    #[must_use]
    pub fn refresh_threshold(mut self, part: f64) -> Self {
        self.rules.threshold = part;
        self
    }

    /// A shorter lease is not renewed but replaced by a login. 300 s
    #[must_use]
    pub fn min_renewal_duration(mut self, lease: Duration) -> Self {
        self.rules.shortest = lease;
        self
    }

    /// The pause after a renewal that got no answer, before jitter. 10 s
    #[must_use]
    pub fn retry_interval(mut self, pause: Duration) -> Self {
        self.rules.pause = pause;
        self
    }

    /// How many connections there are at most; as many requests are under way at once. 8
    #[must_use]
    pub fn lanes(mut self, most: usize) -> Self {
        self.lanes = most;
        self
    }

    /// Who is told of further tries, renewals and logins; without one, the `log` crate is.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Makes the client. Nothing is sent: the first call logs in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Settings`] where a setting is missing or cannot be used.
    pub fn build(self) -> Result<VaultClient, VaultError> {
        let wrong = |cause: &str| {
            VaultError::new("", Step::Credential, Fault::bare(ErrorKind::Settings, cause), Effort::default())
        };
        let address = Address::parse(&self.address.unwrap_or_default()).map_err(wrong)?;
        let login = self.login.ok_or_else(|| wrong("no login"))?;
        let own = concat!("vault-client/", env!("CARGO_PKG_VERSION"));
        let options = Options {
            address,
            namespace: self.namespace,
            tls: self.tls.unwrap_or_default(),
            proxy: None,
            user_agent: self.application.map_or_else(|| own.to_owned(), |name| format!("{name} {own}")),
            lanes: self.lanes,
        };
        let endpoint = Endpoint::new(&options, self.limits.unwrap_or_default(), Cancel::never(), self.observer);
        let keeper = Keeper::new(login, &endpoint, self.rules)?;
        Ok(VaultClient::new(&endpoint, keeper))
    }
}
