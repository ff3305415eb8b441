//! What header and claims must say. Pure: the time is given.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Rejected;
use super::token::Header;
use crate::config::Issuer;

/// How far the clocks of issuer and gateway may be apart, in seconds.
const LEEWAY: f64 = 60.0;

/// Times from here on cannot be told apart by a second in a JSON number.
const MAX_TIME: f64 = 9_007_199_254_740_992.0;

/// The longest `sub`, in characters. [OpenID Connect Core, 2](https://openid.net/specs/openid-connect-core-1_0.html#IDToken)
const MAX_SUBJECT: usize = 255;

/// Whether tokens of `issuer` may have this header.
///
/// # Errors
///
/// [`Rejected::Type`] or [`Rejected::Algorithm`].
pub fn header(header: &Header, issuer: &Issuer) -> Result<(), Rejected> {
    let typ = match &header.typ {
        None => String::new(),
        Some(typ) => media_type(typ).ok_or(Rejected::Type)?,
    };
    if !issuer.typ.contains(&typ) {
        return Err(Rejected::Type);
    }
    if issuer.algorithms.contains(&header.alg) { Ok(()) } else { Err(Rejected::Algorithm) }
}

/// A `typ` as the list of the issuer has it. An empty one is not the same as none.
/// [RFC 7515, 4.1.9](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9)
fn media_type(typ: &str) -> Option<String> {
    let typ = typ.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    (!typ.is_empty()).then(|| typ.to_owned())
}

/// Whether a token of `issuer` with these claims holds at `now`, counted from 1970. Returns its `exp` in seconds.
///
/// # Errors
///
/// [`Rejected::Claims`], [`Rejected::Audience`], [`Rejected::Expired`] or [`Rejected::NotYet`].
pub fn claims(claims: &Map<String, Value>, issuer: &Issuer, now: Duration) -> Result<f64, Rejected> {
    subject(claims.get("sub"))?;
    audience(claims.get("aud"), &issuer.audience)?;
    times(claims, now.as_secs_f64())
}

fn subject(sub: Option<&Value>) -> Result<(), Rejected> {
    let sub = sub.and_then(Value::as_str).ok_or(Rejected::Claims)?;
    let fits = (1..=MAX_SUBJECT).contains(&sub.chars().count()) && !sub.contains(char::is_control);
    if fits { Ok(()) } else { Err(Rejected::Claims) }
}

/// A string, or an array of nothing but strings.
fn audience(aud: Option<&Value>, ours: &[String]) -> Result<(), Rejected> {
    let is_ours = |name: &str| ours.iter().any(|our| our == name);
    let found = match aud {
        Some(Value::String(name)) => is_ours(name),
        Some(Value::Array(names)) => {
            names.iter().all(Value::is_string) && names.iter().filter_map(Value::as_str).any(is_ours)
        }
        _ => false,
    };
    if found { Ok(()) } else { Err(Rejected::Audience) }
}

/// [RFC 7519, 4.1.4](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4) and the two sections after it.
fn times(claims: &Map<String, Value>, now: f64) -> Result<f64, Rejected> {
    let exp = time(claims, "exp")?.ok_or(Rejected::Claims)?;
    let begins = [time(claims, "nbf")?, time(claims, "iat")?];
    if now >= exp + LEEWAY {
        return Err(Rejected::Expired);
    }
    if begins.into_iter().flatten().any(|begin| begin > now + LEEWAY) {
        return Err(Rejected::NotYet);
    }
    Ok(exp)
}

/// Seconds from 1970, fractions allowed. A string is none.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Rejected> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..MAX_TIME).contains(seconds));
    seconds.map(Some).ok_or(Rejected::Claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jwt::tests::forge;

    const NOW: u64 = 1_000_000;

    fn outcome(changes: &Value) -> Result<f64, Rejected> {
        let Value::Object(mut members) = json!({"sub": "ci", "aud": "vault-gateway", "exp": NOW + 300}) else {
            unreachable!()
        };
        for (name, value) in changes.as_object().unwrap() {
            members.insert(name.clone(), value.clone());
        }
        // No test needs a claim that is an empty object.
        members.retain(|_, value| *value != json!({}));
        claims(&members, &forge::issuer("https://idp.example"), Duration::from_secs(NOW))
    }

    #[test]
    fn claims_hold_within_their_times_and_a_minute_of_leeway() {
        let max = 9_007_199_254_740_991_u64;
        for (changes, expected) in [
            (json!({}), Ok(1_000_300.0)),
            (json!({"exp": NOW + 300, "nbf": NOW, "iat": NOW}), Ok(1_000_300.0)),
            (json!({"exp": 999_940.5}), Ok(999_940.5)),
            (json!({"exp": NOW - 60}), Err(Rejected::Expired)),
            (json!({"exp": 0}), Err(Rejected::Expired)),
            (json!({"exp": {}}), Err(Rejected::Claims)),
            (json!({"exp": null}), Err(Rejected::Claims)),
            (json!({"exp": "1000300"}), Err(Rejected::Claims)),
            (json!({"exp": -1}), Err(Rejected::Claims)),
            (json!({"exp": -0.5}), Err(Rejected::Claims)),
            (json!({"exp": true}), Err(Rejected::Claims)),
            (json!({"exp": [NOW + 300]}), Err(Rejected::Claims)),
            (json!({"exp": max}), Ok(9_007_199_254_740_991.0)),
            (json!({"exp": max + 1}), Err(Rejected::Claims)),
            (json!({"exp": u64::MAX}), Err(Rejected::Claims)),
            (json!({"exp": 1e300}), Err(Rejected::Claims)),
            (json!({"nbf": NOW + 60}), Ok(1_000_300.0)),
            (json!({"nbf": NOW + 61}), Err(Rejected::NotYet)),
            (json!({"nbf": null}), Err(Rejected::Claims)),
            (json!({"nbf": "0"}), Err(Rejected::Claims)),
            (json!({"iat": NOW + 60}), Ok(1_000_300.0)),
            (json!({"iat": 1_000_060.5}), Err(Rejected::NotYet)),
            (json!({"iat": -1}), Err(Rejected::Claims)),
        ] {
            assert_eq!(outcome(&changes), expected, "{changes}");
        }
    }

    #[test]
    fn an_audience_is_a_string_or_a_list_of_strings_with_one_of_ours() {
        for (aud, expected) in [
            (json!("vault-gateway"), Ok(1_000_300.0)),
            (json!("other-audience"), Ok(1_000_300.0)),
            (json!(["x", "vault-gateway"]), Ok(1_000_300.0)),
            (json!(["x"]), Err(Rejected::Audience)),
            (json!([]), Err(Rejected::Audience)),
            (json!("Vault-Gateway"), Err(Rejected::Audience)),
            (json!("vault-gateway "), Err(Rejected::Audience)),
            (json!("x vault-gateway"), Err(Rejected::Audience)),
            (json!(["vault-gateway", 1]), Err(Rejected::Audience)),
            (json!([["vault-gateway"]]), Err(Rejected::Audience)),
            (json!({"vault-gateway": true}), Err(Rejected::Audience)),
            (json!(null), Err(Rejected::Audience)),
            (json!(7), Err(Rejected::Audience)),
            (json!({}), Err(Rejected::Audience)),
        ] {
            assert_eq!(outcome(&json!({"aud": aud})), expected, "{aud}");
        }
    }

    #[test]
    fn a_subject_is_a_string_of_1_to_255_characters_without_controls() {
        for (sub, expected) in [
            (json!("s"), Ok(1_000_300.0)),
            (json!("ä".repeat(255)), Ok(1_000_300.0)),
            (json!("s".repeat(256)), Err(Rejected::Claims)),
            (json!(""), Err(Rejected::Claims)),
            (json!("a\nb"), Err(Rejected::Claims)),
            (json!("a\u{0}"), Err(Rejected::Claims)),
            (json!("a\u{7f}"), Err(Rejected::Claims)),
            (json!("a\u{85}"), Err(Rejected::Claims)),
            (json!(["s"]), Err(Rejected::Claims)),
            (json!(1), Err(Rejected::Claims)),
            (json!(null), Err(Rejected::Claims)),
            (json!({}), Err(Rejected::Claims)),
        ] {
            assert_eq!(outcome(&json!({"sub": sub})), expected, "{sub}");
        }
    }
}
