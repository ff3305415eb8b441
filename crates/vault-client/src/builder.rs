//! Makes a client, from what a program sets and, below that, from the environment.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::client::VaultClient;
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::keeper::{Keeper, Rules};
use crate::login::Login;
use crate::observe::{Event, Observer, ToLog};
use crate::options::Tls;
use crate::settings::{
    Connection, Decided, FaultKind, InlineAuth, Layer, Material, ProcessEnv, Setting, SettingFault, SettingFaults,
    setting,
};
use crate::time::{Cancel, Limits};

/// Makes a client; begun by [`VaultClient::builder`]. What is not set is taken from the environment.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use vault_client::{Kubernetes, Limits, VaultClient};
///
/// let vault = VaultClient::builder()
///     .address("https://vault.vault.svc:8200")
///     .login(Kubernetes {
///         mount: "kubernetes".into(),
///         role: "shop".into(),
///         jwt: "/var/run/secrets/kubernetes.io/serviceaccount/token".into(),
///         revoke: true,
///     })
///     .limits(Limits { whole: Duration::from_secs(20), ..Limits::default() })
///     .application_name("shop/1.4")
///     .ignore_environment()
///     .build()?;
/// # Ok::<(), vault_client::VaultError>(())
/// ```
pub struct VaultClientBuilder {
    /// What stands in place of variables: the setting, the method that gave it, and the text.
    given: Vec<(&'static Setting, &'static str, Vec<u8>)>,
    hidden: Vec<&'static Setting>,
    decided: Decided,
    application: Option<String>,
    rules: Rules,
    lanes: Option<usize>,
    observer: Arc<dyn Observer>,
    ignores_environment: bool,
}

impl fmt::Debug for VaultClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultClientBuilder")
    }
}

impl VaultClient {
    /// A client with the settings of the environment: `VAULT_ADDR`, `VAULT_ROLE` and the others that
    /// [`settings`](crate::settings) has. Nothing is sent: the first call logs in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) with every setting that is missing or cannot be used, a line
    /// each; [`ErrorKind::NotDetected`](crate::ErrorKind::NotDetected) where only a way to log in is missing.
    pub fn from_env() -> Result<Self, VaultError> {
        Self::builder().build()
    }

    /// Begins a client; what is not set is taken from the environment.
    pub fn builder() -> VaultClientBuilder {
        VaultClientBuilder {
            given: Vec::new(),
            hidden: Vec::new(),
            decided: Decided::default(),
            application: None,
            rules: Rules::default(),
            lanes: None,
            observer: Arc::new(ToLog),
            ignores_environment: false,
        }
    }
}

impl VaultClientBuilder {
    fn give(mut self, setting: &'static Setting, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.given.push((setting, name, value.into()));
        self
    }

    fn hide(mut self, settings: &[&'static Setting]) -> Self {
        self.hidden.extend(settings);
        self
    }

    /// The server's URL. `VAULT_ADDR`
    #[must_use]
    pub fn address(self, url: &str) -> Self {
        self.give(&setting::ADDR, "address", url)
    }

    /// A token that was handed in; it is not revoked at the end. `VAULT_TOKEN`
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.hide(&[&setting::TOKEN_FILE, &setting::AUTH_METHOD]).give(&setting::TOKEN, "token", token)
    }

    /// A file with a token; it is read anew when the token is dead. `VAULT_TOKEN_FILE`
    #[must_use]
    pub fn token_file(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().as_os_str().as_encoded_bytes().to_vec();
        self.hide(&[&setting::TOKEN, &setting::AUTH_METHOD]).give(&setting::TOKEN_FILE, "token_file", path)
    }

    /// The file with the JWT of the login; it is read anew at each login. `VAULT_K8S_TOKEN_PATH`, and `VAULT_JWT_FILE` after
    /// [`auth_method`](Self::auth_method)`("jwt")`
    #[must_use]
    pub fn jwt_file(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().as_os_str().as_encoded_bytes().to_vec();
        let is_jwt =
            self.given.iter().any(|(setting, _, value)| setting.name == setting::AUTH_METHOD.name && value == b"jwt");
        let setting = if is_jwt { &setting::JWT_FILE } else { &setting::K8S_TOKEN_PATH };
        self.give(setting, "jwt_file", path)
    }

    /// The role of the login. `VAULT_ROLE`
    #[must_use]
    pub fn role(self, role: &str) -> Self {
        self.give(&setting::ROLE, "role", role)
    }

    /// The way to log in. The settings of the login are not read.
    #[must_use]
    pub fn login(mut self, login: impl Login + 'static) -> Self {
        self.decided.login = Some(Box::new(login));
        self
    }

    /// The method of the login: `token`, `kubernetes`, `approle`, `jwt`, `cert`, `none` or `auto`. `VAULT_AUTH_METHOD`
    #[must_use]
    pub fn auth_method(self, method: &str) -> Self {
        self.give(&setting::AUTH_METHOD, "auth_method", method)
    }

    /// The mount of the login's method. `VAULT_AUTH_MOUNT`
    #[must_use]
    pub fn auth_mount(self, mount: &str) -> Self {
        self.hide(&[&setting::K8S_AUTH_MOUNT_POINT]).give(&setting::AUTH_MOUNT, "auth_mount", mount)
    }

    /// The namespace of the login, where it is another than the secrets'; `root` is the root namespace.
    /// `VAULT_AUTH_NAMESPACE`
    #[must_use]
    pub fn auth_namespace(self, namespace: &str) -> Self {
        self.give(&setting::AUTH_NAMESPACE, "auth_namespace", namespace)
    }

    /// The namespace of the login and the secrets. `VAULT_NAMESPACE`
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.give(&setting::NAMESPACE, "namespace", namespace)
    }

    /// Whom to trust, and who we are. The settings of TLS are not read.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.decided.tls = Some(tls);
        self
    }

    /// How long and how often it is tried. The settings of the limits are not read.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.decided.limits = Some(limits);
        self
    }

    /// The application's name, which the server sees in front of this library's (`User-Agent`).
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        self.application = Some(name.to_owned());
        self
    }

    /// After which part of its lease a token is renewed, above 0 and below 1. 0.75
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

    /// The pause after a first renewal that got no answer, before jitter; it doubles up to a minute. 10 s
    #[must_use]
    pub fn retry_interval(mut self, pause: Duration) -> Self {
        self.rules.pause = pause;
        self
    }

    /// How many connections there are at most; as many requests are under way at once. 8
    #[must_use]
    pub fn lanes(mut self, most: usize) -> Self {
        self.lanes = Some(most);
        self
    }

    /// Who is told of further tries, renewals and logins; without one, the `log` crate is.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Takes nothing from the environment.
    #[must_use]
    pub fn ignore_environment(mut self) -> Self {
        self.ignores_environment = true;
        self
    }

    /// Makes the client. Nothing is sent: the first call logs in.
    ///
    /// # Errors
    ///
    /// As for [`VaultClient::from_env`].
    pub fn build(self) -> Result<VaultClient, VaultError> {
        let mut layer = if self.ignores_environment { Layer::default() } else { Layer::above(ProcessEnv::now()) };
        self.hidden.iter().for_each(|setting| layer.hide(setting));
        self.given.into_iter().for_each(|(setting, name, value)| layer.give(setting, name, value));
        let read = Connection::from_source(&layer, self.decided);
        let mut faults = read.as_ref().err().map(|faults| faults.0.clone()).unwrap_or_default();
        faults.extend(wrong_threshold(self.rules.threshold));
        faults.extend(self.application.as_deref().and_then(wrong_name));
        let mut connection = match read {
            Ok(connection) if faults.is_empty() => connection,
            _ => return Err(VaultError::of_settings(SettingFaults(faults))),
        };
        for warning in &connection.warnings {
            self.observer.note(&Event::Warning(warning));
        }
        let options = &mut connection.options;
        if let Some(name) = self.application {
            options.user_agent = format!("{name} {}", options.user_agent);
        }
        options.lanes = self.lanes.unwrap_or(options.lanes);
        let endpoint = Endpoint::new(options, connection.limits, Cancel::never(), self.observer);
        let material = connection.material;
        let refresh = move |endpoint: &Endpoint| {
            if let Some(tls) = material.as_ref().and_then(Material::read) {
                endpoint.trust(tls);
            }
        };
        let keeper = Keeper::new(connection.login.into(), Box::new(refresh), &endpoint, self.rules)?;
        Ok(VaultClient::new(&endpoint, keeper, connection.inline == InlineAuth::Yes))
    }
}

fn wrong_threshold(part: f64) -> Option<SettingFault> {
    let is_part = part > 0.0 && part < 1.0;
    (!is_part).then(|| wrong("refresh_threshold", "not a part of a lease; give a number above 0 and below 1"))
}

fn wrong_name(name: &str) -> Option<SettingFault> {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    (!is_plain).then(|| wrong("application_name", "not a name that a header can carry; give it in visible ASCII"))
}

fn wrong(name: &str, cause: &str) -> SettingFault {
    SettingFault { name: name.into(), held: None, kind: FaultKind::Unusable, cause: cause.into() }
}
