//! `[[tenant]]`: whose secrets are served, and that tenants are apart.

use std::path::Path;

use toml::Value;

use super::fault::{Bad, Fault, Found};
use super::login::{Environment, Identity, reach};
use super::value::quoted;
use super::walk::Section;
use super::{Tenant, TenantLogin, value};

/// The methods of a login, and the keys that each uses. That of a person, `oidc`, is none for a service.
const METHODS: [(&str, &[&str]); 7] = [
    ("token", &["token_file"]),
    ("kubernetes", &["role", "auth_mount", "auth_namespace", "jwt_file"]),
    ("approle", &["auth_mount", "auth_namespace"]),
    ("jwt", &["role", "auth_mount", "auth_namespace", "jwt_file"]),
    ("cert", &["role", "auth_mount", "auth_namespace"]),
    ("none", &[]),
    ("auto", &["role", "auth_mount", "auth_namespace", "jwt_file", "token_file"]),
];

/// A tenant, its place in messages, and what of it is known.
pub(super) struct Placed {
    place: String,
    line: Option<usize>,
    tenant: Tenant,
    is_login_known: bool,
    is_reach_known: bool,
}

impl Placed {
    /// Its name and its mount, where it has one that can be used.
    pub fn mount(&self) -> Option<(&str, &str)> {
        self.is_reach_known.then_some((&self.tenant.name, &self.tenant.mount))
    }

    /// The tenant, where its login can be used.
    pub fn whole(self) -> Option<Tenant> {
        self.is_login_known.then_some(self.tenant)
    }

    fn fault(&self, bad: Bad) -> Fault {
        bad.at(&self.place, self.line)
    }
}

/// Reads one tenant; `None` only if a fault was recorded.
pub(super) fn tenant(mut section: Section, folder: &Path) -> Option<Placed> {
    let (place, line) = (section.place().to_owned(), section.line());
    let name = section.required("name", "write a name of a-z, 0-9 and -", tenant_name);
    let before = section.faults();
    let namespace = section.or("namespace", String::new(), value::segments_or_none);
    let mount = section.or("mount", "kv".to_owned(), value::segments);
    let prefix = section.or("prefix", String::new(), value::segments_or_none);
    let is_reach_known = section.faults() == before;
    let before = section.faults();
    let login = TenantLogin {
        role: section.optional("role", value::filled),
        auth_method: section.optional("auth_method", auth_method),
        auth_mount: section.optional("auth_mount", value::segments),
        auth_namespace: section.optional("auth_namespace", value::segments),
        token_file: section.optional("token_file", value::path(folder)),
        jwt_file: section.optional("jwt_file", value::path(folder)),
    };
    let is_login_known = section.faults() == before;
    if is_login_known {
        fits(&section, &login);
    }
    for (key, file) in [("token_file", &login.token_file), ("jwt_file", &login.jwt_file)] {
        if let Some(Err(bad)) = file.as_deref().map(value::readable) {
            section.fault(key, bad);
        }
    }
    let shared_identity = section.or("shared_identity", false, value::flag);
    let overlap = section.or("overlap", false, value::flag);
    section.finish();
    let tenant = Tenant { name: name?, namespace, mount, prefix, login, shared_identity, overlap };
    Some(Placed { place, line, tenant, is_login_known, is_reach_known })
}

fn tenant_name(value: Value) -> Result<String, Bad> {
    let text = value::text(value)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=63).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text);
    }
    Err(Bad::new(format!("{} cannot be a tenant's name", quoted(&text)), "write 1 to 63 of a-z, 0-9 and -"))
}

fn auth_method(value: Value) -> Result<String, Bad> {
    let method = value::filled(value)?;
    let known = METHODS.map(|(method, _)| method);
    if method == "oidc" {
        return Err(Bad::new("\"oidc\" asks a person", format!("write one of {}", known.join(", "))));
    }
    if known.contains(&method.as_str()) { Ok(method) } else { Err(value::unknown("method", &method, &known)) }
}

/// Records each key that the method does not use. With a file for a token, the method is `token`.
fn fits(section: &Section, login: &TenantLogin) {
    let named = login.auth_method.as_deref().filter(|method| *method != "auto");
    let method = named.unwrap_or(if login.token_file.is_some() { "token" } else { "auto" });
    let uses = |method: &str, key| METHODS.iter().any(|(name, keys)| *name == method && keys.contains(&key));
    for key in ["role", "auth_mount", "auth_namespace", "jwt_file", "token_file"] {
        if !section.was_set(key) || uses(method, key) {
            continue;
        }
        let other = METHODS.iter().map(|(name, _)| *name).find(|name| uses(name, key)).unwrap_or_default();
        section.fault(
            key,
            match named {
                None => Bad::new("has no effect beside token_file", "remove one of the two"),
                Some(method) => Bad::new(
                    format!("has no effect: auth_method is {method}"),
                    format!("remove it, or write another auth_method: {other}"),
                ),
            },
        );
    }
}

/// What is known of a tenant with the environment.
struct Known<'a> {
    placed: &'a Placed,
    /// `None` where its login cannot be used.
    identity: Option<Identity>,
    /// `None` where its mount, namespace or prefix cannot be used.
    reach: Option<Vec<String>>,
}

/// Records what is wrong with logins in this environment, and what tenants must not have in common.
pub(super) fn apart(tenants: &[Placed], environment: &Environment, found: &Found) {
    let known = tenants.iter().map(|placed| {
        let Placed { tenant, is_login_known, is_reach_known, .. } = placed;
        let identity = is_login_known.then(|| Identity::of(tenant, environment));
        Known { placed, identity, reach: is_reach_known.then(|| reach(tenant, environment)) }
    });
    let tenants: Vec<Known> = known.collect();
    for tenant in &tenants {
        if let Some(bad) = tenant.identity.as_ref().and_then(|identity| alone(identity, tenants.len() > 1)) {
            found.push(tenant.placed.fault(bad));
        }
        // The tenant's own file was looked at already.
        if tenant.placed.tenant.login.jwt_file.is_none()
            && let Some(file) = tenant.identity.as_ref().and_then(Identity::jwt_file)
            && let Err(bad) = value::readable(file)
        {
            let remedy = "write jwt_file, or run it where the file is";
            found.push(tenant.placed.fault(Bad { remedy: remedy.to_owned(), ..bad }));
        }
    }
    for (n, tenant) in tenants.iter().enumerate() {
        for earlier in &tenants[..n] {
            for bad in both(tenant, earlier) {
                found.push(tenant.placed.fault(bad));
            }
        }
    }
}

/// What is wrong with one login, beside others or not.
fn alone(identity: &Identity, is_one_of_many: bool) -> Option<Bad> {
    let Identity::Variable(variable) = identity else { return None };
    let cause = format!("its login would be the token of {variable}, which is every tenant's");
    is_one_of_many.then(|| Bad::new(cause, "write its auth_method or its token_file"))
}

/// What two tenants have in common and must not.
fn both(tenant: &Known, earlier: &Known) -> Vec<Bad> {
    let (one, other) = (&tenant.placed.tenant, &earlier.placed.tenant);
    let name = quoted(&other.name);
    let mut faults = Vec::new();
    let is_same = tenant.identity.as_ref().zip(earlier.identity.as_ref()).is_some_and(|(a, b)| a.is_same(b));
    if is_same && !(one.shared_identity && other.shared_identity) {
        let nothing = TenantLogin::default();
        faults.push(if one.login == nothing && other.login == nothing {
            let remedy = "write auth_method with role, or token_file, in each, or shared_identity = true in both";
            Bad::new(format!("it has no login of its own, and neither has the tenant {name}"), remedy)
        } else {
            let remedy = "give each its own role or file, or write shared_identity = true in both";
            Bad::new(format!("its login is that of the tenant {name}"), remedy)
        });
    }
    let overlaps = tenant.reach.as_ref().zip(earlier.reach.as_ref()).is_some_and(|(a, b)| overlaps(a, b));
    if overlaps && !(one.overlap && other.overlap) {
        let remedy = "give each its own namespace, mount or prefix, or write overlap = true in both";
        faults.push(Bad::new(format!("its secrets overlap those of the tenant {name}"), remedy));
    }
    faults
}

/// Whether one is the beginning of the other.
fn overlaps(a: &[String], b: &[String]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}
