//! The table of settings: names, defaults and meanings, from which the reading, `--help` and the near-miss warnings are
//! made and against which the README is held.

/// One setting.
pub struct Setting {
    /// The variable's name.
    pub name: &'static str,
    /// Other names, in the order of their precedence.
    pub aliases: &'static [&'static str],
    /// The flag, without its dashes.
    pub flag: Option<&'static str>,
    /// What holds when it is unset, as text; `-` where nothing does.
    pub default: &'static str,
    /// Its value is never shown.
    pub credential: bool,
    /// What it means, in one or two sentences.
    pub meaning: &'static str,
}

/// Names, after their prefix, that the official clients know; of these `BAO_X` beats `VAULT_X`.
pub const OFFICIAL: &[&str] = &[
    "ADDR",
    "CACERT",
    "CACERT_BYTES",
    "CAPATH",
    "CLIENT_CERT",
    "CLIENT_KEY",
    "CLIENT_TIMEOUT",
    "MAX_RETRIES",
    "NAMESPACE",
    "PROXY_ADDR",
    "SKIP_VERIFY",
    "TLS_SERVER_NAME",
    "TOKEN",
];

impl Setting {
    /// The names it is looked up under; within each group the first one present decides, even if it is empty.
    pub fn groups(&self) -> impl Iterator<Item = Vec<String>> {
        std::iter::once(&self.name).chain(self.aliases).map(|name| match name.strip_prefix("VAULT_") {
            Some(rest) if OFFICIAL.contains(&rest) => vec![format!("BAO_{rest}"), (*name).to_owned()],
            _ => vec![(*name).to_owned()],
        })
    }
}

macro_rules! settings {
    ($($name:ident $variable:literal $([$alias:literal])? $(--$flag:literal)? = $default:literal $($credential:ident)?: $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Setting = Setting {
            name: $variable,
            aliases: &[$($alias)?],
            flag: [$(Some($flag),)? None][0],
            default: $default,
            credential: !matches!(stringify!($($credential)?).as_bytes(), b""),
            meaning: $meaning,
        };)*
        /// Every setting, in the order of `--help`.
        pub const ALL: &[&Setting] = &[$(&$name),*];
    };
}

settings! {
    ADDR "VAULT_ADDR" ["VAULT_ADDRESS"] = "-": "https:// or http:// URL of Vault. Unset: nothing is read, and COMMAND starts with its environment as it is; see VAULT_REQUIRED and VAULT_REQUIRED_KEYS.";
    REQUIRED "VAULT_REQUIRED" = "false": "true: a missing VAULT_ADDR is an error. false, written out: where VAULT_ADDR is missing, VAULT_REQUIRED_KEYS is not looked at.";
    ROLE "VAULT_ROLE" ["VAULT_ROLE_ID"] = "-": "Role to log in with; the kubernetes method needs it.";
    PATH "VAULT_PATH" = "-": "Path of the secret, e.g. myapp/prod. Required.";
    MOUNT_POINT "VAULT_MOUNT_POINT" = "kv": "Mount of the KV version 2 engine.";
    SECRET_VERSION "VAULT_SECRET_VERSION" = "latest": "Version of the secret.";
    KEYS "VAULT_KEYS" --"keys" = "every key": "Only these keys, comma-separated; key:NAME renames.";
    REQUIRED_KEYS "VAULT_REQUIRED_KEYS" --"require" = "-": "Variables that must be there, comma-separated. Without VAULT_ADDR, COMMAND's environment must have them; an env file need not.";
    ALLOW_NAMES "VAULT_ALLOW_NAMES" --"allow-name" = "-": "Names to permit that are denied by default (PATH, LD_PRELOAD ...).";
    ON_CONFLICT "VAULT_ON_CONFLICT" = "overwrite": "What to do where COMMAND's environment has a variable with another value: overwrite, keep or error. It has no effect on an env file.";
    ALLOW_REFERENCES "VAULT_ALLOW_REFERENCES" = "false": "true: another tool's references may stay in COMMAND's environment. false: one that is left after the read is an error; the forms are vault:PATH#KEY and bao:PATH#KEY, with >> in front too, and ${vault:PATH#KEY} within a value.";
    AUTH_METHOD "VAULT_AUTH_METHOD" = "auto": "token, kubernetes or auto. token takes the first there is of VAULT_TOKEN, VAULT_TOKEN_FILE and $HOME/.vault-token; auto does the same, but in a pod takes kubernetes before $HOME/.vault-token.";
    K8S_AUTH_MOUNT_POINT "VAULT_K8S_AUTH_MOUNT_POINT" = "kubernetes": "Mount of the Kubernetes auth method.";
    K8S_TOKEN_PATH "VAULT_K8S_TOKEN_PATH" ["K8S_JWT_TOKEN_PATH"] = "/var/run/secrets/kubernetes.io/serviceaccount/token": "File with the service account's JWT.";
    TOKEN "VAULT_TOKEN" = "-" credential: "Token to use; never revoked, never handed on.";
    TOKEN_FILE "VAULT_TOKEN_FILE" = "-": "File with the token to use, where VAULT_TOKEN is unset; never revoked.";
    NAMESPACE "VAULT_NAMESPACE" = "-": "Namespace of the login, the token and the secret.";
    TIMEOUT "VAULT_TIMEOUT" ["VAULT_CLIENT_TIMEOUT"] = "30s": "Limit of one request, from name resolution to the last byte.";
    MAX_RETRIES "VAULT_MAX_RETRIES" = "3": "Tries after the first, per step, after faults that may pass; 429 uses up none.";
    RETRY_DELAY "VAULT_RETRY_DELAY" = "5s": "First pause between tries; doubles up to 60s, jittered down to half.";
    WAIT "VAULT_WAIT" --"wait" = "0s": "Poll up to this long until Vault takes logins and reads, and the JWT or token file is there.";
    STARTUP_TIMEOUT "VAULT_STARTUP_TIMEOUT" = "2m": "Limit of everything together.";
    REVOKE "VAULT_REVOKE" = "true": "Revoke the token of the login at the end.";
    REFUSE_TRACED "VAULT_REFUSE_TRACED" = "false": "true: a start that another process traces is an error, not a warning.";
    CACERT "VAULT_CACERT" = "the system's": "File with the CA certificates to trust.";
    CACERT_BYTES "VAULT_CACERT_BYTES" = "-": "CA certificates to trust, as PEM text.";
    CAPATH "VAULT_CAPATH" = "-": "Directory of files with CA certificates to trust, and of directories with such files.";
    CLIENT_CERT "VAULT_CLIENT_CERT" = "-": "File with the client certificate.";
    CLIENT_KEY "VAULT_CLIENT_KEY" = "-": "File with the key of the client certificate.";
    TLS_SERVER_NAME "VAULT_TLS_SERVER_NAME" = "-": "Name that the server's certificate must carry.";
    SKIP_VERIFY "VAULT_SKIP_VERIFY" = "false": "true: do not check the server's certificate.";
    PROXY_ADDR "VAULT_PROXY_ADDR" = "-" credential: "HTTP proxy to go through; HTTP_PROXY and the like are not read.";
    ENV_FILE "VAULT_ENV_FILE" --"env-file" = "-": "Write this file instead of starting COMMAND; - is standard output.";
    ENV_FILE_FORMAT "VAULT_ENV_FILE_FORMAT" --"format" = "sh": "sh, kubernetes, docker, compose, systemd, dotenv or json.";
    ENV_FILE_MODE "VAULT_ENV_FILE_MODE" = "0600": "Mode of the env file, octal, at most 0777.";
    ENV_FILE_OWNER "VAULT_ENV_FILE_OWNER" = "-": "Owner of the env file, uid or uid:gid.";
    LOG_LEVEL "VAULT_LOG_LEVEL" = "info": "off, error, warn, info, debug or trace (the same as debug).";
    LOG_FORMAT "VAULT_LOG_FORMAT" = "text": "text or json, one object a line.";
    TERMINATION_LOG "VAULT_TERMINATION_LOG" = "/dev/termination-log": "File that the final error is written to as well; the default one only if it exists. none switches it off.";
}
