//! The agent's own settings. Those of its token are read by [`AgentToken`](vault_client::AgentToken).

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use vault_client::{Every, text};

/// The longest name of a caller.
const LONGEST_NAME: usize = 64;

/// What the environment says.
pub struct Settings {
    /// Where the agent listens.
    pub listen: SocketAddr,
    /// How often the token is read again.
    pub every: Every,
    /// How long the token before the one in hand is accepted.
    pub grace: Duration,
    /// Who may do what.
    pub callers: Callers,
    /// How many requests of a caller are accepted in a second; as many at once.
    pub rate: u32,
    /// How many nonces are remembered at most.
    pub nonces: usize,
}

/// What a caller may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask how the deployment is doing.
    Status,
    /// Restart a service.
    Restart,
    /// Have the token read again at once.
    Refresh,
}

impl Scope {
    fn of(word: &str) -> Option<Self> {
        match word {
            "status" => Some(Self::Status),
            "restart" => Some(Self::Restart),
            "refresh" => Some(Self::Refresh),
            _ => None,
        }
    }
}

/// The callers, each with its scopes.
pub struct Callers(BTreeMap<String, BTreeSet<Scope>>);

impl Callers {
    /// Reads `panel:status,restart;ci:status`.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut callers = BTreeMap::new();
        for part in text.split(';') {
            let (name, words) = part.split_once(':').ok_or("no NAME:SCOPE,SCOPE, with ; between callers")?;
            if !is_name(name) {
                return Err("a caller's name has 1 to 64 of A-Z a-z 0-9 _ - .");
            }
            let scopes: Option<_> = words.split(',').map(Scope::of).collect();
            let scopes = scopes.ok_or("a scope is status, restart or refresh")?;
            if callers.insert(name.to_owned(), scopes).is_some() {
                return Err("a caller stands in it twice");
            }
        }
        Ok(Self(callers))
    }

    /// What the caller of this name may do; `None` where there is no such caller.
    pub fn scopes(&self, name: &str) -> Option<&BTreeSet<Scope>> {
        self.0.get(name)
    }
}

/// Whether it can be the name of a caller.
pub fn is_name(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_fit)
}

/// Every setting that is missing or cannot be used, a line each.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Error for Faults {}

impl Settings {
    /// Reads them from `variables`. An empty one counts as unset.
    ///
    /// # Errors
    ///
    /// All faults at once.
    pub fn read(variables: impl Fn(&str) -> Option<OsString>) -> Result<Self, Faults> {
        let mut reader = Reader { variables, faults: Vec::new() };
        let listen = reader.read("AGENT_LISTEN", Some("127.0.0.1:8080"), |text| {
            text.parse::<SocketAddr>().map_err(|_| "not an address and a port, e.g. 127.0.0.1:8080")
        });
        let every = reader.read("AGENT_REFRESH", Some("60"), |text| {
            seconds(text).filter(|it| *it > 0).map(Every::seconds).ok_or("not a number of seconds from 1 on")
        });
        let grace = reader.read("AGENT_GRACE", Some("60"), |text| {
            seconds(text).map(Duration::from_secs).ok_or("not a number of seconds")
        });
        let callers = reader.read("AGENT_SCOPES", None, Callers::parse);
        let count = "not a number from 1 on";
        let rate = reader.read("AGENT_RATE", Some("10"), |text| text.parse().ok().filter(|it| *it > 0).ok_or(count));
        let nonces =
            reader.read("AGENT_NONCES", Some("100000"), |text| text.parse().ok().filter(|it| *it > 0).ok_or(count));
        match (listen, every, grace, callers, rate, nonces) {
            (Some(listen), Some(every), Some(grace), Some(callers), Some(rate), Some(nonces)) => {
                Ok(Self { listen, every, grace, callers, rate, nonces })
            }
            _ => Err(Faults(reader.faults)),
        }
    }
}

/// At most ten years, which overflow nothing.
fn seconds(text: &str) -> Option<u64> {
    text.parse().ok().filter(|seconds| *seconds <= 315_360_000)
}

struct Reader<V> {
    variables: V,
    faults: Vec<String>,
}

impl<V: Fn(&str) -> Option<OsString>> Reader<V> {
    /// The value of a variable; `None` if a fault was noted.
    fn read<T>(
        &mut self,
        name: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let set = (self.variables)(name).filter(|value| !value.is_empty());
        let Some(value) = set.or_else(|| default.map(OsString::from)) else {
            self.faults.push(format!("{name}: unset; set it to who may do what, e.g. panel:status,restart,refresh"));
            return None;
        };
        let parsed = value.to_str().ok_or("not text").and_then(parse);
        parsed.map_err(|cause| self.faults.push(format!("{name} = \"{}\": {cause}", text::os(&value)))).ok()
    }
}
