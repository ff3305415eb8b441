//! Which way to log in: the one named, or the first that there is something for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::reader::Reader;
use super::{remedy, setting, value};
use crate::fault::FaultKind;
use crate::login::{Kubernetes, Login, Token, TokenSource, json_is};
use crate::secret::Secret;
use crate::text;

/// `VAULT_AUTH_METHOD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthMethod {
    /// The first that there is something for.
    Auto,
    /// A token that is handed in.
    Token,
    /// The service account of a pod.
    Kubernetes,
}

impl AuthMethod {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "auto" => Ok(Self::Auto),
            "token" => Ok(Self::Token),
            "kubernetes" => Ok(Self::Kubernetes),
            _ => Err("unknown; write token, kubernetes or auto"),
        }
    }
}

/// The login that the settings name or find. Returns `None` only if a fault was recorded.
pub(super) fn read(reader: &mut Reader, warnings: &mut Vec<String>) -> Option<Box<dyn Login>> {
    let token = Tokens::read(reader);
    // Their syntax is judged whether they are used or not.
    let pod = Pod::read(reader, warnings);
    let method = reader.try_parse(&setting::AUTH_METHOD, AuthMethod::parse).ok()?.unwrap_or(AuthMethod::Auto);
    let kubernetes = match method {
        AuthMethod::Kubernetes => true,
        AuthMethod::Token => false,
        AuthMethod::Auto => !token.is_configured() && pod.is_this(reader),
    };
    if kubernetes {
        return Some(Box::new(pod.login(reader)?));
    }
    let source = token.source();
    if source.is_none() && !reader.is_faulty(&setting::TOKEN) {
        let in_a_pod = match method {
            AuthMethod::Auto => {
                format!("run in a pod with a service-account token at {}, or ", text::os(&pod.jwt))
            }
            AuthMethod::Token | AuthMethod::Kubernetes => String::new(),
        };
        let cause = format!(
            "no way to log in: set VAULT_TOKEN or VAULT_TOKEN_FILE, or {in_a_pod}log in with the official client \
             ($HOME/.vault-token)"
        );
        reader.record(FaultKind::NotDetected, setting::AUTH_METHOD.name.into(), None, cause);
    }
    source.map(|source| Box::new(Token(source)) as Box<dyn Login>)
}

/// Where a token can be.
struct Tokens {
    given: Option<Secret>,
    file: Option<PathBuf>,
    /// The official client's, where it is there.
    home: Option<PathBuf>,
}

impl Tokens {
    fn read(reader: &mut Reader) -> Self {
        let given = reader.parse(&setting::TOKEN, |text| {
            if text.starts_with('{') {
                let document = json_is(text.as_bytes());
                return Err(format!("{document}; {}", remedy::of_json(document)));
            }
            value::token(text).map(Secret::new).map_err(str::to_owned)
        });
        let file = reader.find(&setting::TOKEN_FILE).map(|found| found.text.into());
        let home = reader
            .bytes("HOME")
            .filter(|home| !home.is_empty())
            .map(|home| Path::new(OsStr::from_bytes(home)).join(".vault-token"))
            .filter(|path| path.exists());
        Self { given, file, home }
    }

    /// Whether a setting gives one.
    fn is_configured(&self) -> bool {
        self.given.is_some() || self.file.is_some()
    }

    fn source(self) -> Option<TokenSource> {
        self.given.map(TokenSource::Given).or_else(|| self.file.or(self.home).map(TokenSource::File))
    }
}

/// What a login of a pod needs.
struct Pod {
    mount: String,
    role: Option<String>,
    jwt: PathBuf,
    revoke: bool,
}

impl Pod {
    fn read(reader: &mut Reader, warnings: &mut Vec<String>) -> Self {
        let jwt = reader.find(&setting::K8S_TOKEN_PATH).map(|found| found.text);
        let jwt = jwt.as_deref().or(setting::K8S_TOKEN_PATH.default).unwrap_or_default().into();
        let role = reader.parse(&setting::ROLE, value::role);
        let mount = mount(reader, warnings);
        let revoke = reader.value(&setting::REVOKE, value::boolean);
        Self { mount, role, jwt, revoke }
    }

    /// Whether this process runs in a pod.
    fn is_this(&self, reader: &Reader) -> bool {
        reader.bytes("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty()) || self.jwt.exists()
    }

    fn login(self, reader: &mut Reader) -> Option<Kubernetes> {
        reader.demand(&setting::ROLE, "the kubernetes login needs a role, set it to the one made for this pod");
        let Self { mount, role, jwt, revoke } = self;
        Some(Kubernetes { mount, role: role?, jwt, revoke })
    }
}

/// The mount of the Kubernetes method: its own setting's, else that of any method, else the default.
fn mount(reader: &mut Reader, warnings: &mut Vec<String>) -> String {
    let (setting, mut mount) = match reader.parse(&setting::AUTH_MOUNT, value::segments) {
        Some(mount) if reader.is_unset(&setting::K8S_AUTH_MOUNT_POINT) => (&setting::AUTH_MOUNT, mount),
        _ => {
            let own = &setting::K8S_AUTH_MOUNT_POINT;
            (own, reader.value(own, value::segments))
        }
    };
    if mount.starts_with("auth/") {
        mount.drain(.."auth/".len());
        warnings.push(format!("{} is read as {mount}: leave auth/ out, it is added by itself", setting.name));
    }
    mount
}
