//! The settings of connection and login: their names and defaults, and how they become options, a login and limits, or
//! the complete list of what is wrong with them.
//!
//! A program that has settings of its own reads them with the same [`Reader`], from the same [`Source`], and shows them in
//! the same [`Table`]: each fault is then reported beside all others.

mod agent;
mod foreign;
mod login;
mod reader;
pub mod remedy;
pub mod setting;
mod source;
mod tls;
mod trust;
pub mod value;

pub use crate::fault::{FaultKind, SettingFault, SettingFaults};
pub use reader::{Found, NearMiss, Reader, Recorded};
pub use setting::{OFFICIAL, Setting, TABLE, Table};
pub use source::{Given, Layer, ProcessEnv, Source};
pub use tls::Material;

use std::time::Duration;

use crate::login::Login;
use crate::options::{Address, Options, Proxy, Tls};
use crate::time::Limits;
pub(crate) use agent::Agent;
use login::Beside;
pub use login::oidc;

/// How many connections there are at most, where a program does not say.
const LANES: usize = 8;

/// What the settings of connection and login come to.
pub struct Connection {
    /// Where the server is and how to talk to it.
    pub options: Options,
    /// How to come by a token.
    pub login: Box<dyn Login>,
    /// How long and how often it is tried.
    pub limits: Limits,
    /// Whether the login is sent along with a read.
    pub inline: InlineAuth,
    /// What is not wrong but deserves a warning, a line each.
    pub warnings: Vec<String>,
    /// The settings of TLS, whose files may change; `None` where the program has decided, or reads its settings itself.
    pub material: Option<Material>,
}

/// Whether a login is sent along with a read, so that no token is made.
/// [Inline authentication](https://openbao.org/docs/concepts/inline-auth/)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InlineAuth {
    /// Never.
    No,
    /// Where the server is known to take it.
    WhereKnown,
    /// Wherever the login can be sent so.
    Yes,
}

impl InlineAuth {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match value::boolean(text) {
            Ok(true) => Ok(Self::Yes),
            Ok(false) => Ok(Self::No),
            Err(_) if text == "auto" => Ok(Self::WhereKnown),
            Err(_) => Err("unknown; write false, auto or true"),
        }
    }
}

/// What a program decides itself. The settings of it are not read.
#[derive(Default)]
pub struct Decided {
    /// How to come by a token.
    pub login: Option<Box<dyn Login>>,
    /// Trust and identity.
    pub tls: Option<Tls>,
    /// How long and how often it is tried.
    pub limits: Option<Limits>,
}

impl Connection {
    /// Reads every setting of connection and login from `source`, but for what is `decided`.
    ///
    /// # Errors
    ///
    /// Every setting that is missing or cannot be used, files that settings name included.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use vault_client::settings::{Connection, Decided, Layer, setting};
    ///
    /// let mut layer = Layer::default();
    /// layer.give(&setting::ADDR, "address", "http://127.0.0.1:8200");
    /// layer.give(&setting::TOKEN, "token", "hvs.example");
    /// layer.give(&setting::TIMEOUT, "timeout", "1m30s");
    /// let connection = Connection::from_source(&layer, Decided::default())?;
    /// assert_eq!(connection.limits.request, Duration::from_secs(90));
    /// assert_eq!(connection.login.name(), "token");
    /// # Ok::<(), vault_client::settings::SettingFaults>(())
    /// ```
    pub fn from_source(source: &dyn Source, decided: Decided) -> Result<Self, SettingFaults> {
        let mut reader = Reader::new(source, &TABLE);
        let Decided { login, tls, limits } = decided;
        reader.demand(&setting::ADDR, "set it to Vault's https:// URL");
        let is_decided = tls.is_some();
        let connection = Server::read(&mut reader, tls).connection(&mut reader, login, limits);
        reader.blame_misspellings();
        match connection {
            Some(connection) if reader.faults.is_empty() => {
                let https = connection.options.address.is_https();
                let material = (!is_decided).then(|| Material::of(&reader, https));
                Ok(Self { material, ..connection })
            }
            _ => Err(SettingFaults(reader.faults)),
        }
    }
}

/// Where the server is: what is read first, before the settings that a program has of its own.
pub struct Server {
    address: Option<Address>,
    tls: Tls,
    proxy: Option<Proxy>,
    warnings: Vec<String>,
}

impl Server {
    /// Reads address, TLS material, but for what is decided, and proxy. Faults are recorded.
    pub fn read(reader: &mut Reader, tls: Option<Tls>) -> Self {
        let mut warnings: Vec<String> = reader.near_misses().iter().map(NearMiss::warning).collect();
        warnings.extend(foreign::without_effect(reader));
        let address = read_address(reader);
        let https = address.as_ref().is_some_and(Address::is_https);
        let is_decided = tls.is_some();
        let tls = tls.unwrap_or_else(|| tls::read(reader, https));
        let proxy = reader.parse(&setting::PROXY_ADDR, Proxy::parse);
        if address.as_ref().is_some_and(|address| address.socket().is_some()) {
            refuse_beside_socket(reader, Some(&tls).filter(|_| is_decided));
        } else if proxy.is_some() && tls.server_name.is_some() {
            let cause = "does not work through VAULT_PROXY_ADDR, which connects by the URL's host; unset one of them";
            reader.fault(setting::TLS_SERVER_NAME.name, None, cause);
        }
        Self { address, tls, proxy, warnings }
    }

    /// Reads namespace, login and limits, but for what is decided. Returns `None` only if a fault was recorded.
    pub fn connection(
        self,
        reader: &mut Reader,
        login: Option<Box<dyn Login>>,
        limits: Option<Limits>,
    ) -> Option<Connection> {
        let Self { address, tls, proxy, mut warnings } = self;
        let namespace = reader.parse(&setting::NAMESPACE, value::namespace).flatten();
        let auth_namespace = reader.parse(&setting::AUTH_NAMESPACE, value::namespace);
        let beside = Beside { https: address.as_ref().map(Address::is_https), has_identity: tls.identity.is_some() };
        let login = login.or_else(|| login::read(reader, &beside, &mut warnings));
        let inline = reader.value(&setting::INLINE_AUTH, InlineAuth::parse);
        let limits = limits.unwrap_or_else(|| read_limits(reader));
        let address = address?;
        if !tls.verify {
            warnings.push(
                "VAULT_SKIP_VERIFY: the server's certificate is NOT checked; anybody in between can read the secrets"
                    .into(),
            );
        }
        if !address.is_https() && (!address.is_loopback() || proxy.is_some()) {
            warnings
                .push(format!("VAULT_ADDR {address} is not https: token and secrets cross the network in plain text"));
        }
        let auth_namespace = auth_namespace.unwrap_or_else(|| namespace.clone());
        Some(Connection {
            options: Options { namespace, auth_namespace, tls, proxy, lanes: LANES, ..Options::new(address) },
            login: login?,
            limits,
            inline,
            warnings,
            material: None,
        })
    }
}

/// The address. Its text is in no fault: it can hold a password.
fn read_address(reader: &mut Reader) -> Option<Address> {
    let Found { name, text } = reader.find(&setting::ADDR)?;
    match reader.refused(&text).map_or_else(|| Address::parse(&text), Err) {
        Ok(address) => Some(address),
        Err(cause) => {
            reader.fault(name, None, cause);
            None
        }
    }
}

/// Records what cannot be meant where the address is a unix socket; `decided` is what the program has set of TLS.
fn refuse_beside_socket(reader: &mut Reader, decided: Option<&Tls>) {
    let no_proxy = "no proxy leads to the unix socket in VAULT_ADDR; unset it, or give Vault's https:// URL there";
    let no_tls = "no TLS is spoken on the unix socket in VAULT_ADDR; unset it, or give Vault's https:// URL there";
    let mut refused = vec![(&setting::PROXY_ADDR, no_proxy)];
    match decided {
        Some(tls) if tls.server_name.is_some() || tls.identity.is_some() => reader.fault("tls", None, no_tls),
        Some(_) => {}
        None => {
            let of_tls = [&setting::TLS_SERVER_NAME, &setting::CLIENT_CERT, &setting::CLIENT_KEY];
            refused.extend(of_tls.map(|setting| (setting, no_tls)));
        }
    }
    for (setting, cause) in refused {
        if let Some(Found { name, .. }) = reader.find(setting) {
            reader.fault(name, None, cause);
        }
    }
}

fn read_limits(reader: &mut Reader) -> Limits {
    let mut time =
        |setting, parse: fn(&str) -> Result<Duration, &'static str>| -> Duration { reader.value(setting, parse) };
    let request = time(&setting::TIMEOUT, value::duration);
    let delay = time(&setting::RETRY_DELAY, value::duration_or_zero);
    let wait = time(&setting::WAIT, value::duration_or_zero);
    let whole = time(&setting::STARTUP_TIMEOUT, value::duration);
    if let Some(found) = reader.find(&setting::WAIT).filter(|_| wait > whole) {
        reader.fault(found.name, Some(found.text), "longer than VAULT_STARTUP_TIMEOUT; raise that one, or wait less");
    }
    let not_a_number = "not a number of tries; write 0, 1, 2 ...";
    let retries = reader.value(&setting::MAX_RETRIES, |text| text.parse().map_err(|_| not_a_number));
    Limits { request, retries, delay, wait, whole, until: None }
}

#[cfg(test)]
mod tests;
