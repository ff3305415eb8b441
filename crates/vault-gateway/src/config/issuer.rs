//! `[[issuer]]`: whose tokens are taken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Value;

use super::fault::Bad;
use super::value::quoted;
use super::walk::Section;
use super::{Algorithm, Issuer, KeySource, TenantOf, value};

const SYMMETRIC: [&str; 3] = ["HS256", "HS384", "HS512"];

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// Its name in the header of a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// Reads one issuer; `None` only if a fault was recorded. `is_one_of_many` tells that there are others.
pub(super) fn issuer(mut section: Section, tenants: &[&str], folder: &Path, is_one_of_many: bool) -> Option<Issuer> {
    let url = section.required("url", "write the iss of its tokens", value::issuer_url);
    let jwks = section.or("jwks", KeySource::Discovery, key_source);
    let ca = section.optional("ca", value::file(folder));
    let token_file = section.optional("token_file", value::file(folder));
    if let KeySource::File(_) = jwks {
        for key in ["ca", "token_file"].into_iter().filter(|key| section.was_set(key)) {
            section.fault(key, Bad::new("has no effect: jwks is a file", "remove one of the two"));
        }
    }
    let audience = audience(&mut section);
    let algorithms = section.filled_list("algorithms", algorithm);
    let typ = section.filled_list("typ", typ);
    let tenant = tenant_of(&mut section, tenants);
    let tenants = its_tenants(&mut section, tenant.as_ref(), tenants, is_one_of_many);
    section.finish();
    Some(Issuer {
        url: url?,
        jwks,
        ca,
        token_file,
        audience: audience?,
        algorithms: algorithms.unwrap_or_else(|| vec![Algorithm::RS256, Algorithm::ES256]),
        typ: typ.unwrap_or_else(|| ["jwt", "at+jwt", ""].map(str::to_owned).into()),
        tenant: tenant?,
        tenants,
    })
}

/// A URL, or `file:` with an absolute path; the file must be there. What is in it is for another to judge.
fn key_source(value: Value) -> Result<KeySource, Bad> {
    let Some(path) = value.as_str().and_then(|text| text.strip_prefix("file:")) else {
        return value::url(value).map(KeySource::Url);
    };
    let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
    if !path.is_absolute() {
        return Err(Bad::new("the file's path is not absolute", "write file:/path"));
    }
    value::readable(&path)?;
    Ok(KeySource::File(path))
}

/// A text or a list of texts; required.
fn audience(section: &mut Section) -> Option<Vec<String>> {
    section.demand("audience", "write the aud of tokens for this service");
    section.one_or_more("audience", value::filled)
}

fn algorithm(value: Value) -> Result<Algorithm, Bad> {
    let name = value::filled(value)?;
    if let Some(algorithm) = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name) {
        return Ok(algorithm);
    }
    if SYMMETRIC.contains(&name.as_str()) {
        let cause = format!("{name} is symmetric: whoever can check a token could make one");
        return Err(Bad::new(cause, "write an asymmetric one, RS256 or ES256"));
    }
    Err(value::unknown("algorithm", &name, &Algorithm::ALL.map(Algorithm::name)))
}

/// As it is compared: in lower case, without `application/`.
/// [RFC 7515](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9)
fn typ(value: Value) -> Result<String, Bad> {
    let text = value::text(value)?.to_ascii_lowercase();
    let text = text.strip_prefix("application/").unwrap_or(&text);
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Bad::new(format!("{} has a space or a control character in it", quoted(text)), "write it without"));
    }
    Ok(text.to_owned())
}

/// The name of a tenant, or `{ claim = "…" }`.
fn tenant_of(section: &mut Section, tenants: &[&str]) -> Option<TenantOf> {
    if section.is_table("tenant") {
        let mut inner = section.section("tenant");
        let claim = inner.required("claim", "write the name of the claim, or a JSON Pointer", value::claim);
        inner.finish();
        return claim.map(TenantOf::Claim);
    }
    if !section.has("tenant") {
        // It counts as asked for.
        let _ = section.optional("tenant", Ok);
        return Some(TenantOf::Claim("tenant".to_owned()));
    }
    section.optional("tenant", value::tenant(tenants)).map(TenantOf::Fixed)
}

/// The only tenants that it may speak for; `None`: every one.
fn its_tenants(
    section: &mut Section,
    tenant: Option<&TenantOf>,
    tenants: &[&str],
    is_required: bool,
) -> Option<BTreeSet<String>> {
    let before = section.faults();
    let own = section.list("tenants", value::tenant(tenants));
    if section.faults() > before {
        return None;
    }
    let own: BTreeSet<String> = own.unwrap_or_default().into_iter().collect();
    if own.is_empty() {
        if is_required {
            let cause = "is missing or empty beside another issuer";
            section.fault("tenants", Bad::new(cause, "list the tenants that this issuer may speak for"));
        }
        return None;
    }
    if let Some(TenantOf::Fixed(fixed)) = tenant
        && !own.contains(fixed)
    {
        let cause = format!("the tenant {} of this issuer is not among them", quoted(fixed));
        section.fault("tenants", Bad::new(cause, "add it, or write another tenant"));
    }
    Some(own)
}
