//! The login with a pod's service-account JWT.

use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::given::{no_credential, read_file};
use super::{Inspected, Login};
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};

use crate::fault::{ErrorKind, Fault, Jwt, Retry, Unusable, Wanted, What};
use crate::http::Request;
use crate::http::path;
use crate::judge;
use crate::session::Session;
use crate::step::Step;
use crate::text::{self, shown};
use crate::time::{Call, since_boot};

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
        Step::Login { mount: shown(&self.mount), role: shown(&self.role) }
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.jwt)
    }

    fn look(&self) -> Result<Inspected, Fault> {
        inspect(self)
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        let step = self.step();
        let mount = path::checked(self.mount.trim_matches('/'))
            .map_err(|why| VaultError::new(endpoint.at(), step.clone(), What::Mount(why).into(), Effort::default()))?;
        let path = format!("auth/{mount}/login");
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
            .and_then(|object| Session::from_login(endpoint, &object, (answer.index.as_deref(), sent), self.revoke));
        match session {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(Fault { status: Some(answer.status), ..What::WithoutToken.into() }),
            Err(fault) => Err(endpoint.judge_body(step, &request, &answer, &fault)),
        }
    }
}

/// What the JWT claims, for a dry run.
fn inspect(method: &Kubernetes) -> Result<Inspected, Fault> {
    let jwt = Jwt::of(&read_jwt(method)?);
    let path = text::os(&method.jwt);
    let (said, expires_in) = (format!("JWT file {path}: {jwt}"), jwt.expires_in());
    let (subject, audience) = jwt.claims.map(|claims| (claims.subject, claims.audience)).unzip();
    Ok(Inspected { said, path: Some(path), expires_in, subject, audience })
}

fn read_jwt(method: &Kubernetes) -> Result<Zeroizing<String>, Fault> {
    let refused = |why| no_credential(Wanted::Jwt, &method.jwt, why);
    let jwt = Zeroizing::new(read_file(&method.jwt).map_err(refused)?);
    if jwt.split('.').count() == 3 { Ok(jwt) } else { Err(refused(Unusable::NoJwt)) }
}

/// Neither text can hold what JSON would have to escape: the JWT is visible ASCII of three parts, the role is checked.
fn login_body(role: &str, jwt: &str) -> Zeroizing<Vec<u8>> {
    let quote = |text: &str| Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
    let (role, jwt) = (quote(role), quote(jwt));
    Zeroizing::new([b"{\"role\":", role.as_bytes(), b",\"jwt\":", jwt.as_bytes(), b"}"].concat())
}

/// Adds to a refused login what the JWT claims. Claims are no secret, the signature is.
fn explained(mut fault: Fault, jwt: &str) -> Fault {
    let refused = matches!(fault.kind(), ErrorKind::Denied | ErrorKind::Rejected);
    if let (true, What::Answered(answered)) = (refused, &mut fault.what) {
        let jwt = Jwt { young: judge::is_too_early(answered), ..Jwt::of(jwt) };
        if fault.retry == Retry::Again && !jwt.is_plausible() {
            fault.retry = Retry::Never;
        }
        answered.jwt = Some(jwt);
    }
    fault
}
