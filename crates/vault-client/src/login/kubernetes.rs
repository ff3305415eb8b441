//! The login with a pod's service-account JWT, and what a refused JWT says of itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::given::{NoCredential, Unusable, read_file};
use super::{Inspected, Login};
use crate::endpoint::Endpoint;
use crate::error::{ErrorKind, Fault, Retry, VaultError};
use crate::http::Request;
use crate::http::path::encode;
use crate::json::Object;
use crate::judge;
use crate::session::Session;
use crate::step::Step;
use crate::text::{self, escaped};
use crate::time::{Call, Seconds, since_boot};

/// How much longer a login may take when a signal arrives: an answer that is nearly here holds a token to revoke.
const GRACE: Duration = Duration::from_millis(150);

/// A login with the service-account JWT of a pod.
/// [`POST auth/{mount}/login`](https://openbao.org/api-docs/auth/kubernetes/#login)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// Mount of the auth method.
    pub mount: String,
    /// Role to log in with.
    pub role: String,
    /// The JWT file, read anew at each try, because the kubelet rotates it.
    pub jwt: PathBuf,
    /// Whether the login's token is revoked at the end.
    pub revoke: bool,
}

impl Login for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn step(&self) -> Step {
        Step::Login { mount: self.mount.clone(), role: self.role.clone() }
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.jwt)
    }

    fn look(&self) -> Result<Inspected, Fault> {
        inspect(self)
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        let step = self.step();
        let path = format!("auth/{}/login", encode(&self.mount));
        let mut waited_for = Some(endpoint.await_credential(|| read_jwt(self))?);
        endpoint.step(&step, |call| {
            let jwt = match waited_for.take().map_or_else(|| read_jwt(self), Ok) {
                Ok(jwt) => jwt,
                Err(none) => return Ok(Err(VaultError::of_credential(none))),
            };
            self.send(endpoint, &step, (&path, &jwt), call).map(Ok)
        })?
    }
}

impl Kubernetes {
    /// One login with `jwt` at `path`.
    fn send(&self, endpoint: &Endpoint, step: &Step, (path, jwt): (&str, &str), call: &Call) -> Result<Session, Fault> {
        endpoint.scrubber().learn(jwt);
        let body = login_body(&self.role, jwt);
        let request = Request::post(path, &body);
        let call = Call { grace: GRACE, ..call.clone() };
        let sent = since_boot();
        let answer = endpoint.ask(step, &request, &call).map_err(|fault| explained(fault, jwt))?;
        let session = answer
            .document()
            .inspect_err(|_| drop(Session::salvage(endpoint, &answer.body, self.revoke)))
            .and_then(|object| Session::from_login(endpoint, &object, (&answer.index, sent), self.revoke));
        match session {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(without_token(step)),
            Err(fault) => Err(judge::of_body(&endpoint.asked(step, &request), &answer, &fault)),
        }
    }
}

/// What the JWT claims, for a dry run.
fn inspect(method: &Kubernetes) -> Result<Inspected, Fault> {
    let jwt = read_jwt(method)?;
    let path = text::os(&method.jwt);
    let said = format!("JWT file {path}: {}", Claims::said(&jwt, false));
    let claims = Claims::of(&jwt);
    let seconds = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
    Ok(Inspected {
        said,
        path: Some(path),
        expires_in: claims.as_ref().filter(|it| it.exp > 0).map(|it| seconds(it.exp) - seconds(now().as_secs())),
        subject: claims.as_ref().map(|claims| claims.subject.clone()),
        audience: claims.map(|claims| claims.audience),
    })
}

fn read_jwt(method: &Kubernetes) -> Result<Zeroizing<String>, Fault> {
    let misplaced = "it looks like a JWT itself: VAULT_K8S_TOKEN_PATH takes the path of its file";
    let refused = |why| {
        let remedy = match why {
            Unusable::Forbidden => "set fsGroup, or run as the user that the token is projected for",
            Unusable::NoJwt => "correct VAULT_K8S_TOKEN_PATH",
            _ => "check automountServiceAccountToken and the projected volume, or correct VAULT_K8S_TOKEN_PATH",
        };
        NoCredential::new("JWT file", &method.jwt, why, [remedy, misplaced]).fault()
    };
    let jwt = Zeroizing::new(read_file(&method.jwt).map_err(refused)?);
    if jwt.split('.').count() == 3 { Ok(jwt) } else { Err(refused(Unusable::NoJwt)) }
}

/// Neither text can hold what JSON would have to escape: the JWT is visible ASCII of three parts, the role is checked.
fn login_body(role: &str, jwt: &str) -> Zeroizing<Vec<u8>> {
    let quote = |text: &str| Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
    let (role, jwt) = (quote(role), quote(jwt));
    Zeroizing::new([b"{\"role\":", role.as_bytes(), b",\"jwt\":", jwt.as_bytes(), b"}"].concat())
}

fn without_token(step: &Step) -> Fault {
    Fault {
        kind: ErrorKind::Denied,
        cause: format!("{} was answered without a token, as one that needs MFA is", step.subject()),
        remedy: "take MFA off the role: a start-up has nobody to answer it".into(),
        retry: Retry::Never,
        status: Some(200),
        tls: None,
    }
}

/// Adds to a refused login what the JWT claims. Claims are no secret, the signature is.
fn explained(mut fault: Fault, jwt: &str) -> Fault {
    if matches!(fault.kind, ErrorKind::Denied | ErrorKind::Rejected) {
        let young = judge::is_too_early(&fault);
        fault.remedy = format!("{}; the JWT: {}", fault.remedy, Claims::said(jwt, young));
    }
    if fault.retry == Retry::Again {
        let claims = Claims::of(jwt);
        if !claims.as_ref().is_some_and(|claims| claims.are_plausible(now())) {
            fault.retry = Retry::Never;
        }
        // The likely cause comes first where the server gives none.
        if claims.is_some_and(|claims| claims.are_expired(now())) {
            fault.remedy = format!("the JWT has expired: let the kubelet write a new one; else {}", fault.remedy);
        }
    }
    fault
}

/// The time since the epoch.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What a JWT says of itself, unverified. Times are seconds since the epoch, 0 is none.
/// [RFC 7519, 4.1](https://www.rfc-editor.org/rfc/rfc7519#section-4.1)
struct Claims {
    audience: Vec<String>,
    subject: String,
    exp: u64,
    nbf: u64,
    iat: u64,
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

    /// The claims of `jwt` in words; how old it is where that may be at fault, as it is for one that is too `young`.
    fn said(jwt: &str, young: bool) -> String {
        Self::of(jwt).map_or_else(|| "its claims cannot be read".into(), |claims| claims.tell(now(), young))
    }

    fn tell(&self, now: Duration, young: bool) -> String {
        let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        let now = now.as_secs();
        let expiry = match self.exp {
            0 => "never expires".into(),
            at if at > now => format!("expires in {}", whole(at - now)),
            at => format!("expired {} ago by the clock here", whole(now - at)),
        };
        let age = |at: u64, what: &str| match at {
            0 => None,
            at if at > now => Some(format!("{what} only in {}", whole(at - now))),
            at if young => Some(format!("{what} since {}", whole(now - at))),
            _ => None,
        };
        let ages: Vec<_> =
            [age(self.nbf, "valid (nbf)"), age(self.iat, "issued (iat)")].into_iter().flatten().collect();
        let ages = if ages.is_empty() { String::new() } else { format!("{} by the clock here, ", ages.join(", ")) };
        format!("audience {}, subject {}, {ages}{expiry}", or_none(&self.audience.join(", ")), or_none(&self.subject))
    }

    fn are_expired(&self, now: Duration) -> bool {
        self.exp != 0 && self.exp <= now.as_secs()
    }

    /// Whether it can be the JWT of a service account that a server in its right mind takes at this time.
    fn are_plausible(&self, now: Duration) -> bool {
        self.subject.starts_with("system:serviceaccount:") && !self.are_expired(now)
    }
}

fn whole(seconds: u64) -> Seconds {
    Seconds(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_told_with_the_expiry_against_the_clock_here() {
        let say = |payload: &str, young: bool| {
            let claims = Claims::of(&format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(payload)));
            claims.map(|claims| claims.tell(Duration::from_secs(1000), young))
        };
        for (payload, young, said) in [
            (
                r#"{"aud":["vault","x"],"sub":"system:serviceaccount:ns:sa","exp":1090,"nbf":990,"iat":990}"#,
                false,
                Some("audience vault, x, subject system:serviceaccount:ns:sa, expires in 1m30s"),
            ),
            (
                r#"{"aud":"vault","exp":940}"#,
                false,
                Some("audience vault, subject none, expired 1m ago by the clock here"),
            ),
            ("{}", true, Some("audience none, subject none, never expires")),
            (
                r#"{"exp":4000,"nbf":1300,"iat":1005}"#,
                false,
                Some(
                    "audience none, subject none, valid (nbf) only in 5m, issued (iat) only in 5s by the clock here, \
                     expires in 50m",
                ),
            ),
            (
                r#"{"exp":4000,"nbf":997,"iat":997}"#,
                true,
                Some(
                    "audience none, subject none, valid (nbf) since 3s, issued (iat) since 3s by the clock here, \
                     expires in 50m",
                ),
            ),
            ("[]", false, None),
        ] {
            assert_eq!(say(payload, young).as_deref(), said);
        }
        assert!(Claims::of("h.!.s").is_none());
    }

    #[test]
    fn a_jwt_is_plausible_that_a_pod_has_and_that_has_not_expired() {
        let account = "system:serviceaccount:ns:sa";
        for (sub, exp, plausible) in
            [(account, 1001, true), (account, 0, true), (account, 1000, false), ("somebody", 1001, false)]
        {
            let claims = Claims { audience: Vec::new(), subject: sub.into(), exp, nbf: 0, iat: 0 };
            assert_eq!(claims.are_plausible(Duration::from_secs(1000)), plausible, "{sub} {exp}");
        }
    }
}
