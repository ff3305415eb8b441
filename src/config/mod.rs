//! Raw settings become one validated [`Config`], or the complete list of what is wrong with them.

mod cached;
mod foreign;
mod locations;
mod log_settings;
mod passthrough;
pub mod setting;
mod source;
mod value;
mod watch;
mod withheld;

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, SettingFault};
use crate::process::environ::Environ;
use crate::secrets::Rules;
use crate::sink::env_file::{EnvFile, Place};
use crate::sink::exec::OnConflict;
use crate::sink::format::{Format, UnknownFormat};
pub use cached::{Cached, folder as cache_folder, read as cached};
pub use locations::Locations;
pub use log_settings::{Log, log};
pub use passthrough::Passthrough;
use setting::Setting;
pub use source::Flags;
use source::{Texts, list};
use vault_client::settings::Material;
use vault_client::settings::value::boolean;
use vault_client::settings::{Found, InlineAuth, Reader, Server};
use vault_client::text::{shown, without_ids};
use vault_client::{Address, Limits, Login, Options};
pub use watch::{Watch, is_asked_for as asks_for_watch, misuse as misuse_of_watch};
use withheld::Withheld;

/// What the server's log has of this program.
const USER_AGENT: &str = concat!("vault-exec/", env!("CARGO_PKG_VERSION"));

/// What the settings come to.
pub struct Settings {
    /// Whether Vault is asked.
    pub plan: Plan,
    /// The file to write where no COMMAND is started.
    pub env_file: Option<EnvFile>,
    /// How it is kept current, where it is.
    pub watch: Option<Watch>,
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
    pub auth: Arc<dyn Login>,
    /// The files of trust and identity, which may change.
    pub material: Arc<Material>,
    /// Whether the login comes along with the read.
    pub inline: InlineAuth,
    /// What to read.
    pub locations: Locations,
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

    /// Which inherited variables COMMAND must not see.
    pub fn withheld(&self) -> impl Fn(&[u8], &[u8]) -> bool + Copy + use<> {
        let withheld = Withheld::of_login(self.auth.name());
        move |name, value| withheld.covers(name, value)
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
/// use vault_exec::config::{Flags, Plan, load};
/// use vault_exec::process::environ::Environ;
///
/// let environ = Environ::from_pairs([
///     ("VAULT_ADDR", "https://vault.vault.svc:8200"),
///     ("VAULT_TOKEN", "hvs.example"),
///     ("VAULT_PATH", "shop/prod, shop/common"),
/// ]);
/// let settings = load(&environ, &Flags::default(), true)?;
/// let Plan::Vault(config) = settings.plan else { panic!("VAULT_ADDR is set") };
/// let places: Vec<_> = config.locations.iter().map(|it| (it.mount.as_str(), it.path.as_str())).collect();
/// assert_eq!(places, [("kv", "shop/prod"), ("kv", "shop/common")]);
///
/// let environ = Environ::from_pairs([("VAULT_ADDR", "vault"), ("VAULT_TIMEOUT", "soon")]);
/// assert_eq!(load(&environ, &Flags::default(), true).err().map(|error| error.exit_code()), Some(78));
/// # Ok::<(), vault_exec::error::Error>(())
/// ```
pub fn load(environ: &Environ, flags: &Flags, for_command: bool) -> Result<Settings, Error> {
    match inspect(environ, flags, for_command) {
        Inspected { plan: Some(plan), env_file, watch, faults } if faults.is_empty() => {
            Ok(Settings { plan, env_file, watch })
        }
        Inspected { faults, .. } => Err(Error::Settings(faults)),
    }
}

/// What the settings come to beside what is wrong with them, for a dry run.
pub struct Inspected {
    /// Whether Vault is asked; `None` where a fault keeps that from being known.
    pub plan: Option<Plan>,
    /// The file to write where no COMMAND is started.
    pub env_file: Option<EnvFile>,
    /// How it is kept current, where it is.
    pub watch: Option<Watch>,
    /// What is wrong.
    pub faults: Vec<SettingFault>,
}

/// The same for a dry run, which looks at what can be used beside the faults.
pub fn inspect(environ: &Environ, flags: &Flags, for_command: bool) -> Inspected {
    let texts = Texts { environ, flags };
    let mut reader = texts.reader();
    log_settings::read(&mut reader);
    let required = reader.parse(&setting::REQUIRED, boolean);
    let has_address = reader.find(&setting::ADDR).is_some();
    if required == Some(true) && reader.is_unset(&setting::ADDR) {
        if passthrough::is_hidden(environ) {
            let cause = "hidden by BAO_ADDR, which is empty, and VAULT_REQUIRED is true; unset BAO_ADDR";
            reader.fault(setting::ADDR.name, None, cause);
        } else {
            reader.unset(&setting::ADDR, "unset, and VAULT_REQUIRED is true; set it to Vault's https:// URL");
        }
    }
    let mut plan = if has_address {
        read(&mut reader).map(|config| Plan::Vault(Box::new(config)))
    } else {
        let demand = for_command && required.is_none();
        Some(Plan::Passthrough(passthrough::read(&mut reader, environ, demand)))
    };
    let env_file = if has_address || !for_command { read_env_file(&mut reader) } else { None };
    let watch =
        if has_address || !for_command { watch::read(&mut reader, env_file.as_ref(), for_command) } else { None };
    let is_idle = for_command && reader.find(&setting::WATCH).is_some();
    if let Some(Plan::Vault(config)) = &mut plan {
        config.warnings.extend(env_file.as_ref().and_then(|file| doubtful(file, for_command)));
        config.warnings.extend(is_idle.then(|| NOT_KEPT.to_owned()));
        if watch.is_some() && config.inline == InlineAuth::Yes {
            config.warnings.push(NOT_INLINE.to_owned());
        }
        if watch.is_some() && config.locations.iter().any(|it| it.version.is_some()) {
            config.warnings.push(PINNED.to_owned());
        }
    }
    reader.blame_misspellings();
    Inspected { plan, env_file, watch, faults: reader.faults }
}

/// Whether an address of Vault is given: if none is, it is a passthrough.
pub fn names_vault(environ: &Environ) -> bool {
    Texts { environ, flags: &Flags::default() }.reader().find(&setting::ADDR).is_some()
}

/// Whether an env file is named, by flag or variable.
pub fn names_env_file(environ: &Environ, flags: &Flags) -> bool {
    Texts { environ, flags }.reader().find(&setting::ENV_FILE).is_some()
}

/// Why format `dir` cannot go to standard output.
pub const NO_FOLDER: &str =
    "format dir writes a folder, which standard output is not; name a folder, or another format";

fn read_env_file(reader: &mut Reader) -> Option<EnvFile> {
    let format = reader.value(&setting::ENV_FILE_FORMAT, |text| {
        text.parse().map_err(|fault: UnknownFormat| format!("{fault}; write one of these"))
    });
    let mode = reader.value(&setting::ENV_FILE_MODE, |text| match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not a file mode; write octal digits up to 0777, such as 0640"),
    });
    let owner = reader.parse(&setting::ENV_FILE_OWNER, value::owner);
    let found = reader.find(&setting::ENV_FILE)?;
    let place = match found.text.as_str() {
        "-" => Place::Stdout,
        path => Place::File(path.into()),
    };
    if (&place, format) == (&Place::Stdout, Format::Dir) {
        reader.fault(found.name, Some(found.text), NO_FOLDER);
    }
    Some(EnvFile { place, format, mode, owner })
}

/// A watch that variables alone ask for, beside an application.
const NOT_KEPT: &str = "VAULT_WATCH has no effect, because COMMAND is the application: nothing is kept current; give \
                        --env-file or --watch as a flag to have COMMAND run after changes";

/// A watch makes a token, and keeps it.
const NOT_INLINE: &str =
    "VAULT_INLINE_AUTH has no effect: what VAULT_WATCH keeps current is read with one token; an ordinary login is made";

/// A watch of what never changes.
const PINNED: &str = "VAULT_SECRET_VERSION names the version that VAULT_WATCH reads again: it never changes; leave it out for \
                      the latest";

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
    let texts = Texts { environ, flags };
    let mut reader = texts.reader();
    let with_approle = is_of_approle(&mut reader);
    let visible = |setting: &Setting, from: &str, text: String| {
        // An address that is refused may be so for the password in it.
        let refused = setting.name == setting::ADDR.name && Address::parse(&text).is_err();
        // Of a pod it is the name of a role.
        let role_id = from == "VAULT_ROLE_ID" && with_approle;
        if setting.credential || setting.name == setting::CACERT_BYTES.name || refused || role_id {
            "set".to_owned()
        } else if setting.name == setting::PATH.name {
            shown(&text)
        } else {
            // In the place of a file's path or a role it may be a credential.
            without_ids(&text)
        }
    };
    let mut row = |setting: &'static Setting| {
        let Some(found) = reader.find(setting) else {
            return InEffect { name: setting.name, value: setting.default.map(str::to_owned), from: None };
        };
        // To these two a flag adds.
        let adds = [setting::REQUIRED_KEYS.name, setting::ALLOW_NAMES.name].contains(&setting.name);
        let (text, from) = match environ.get(setting.name) {
            Some(_) if adds && found.name != setting.name => {
                (list(&mut reader, setting).join(","), format!("{}, {}", setting.name, found.name))
            }
            _ if adds => (list(&mut reader, setting).join(","), found.name),
            _ => (found.text, found.name),
        };
        InEffect { name: setting.name, value: Some(visible(setting, &from, text)), from: Some(from) }
    };
    setting::ALL.iter().map(|setting| row(setting)).collect()
}

/// Whether `VAULT_ROLE_ID` can be the id of an AppRole: it is the login, or something else of it is set.
fn is_of_approle(reader: &mut Reader) -> bool {
    let is_named = |found: Option<Found>, text: &str| found.is_some_and(|found| found.text == text);
    is_named(reader.find(&setting::AUTH_METHOD), "approle")
        || [&setting::APPROLE_SECRET_ID, &setting::APPROLE_SECRET_ID_FILE].iter().any(|it| reader.find(it).is_some())
        || reader.find(&setting::APPROLE_ROLE_ID).is_some_and(|found| found.name == setting::APPROLE_ROLE_ID.name)
}

/// Reads every setting. Returns `None` only if a fault was recorded.
fn read(reader: &mut Reader) -> Option<Config> {
    let server = Server::read(reader, None);
    let locations = locations::read(reader);
    let rules = Rules {
        keys: reader.parse(&setting::KEYS, value::keys),
        required: list(reader, &setting::REQUIRED_KEYS),
        allowed: list(reader, &setting::ALLOW_NAMES),
    };
    let on_conflict = reader.value(&setting::ON_CONFLICT, |text| match text {
        "overwrite" => Ok(OnConflict::Overwrite),
        "keep" => Ok(OnConflict::Keep),
        "error" => Ok(OnConflict::Error),
        _ => Err("unknown; write overwrite, keep or error"),
    });
    let refuse_traced = reader.value(&setting::REFUSE_TRACED, boolean);
    let allow_references = reader.value(&setting::ALLOW_REFERENCES, boolean);
    let connection = server.connection(reader, None, None)?;
    let material = Arc::new(Material::of(reader, connection.options.address.is_https()));
    Some(Config {
        vault: Options { user_agent: USER_AGENT.into(), lanes: 1, ..connection.options },
        auth: connection.login.into(),
        material,
        inline: connection.inline,
        locations: locations?,
        rules,
        on_conflict,
        allow_references,
        limits: connection.limits,
        refuse_traced,
        warnings: connection.warnings,
    })
}

#[cfg(test)]
mod tests;
