//! Who a tenant is at Vault: what the file says of its login, and below that the environment.

use std::fs;
use std::path::{self, Path, PathBuf};

use vault_client::settings::{Given, Reader, Setting, Source, TABLE, setting, value};
use zeroize::Zeroizing;

use super::{Tenant, TenantLogin};

/// The variables that decide who a tenant is. Of a credential it is only kept that it is there.
pub(super) struct Environment(Vec<(String, Vec<u8>)>);

/// What decides who a tenant is.
const SETTINGS: [&Setting; 10] = [
    &setting::ROLE,
    &setting::AUTH_METHOD,
    &setting::AUTH_MOUNT,
    &setting::AUTH_NAMESPACE,
    &setting::K8S_AUTH_MOUNT_POINT,
    &setting::K8S_TOKEN_PATH,
    &setting::TOKEN,
    &setting::TOKEN_FILE,
    &setting::JWT_FILE,
    &setting::NAMESPACE,
];

impl Environment {
    /// Those that `variable` has.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut variables = Vec::new();
        for setting in SETTINGS {
            for name in setting.groups().flatten() {
                let Some(value) = variable(&name).map(Zeroizing::new) else { continue };
                let kept = if setting.credential && !value.trim().is_empty() { "set" } else { &value };
                variables.push((name, kept.as_bytes().to_vec()));
            }
        }
        Self(variables)
    }
}

/// The settings of one tenant above the environment, by the rules of
/// [`VaultClientBuilder`](vault_client::VaultClientBuilder).
struct Layered<'a> {
    environment: &'a Environment,
    given: Vec<(&'static Setting, &'a [u8])>,
    hidden: Vec<&'static Setting>,
}

impl<'a> Layered<'a> {
    fn new(tenant: &'a Tenant, environment: &'a Environment) -> Self {
        let TenantLogin { role, auth_method, auth_mount, auth_namespace, token_file, jwt_file } = &tenant.login;
        let jwt_setting =
            if auth_method.as_deref() == Some("jwt") { &setting::JWT_FILE } else { &setting::K8S_TOKEN_PATH };
        let text = |text: &'a Option<String>| text.as_ref().map(String::as_bytes);
        let file = |file: &'a Option<PathBuf>| file.as_ref().map(|file| file.as_os_str().as_encoded_bytes());
        let given = [
            (&setting::ROLE, text(role)),
            (&setting::AUTH_METHOD, text(auth_method)),
            (&setting::AUTH_MOUNT, text(auth_mount)),
            (&setting::AUTH_NAMESPACE, text(auth_namespace)),
            (&setting::NAMESPACE, Some(tenant.namespace.as_bytes())),
            (&setting::TOKEN_FILE, file(token_file)),
            (jwt_setting, file(jwt_file)),
        ];
        let mut hidden: Vec<&'static Setting> = Vec::new();
        if token_file.is_some() {
            hidden.extend([&setting::TOKEN, &setting::AUTH_METHOD]);
        }
        if auth_mount.is_some() {
            hidden.push(&setting::K8S_AUTH_MOUNT_POINT);
        }
        let given = given.into_iter().filter_map(|(setting, value)| Some((setting, value?))).collect();
        Self { environment, given, hidden }
    }
}

impl Source for Layered<'_> {
    fn variable(&self, name: &str) -> Option<&[u8]> {
        let is_hidden = |setting: &&Setting| setting.groups().flatten().any(|hidden| hidden == name);
        if self.hidden.iter().any(is_hidden) {
            return None;
        }
        self.environment.0.iter().find(|variable| variable.0 == name).map(|variable| variable.1.as_slice())
    }

    fn names(&self) -> Vec<&str> {
        self.environment.0.iter().map(|variable| variable.0.as_str()).collect()
    }

    fn given(&self, setting: &Setting) -> Vec<Given<'_>> {
        let of_it = self.given.iter().filter(|given| given.0.name == setting.name);
        of_it.map(|given| Given { name: given.0.name.to_owned(), bytes: given.1 }).collect()
    }
}

/// Who a tenant is at Vault.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// That of the token in this variable, or in the file that it names.
    Variable(String),
    /// That of the token in the tenant's own file.
    TokenFile(PathBuf),
    /// That of a login.
    Login(Login),
}

/// What a login shows. What is `None` is found out when it logs in, and may be anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Login {
    method: Option<String>,
    mount: Option<String>,
    namespace: Option<String>,
    role: Option<String>,
    file: Option<PathBuf>,
}

impl Identity {
    /// That of this tenant.
    pub fn of(tenant: &Tenant, environment: &Environment) -> Self {
        let source = Layered::new(tenant, environment);
        let mut reader = Reader::new(&source, &TABLE);
        let mut find = |setting: &Setting| reader.find(setting);
        let method = find(&setting::AUTH_METHOD).map(|found| found.text).filter(|method| method != "auto");
        if method.as_deref().is_none_or(|method| method == "token") {
            if let Some(file) = &tenant.login.token_file {
                return Self::TokenFile(file.clone());
            }
            if let Some(found) = find(&setting::TOKEN).or_else(|| find(&setting::TOKEN_FILE)) {
                return Self::Variable(found.name);
            }
        }
        let mut text = |setting: &Setting| find(setting).map(|found| found.text);
        let is_pods = method.as_deref().is_none_or(|method| method == "kubernetes");
        let own_mount = if is_pods { text(&setting::K8S_AUTH_MOUNT_POINT) } else { None };
        let mount = own_mount.or_else(|| text(&setting::AUTH_MOUNT)).or_else(|| method.clone());
        let namespace = text(&setting::AUTH_NAMESPACE).or_else(|| text(&setting::NAMESPACE));
        // An AppRole and a token have no role, and the method none has no identity of its own.
        let has_role = !matches!(method.as_deref(), Some("approle" | "token" | "none"));
        let role = if has_role { text(&setting::ROLE) } else { None };
        let file = match method.as_deref() {
            Some("jwt") => text(&setting::JWT_FILE),
            Some("kubernetes") | None => {
                text(&setting::K8S_TOKEN_PATH).or_else(|| setting::K8S_TOKEN_PATH.default.map(str::to_owned))
            }
            Some(_) => None,
        };
        Self::Login(Login {
            method,
            mount: mount.map(|mount| mount.trim_matches('/').trim_start_matches("auth/").to_owned()),
            namespace: namespace.and_then(|text| value::namespace(&text).unwrap_or(Some(text))),
            role,
            file: file.map(PathBuf::from),
        })
    }

    /// The file with the JWT of a login; `None` where it has none, or where it is found out only when it logs in.
    pub fn jwt_file(&self) -> Option<&Path> {
        match self {
            Self::Login(Login { method: Some(_), file, .. }) => file.as_deref(),
            _ => None,
        }
    }

    /// Whether both may be the same at Vault.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::TokenFile(a), Self::TokenFile(b)) => is_same_file(a, b),
            (Self::Login(a), Self::Login(b)) => a.is_same(b),
            // Those of variables are faults of their own.
            _ => false,
        }
    }
}

impl Login {
    fn is_same(&self, other: &Self) -> bool {
        let may_be = |a: &Option<String>, b: &Option<String>| a == b || a.is_none() || b.is_none();
        may_be(&self.method, &other.method)
            && may_be(&self.mount, &other.mount)
            && self.namespace == other.namespace
            && is_same_role(self.role.as_deref(), other.role.as_deref())
            && self.file.as_deref().zip(other.file.as_deref()).is_none_or(|(a, b)| is_same_file(a, b))
    }
}

/// Vault's methods do not tell roles apart by case.
/// [Kubernetes](https://github.com/hashicorp/vault-plugin-auth-kubernetes/blob/main/backend.go)
fn is_same_role(a: Option<&str>, b: Option<&str>) -> bool {
    a.map(str::to_ascii_lowercase) == b.map(str::to_ascii_lowercase)
}

/// Whether both names lead to one file. One that is not there is compared by its name.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let resolved = |file: &Path| fs::canonicalize(file).or_else(|_| path::absolute(file));
    a == b || matches!((resolved(a), resolved(b)), (Ok(a), Ok(b)) if a == b)
}

/// The segments of what a tenant reaches: its namespace, its mount, its prefix. A namespace may stand in front of a path
/// as well as in a header, so that only the whole says what is meant.
/// [Namespaces](https://openbao.org/docs/concepts/namespaces/)
pub(super) fn reach(tenant: &Tenant, environment: &Environment) -> Vec<String> {
    let source = Layered::new(tenant, environment);
    let namespace = Reader::new(&source, &TABLE).find(&setting::NAMESPACE).map(|found| found.text);
    let namespace = namespace.and_then(|text| value::namespace(&text).unwrap_or(Some(text))).unwrap_or_default();
    let parts = [namespace.as_str(), &tenant.mount, &tenant.prefix];
    parts.iter().flat_map(|part| part.split('/')).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
