//! Reading one version of a secret.

use std::fmt;

use super::{Kv, KvVersion};
use crate::endpoint::{Endpoint, learn, request_id};
use crate::error::VaultError;
use crate::fault::{self, Shape, What};
use crate::http::path::encode;
use crate::http::{Answer, Request};
use crate::json::{Malformed, Object};
use crate::login::{Inline, Insist, Login};
use crate::session::Session;
use crate::step::{Step, TokenOf};
use crate::text::{self, Scrubber};

/// Which secret to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The KV version 2 mount.
    pub mount: String,
    /// The path in it.
    pub path: String,
    /// The version, or the latest.
    pub version: Option<u64>,
}

/// A version of a secret, and what the server says of it.
pub struct Version {
    /// Its members, or the dotted path of the key in it that stands twice: its writer's fault, reported with the others.
    pub data: Result<Object, String>,
    /// Its number.
    pub number: u64,
    /// When it was written, RFC 3339; none where the server says nothing of the kind.
    pub created: Option<String>,
}

/// `version 7 of 2026-01-02T03:04:05Z`, or without the time.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}", self.number)?;
        self.created.iter().try_for_each(|created| write!(f, " of {created}"))
    }
}

impl Session {
    /// Reads a version. [`GET {mount}/data/{path}`](https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-version)
    ///
    /// The answer's envelope is checked here, keys and values are judged by whoever takes them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is no such secret or version, or it was deleted or
    /// destroyed, [`ErrorKind::Denied`](crate::ErrorKind::Denied) where no policy allows it; as for
    /// [`Endpoint::login`](crate::Endpoint::login) otherwise. The token is revoked all the same, when the session ends.
    pub fn read(&self, location: &Location) -> Result<Version, VaultError> {
        let Location { mount, path, version } = location;
        let (endpoint, token) = (self.endpoint(), self.token_of());
        let step = Step::Read { mount: mount.clone(), path: path.clone(), version: *version, token };
        let url = read_request(location);
        let request = self.get(&url);
        endpoint.step(&step, |call| {
            let answer = endpoint.ask(&step, &request, call)?;
            self.has_read();
            endpoint.version_in(&step, &request, &answer)
        })
    }
}

impl Kv {
    /// Reads a version with the kept token. Its path is one that was checked, as a setting is.
    pub(crate) fn version_at(&self, location: &Location) -> Result<Version, VaultError> {
        let Location { mount, path, version } = location.clone();
        // Its kind tells what a refusal means.
        let held = self.caller.keeper().token(&self.endpoint().for_one_operation())?;
        let step = Step::Read { mount, path, version, token: held.session.token_of() };
        let url = read_request(location);
        self.caller
            .run(&step, &Request::get(&url), &|answer, endpoint, request| endpoint.version_in(&step, request, answer))
    }
}

/// What stands behind `/v1/` in a read of `location`.
pub(super) fn read_request(Location { mount, path, version }: &Location) -> String {
    let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
    format!("{}/data/{}{query}", encode(mount), encode(path))
}

impl Endpoint {
    /// Reads a version at `location` with `login` along, so that no token is made. Returns `None` where `login` cannot be sent
    /// so, or its proof would cross a network in plain text.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::login`] where that login is refused, else as for [`Session::read`]; and
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) where the server does not take it and the caller insists.
    pub fn read_inline(
        &self,
        login: (&dyn Login, Insist),
        location: &Location,
    ) -> Option<Result<Inline<Version>, VaultError>> {
        let Location { mount, path, version } = location.clone();
        let step = Step::Read { mount, path, version, token: TokenOf::Login };
        let url = read_request(location);
        self.ask_inline(login, &step, &Request::get(&url), &|answer, request| self.version_in(&step, request, answer))
    }

    /// The version in `answer` to a read.
    pub(super) fn version_in(&self, step: &Step, request: &Request, answer: &Answer) -> Result<Version, fault::Fault> {
        let read = envelope(answer, self.scrubber());
        let unread = read.as_ref().is_err_and(is_unread);
        let judged = read.or_else(|fault| match twice(&fault) {
            Some(key) => Ok(Version { data: Err(key.join(".")), number: 0, created: None }),
            None => Err(self.judge_body(step, request, answer, &fault)),
        });
        if unread {
            self.scrubber().distrust();
        }
        judged
    }
}

/// Whether a document with this fault is no JSON object as a whole: no value of it is known.
fn is_unread(fault: &Malformed) -> bool {
    !matches!(fault, Malformed::Shape { member, .. } if !member.is_empty())
}

/// The path of the key that stands twice in the secret. Around the secret it would be the server's fault.
fn twice(fault: &Malformed) -> Option<&[String]> {
    match fault {
        Malformed::Duplicate(path) if path.len() > 2 && path[..2] == ["data", "data"] => Some(path),
        _ => None,
    }
}

/// The version in an answer to a read: its data, its metadata and the request's id.
pub(super) fn versioned(
    answer: &Answer,
    endpoint: &Endpoint,
    step: &Step,
    request: &Request,
) -> Result<(Object, KvVersion, Option<String>), fault::Fault> {
    let read = || {
        let said = answer.document()?;
        learn(&said, endpoint.scrubber());
        let data = said.object(&["data", "data"])?;
        let metadata = said.object(&["data", "metadata"])?;
        let id = request_id(&said);
        let version = KvVersion::of(&metadata, metadata.number("version")?, id.clone())?;
        Ok((data, version, id))
    };
    read().map_err(|fault| {
        if let Some(key) = twice(&fault) {
            let what = What::Shape(Shape::Twice(text::name(&key[2..].join("."))));
            return fault::Fault { status: Some(answer.status), ..what.into() };
        }
        if is_unread(&fault) {
            endpoint.scrubber().distrust();
        }
        endpoint.judge_body(step, request, answer, &fault)
    })
}

/// The version in an answer to a write.
pub(super) fn written(answer: &Answer) -> Result<KvVersion, Malformed> {
    let said = answer.document()?;
    let data = said.object(&["data"])?;
    KvVersion::of(&data, data.number("version")?, request_id(&said))
}

fn envelope(answer: &Answer, scrubber: &Scrubber) -> Result<Version, Malformed> {
    let answer = answer.document()?;
    learn(&answer, scrubber);
    let data = answer.object(&["data", "data"])?;
    let metadata = answer.object(&["data", "metadata"])?;
    let number = metadata.number("version")?;
    let created = text::time(&metadata.string("created_time")?).map(str::to_owned);
    Ok(Version { data: Ok(data), number, created })
}
