//! What a JWT says of itself.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::json::Object;
use crate::text::escaped;
use crate::time::Seconds;

/// A JWT, without what makes it a credential. Its text is what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtClaims {
    /// What it claims, unverified; `None` where that cannot be read.
    pub claims: Option<Claims>,
    /// The time here since the epoch, when it was looked at.
    pub now: Duration,
    /// Whether it is too young for the server's clock.
    pub young: bool,
}

/// What a JWT says of itself, unverified. Times are seconds since the epoch, 0 is none.
/// [RFC 7519, 4.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is for.
    pub audience: Vec<String>,
    /// Whom it speaks of.
    pub subject: String,
    /// When it expires.
    pub exp: u64,
    /// When it begins.
    pub nbf: u64,
    /// When it was issued.
    pub iat: u64,
}

impl JwtClaims {
    /// Reads what `jwt` claims.
    pub(crate) fn of(jwt: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { claims: Claims::of(jwt), now, young: false }
    }

    /// Whether it has expired by the clock here.
    pub fn is_expired(&self) -> bool {
        self.claims.as_ref().is_some_and(|claims| claims.exp != 0 && claims.exp <= self.now.as_secs())
    }

    /// In how many seconds it expires by the clock here, below zero once it has; `None` where it never does.
    pub fn expires_in(&self) -> Option<i64> {
        let seconds = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
        let claims = self.claims.as_ref().filter(|claims| claims.exp > 0);
        claims.map(|claims| seconds(claims.exp) - seconds(self.now.as_secs()))
    }

    /// Whether it can be the JWT of a service account that a server in its right mind takes at this time.
    pub(crate) fn is_plausible(&self) -> bool {
        let of_pod = self.claims.as_ref().is_some_and(|it| it.subject.starts_with("system:serviceaccount:"));
        of_pod && !self.is_expired()
    }
}

/// How old it is stands there only where that may be at fault, as it is for one that is too young.
impl fmt::Display for JwtClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Claims { audience, subject, exp, nbf, iat }) = &self.claims else {
            return f.write_str("its claims cannot be read");
        };
        let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        let now = self.now.as_secs();
        let expiry = match *exp {
            0 => "never expires".into(),
            at if at > now => format!("expires in {}", whole(at - now)),
            at => format!("expired {} ago by the clock here", whole(now - at)),
        };
        let age = |at: u64, what: &str| match at {
            0 => None,
            at if at > now => Some(format!("{what} only in {}", whole(at - now))),
            at if self.young => Some(format!("{what} since {}", whole(now - at))),
            _ => None,
        };
        let ages: Vec<_> = [age(*nbf, "valid (nbf)"), age(*iat, "issued (iat)")].into_iter().flatten().collect();
        let ages = if ages.is_empty() { String::new() } else { format!("{} by the clock here, ", ages.join(", ")) };
        write!(f, "audience {}, subject {}, {ages}{expiry}", or_none(&audience.join(", ")), or_none(subject))
    }
}

impl Claims {
    fn of(jwt: &str) -> Option<Self> {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
        let claims = Object::parse(&payload).ok()?;
        let audience = match claims.get("aud").and_then(|audience| audience.string()) {
            Some(one) => vec![escaped(&one)],
            None => claims.strings("aud").iter().map(|one| escaped(one)).collect(),
        };
        let number = |key| claims.number(key).ok();
        let subject = escaped(&claims.string("sub").ok()?);
        Some(Self {
            audience,
            subject,
            exp: number("exp")?,
            nbf: number("nbf").unwrap_or(0),
            iat: number("iat").unwrap_or(0),
        })
    }
}

fn whole(seconds: u64) -> Seconds {
    Seconds(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn claims_are_told_with_the_expiry_against_the_clock_here() {
        let unreadable = "its claims cannot be read";
        for (payload, young, said) in [
            (
                r#"{"aud":["vault","x"],"sub":"system:serviceaccount:ns:sa","exp":1090,"nbf":990,"iat":990}"#,
                false,
                "audience vault, x, subject system:serviceaccount:ns:sa, expires in 1m30s",
            ),
            (r#"{"aud":"vault","exp":940}"#, false, "audience vault, subject none, expired 1m ago by the clock here"),
            ("{}", true, "audience none, subject none, never expires"),
            (
                r#"{"exp":4000,"nbf":1300,"iat":1005}"#,
                false,
                "audience none, subject none, valid (nbf) only in 5m, issued (iat) only in 5s by the clock here, \
                 expires in 50m",
            ),
            (
                r#"{"exp":4000,"nbf":997,"iat":997}"#,
                true,
                "audience none, subject none, valid (nbf) since 3s, issued (iat) since 3s by the clock here, \
                 expires in 50m",
            ),
            ("[]", false, unreadable),
        ] {
            let jwt = JwtClaims::of(&format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(payload)));
            assert_eq!(JwtClaims { now: NOW, young, ..jwt }.to_string(), said);
        }
        assert_eq!(JwtClaims::of("h.!.s").to_string(), unreadable);
    }

    #[test]
    fn a_jwt_is_plausible_that_a_pod_has_and_that_has_not_expired() {
        let account = "system:serviceaccount:ns:sa";
        for (sub, exp, plausible) in
            [(account, 1001, true), (account, 0, true), (account, 1000, false), ("somebody", 1001, false)]
        {
            let claims = Claims { subject: sub.into(), exp, ..Claims::default() };
            let jwt = JwtClaims { claims: Some(claims), now: NOW, young: false };
            assert_eq!(jwt.is_plausible(), plausible, "{sub} {exp}");
        }
        assert!(!JwtClaims { claims: None, now: NOW, young: false }.is_plausible());
    }
}
