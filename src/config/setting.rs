//! The table of settings: names, defaults and meanings, from which the reading, `--help` and the near-miss warnings are
//! made and against which the README is held. Those of connection and login are the client's.

pub use vault_client::settings::setting::{
    APPROLE_ROLE_ID, APPROLE_SECRET_ID, APPROLE_SECRET_ID_FILE, AUTH_METHOD, AUTH_MOUNT, AUTH_NAMESPACE, CACERT,
    CACERT_BYTES, CAPATH, CLIENT_CERT, CLIENT_KEY, INLINE_AUTH, JWT, JWT_FILE, K8S_AUTH_MOUNT_POINT, K8S_TOKEN_PATH,
    MAX_RETRIES, NAMESPACE, OFFICIAL, OIDC_BROWSER, OIDC_LISTEN, PROXY_ADDR, RETRY_DELAY, REVOKE, ROLE, SKIP_VERIFY,
    STARTUP_TIMEOUT, Setting, TIMEOUT, TLS_SERVER_NAME, TOKEN, TOKEN_FILE, Table, UNWRAP,
};

use super::foreign;
use vault_client::settings::setting as client;

/// What is read.
pub const TABLE: Table = Table { rows: ALL, foreign: foreign::reference };

/// Where Vault is; without it nothing is read.
pub const ADDR: Setting = client::ADDR.meaning(
    "https:// or http:// URL of Vault, or unix:///PATH of a socket on which it or an agent listens. Unset: nothing is \
     read, and COMMAND starts with its environment as it is; see VAULT_REQUIRED and VAULT_REQUIRED_KEYS.",
);

/// Whether there is a passthrough.
pub const REQUIRED: Setting = Setting::new(
    "VAULT_REQUIRED",
    "true: a missing VAULT_ADDR is an error. false, written out: where VAULT_ADDR is missing, VAULT_REQUIRED_KEYS is not \
     looked at.",
)
.default("false");

/// The secrets.
pub const PATH: Setting = Setting::new(
    "VAULT_PATH",
    "Path of the secret, e.g. myapp/prod. Required. Several, comma-separated, are read one after the other, all or \
     nothing; no two may give a variable different values.",
);

/// The secret's mount.
pub const MOUNT_POINT: Setting = Setting::new("VAULT_MOUNT_POINT", "Mount of the KV version 2 engine.").default("kv");

/// The secret's version.
pub const SECRET_VERSION: Setting =
    Setting::new("VAULT_SECRET_VERSION", "Version of the secret, with one path only.").default("latest");

/// The keys that are taken.
pub const KEYS: Setting =
    Setting::new("VAULT_KEYS", "Only these keys, comma-separated; key:NAME renames.").flag("keys").default("every key");

/// The variables that must be there.
pub const REQUIRED_KEYS: Setting = Setting::new(
    "VAULT_REQUIRED_KEYS",
    "Variables that must be there, comma-separated. Without VAULT_ADDR, COMMAND's environment must have them; an env file \
     need not.",
)
.flag("require");

/// The names that are permitted though they are denied by default.
pub const ALLOW_NAMES: Setting =
    Setting::new("VAULT_ALLOW_NAMES", "Names to permit that are denied by default (PATH, LD_PRELOAD ...).")
        .flag("allow-name");

/// What is done with variables that are there already.
pub const ON_CONFLICT: Setting = Setting::new(
    "VAULT_ON_CONFLICT",
    "What to do where COMMAND's environment has a variable with another value: overwrite, keep or error. It has no effect \
     on an env file.",
)
.default("overwrite");

/// Whether another tool's references may stay.
pub const ALLOW_REFERENCES: Setting = Setting::new(
    "VAULT_ALLOW_REFERENCES",
    "true: another tool's references may stay in COMMAND's environment. false: one that is left after the read is an \
     error; the forms are vault:PATH#KEY and bao:PATH#KEY, with >> in front too, and ${vault:PATH#KEY} within a value.",
)
.default("false");

/// How long Vault is waited for.
pub const WAIT: Setting = client::WAIT.flag("wait");

/// Whether a start that another process traces is refused.
pub const REFUSE_TRACED: Setting =
    Setting::new("VAULT_REFUSE_TRACED", "true: a start that another process traces is an error, not a warning.")
        .default("false");

/// The env file.
pub const ENV_FILE: Setting =
    Setting::new("VAULT_ENV_FILE", "Write this file instead of starting COMMAND; - is standard output.")
        .flag("env-file");

/// The env file's format.
pub const ENV_FILE_FORMAT: Setting = Setting::new(
    "VAULT_ENV_FILE_FORMAT",
    "sh, kubernetes, docker, compose, systemd, dotenv, json, or dir: a folder with a file for each key.",
)
.flag("format")
.default("sh");

/// The env file's mode.
pub const ENV_FILE_MODE: Setting = Setting::new(
    "VAULT_ENV_FILE_MODE",
    "Mode of the env file, octal, at most 0777; of folders the same, and x where r is.",
)
.default("0600");

/// The env file's owner.
pub const ENV_FILE_OWNER: Setting = Setting::new("VAULT_ENV_FILE_OWNER", "Owner of the env file, uid or uid:gid.");

/// How often the secrets are read again to keep the env file current.
pub const WATCH: Setting = Setting::new(
    "VAULT_WATCH",
    "Keep the env file current. The secrets are read again after this time and 1/12 to 1/6 of it; at least 1s. COMMAND, if \
     there is one, runs after each change.",
)
.flag("watch");

/// Where health and metrics are served.
pub const HEALTH_LISTEN: Setting = Setting::new(
    "VAULT_HEALTH_LISTEN",
    "With --watch: ADDRESS:PORT where /health, /ready and /metrics are served, e.g. localhost:8080.",
)
.flag("listen");

/// Who is told of a change.
pub const NOTIFY: Setting = Setting::new(
    "VAULT_NOTIFY",
    "With --watch: signal, and the process that gets it after each change, e.g. HUP:nginx or HUP:/run/nginx.pid.",
)
.flag("notify");

/// After how long without a success the health is bad.
pub const STALE_LIMIT: Setting =
    Setting::new("VAULT_STALE_LIMIT", "With --watch: /health is 503 when nothing could be read for so long.");

/// The lowest level that is logged.
pub const LOG_LEVEL: Setting =
    Setting::new("VAULT_LOG_LEVEL", "off, error, warn, info, debug or trace (the same as debug).").default("info");

/// The log's format.
pub const LOG_FORMAT: Setting = Setting::new("VAULT_LOG_FORMAT", "text or json, one object a line.").default("text");

/// Where the final error goes as well.
pub const TERMINATION_LOG: Setting = Setting::new(
    "VAULT_TERMINATION_LOG",
    "File that the final error is written to as well; the default one only if it exists. none switches it off.",
)
.default("/dev/termination-log");

/// Every setting, in the order of `--help`.
pub const ALL: &[&Setting] = &[
    &ADDR,
    &REQUIRED,
    &ROLE,
    &PATH,
    &MOUNT_POINT,
    &SECRET_VERSION,
    &KEYS,
    &REQUIRED_KEYS,
    &ALLOW_NAMES,
    &ON_CONFLICT,
    &ALLOW_REFERENCES,
    &AUTH_METHOD,
    &AUTH_MOUNT,
    &AUTH_NAMESPACE,
    &K8S_AUTH_MOUNT_POINT,
    &K8S_TOKEN_PATH,
    &TOKEN,
    &TOKEN_FILE,
    &APPROLE_ROLE_ID,
    &APPROLE_SECRET_ID,
    &APPROLE_SECRET_ID_FILE,
    &JWT,
    &JWT_FILE,
    &UNWRAP,
    &OIDC_LISTEN,
    &OIDC_BROWSER,
    &INLINE_AUTH,
    &NAMESPACE,
    &TIMEOUT,
    &MAX_RETRIES,
    &RETRY_DELAY,
    &WAIT,
    &STARTUP_TIMEOUT,
    &REVOKE,
    &REFUSE_TRACED,
    &CACERT,
    &CACERT_BYTES,
    &CAPATH,
    &CLIENT_CERT,
    &CLIENT_KEY,
    &TLS_SERVER_NAME,
    &SKIP_VERIFY,
    &PROXY_ADDR,
    &ENV_FILE,
    &ENV_FILE_FORMAT,
    &ENV_FILE_MODE,
    &ENV_FILE_OWNER,
    &WATCH,
    &HEALTH_LISTEN,
    &NOTIFY,
    &STALE_LIMIT,
    &LOG_LEVEL,
    &LOG_FORMAT,
    &TERMINATION_LOG,
];
