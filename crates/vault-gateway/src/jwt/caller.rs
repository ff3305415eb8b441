//! Who a verified token speaks for.

use std::sync::Arc;

use ring::digest;
use serde_json::Value;

use crate::claims::Claims;
use crate::config::{Issuer, TenantOf};

/// Who a verified token speaks for.
#[derive(Debug)]
pub struct Caller {
    /// Who issued the token.
    pub issuer: Arc<Issuer>,
    /// All claims of the token.
    pub claims: Claims,
    /// Stands for the pair of issuer and subject. It is the same in every process.
    pub subject_key: u64,
}

/// Why a verified token speaks for no tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoTenant {
    /// The claim is missing.
    Missing,
    /// The claim is no string.
    NotText,
    /// The issuer may not speak for this tenant.
    NotOfIssuer,
}

impl NoTenant {
    /// Its word in the audit log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "tenant_missing",
            Self::NotText => "tenant_not_text",
            Self::NotOfIssuer => "tenant_not_of_issuer",
        }
    }
}

impl Caller {
    /// The caller with these claims, which must have been verified as those of `issuer`.
    pub fn new(issuer: Arc<Issuer>, claims: Claims) -> Self {
        let subject_key = subject_key(claims.issuer(), claims.subject());
        Self { issuer, claims, subject_key }
    }

    /// The tenant that the token speaks for. Whether there is such a tenant is not judged here.
    ///
    /// # Errors
    ///
    /// The claim is missing or no string, or the issuer may not speak for the tenant that it names.
    pub fn tenant(&self) -> Result<&str, NoTenant> {
        let name = match &self.issuer.tenant {
            TenantOf::Fixed(name) => name.as_str(),
            TenantOf::Claim(claim) => match self.claims.get(claim).ok_or(NoTenant::Missing)? {
                Value::String(name) => name.as_str(),
                _ => return Err(NoTenant::NotText),
            },
        };
        let allowed = self.issuer.tenants.as_ref().is_none_or(|tenants| tenants.contains(name));
        if allowed { Ok(name) } else { Err(NoTenant::NotOfIssuer) }
    }
}

/// The first eight bytes of a SHA-256: nobody can find a subject with the key of another.
fn subject_key(issuer: &str, subject: &str) -> u64 {
    let mut hash = digest::Context::new(&digest::SHA256);
    // The length keeps `a` with `bc` apart from `ab` with `c`.
    hash.update(&(issuer.len() as u64).to_be_bytes());
    hash.update(issuer.as_bytes());
    hash.update(subject.as_bytes());
    let hash = hash.finish();
    hash.as_ref().iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jwt::tests::forge;

    fn caller(tenant: TenantOf, tenants: Option<&[&str]>, claims: &Value) -> Caller {
        let tenants = tenants.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let issuer = Issuer { tenant, tenants, ..forge::issuer("https://idp.example") };
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Caller::new(Arc::new(issuer), Claims::new(claims.clone()))
    }

    #[test]
    fn a_tenant_is_one_string_that_the_issuer_may_speak_for() {
        let fixed = || TenantOf::Fixed("team-a".into());
        let claim = |name: &str| TenantOf::Claim(name.into());
        for (tenant, tenants, claims, expected) in [
            (fixed(), None, json!({"tenant": "team-b"}), Ok("team-a")),
            (fixed(), Some(&["team-b"][..]), json!({}), Err(NoTenant::NotOfIssuer)),
            (claim("tenant"), None, json!({"tenant": "team-b"}), Ok("team-b")),
            (claim("tenant"), Some(&["team-a", "team-b"]), json!({"tenant": "team-b"}), Ok("team-b")),
            (claim("tenant"), Some(&["team-a"]), json!({"tenant": "team-b"}), Err(NoTenant::NotOfIssuer)),
            (claim("tenant"), Some(&["team-a"]), json!({"tenant": "TEAM-A"}), Err(NoTenant::NotOfIssuer)),
            (claim("tenant"), Some(&[]), json!({"tenant": "team-a"}), Err(NoTenant::NotOfIssuer)),
            (claim("tenant"), None, json!({}), Err(NoTenant::Missing)),
            (claim("tenant"), None, json!({"tenant": null}), Err(NoTenant::NotText)),
            (claim("tenant"), None, json!({"tenant": ["team-a"]}), Err(NoTenant::NotText)),
            (claim("tenant"), None, json!({"tenant": 1}), Err(NoTenant::NotText)),
            (claim("/kubernetes.io/namespace"), None, json!({"kubernetes.io": {"namespace": "n"}}), Ok("n")),
            (claim("/kubernetes.io/namespace"), None, json!({"kubernetes.io": "n"}), Err(NoTenant::Missing)),
        ] {
            assert_eq!(caller(tenant, tenants, &claims).tenant(), expected, "{claims}");
        }
    }

    #[test]
    fn a_subject_is_the_pair_of_issuer_and_sub() {
        let key = |iss: &str, sub: &str| {
            caller(TenantOf::Fixed("t".into()), None, &json!({"iss": iss, "sub": sub})).subject_key
        };
        assert_eq!(key("a", "b"), key("a", "b"));
        for (iss, sub) in [("b", "a"), ("a", "c"), ("ab", ""), ("", "ab"), ("a", "bc"), ("ab", "c")] {
            assert_ne!(key(iss, sub), key("a", "b"), "{iss} {sub}");
        }
        assert_ne!(key("a", "bc"), key("ab", "c"));
    }
}
