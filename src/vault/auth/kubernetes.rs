//! The login with a pod's service-account JWT, and what a refused JWT says of itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{Kubernetes, token};
use crate::error::{Code, Error, Fault, Retry, Seconds};
use crate::json::Object;
use crate::text::escaped;
use crate::vault::fault::{self, Step};
use crate::vault::http::Request;
use crate::vault::token::Session;
use crate::vault::{Client, encode};

/// How much longer a login may take when a signal arrives: an answer that is nearly here holds a token to revoke.
const GRACE: Duration = Duration::from_millis(150);

impl Client {
    /// [`POST auth/{mount}/login`](https://openbao.org/api-docs/auth/kubernetes/#login)
    pub(super) fn login_kubernetes(&self, method: &Kubernetes) -> Result<Session<'_>, Error> {
        let Kubernetes { mount, role, .. } = method;
        let step = Step::Login { mount, role };
        let path = format!("auth/{}/login", encode(mount));
        self.step(step, || {
            let jwt = match read_jwt(method) {
                Ok(jwt) => jwt,
                Err(error) => return Ok(Err(error)),
            };
            self.scrubber.learn(&jwt);
            let body = login_body(role, &jwt);
            let request = Request { body: Some(&body), grace: GRACE, ..Request::get(&path) };
            let answer = self.ask(step, &request).map_err(|fault| explained(fault, &jwt))?;
            let session = answer
                .document()
                .inspect_err(|_| drop(Session::salvage(self, &answer.body, method.revoke)))
                .and_then(|object| Session::from_login(self, &object, method.revoke));
            match session {
                Ok(Some(session)) => Ok(Ok(session)),
                Ok(None) => Err(without_token(step)),
                Err(fault) => Err(fault::of_body(&answer, &fault, &self.scrubber)),
            }
        })?
    }
}

impl Kubernetes {
    /// What the JWT claims, for a dry run.
    pub(super) fn inspect(&self) -> Result<String, Error> {
        let jwt = read_jwt(self)?;
        let path = escaped(&self.jwt.to_string_lossy());
        Ok(format!("JWT file {path}: {}", said(&jwt)))
    }
}

fn read_jwt(method: &Kubernetes) -> Result<Zeroizing<String>, Error> {
    let refused = |cause, remedy| token::credential("JWT file", &method.jwt, cause, remedy);
    let jwt = Zeroizing::new(token::read_file(&method.jwt).map_err(|cause| {
        let remedy = match cause.as_str() {
            "no permission to read it" => "set fsGroup, or run as the user that the token is projected for",
            _ => "check automountServiceAccountToken and the projected volume, or correct VAULT_K8S_TOKEN_PATH",
        };
        refused(cause, remedy)
    })?);
    if jwt.split('.').count() == 3 { Ok(jwt) } else { Err(refused("not a JWT".into(), "correct VAULT_K8S_TOKEN_PATH")) }
}

/// Neither text can hold what JSON would have to escape: the JWT is visible ASCII of three parts, the role is checked.
fn login_body(role: &str, jwt: &str) -> Zeroizing<Vec<u8>> {
    let quote = |text: &str| Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
    let (role, jwt) = (quote(role), quote(jwt));
    Zeroizing::new([b"{\"role\":", role.as_bytes(), b",\"jwt\":", jwt.as_bytes(), b"}"].concat())
}

fn without_token(step: Step) -> Fault {
    Fault {
        code: Code::Denied,
        cause: format!("{} was answered without a token, as one that needs MFA is", step.subject()),
        remedy: "take MFA off the role: a start-up has nobody to answer it".into(),
        retry: Retry::Never,
        status: Some(200),
    }
}

/// Adds to a refused login what the JWT claims. Claims are no secret, the signature is.
fn explained(mut fault: Fault, jwt: &str) -> Fault {
    if matches!(fault.code, Code::Denied | Code::Config) {
        fault.remedy = format!("{}; the JWT: {}", fault.remedy, said(jwt));
    }
    fault
}

fn said(jwt: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    claims(jwt, now).unwrap_or_else(|| "its claims cannot be read".into())
}

fn claims(jwt: &str, now: Duration) -> Option<String> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    let claims = Object::parse(&payload).ok()?;
    let audience = match claims.get("aud").and_then(|audience| audience.string()) {
        Some(one) => escaped(&one),
        None => claims.strings("aud").iter().map(|one| escaped(one)).collect::<Vec<_>>().join(", "),
    };
    let subject = escaped(&claims.string("sub").ok()?);
    let expiry = match Duration::from_secs(claims.number("exp").ok()?) {
        Duration::ZERO => "never expires".into(),
        at if at > now => format!("expires in {}", Seconds(at.saturating_sub(now))),
        at => {
            format!("expired {} ago by the clock here", Seconds(Duration::from_secs(now.saturating_sub(at).as_secs())))
        }
    };
    let or_none = |text: String| if text.is_empty() { "none".into() } else { text };
    Some(format!("audience {}, subject {}, {expiry}", or_none(audience), or_none(subject)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_told_with_the_expiry_against_the_clock_here() {
        let say = |payload: &str| {
            claims(&format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(payload)), Duration::from_secs(1000))
        };
        for (payload, said) in [
            (
                r#"{"aud":["vault","x"],"sub":"system:serviceaccount:ns:sa","exp":1090}"#,
                Some("audience vault, x, subject system:serviceaccount:ns:sa, expires in 1m30s"),
            ),
            (r#"{"aud":"vault","exp":940}"#, Some("audience vault, subject none, expired 1m ago by the clock here")),
            ("{}", Some("audience none, subject none, never expires")),
            ("[]", None),
        ] {
            assert_eq!(say(payload).as_deref(), said);
        }
        assert_eq!(claims("h.!.s", Duration::ZERO), None);
    }
}
