//! Raw settings become one validated [`Config`], or the complete list of what is wrong with them.

mod auth;
mod foreign;
mod log;
mod passthrough;
pub mod reader;
pub mod setting;
mod tls;
mod trust;
pub(crate) mod value;

use std::time::{Duration, Instant};

use crate::error::{Error, SettingFault};
use crate::process::environ::Environ;
use crate::secrets::Rules;
use crate::sink::env_file::{EnvFile, Place};
use crate::sink::exec::OnConflict;
use crate::sink::format::{Format, UnknownFormat};
pub use log::{Log, log};
pub use passthrough::Passthrough;
use reader::{Flags, Found, NearMiss, Reader};
use setting::Setting;
use vault_client::Address;
use vault_client::kv::Location;
use vault_client::text::shown;
use vault_client::{Limits, Login};
use vault_client::{Options, Proxy};

/// The default of `VAULT_STARTUP_TIMEOUT`.
pub const STARTUP_TIMEOUT: Duration = Duration::from_secs(120);

/// What the server's log has of this program.
const USER_AGENT: &str = concat!("vault-exec/", env!("CARGO_PKG_VERSION"));

/// What the settings come to.
pub struct Settings {
    /// Whether Vault is asked.
    pub plan: Plan,
    /// The file to write where no COMMAND is started.
    pub env_file: Option<EnvFile>,
}

/// Whether Vault is asked.
pub enum Plan {
    /// `VAULT_ADDR` is unset: the command runs with the environment as it is.
    Passthrough(Passthrough),
    /// Vault is asked.
    Vault(Box<Config>),
}

/// Everything a run needs to know, checked.
pub struct Config {
    /// Where Vault is and how to talk to it.
    pub vault: Options,
    /// How to come by a token.
    pub auth: Box<dyn Login>,
    /// What to read.
    pub location: Location,
    /// What to make of it.
    pub rules: Rules,
    /// What to do with variables that are there already.
    pub on_conflict: OnConflict,
    /// Whether another tool's references may stay in COMMAND's environment.
    pub allow_references: bool,
    /// How long and how often it is tried; [`Limits::whole`] is the limit of everything.
    pub limits: Limits,
    /// Whether a start that another process traces is an error.
    pub refuse_traced: bool,
    /// What is not wrong but deserves a warning.
    pub warnings: Vec<String>,
}

impl Config {
    /// The limits of a run that began at `begun`.
    pub fn limits(&self, begun: Instant) -> Limits {
        Limits { until: Some(begun + self.limits.whole), ..self.limits }
    }
}

/// Whether a variable holds one of Vault's credentials, which never reach the application. A proxy's address is one
/// only if it holds a password.
pub fn is_credential(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"VAULT_TOKEN" | b"BAO_TOKEN" | b"VAULT_SECRET_ID" | b"BAO_SECRET_ID" => true,
        b"VAULT_PROXY_ADDR" | b"BAO_PROXY_ADDR" => value.contains(&b'@'),
        _ => false,
    }
}

/// Reads and checks every setting. With `for_command`, the env file's settings matter only where Vault is asked.
///
/// # Errors
///
/// [`Error::Settings`] with every value that cannot be used and everything that is missing.
///
/// # Examples
///
/// ```
/// use vault_exec::config::{Plan, load, reader::Flags};
/// use vault_exec::process::environ::Environ;
///
/// let environ = Environ::from_pairs([
///     ("VAULT_ADDR", "https://vault.vault.svc:8200"),
///     ("VAULT_TOKEN", "hvs.example"),
///     ("VAULT_PATH", "shop/prod"),
/// ]);
/// let settings = load(&environ, &Flags::default(), true)?;
/// let Plan::Vault(config) = settings.plan else { panic!("VAULT_ADDR is set") };
/// assert_eq!((config.location.mount.as_str(), config.location.path.as_str()), ("kv", "shop/prod"));
///
/// let environ = Environ::from_pairs([("VAULT_ADDR", "vault"), ("VAULT_TIMEOUT", "soon")]);
/// assert_eq!(load(&environ, &Flags::default(), true).err().map(|error| error.exit_code()), Some(78));
/// # Ok::<(), vault_exec::error::Error>(())
/// ```
pub fn load(environ: &Environ, flags: &Flags, for_command: bool) -> Result<Settings, Error> {
    match inspect(environ, flags, for_command) {
        Inspected { plan: Some(plan), env_file, faults } if faults.is_empty() => Ok(Settings { plan, env_file }),
        Inspected { faults, .. } => Err(Error::Settings(faults)),
    }
}

/// What the settings come to beside what is wrong with them, for a dry run.
pub struct Inspected {
    /// Whether Vault is asked; `None` where a fault keeps that from being known.
    pub plan: Option<Plan>,
    /// The file to write where no COMMAND is started.
    pub env_file: Option<EnvFile>,
    /// What is wrong.
    pub faults: Vec<SettingFault>,
}

/// The same for a dry run, which looks at what can be used beside the faults.
pub fn inspect(environ: &Environ, flags: &Flags, for_command: bool) -> Inspected {
    let mut reader = Reader::new(environ, flags);
    log::read(&mut reader);
    let required = reader.parse(&setting::REQUIRED, value::boolean);
    let address = reader.find(&setting::ADDR);
    if required == Some(true) && reader.is_unset(&setting::ADDR) {
        let cause = if passthrough::is_hidden(environ) {
            "hidden by BAO_ADDR, which is empty, and VAULT_REQUIRED is true; unset BAO_ADDR"
        } else {
            "unset, and VAULT_REQUIRED is true; set it to Vault's https:// URL"
        };
        reader.fault("VAULT_ADDR", None, cause);
    }
    let mut plan = match &address {
        None => {
            let demand = for_command && required.is_none();
            Some(Plan::Passthrough(passthrough::read(&mut reader, environ, demand)))
        }
        Some(address) => read(&mut reader, environ, address).map(|config| Plan::Vault(Box::new(config))),
    };
    let env_file = if address.is_some() || !for_command { read_env_file(&mut reader) } else { None };
    if let Some(Plan::Vault(config)) = &mut plan {
        config.warnings.extend(env_file.as_ref().and_then(|file| doubtful(file, for_command)));
    }
    reader.blame_misspellings();
    Inspected { plan, env_file, faults: reader.faults }
}

/// Whether an address of Vault is given: if none is, it is a passthrough.
pub fn names_vault(environ: &Environ) -> bool {
    Reader::new(environ, &Flags::default()).find(&setting::ADDR).is_some()
}

/// Whether an env file is named, by flag or variable.
pub fn names_env_file(environ: &Environ, flags: &Flags) -> bool {
    Reader::new(environ, flags).find(&setting::ENV_FILE).is_some()
}

fn read_env_file(reader: &mut Reader) -> Option<EnvFile> {
    let format = reader.parse(&setting::ENV_FILE_FORMAT, |text| {
        text.parse().map_err(|fault: UnknownFormat| format!("{fault}; write one of these"))
    });
    let mode = reader.parse(&setting::ENV_FILE_MODE, |text| match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not a file mode; write octal digits up to 0777, such as 0640"),
    });
    let owner = reader.parse(&setting::ENV_FILE_OWNER, value::owner);
    let place = match reader.find(&setting::ENV_FILE)?.text.as_str() {
        "-" => Place::Stdout,
        path => Place::File(path.into()),
    };
    Some(EnvFile { place, format: format.unwrap_or(Format::Sh), mode: mode.unwrap_or(0o600), owner })
}

/// What deserves a warning of an env file: that it is not written, or that it is everybody's.
fn doubtful(file: &EnvFile, for_command: bool) -> Option<String> {
    if for_command {
        return Some(format!(
            "VAULT_ENV_FILE has no effect, because COMMAND is given: {file} is not written; unset it, or leave COMMAND out"
        ));
    }
    let others = match file.mode & 0o006 {
        0 => return None,
        0o004 => "read",
        0o002 => "write",
        _ => "read and write",
    };
    let remedy = "take it from others, and name the reader with VAULT_ENV_FILE_OWNER";
    let warning = format!("VAULT_ENV_FILE_MODE {:04o}: every user can {others} {file}; {remedy}", file.mode);
    Some(warning).filter(|_| file.place != Place::Stdout)
}

/// A setting in effect.
pub struct InEffect {
    /// Its variable.
    pub name: &'static str,
    /// Its text, escaped, and `set` for a credential; `None` where it is unset and has no default.
    pub value: Option<String>,
    /// The variables or flags it came from; `None` for the default.
    pub from: Option<String>,
}

/// Every setting, for a dry run's report.
pub fn in_effect(environ: &Environ, flags: &Flags) -> Vec<InEffect> {
    let mut reader = Reader::new(environ, flags);
    let visible = |setting: &Setting, text: String| {
        // An address that is refused may be so for the password in it.
        let refused = setting.name == setting::ADDR.name && Address::parse(&text).is_err();
        let hidden = setting.credential || setting.name == setting::CACERT_BYTES.name || refused;
        if hidden { "set".to_owned() } else { shown(&text) }
    };
    let mut row = |setting: &'static Setting| {
        let Some(found) = reader.find(setting) else {
            let default = Some(setting.default).filter(|default| *default != "-");
            return InEffect { name: setting.name, value: default.map(str::to_owned), from: None };
        };
        // To these two a flag adds.
        let adds = [setting::REQUIRED_KEYS.name, setting::ALLOW_NAMES.name].contains(&setting.name);
        let (text, from) = match environ.get(setting.name) {
            Some(_) if adds && found.name != setting.name => {
                (reader.list(setting).join(","), format!("{}, {}", setting.name, found.name))
            }
            _ if adds => (reader.list(setting).join(","), found.name),
            _ => (found.text, found.name),
        };
        InEffect { name: setting.name, value: Some(visible(setting, text)), from: Some(from) }
    };
    setting::ALL.iter().map(|setting| row(setting)).collect()
}

/// Nothing only where a fault has been noted; every setting is looked at first.
fn read(reader: &mut Reader, environ: &Environ, address: &Found) -> Option<Config> {
    let mut warnings: Vec<String> = reader.near_misses().iter().map(NearMiss::warning).collect();
    warnings.extend(foreign::without_effect(|setting| reader.find(setting).map(|found| found.text), environ));
    let address = match foreign::syntax(&address.text).map_or_else(|| Address::parse(&address.text), Err) {
        Ok(address) => Some(address),
        Err(cause) => {
            reader.fault(address.name.clone(), None, cause);
            None
        }
    };
    let tls = tls::read(reader, environ, address.as_ref().is_some_and(Address::is_https));
    let proxy = reader.parse(&setting::PROXY_ADDR, Proxy::parse);
    if proxy.is_some() && tls.server_name.is_some() {
        let cause = "does not work through VAULT_PROXY_ADDR, which connects by the URL's host; unset one of them";
        reader.fault("VAULT_TLS_SERVER_NAME", None, cause);
    }
    let path = reader.parse(&setting::PATH, value::path);
    if reader.is_unset(&setting::PATH) {
        reader.fault("VAULT_PATH", None, "unset; set it to the secret's path, e.g. myapp/prod");
    }
    let mount = reader.parse(&setting::MOUNT_POINT, value::segments).unwrap_or_else(|| "kv".into());
    let version = reader.parse(&setting::SECRET_VERSION, |text| match text {
        "latest" => Ok(None),
        number => match number.parse() {
            Ok(0) | Err(_) => Err("not a version; write a number from 1 on, or leave it out for the latest"),
            Ok(number) => Ok(Some(number)),
        },
    });
    let rules = Rules {
        keys: reader.parse(&setting::KEYS, value::keys),
        required: reader.list(&setting::REQUIRED_KEYS),
        allowed: reader.list(&setting::ALLOW_NAMES),
    };
    let on_conflict = reader.parse(&setting::ON_CONFLICT, |text| match text {
        "overwrite" => Ok(OnConflict::Overwrite),
        "keep" => Ok(OnConflict::Keep),
        "error" => Ok(OnConflict::Error),
        _ => Err("unknown; write overwrite, keep or error"),
    });
    let refuse_traced = reader.parse(&setting::REFUSE_TRACED, value::boolean).unwrap_or(false);
    let allow_references = reader.parse(&setting::ALLOW_REFERENCES, value::boolean).unwrap_or(false);
    let namespace = reader.parse(&setting::NAMESPACE, value::segments);
    let auth = auth::read(reader, environ, &mut warnings);
    let mut time = |setting, parse: fn(&str) -> Result<Duration, &'static str>, default| {
        reader.parse(setting, parse).unwrap_or(default)
    };
    let request = time(&setting::TIMEOUT, value::duration, Duration::from_secs(30));
    let delay = time(&setting::RETRY_DELAY, value::duration_or_zero, Duration::from_secs(5));
    let wait = time(&setting::WAIT, value::duration_or_zero, Duration::ZERO);
    let whole = time(&setting::STARTUP_TIMEOUT, value::duration, STARTUP_TIMEOUT);
    if let Some(found) = reader.find(&setting::WAIT).filter(|_| wait > whole) {
        reader.fault(found.name, Some(found.text), "longer than VAULT_STARTUP_TIMEOUT; raise that one, or wait less");
    }
    let not_a_number = "not a number of tries; write 0, 1, 2 ...";
    let retries = reader.parse(&setting::MAX_RETRIES, |text| text.parse().map_err(|_| not_a_number)).unwrap_or(3);
    let address = address?;
    if !tls.verify {
        warnings.push(
            "VAULT_SKIP_VERIFY: the server's certificate is NOT checked; anybody in between can read the secrets"
                .into(),
        );
    }
    if !address.is_https() && !address.is_loopback() {
        warnings.push(format!("VAULT_ADDR {address} is not https: token and secrets cross the network in plain text"));
    }
    Some(Config {
        vault: Options { address, namespace, tls, proxy, user_agent: USER_AGENT.into(), lanes: 1 },
        auth: auth?,
        location: Location { mount, path: path?, version: version.flatten() },
        rules,
        on_conflict: on_conflict.unwrap_or(OnConflict::Overwrite),
        allow_references,
        limits: Limits { request, retries, delay, wait, whole, until: None },
        refuse_traced,
        warnings,
    })
}

#[cfg(test)]
mod tests;
