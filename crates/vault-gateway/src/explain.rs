//! `--check --as`: what the service would decide, and why. No signature, no time and no Vault is asked.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use vault_client::json::Object;
use vault_client::text;
use zeroize::Zeroizing;

use crate::claims::Claims;
use crate::config::{Config, Tenant, TenantOf};
use crate::ended::{CONFIGURATION, DENIED, Ended, MISSING};
use crate::jwt::{Caller, NoTenant};
use crate::path::SecretPath;
use crate::route::{self, Asked};
use crate::rules::{Decision, Question, Target};

/// Reads configuration and claims, prints the decision, and ends with 77 where it is a denial.
pub fn run(config: &Path, claims: &Path, method: &str, target: &str) -> Result<(), Ended> {
    let config = Config::read(config)?;
    let claims = self::claims(claims)?;
    let Explanation { report, is_allowed } = match config.issuers.iter().find(|it| it.url == claims.issuer()) {
        Some(issuer) => explain(&config, &Caller::new(Arc::clone(issuer), claims), method, target),
        None => of_nobody(&config, &claims),
    };
    print!("{report}");
    if is_allowed { Ok(()) } else { Err(Ended { code: DENIED, lines: Vec::new() }) }
}

/// The claims in `file`.
fn claims(file: &Path) -> Result<Claims, Ended> {
    let ended = |code, why: &str| Ended { code, lines: vec![format!("{}: {why}", text::os(file))] };
    let bytes = fs::read(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ended(MISSING, "the file is missing; give a file with claims as JSON"),
        kind => ended(CONFIGURATION, &format!("the file cannot be read: {kind}; give a file with claims as JSON")),
    })?;
    let bytes = Zeroizing::new(bytes);
    if is_token(&bytes) {
        return Err(ended(CONFIGURATION, TOKEN));
    }
    let no_claims = || ended(CONFIGURATION, "no JSON object with distinct names; give the claims of a token");
    Object::parse(&bytes).map_err(|_| no_claims())?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(claims)) => Ok(Claims::new(claims)),
        _ => Err(no_claims()),
    }
}

const TOKEN: &str = "a token, not its claims; write its claims into another file: jq -R \
    'split(\".\")[1] | gsub(\"-\"; \"+\") | gsub(\"_\"; \"/\") | @base64d | fromjson' TOKEN > CLAIMS";

/// Whether it looks like a signed token: three parts of base64url, with `Bearer` before them or not.
/// [RFC 7515](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)
fn is_token(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    let text = text.strip_prefix(b"Bearer ").unwrap_or(text);
    let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut parts = text.split(|byte| *byte == b'.');
    parts.clone().count() == 3 && parts.all(|part| !part.is_empty() && part.iter().all(is_base64url))
}

/// What is said of claims that are of no issuer.
fn of_nobody(config: &Config, claims: &Claims) -> Explanation {
    let iss = match claims.issuer() {
        "" => "iss is missing, empty or no text".to_owned(),
        iss => {
            format!("iss is {}, which is no issuer of the configuration", text::quoted(&text::without_credentials(iss)))
        }
    };
    let known: Vec<_> = config.issuers.iter().map(|issuer| text::quoted(&issuer.url)).collect();
    let report = format!(
        "issuer: none: {iss}; write one of {}, byte for byte, or add [[issuer]]\ndecision: denied\n",
        known.join(", ")
    );
    Explanation { report, is_allowed: false }
}

/// What is decided, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Lines for a person. No value of a claim is in them, but the tenant's.
    pub report: String,
    /// Whether the service would go on to Vault.
    pub is_allowed: bool,
}

/// What the service would decide on a request of `caller`.
pub fn explain(config: &Config, caller: &Caller, method: &str, target: &str) -> Explanation {
    let mut report = String::new();
    let is_allowed = decide(config, caller, (method, target), &mut report).is_ok();
    let _ = writeln!(report, "decision: {}", if is_allowed { "allowed" } else { "denied" });
    Explanation { report, is_allowed }
}

/// It was refused, and the report says why.
struct Refused;

fn decide(config: &Config, caller: &Caller, asked: (&str, &str), report: &mut String) -> Result<(), Refused> {
    let tenant = tenant(config, caller, report)?;
    let asked = match parse(asked) {
        Ok(asked) => asked,
        Err(problem) => {
            let _ = writeln!(report, "refused: {} {}: {}", problem.status, problem.kind.word(), problem.detail);
            return Err(Refused);
        }
    };
    if let Some(path) = &asked.path {
        let _ = writeln!(report, "upstream: {}", upstream(tenant, path));
    }
    for action in asked.actions() {
        let target = match (&asked.path, asked.route) {
            (_, route::Route::Renew) => Target::Nothing,
            (None, _) => Target::Root,
            (Some(path), _) => Target::Path(path),
        };
        let question = Question { claims: &caller.claims, tenant: &tenant.name, target, action: *action };
        let decision = config.rules.decide(&question);
        let _ = writeln!(report, "{}: {}", action.word(), sentence(&decision));
        for explained in config.rules.explain(&question) {
            let _ = writeln!(report, "  {explained}");
        }
        if let Decision::Denied(_) = decision {
            return Err(Refused);
        }
    }
    Ok(())
}

fn tenant<'a>(config: &'a Config, caller: &Caller, report: &mut String) -> Result<&'a Tenant, Refused> {
    let found = caller.tenant().map(|name| config.tenants.iter().find(|tenant| tenant.name == name));
    let why = match found {
        Ok(Some(tenant)) => {
            let _ = writeln!(report, "tenant: {}", tenant.name);
            return Ok(tenant);
        }
        Ok(None) => no_such_tenant(config, caller),
        Err(why) => no_tenant(config, caller, why),
    };
    let _ = writeln!(report, "tenant: none: {why}");
    Err(Refused)
}

/// Why claims name no tenant that their issuer may speak for, and what to do.
fn no_tenant(config: &Config, caller: &Caller, why: NoTenant) -> String {
    let (claim, place) = (claim(caller), format!("[[issuer]] {}", text::quoted(&caller.issuer.url)));
    let tenants = speaks_for(config, caller);
    match why {
        NoTenant::Missing => format!(
            "the claim {claim} is missing; the issuer must write one of {tenants} there, or name another claim in tenant of \
             {place}"
        ),
        NoTenant::NotText => format!("the claim {claim} is no text; the issuer must write one of {tenants} there"),
        NoTenant::NotOfIssuer => format!(
            "{} is no tenant that the issuer may speak for; write one of {tenants} into {claim}, or add it to tenants of \
             {place}",
            named(caller)
        ),
    }
}

fn no_such_tenant(config: &Config, caller: &Caller) -> String {
    format!(
        "{} in {} is not configured; write one of {} there, or add [[tenant]]",
        named(caller),
        claim(caller),
        speaks_for(config, caller)
    )
}

/// Where a token says its tenant.
fn claim(caller: &Caller) -> &str {
    match &caller.issuer.tenant {
        TenantOf::Claim(claim) => claim,
        TenantOf::Fixed(_) => "tenant",
    }
}

/// The tenant that the token names.
fn named(caller: &Caller) -> String {
    let name = match &caller.issuer.tenant {
        TenantOf::Claim(claim) => caller.claims.get(claim).and_then(Value::as_str).unwrap_or_default(),
        TenantOf::Fixed(name) => name,
    };
    text::quoted(&text::without_credentials(name))
}

/// The tenants that the issuer may speak for.
fn speaks_for(config: &Config, caller: &Caller) -> String {
    let names = config.tenants.iter().map(|tenant| tenant.name.as_str());
    let may = |name: &&str| caller.issuer.tenants.as_ref().is_none_or(|tenants| tenants.contains(*name));
    names.filter(may).collect::<Vec<_>>().join(", ")
}

fn parse((method, target): (&str, &str)) -> Result<Asked, crate::problem::Problem> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let (route, rest) = route::resolve(method, path)?;
    Asked::parse(route, rest, query)
}

/// Namespace, mount and path at Vault.
fn upstream(tenant: &Tenant, path: &SecretPath) -> String {
    let parts = [tenant.mount.as_str(), tenant.prefix.as_str(), path.as_str()];
    let place = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    if tenant.namespace.is_empty() { place } else { format!("{place} in namespace {}", tenant.namespace) }
}

fn sentence(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Allowed(rule) => format!("allowed by rule {:?}", rule.name),
        Decision::Denied(Some(rule)) => format!("denied by rule {:?}", rule.name),
        Decision::Denied(None) => "denied: no rule allows it".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONFIG: &str = r#"
listen = "127.0.0.1:1"
[[issuer]]
url = "https://a.example"
audience = "x"
tenants = ["team-a", "team-b"]
[[issuer]]
url = "https://b.example"
audience = "x"
tenant = { claim = "/realm/team" }
tenants = ["team-a"]
[[tenant]]
name = "team-a"
role = "a"
[[tenant]]
name = "team-b"
role = "b"
mount = "b"
"#;

    /// The first line of what is said on a list of these claims.
    fn said(claims: &Value) -> String {
        let config = Config::parse_with(CONFIG, Path::new(""), &|_| None).map_err(|it| it.to_string()).ok().unwrap();
        let Value::Object(claims) = claims else { panic!("{claims}") };
        let claims = Claims::new(claims.clone());
        let explanation = match config.issuers.iter().find(|it| it.url == claims.issuer()) {
            Some(issuer) => explain(&config, &Caller::new(Arc::clone(issuer), claims), "GET", "/vault/list"),
            None => of_nobody(&config, &claims),
        };
        assert!(!explanation.is_allowed && explanation.report.ends_with("decision: denied\n"), "{explanation:?}");
        explanation.report.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn who_is_refused_before_the_rules_is_told_what_was_looked_for_and_what_there_is() {
        let (a, b) = ("https://a.example", "https://b.example");
        let issuers = r#"write one of "https://a.example", "https://b.example", byte for byte, or add [[issuer]]"#;
        for (claims, line) in [
            (json!({"iss": a, "tenant": "team-b"}), "tenant: team-b".to_owned()),
            (
                json!({"iss": a}),
                "tenant: none: the claim tenant is missing; the issuer must write one of team-a, team-b there, or name \
                 another claim in tenant of [[issuer]] \"https://a.example\""
                    .to_owned(),
            ),
            (
                json!({"iss": b, "realm": {"team": 5}}),
                "tenant: none: the claim /realm/team is no text; the issuer must write one of team-a there".to_owned(),
            ),
            (
                json!({"iss": b, "realm": {"team": "team-b"}}),
                "tenant: none: \"team-b\" is no tenant that the issuer may speak for; write one of team-a into \
                 /realm/team, or add it to tenants of [[issuer]] \"https://b.example\""
                    .to_owned(),
            ),
            (
                json!({"iss": "https://c.example"}),
                format!("issuer: none: iss is \"https://c.example\", which is no issuer of the configuration; {issuers}"),
            ),
            (json!({"iss": [a]}), format!("issuer: none: iss is missing, empty or no text; {issuers}")),
        ] {
            assert_eq!(said(&claims), line, "{claims}");
        }
    }

    #[test]
    fn a_file_that_holds_no_claims_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("claims.json");
        let token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.TOP-SECRET_";
        for (text, code, part) in [
            ("{\"iss\": \"a\"}".to_owned(), None, ""),
            (
                format!("{token}\n"),
                Some(CONFIGURATION),
                "a token, not its claims; write its claims into another file: jq ",
            ),
            (format!("Bearer {token}"), Some(CONFIGURATION), "a token, not its claims"),
            ("[]".to_owned(), Some(CONFIGURATION), "no JSON object"),
            ("{\"a\": 1, \"a\": 2}".to_owned(), Some(CONFIGURATION), "no JSON object with distinct names"),
            ("a.b".to_owned(), Some(CONFIGURATION), "no JSON object"),
        ] {
            fs::write(&file, &text).unwrap();
            let ended = claims(&file).err();
            let line = ended.as_ref().map(|ended| ended.lines.join("\n")).unwrap_or_default();
            assert_eq!(ended.map(|ended| ended.code), code, "{text}");
            assert!(line.contains(part) && !line.contains("SECRET") && !line.contains('\n'), "{line}");
        }
        assert_eq!(claims(&folder.path().join("nope")).err().map(|ended| ended.code), Some(MISSING));
        assert_eq!(claims(folder.path()).err().map(|ended| ended.code), Some(CONFIGURATION));
    }
}
