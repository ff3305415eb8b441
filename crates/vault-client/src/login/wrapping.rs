//! What is handed in inside a wrapping token: it is looked up, judged, and taken out once.
//! [Response wrapping](https://openbao.org/docs/concepts/response-wrapping/)

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::json;
use zeroize::Zeroizing;

use super::request::GRACE;
use super::{Credential, Inspected};
use crate::endpoint::Endpoint;
use crate::error::{Effort, VaultError};
use crate::fault::{Fault, Retry, Wanted, What};
use crate::http::{Answer, Request};
use crate::json::{Malformed, Object};
use crate::secret::Secret;
use crate::step::Step;
use crate::text;
use crate::time::{Call, Seconds};

/// What was taken out of a wrapping token, which is good for one time.
#[derive(Default)]
pub(super) struct Wrapping(Mutex<Option<Taken>>);

struct Taken {
    /// The wrapping token.
    from: Arc<Secret>,
    what: Arc<Secret>,
}

/// What a look-up says of a wrapping token. It costs the token nothing.
struct LookedUp {
    /// The path of the request whose answer is in it.
    creation_path: String,
    /// When it was made, RFC 3339.
    created: Option<String>,
    /// In how many seconds it expires by the clock here.
    expires_in: Option<i64>,
}

impl Wrapping {
    /// What was taken out before.
    pub(super) fn unwrapped(&self) -> Option<Arc<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|taken| Arc::clone(&taken.what))
    }

    /// What is in the wrapping token `token`.
    pub(super) fn unwrap(
        &self,
        token: &Arc<Secret>,
        wanted: Wanted,
        endpoint: &Endpoint,
    ) -> Result<Arc<Secret>, VaultError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = kept.as_ref().filter(|taken| taken.from.expose() == token.expose()) {
            return Ok(Arc::clone(&taken.what));
        }
        let read = |answer: &Answer, request: &Request| {
            let read = || {
                let data = answer.document()?.object(&["data"])?;
                let member = if wanted == Wanted::SecretId { "secret_id" } else { "token" };
                let text = data.string(member)?;
                // An absent one would log in without it.
                let absent = || Malformed::Shape { member: member.into(), expected: "a string" };
                Some(text).filter(|text| !text.is_empty()).ok_or_else(absent)
            };
            read().map_err(|fault: Malformed| endpoint.judge_body(&Step::Unwrap, request, answer, &fault))
        };
        let what = Arc::new(Secret::from(open(token, wanted, endpoint, read)?));
        endpoint.scrubber().learn(what.expose());
        *kept = Some(Taken { from: Arc::clone(token), what: Arc::clone(&what) });
        Ok(what)
    }
}

/// Unwraps `token` if it holds what is `wanted`, and gives what `read` makes of the answer. The request is not sent again
/// once a part of it was sent: it may have been done.
/// [`POST sys/wrapping/unwrap`](https://openbao.org/api-docs/system/wrapping-unwrap/)
pub(super) fn open<T>(
    token: &Secret,
    wanted: Wanted,
    endpoint: &Endpoint,
    read: impl Fn(&Answer, &Request) -> Result<T, Fault>,
) -> Result<T, VaultError> {
    judged(token, wanted, endpoint)?;
    let step = Step::Unwrap;
    let request = Request { token: Some(token), ..Request::post("sys/wrapping/unwrap", b"{}") };
    endpoint.step(&step, |call| {
        let answer = endpoint.ask(&step, &request, &Call { grace: GRACE, ..call.clone() }).map_err(|fault| {
            let was_answered = fault.status.is_some();
            if was_answered { Fault { retry: Retry::Never, ..fault } } else { fault }
        })?;
        read(&answer, &request).map_err(|fault| Fault { retry: Retry::Never, ..fault })
    })
}

/// Looks `token` up and refuses one that holds something else.
fn judged(token: &Secret, wanted: Wanted, endpoint: &Endpoint) -> Result<LookedUp, VaultError> {
    endpoint.scrubber().learn_token(token.expose());
    let found = look_up(token, endpoint)?;
    if holds(wanted, &found.creation_path) {
        return Ok(found);
    }
    let path = endpoint.scrubber().clean(&[&found.creation_path]);
    let fault = What::OtherWrapping { wanted, path }.into();
    Err(VaultError::new(endpoint.at(), Step::Wrapping, fault, Effort::default()))
}

/// Looks a wrapping token up, which spends nothing.
/// [`POST sys/wrapping/lookup`](https://openbao.org/api-docs/system/wrapping-lookup/)
fn look_up(token: &Secret, endpoint: &Endpoint) -> Result<LookedUp, VaultError> {
    let step = Step::Wrapping;
    let body = Zeroizing::new(json!({"token": token.expose()}).to_string());
    let request = Request::post("sys/wrapping/lookup", body.as_bytes());
    endpoint.step(&step, |call| {
        let answer = endpoint.ask(&step, &request, call)?;
        let broken = |fault: Malformed| endpoint.judge_body(&step, &request, &answer, &fault);
        answer.document().and_then(|said| LookedUp::of(&said.object(&["data"])?)).map_err(broken)
    })
}

impl LookedUp {
    fn of(data: &Object) -> Result<Self, Malformed> {
        let creation_path = data.string("creation_path")?.to_string();
        let ttl = data.number("creation_ttl").unwrap_or(0);
        let created = data.string("creation_time").unwrap_or_default();
        let made = humantime::parse_rfc3339(&created).ok();
        // More seconds than fit into 136 years are as good as so many.
        let length = std::time::Duration::from_secs(ttl.min(u32::MAX.into()));
        let left =
            made.and_then(|made| made.checked_add(length)).map(|ends| match ends.duration_since(SystemTime::now()) {
                Ok(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                Err(past) => -i64::try_from(past.duration().as_secs()).unwrap_or(i64::MAX),
            });
        Ok(Self { creation_path, created: text::time(&created).map(str::to_owned), expires_in: left })
    }
}

/// What a dry run tells of a wrapping token: what a look-up says of it.
pub(super) fn inspect(credential: &Credential, wanted: Wanted, endpoint: &Endpoint) -> Result<Inspected, VaultError> {
    let (seen, token) = endpoint.await_credential(|| credential.look(wanted))?;
    let LookedUp { creation_path, created, expires_in } = judged(&token, wanted, endpoint)?;
    let path = endpoint.scrubber().clean(&[creation_path]);
    let made = created.map(|at| format!(" at {at}")).unwrap_or_default();
    let left = match expires_in {
        Some(left @ 0..) => {
            let left = std::time::Duration::from_secs(left.unsigned_abs());
            format!(", expires in {}", Seconds(left))
        }
        _ => String::new(),
    };
    let said = format!("{}: {} in it, made by {path}{made}{left}; not unwrapped", seen.said, wanted.words());
    Ok(Inspected { said, expires_in, ..seen })
}

/// Whether the answer to a request of `creation_path` is what is `wanted`: nobody can give a token that was made for
/// something else out as one of ours.
fn holds(wanted: Wanted, creation_path: &str) -> bool {
    let segments: Vec<_> = creation_path.split('/').collect();
    match (wanted, &segments[..]) {
        (Wanted::Token, ["auth", "token", verb, ..]) => matches!(*verb, "create" | "create-orphan"),
        // Some methods name the user behind it.
        (Wanted::SecretId, ["auth", mount @ .., "role", _, "secret-id"])
        | (Wanted::Token, ["auth", mount @ .., "login"] | ["auth", mount @ .., "login", _]) => !mount.is_empty(),
        (Wanted::Jwt, ["identity", "oidc", "token", _]) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_may_say_any_time_and_any_length() {
        for (created, ttl, is_known) in [
            ("2026-01-01T00:00:00Z", "300", true),
            ("2026-01-01T00:00:00Z", "18446744073709551615", true),
            ("9999-12-31T23:59:59Z", "9223372036854775807", true),
            ("0001-01-01T00:00:00Z", "0", false),
            ("soon", "1", false),
        ] {
            let data = format!(r#"{{"creation_path":"p","creation_time":"{created}","creation_ttl":{ttl}}}"#);
            let found = LookedUp::of(&Object::parse(data.as_bytes()).unwrap()).unwrap();
            assert_eq!(found.expires_in.is_some(), is_known, "{created} {ttl}");
        }
    }

    #[test]
    fn a_wrapping_token_is_judged_by_the_path_that_made_it() {
        for (path, wanted) in [
            ("auth/approle/role/shop/secret-id", Some(Wanted::SecretId)),
            ("auth/team/a/approle/role/shop/secret-id", Some(Wanted::SecretId)),
            ("auth/role/shop/secret-id", None),
            ("auth/approle/role/shop/role-id", None),
            ("auth/token/create", Some(Wanted::Token)),
            ("auth/token/create-orphan", Some(Wanted::Token)),
            ("auth/token/create/shop", Some(Wanted::Token)),
            ("auth/token/lookup", None),
            ("auth/approle/login", Some(Wanted::Token)),
            ("auth/userpass/login/somebody", Some(Wanted::Token)),
            ("auth/login", None),
            ("identity/oidc/token/ci", Some(Wanted::Jwt)),
            ("identity/oidc/token", None),
            ("sys/wrapping/wrap", None),
            ("kv/data/auth/approle/login", None),
            ("", None),
        ] {
            let found = [Wanted::Token, Wanted::PodJwt, Wanted::Jwt, Wanted::SecretId];
            assert_eq!(found.into_iter().find(|it| holds(*it, path)), wanted, "{path}");
        }
    }
}
