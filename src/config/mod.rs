//! Raw settings become one validated [`Config`], or the complete list of what is wrong with them.

pub mod reader;
pub mod setting;
mod tls;
mod value;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, SettingFault};
use crate::process::environ::Environ;
use crate::secret::Secret;
use crate::secrets::Rules;
use crate::sink::env_file::{EnvFile, Place};
use crate::sink::exec::OnConflict;
use crate::sink::format::{Format, UnknownFormat};
use crate::text::escaped;
use crate::vault::address::Address;
use crate::vault::auth::{Kubernetes, Method, TokenSource};
use crate::vault::kv::Location;
use crate::vault::retry::Policy;
use crate::vault::{Options, Proxy};
use reader::{Flags, Found, Reader};
use setting::Setting;

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
    Passthrough,
    /// Vault is asked.
    Vault(Box<Config>),
}

/// Everything a run needs to know, checked.
pub struct Config {
    /// Where Vault is and how to talk to it.
    pub vault: Options,
    /// How to come by a token.
    pub auth: Method,
    /// What to read.
    pub location: Location,
    /// What to make of it.
    pub rules: Rules,
    /// What to do with variables that are there already.
    pub on_conflict: OnConflict,
    /// Tries after the first.
    pub max_retries: u32,
    /// The first pause.
    pub retry_delay: Duration,
    /// How long to wait for readiness.
    pub wait: Duration,
    /// The limit of everything.
    pub startup_timeout: Duration,
    /// What is not wrong but deserves a warning.
    pub warnings: Vec<String>,
}

impl Config {
    /// The retry policy of a run that began at `begun`.
    pub fn policy(&self, begun: Instant) -> Policy {
        Policy {
            retries: self.max_retries,
            delay: self.retry_delay,
            wait: Some((begun + self.wait, self.wait)).filter(|(_, wait)| !wait.is_zero()),
            budget: (begun + self.startup_timeout, self.startup_timeout),
        }
    }
}

/// What is known before anything else is, passthrough included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The lowest level that is written.
    pub level: log::LevelFilter,
    /// One object a line instead of text.
    pub json: bool,
    /// Where the final error goes as well.
    pub termination_log: Option<PathBuf>,
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

/// Reads the log's settings. A value that cannot be used is reported by [`load`]; until then the default holds.
pub fn log(environ: &Environ) -> Log {
    read_log(&mut Reader::new(environ, &Flags::default()))
}

/// Reads and checks every setting. With `for_command`, the env file's settings matter only where Vault is asked.
pub fn load(environ: &Environ, flags: &Flags, for_command: bool) -> Result<Settings, Error> {
    match inspect(environ, flags, for_command) {
        (Some(settings), faults) if faults.is_empty() => Ok(settings),
        (_, faults) => Err(Error::Settings(faults)),
    }
}

/// The same for a dry run, which looks at what can be used beside the faults.
pub fn inspect(environ: &Environ, flags: &Flags, for_command: bool) -> (Option<Settings>, Vec<SettingFault>) {
    let mut reader = Reader::new(environ, flags);
    read_log(&mut reader);
    let required = reader.parse(&setting::REQUIRED, value::boolean).unwrap_or(false);
    let address = reader.find(&setting::ADDR);
    if required && address.is_none() {
        reader.fault("VAULT_ADDR", None, "unset, and VAULT_REQUIRED is true; set it to Vault's https:// URL");
    }
    let plan = match &address {
        None => Some(Plan::Passthrough),
        Some(address) => read(&mut reader, environ, address).map(|config| Plan::Vault(Box::new(config))),
    };
    let env_file = if address.is_some() || !for_command { read_env_file(&mut reader) } else { None };
    (plan.map(|plan| Settings { plan, env_file }), reader.faults)
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

/// A setting in effect: its name, its text (`set` for a credential), and where it came from.
pub type InEffect = (&'static str, String, String);

/// Every setting as it is in effect, for a dry run's report.
pub fn in_effect(environ: &Environ, flags: &Flags) -> Vec<InEffect> {
    let mut reader = Reader::new(environ, flags);
    let shown = |setting: &Setting, text: String| {
        let hidden = setting.credential || setting.name == setting::CACERT_BYTES.name;
        if hidden { "set".to_owned() } else { escaped(&text) }
    };
    let mut row = |setting: &'static Setting| match reader.find(setting) {
        Some(found) => {
            // To these two a flag adds.
            let adds = [setting::REQUIRED_KEYS.name, setting::ALLOW_NAMES.name].contains(&setting.name);
            let text = if adds { reader.list(setting).join(",") } else { found.text };
            Some((setting.name, shown(setting, text), found.name))
        }
        None if setting.default == "-" => None,
        None => Some((setting.name, setting.default.to_owned(), "default".to_owned())),
    };
    setting::ALL.iter().filter_map(|setting| row(setting)).collect()
}

/// Nothing only where a fault has been noted; every setting is looked at first.
fn read(reader: &mut Reader, environ: &Environ, address: &Found) -> Option<Config> {
    let mut warnings: Vec<String> = reader
        .near_misses()
        .into_iter()
        .map(|(name, meant)| format!("{name} is no setting and has no effect; did you mean {meant}?"))
        .collect();
    let address = match Address::parse(&address.text) {
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
    let path = reader.parse(&setting::PATH, value::segments);
    if path.is_none() && reader.find(&setting::PATH).is_none() {
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
    let namespace = reader.parse(&setting::NAMESPACE, value::segments);
    let auth = read_auth(reader, environ);
    let mut time = |setting, parse: fn(&str) -> Result<Duration, &'static str>, default| {
        reader.parse(setting, parse).unwrap_or(Duration::from_secs(default))
    };
    let timeout = time(&setting::TIMEOUT, value::duration, 30);
    let retry_delay = time(&setting::RETRY_DELAY, value::duration_or_zero, 5);
    let wait = time(&setting::WAIT, value::duration_or_zero, 0);
    let startup_timeout = time(&setting::STARTUP_TIMEOUT, value::duration, 120);
    if let Some(found) = reader.find(&setting::WAIT).filter(|_| wait > startup_timeout) {
        reader.fault(found.name, Some(found.text), "longer than VAULT_STARTUP_TIMEOUT; raise that one, or wait less");
    }
    let not_a_number = "not a number of tries; write 0, 1, 2 ...";
    let max_retries = reader.parse(&setting::MAX_RETRIES, |text| text.parse().map_err(|_| not_a_number)).unwrap_or(3);
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
        vault: Options { address, namespace, timeout, tls, proxy },
        auth: auth?,
        location: Location { mount, path: path?, version: version.flatten() },
        rules,
        on_conflict: on_conflict.unwrap_or(OnConflict::Overwrite),
        max_retries,
        retry_delay,
        wait,
        startup_timeout,
        warnings,
    })
}

/// The method named, or the first one that there is something for.
fn read_auth(reader: &mut Reader, environ: &Environ) -> Option<Method> {
    let token = reader.parse(&setting::TOKEN, |text| value::token(text).map(Secret::new));
    let given = |token: Option<Secret>| token.map(TokenSource::Given);
    let file = reader.find(&setting::TOKEN_FILE).map(|found| TokenSource::File(found.text.into()));
    let home = environ
        .get("HOME")
        .filter(|home| !home.is_empty())
        .map(|home| PathBuf::from(String::from_utf8_lossy(home).into_owned()).join(".vault-token"))
        .filter(|path| path.exists())
        .map(TokenSource::File);
    let jwt: PathBuf = reader
        .find(&setting::K8S_TOKEN_PATH)
        .map_or_else(|| setting::K8S_TOKEN_PATH.default.into(), |found| found.text.into());
    let in_pod = environ.get("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty()) || jwt.exists();
    let faults_before = reader.faults.len();
    let method = reader.parse(&setting::AUTH_METHOD, |text| match text {
        "auto" => Ok(None),
        "token" => Ok(Some(false)),
        "kubernetes" => Ok(Some(true)),
        _ => Err("unknown; write token, kubernetes or auto"),
    });
    if method.is_none() && reader.faults.len() > faults_before {
        return None;
    }
    let kubernetes = match method.flatten() {
        Some(kubernetes) => kubernetes,
        None => token.is_none() && file.is_none() && in_pod,
    };
    // What is wrong with the kubernetes settings is worth saying only where they are used; their syntax always is.
    let role = reader.parse(&setting::ROLE, value::segments);
    let mount = reader.parse(&setting::K8S_AUTH_MOUNT_POINT, value::segments).unwrap_or_else(|| "kubernetes".into());
    let revoke = reader.parse(&setting::REVOKE, value::boolean).unwrap_or(true);
    if kubernetes {
        if role.is_none() && reader.find(&setting::ROLE).is_none() {
            reader.fault("VAULT_ROLE", None, "unset; the kubernetes login needs a role");
        }
        return Some(Method::Kubernetes(Kubernetes { mount, role: role?, jwt, revoke }));
    }
    let source = given(token).or(file).or(home);
    if source.is_none() && !reader.faults.iter().any(|fault| fault.name.ends_with("_TOKEN")) {
        let cause = format!(
            "no way to log in: set VAULT_TOKEN or VAULT_TOKEN_FILE, or run in a pod with a service-account token at {}, \
             or log in with the official client ($HOME/.vault-token)",
            escaped(&jwt.to_string_lossy())
        );
        reader.fault("VAULT_AUTH_METHOD", None, cause);
    }
    source.map(Method::Token)
}

fn read_log(reader: &mut Reader) -> Log {
    let level =
        reader.parse(&setting::LOG_LEVEL, |text| level(text).ok_or("write off, error, warn, info, debug or trace"));
    let json = reader.parse(&setting::LOG_FORMAT, |text| match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err("unknown; write text or json"),
    });
    let termination_log = match reader.find(&setting::TERMINATION_LOG) {
        Some(found) if found.text == "none" => None,
        Some(found) => Some(found.text.into()),
        None => Some(PathBuf::from(setting::TERMINATION_LOG.default)).filter(|path| path.exists()),
    };
    let level = level.or_else(|| rust_log(reader)).unwrap_or(log::LevelFilter::Info);
    Log { level, json: json.unwrap_or(false), termination_log }
}

fn level(text: &str) -> Option<log::LevelFilter> {
    match text.to_ascii_lowercase().as_str() {
        "warning" => Some(log::LevelFilter::Warn),
        other => other.parse().ok(),
    }
}

/// `RUST_LOG` belongs to the application; of it only the level for everything or for `vault_exec` counts.
fn rust_log(reader: &mut Reader) -> Option<log::LevelFilter> {
    let directives = reader.environment("RUST_LOG")?;
    let directives = directives.split('/').next().unwrap_or_default().split(',').map(str::trim);
    let (mut all, mut own) = (None, None);
    for directive in directives {
        match directive.split_once('=') {
            None => all = level(directive).or(all),
            Some(("vault_exec", text)) => own = level(text).or(own),
            Some(_) => {}
        }
    }
    own.or(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: [(&str, &str); 3] =
        [("VAULT_ADDR", "https://vault"), ("VAULT_PATH", "app"), ("VAULT_TOKEN", "hvs.x")];

    fn loaded(environ: &[(&str, &str)]) -> Result<Plan, Error> {
        load(&Environ::from_pairs(environ.iter().copied()), &Flags::default(), true).map(|settings| settings.plan)
    }

    fn faults(environ: &[(&str, &str)]) -> Vec<String> {
        match loaded(environ) {
            Err(Error::Settings(faults)) => faults.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    /// The configuration of the minimal settings with `more` before them, so that a repeated name wins.
    fn config(more: &[(&str, &str)]) -> Config {
        match loaded(&[more, &MINIMAL].concat()) {
            Ok(Plan::Vault(config)) => *config,
            Ok(Plan::Passthrough) => panic!("passthrough"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let config = config(&[]);
        assert_eq!(config.location, Location { mount: "kv".into(), path: "app".into(), version: None });
        assert_eq!((config.max_retries, config.retry_delay), (3, Duration::from_secs(5)));
        assert_eq!((config.vault.timeout, config.wait), (Duration::from_secs(30), Duration::ZERO));
        assert_eq!((config.startup_timeout, config.on_conflict), (Duration::from_secs(120), OnConflict::Overwrite));
        assert_eq!((config.rules, config.warnings), (Rules::default(), Vec::<String>::new()));
        assert!(config.vault.tls.verify && config.vault.namespace.is_none() && config.vault.proxy.is_none());
        for (setting, shown) in [
            (&setting::MOUNT_POINT, "kv"),
            (&setting::MAX_RETRIES, "3"),
            (&setting::RETRY_DELAY, "5s"),
            (&setting::TIMEOUT, "30s"),
            (&setting::WAIT, "0s"),
            (&setting::STARTUP_TIMEOUT, "2m"),
            (&setting::ON_CONFLICT, "overwrite"),
        ] {
            assert_eq!(setting.default, shown, "{}", setting.name);
        }
    }

    #[test]
    fn without_an_address_nothing_but_required_and_the_log_is_looked_at() {
        let broken = [("VAULT_TIMEOUT", "x"), ("VAULT_PATH", "a//b"), ("VAULT_ADDR", " ")];
        assert!(matches!(loaded(&broken), Ok(Plan::Passthrough)));
        assert!(matches!(loaded(&[("VAULT_REQUIRED", "0")]), Ok(Plan::Passthrough)));
        assert_eq!(
            faults(&[("VAULT_REQUIRED", "T"), ("VAULT_LOG_LEVEL", "loud")]),
            [
                "VAULT_LOG_LEVEL = \"loud\": write off, error, warn, info, debug or trace",
                "VAULT_ADDR: unset, and VAULT_REQUIRED is true; set it to Vault's https:// URL",
            ]
        );
        assert_eq!(
            faults(&[("VAULT_REQUIRED", "yes")]),
            ["VAULT_REQUIRED = \"yes\": not a boolean; write true or false"]
        );
    }

    #[test]
    fn every_fault_is_reported_at_once_and_no_credential_is_shown() {
        let said = faults(&[
            ("VAULT_ADDR", "https://me:hunter2@vault"),
            ("VAULT_TOKEN", "hvs. hunter2"),
            ("VAULT_PROXY_ADDR", "socks5://me:hunter2@proxy"),
            ("VAULT_MOUNT_POINT", "../sys"),
            ("VAULT_SECRET_VERSION", "0"),
            ("VAULT_KEYS", "a:X,b:X"),
            ("VAULT_ON_CONFLICT", "merge"),
            ("VAULT_TIMEOUT", "0s"),
            ("VAULT_MAX_RETRIES", "-1"),
            ("VAULT_RETRY_DELAY", "soon"),
            ("VAULT_WAIT", "5m"),
            ("VAULT_CACERT", "/nowhere"),
            ("VAULT_CLIENT_CERT", "/nowhere"),
            ("VAULT_SKIP_VERIFY", "on"),
            ("VAULT_TLS_SERVER_NAME", "a b"),
            ("VAULT_LOG_FORMAT", "xml"),
        ]);
        assert_eq!(
            said,
            [
                "VAULT_LOG_FORMAT = \"xml\": unknown; write text or json",
                "VAULT_ADDR: a URL with a user name or password; leave them out, they are not used",
                "VAULT_SKIP_VERIFY = \"on\": not a boolean; write true or false",
                "VAULT_TLS_SERVER_NAME = \"a b\": neither a DNS name nor an IP address",
                "VAULT_CACERT = \"/nowhere\": not found; give PEM with at least one CA certificate",
                "VAULT_CLIENT_CERT = \"/nowhere\": VAULT_CLIENT_KEY is missing; set both or neither",
                "VAULT_PROXY_ADDR: not an HTTP proxy; write http://[user:password@]host:port",
                "VAULT_PATH: unset; set it to the secret's path, e.g. myapp/prod",
                "VAULT_MOUNT_POINT = \"../sys\": a part of it is empty, . or ..; write it without these",
                "VAULT_SECRET_VERSION = \"0\": not a version; write a number from 1 on, or leave it out for the latest",
                "VAULT_KEYS = \"a:X,b:X\": two keys become X; give one of them another name",
                "VAULT_ON_CONFLICT = \"merge\": unknown; write overwrite, keep or error",
                "VAULT_TOKEN: holds bytes that no token has",
                "VAULT_TIMEOUT = \"0s\": zero; write a duration such as 500ms, 30s or 1m30s",
                "VAULT_RETRY_DELAY = \"soon\": not a duration; write one such as 500ms, 30s or 1m30s",
                "VAULT_WAIT = \"5m\": longer than VAULT_STARTUP_TIMEOUT; raise that one, or wait less",
                "VAULT_MAX_RETRIES = \"-1\": not a number of tries; write 0, 1, 2 ...",
            ]
        );
    }

    #[test]
    fn the_auth_method_is_the_one_named_or_the_first_that_there_is_something_for() {
        let home = tempfile::tempdir().unwrap();
        let home_path = home.path().to_str().unwrap();
        let chosen = |more: &[(&str, &str)]| {
            let base =
                [("VAULT_ADDR", "https://vault"), ("VAULT_PATH", "app"), ("HOME", home_path), ("VAULT_ROLE", "r")];
            match loaded(&[more, &base].concat()) {
                Ok(Plan::Vault(config)) => match config.auth {
                    Method::Token(TokenSource::Given(token)) => format!("given {}", token.expose()),
                    Method::Token(TokenSource::File(path)) => format!("file {}", path.display()),
                    Method::Kubernetes(Kubernetes { mount, role, jwt, revoke }) => {
                        format!("{mount} {role} {} {revoke}", jwt.display())
                    }
                },
                Ok(Plan::Passthrough) => "passthrough".into(),
                Err(error) => error.to_string(),
            }
        };
        let pod = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
        let default_jwt = setting::K8S_TOKEN_PATH.default;
        let nothing = format!(
            "VAULT_AUTH_METHOD: no way to log in: set VAULT_TOKEN or VAULT_TOKEN_FILE, or run in a pod with a \
             service-account token at {default_jwt}, or log in with the official client ($HOME/.vault-token)"
        );
        let kubernetes = format!("kubernetes r {default_jwt} true");
        assert_eq!(chosen(&[]), nothing);
        assert_eq!(chosen(&[pod]), kubernetes);
        assert_eq!(chosen(&[pod, ("VAULT_TOKEN_FILE", "/t")]), "file /t");
        assert_eq!(chosen(&[pod, ("VAULT_TOKEN_FILE", "/t"), ("VAULT_TOKEN", " x\n")]), "given x");
        assert_eq!(chosen(&[("VAULT_AUTH_METHOD", "kubernetes"), ("VAULT_TOKEN", "x")]), kubernetes);
        assert_eq!(chosen(&[("VAULT_AUTH_METHOD", "token"), pod]), nothing);
        assert_eq!(
            chosen(&[pod, ("VAULT_ROLE", ""), ("VAULT_REVOKE", "0")]),
            "VAULT_ROLE: unset; the kubernetes login needs a role"
        );
        let jwt = home.path().join("jwt");
        std::fs::write(&jwt, "x.y.z").unwrap();
        let at = format!("k8s r {} false", jwt.display());
        let settings = [
            ("K8S_JWT_TOKEN_PATH", jwt.to_str().unwrap()),
            ("VAULT_K8S_AUTH_MOUNT_POINT", "/k8s/"),
            ("VAULT_REVOKE", "false"),
        ];
        assert_eq!(chosen(&settings), at);
        std::fs::write(home.path().join(".vault-token"), "x").unwrap();
        assert_eq!(chosen(&[]), format!("file {home_path}/.vault-token"));
    }

    #[test]
    fn what_weakens_a_run_is_warned_about() {
        let warned = |more| config(more).warnings;
        assert_eq!(warned(&[("VAULT_ADDR", "http://127.0.0.1:8200")]), Vec::<String>::new());
        assert_eq!(
            warned(&[("VAULT_ADDR", "http://vault:8200"), ("VAULT_ADRR", "x"), ("VAULT_SKIP_VERIFY", "1")]),
            [
                "VAULT_ADRR is no setting and has no effect; did you mean VAULT_ADDR?",
                "VAULT_SKIP_VERIFY: the server's certificate is NOT checked; anybody in between can read the secrets",
                "VAULT_ADDR http://vault:8200 is not https: token and secrets cross the network in plain text",
            ]
        );
    }

    #[test]
    fn of_rust_log_only_what_concerns_this_program_counts() {
        use log::LevelFilter::{Debug, Error, Info, Off, Warn};
        for (environ, level) in [
            (&[][..], Info),
            (&[("RUST_LOG", "debug")], Debug),
            (&[("RUST_LOG", "hyper=debug,vault_exec=error,info")], Error),
            (&[("RUST_LOG", "hyper=debug")], Info),
            (&[("RUST_LOG", "garbage!!,=")], Info),
            (&[("RUST_LOG", "debug/foo"), ("VAULT_LOG_LEVEL", "warn")], Warn),
            (&[("VAULT_LOG_LEVEL", "OFF")], Off),
        ] {
            assert_eq!(log(&Environ::from_pairs(environ.iter().copied())).level, level, "{environ:?}");
        }
    }

    #[test]
    fn credentials_are_withheld_and_other_settings_are_not() {
        for (name, value, withheld) in [
            ("VAULT_TOKEN", "x", true),
            ("BAO_SECRET_ID", "x", true),
            ("VAULT_PROXY_ADDR", "http://u:p@proxy", true),
            ("VAULT_PROXY_ADDR", "http://proxy:3128", false),
            ("VAULT_ADDR", "https://vault", false),
        ] {
            assert_eq!(is_credential(name.as_bytes(), value.as_bytes()), withheld, "{name}");
        }
    }
}
