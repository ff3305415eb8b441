//! What a setting is, and those of connection and login.

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable's name.
    pub name: &'static str,
    /// Other names, in the order of their precedence.
    pub aliases: &'static [&'static str],
    /// The flag, without its dashes, of a program that has one for it.
    pub flag: Option<&'static str>,
    /// What holds when it is unset: the text to read then, or words about it. `None` where nothing does.
    pub default: Option<&'static str>,
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
    /// The setting `name`, without default, alias or flag.
    ///
    /// # Examples
    ///
    /// ```
    /// use vault_client::settings::Setting;
    ///
    /// const PORT: Setting = Setting::new("SHOP_PORT", "Port to listen on.").default("8080");
    /// assert_eq!((PORT.name, PORT.default, PORT.credential), ("SHOP_PORT", Some("8080"), false));
    /// ```
    pub const fn new(name: &'static str, meaning: &'static str) -> Self {
        Self { name, aliases: &[], flag: None, default: None, credential: false, meaning }
    }

    /// The same with other names.
    #[must_use]
    pub const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// The same with a flag, which beats the variable.
    #[must_use]
    pub const fn flag(self, flag: &'static str) -> Self {
        Self { flag: Some(flag), ..self }
    }

    /// The same with a default.
    #[must_use]
    pub const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// The same, with a value that is never shown.
    #[must_use]
    pub const fn credential(self) -> Self {
        Self { credential: true, ..self }
    }

    /// The same, as one program explains it.
    #[must_use]
    pub const fn meaning(self, meaning: &'static str) -> Self {
        Self { meaning, ..self }
    }

    /// The names it is looked up under; within each group the first one present decides, even if it is empty.
    pub fn groups(&self) -> impl Iterator<Item = Vec<String>> {
        std::iter::once(&self.name).chain(self.aliases).map(|name| match name.strip_prefix("VAULT_") {
            Some(rest) if OFFICIAL.contains(&rest) => vec![format!("BAO_{rest}"), (*name).to_owned()],
            _ => vec![(*name).to_owned()],
        })
    }
}

/// What a program knows of settings.
pub struct Table {
    /// Its settings. One that is not among them is unset, whatever the environment holds.
    pub rows: &'static [&'static Setting],
    /// Why a text cannot be any setting's value in this program, with what to write instead.
    pub foreign: fn(&str) -> Option<&'static str>,
}

/// The settings of connection and login, and no others.
pub const TABLE: Table = Table { rows: ALL, foreign: |_| None };

/// Where the server is.
pub const ADDR: Setting = Setting::new(
    "VAULT_ADDR",
    "https:// or http:// URL of Vault, or unix:///PATH of a socket on which it or an agent listens. Required.",
)
.aliases(&["VAULT_ADDRESS"]);

/// The role of the login.
pub const ROLE: Setting =
    Setting::new("VAULT_ROLE", "Role to log in with. kubernetes needs it; for cert it is the certificate role's name.")
        .aliases(&["VAULT_ROLE_ID"]);

/// How to log in.
pub const AUTH_METHOD: Setting = Setting::new(
    "VAULT_AUTH_METHOD",
    "How to log in: token, kubernetes, approle, jwt, cert, oidc, none or auto. auto takes the first that there is \
     something for: VAULT_TOKEN or VAULT_TOKEN_FILE; VAULT_APPROLE_ROLE_ID; VAULT_JWT or VAULT_JWT_FILE; a pod; \
     VAULT_ROLE_ID with VAULT_SECRET_ID, without VAULT_ROLE; $HOME/.vault-token; oidc at a terminal. none sends no token: an agent or proxy \
     adds one.",
)
.default("auto");

/// The mount of the login's method.
pub const AUTH_MOUNT: Setting = Setting::new("VAULT_AUTH_MOUNT", "Mount of the auth method. Unset: the method's name.");

/// The namespace of the login, where it differs from the secret's.
pub const AUTH_NAMESPACE: Setting = Setting::new(
    "VAULT_AUTH_NAMESPACE",
    "Namespace of the login; root or / is the root namespace. Unset: that of VAULT_NAMESPACE.",
);

/// The id of an `AppRole`.
pub const APPROLE_ROLE_ID: Setting =
    Setting::new("VAULT_APPROLE_ROLE_ID", "Role id of the approle login; never handed on.")
        .aliases(&["VAULT_ROLE_ID"])
        .credential();

/// A secret id.
pub const APPROLE_SECRET_ID: Setting =
    Setting::new("VAULT_APPROLE_SECRET_ID", "Secret id of the approle login; never handed on.")
        .aliases(&["VAULT_SECRET_ID"])
        .credential();

/// A file with a secret id.
pub const APPROLE_SECRET_ID_FILE: Setting = Setting::new(
    "VAULT_APPROLE_SECRET_ID_FILE",
    "File with the secret id, where VAULT_APPROLE_SECRET_ID is unset; read at each login.",
);

/// A JWT.
pub const JWT: Setting = Setting::new("VAULT_JWT", "JWT of the jwt login; never handed on.").credential();

/// A file with a JWT.
pub const JWT_FILE: Setting =
    Setting::new("VAULT_JWT_FILE", "File with the JWT, where VAULT_JWT is unset; read at each login.");

/// Whether the credential is in a wrapping token.
pub const UNWRAP: Setting = Setting::new(
    "VAULT_UNWRAP",
    "true: the token, secret id or JWT that is given is a wrapping token. It is looked up, and unwrapped once.",
)
.default("false");

/// Where the browser of a person comes back.
pub const OIDC_LISTEN: Setting = Setting::new(
    "VAULT_OIDC_LISTEN",
    "Loopback host and port where the browser comes back in the oidc login. none: nothing listens, and the server is asked \
     instead (device or direct mode).",
)
.default("localhost:8250");

/// Whether a browser is opened.
pub const OIDC_BROWSER: Setting =
    Setting::new("VAULT_OIDC_BROWSER", "false: the oidc login prints its URL and opens no browser.").default("true");

/// Whether the login is sent along with the read.
pub const INLINE_AUTH: Setting = Setting::new(
    "VAULT_INLINE_AUTH",
    "Send the login along with the read: false, auto (where the server is known to be OpenBao from 2.4 on) or true. No \
     token is made then.",
)
.default("false");

/// The mount of the Kubernetes method; it beats [`AUTH_MOUNT`].
pub const K8S_AUTH_MOUNT_POINT: Setting =
    Setting::new("VAULT_K8S_AUTH_MOUNT_POINT", "Mount of the Kubernetes auth method.").default("kubernetes");

/// The file with the pod's JWT.
pub const K8S_TOKEN_PATH: Setting = Setting::new("VAULT_K8S_TOKEN_PATH", "File with the service account's JWT.")
    .aliases(&["K8S_JWT_TOKEN_PATH"])
    .default("/var/run/secrets/kubernetes.io/serviceaccount/token");

/// A token.
pub const TOKEN: Setting = Setting::new("VAULT_TOKEN", "Token to use; never revoked, never handed on.").credential();

/// A file with a token.
pub const TOKEN_FILE: Setting =
    Setting::new("VAULT_TOKEN_FILE", "File with the token to use, where VAULT_TOKEN is unset; never revoked.");

/// The namespace.
pub const NAMESPACE: Setting = Setting::new(
    "VAULT_NAMESPACE",
    "Namespace of the login, the token and the secret; root or / is the root namespace.",
);

/// [`Limits::request`](crate::Limits::request).
pub const TIMEOUT: Setting =
    Setting::new("VAULT_TIMEOUT", "Limit of one request, from name resolution to the last byte.")
        .aliases(&["VAULT_CLIENT_TIMEOUT"])
        .default("30s");

/// [`Limits::retries`](crate::Limits::retries).
pub const MAX_RETRIES: Setting =
    Setting::new("VAULT_MAX_RETRIES", "Tries after the first, per step, after faults that may pass; 429 uses up none.")
        .default("3");

/// [`Limits::delay`](crate::Limits::delay).
pub const RETRY_DELAY: Setting =
    Setting::new("VAULT_RETRY_DELAY", "First pause between tries; doubles up to 60s, jittered down to half.")
        .default("5s");

/// [`Limits::wait`](crate::Limits::wait).
pub const WAIT: Setting = Setting::new(
    "VAULT_WAIT",
    "Poll up to this long until Vault takes logins and reads, and the JWT or token file is there.",
)
.default("0s");

/// [`Limits::whole`](crate::Limits::whole).
pub const STARTUP_TIMEOUT: Setting =
    Setting::new("VAULT_STARTUP_TIMEOUT", "Limit of everything together.").default("2m");

/// Whether the login's token is revoked at the end.
pub const REVOKE: Setting = Setting::new("VAULT_REVOKE", "Revoke the token of the login at the end.").default("true");

/// A file of authorities.
pub const CACERT: Setting =
    Setting::new("VAULT_CACERT", "File with the CA certificates to trust.").default("the system's");

/// Authorities as text.
pub const CACERT_BYTES: Setting = Setting::new("VAULT_CACERT_BYTES", "CA certificates to trust, as PEM text.");

/// A folder of authorities.
pub const CAPATH: Setting = Setting::new(
    "VAULT_CAPATH",
    "Directory of files with CA certificates to trust, and of directories with such files.",
);

/// The client's certificate.
pub const CLIENT_CERT: Setting = Setting::new("VAULT_CLIENT_CERT", "File with the client certificate.");

/// The key of the client's certificate.
pub const CLIENT_KEY: Setting = Setting::new("VAULT_CLIENT_KEY", "File with the key of the client certificate.");

/// The name in the server's certificate, where it is not the URL's host.
pub const TLS_SERVER_NAME: Setting =
    Setting::new("VAULT_TLS_SERVER_NAME", "Name that the server's certificate must carry.");

/// Switches the check of the server's certificate off.
pub const SKIP_VERIFY: Setting =
    Setting::new("VAULT_SKIP_VERIFY", "true: do not check the server's certificate.").default("false");

/// The proxy. Its URL can hold a password.
pub const PROXY_ADDR: Setting =
    Setting::new("VAULT_PROXY_ADDR", "HTTP proxy to go through; HTTP_PROXY and the like are not read.").credential();

/// Every setting of connection and login.
pub const ALL: &[&Setting] = &[
    &ADDR,
    &ROLE,
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
    &CACERT,
    &CACERT_BYTES,
    &CAPATH,
    &CLIENT_CERT,
    &CLIENT_KEY,
    &TLS_SERVER_NAME,
    &SKIP_VERIFY,
    &PROXY_ADDR,
];
