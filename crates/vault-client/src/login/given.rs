//! A token that was handed in, by value or in a file; and the reading of small credential files, the JWT's too.

use std::path::{Path, PathBuf};

use super::{Inspected, Login, Origin};
use crate::credential::{self, Unreadable};
use crate::endpoint::Endpoint;
use crate::error::{ErrorKind, Fault, Retry, VaultError};
use crate::json::Object;
use crate::secret::Secret;
use crate::session::Session;
use crate::text;

/// Larger files are no credentials.
const MAX_FILE: u64 = 64 << 10;

/// A token that was handed in.
#[derive(Debug)]
pub struct Token(pub TokenSource);

/// Where a token that was handed in is.
#[derive(Debug)]
pub enum TokenSource {
    /// Here.
    Given(Secret),
    /// In this file.
    File(PathBuf),
}

impl Login for Token {
    fn name(&self) -> &'static str {
        "token"
    }

    fn origin(&self) -> Origin {
        match self.0 {
            TokenSource::Given(_) => Origin::Token,
            TokenSource::File(_) => Origin::TokenFile,
        }
    }

    fn file(&self) -> Option<&Path> {
        match &self.0 {
            TokenSource::Given(_) => None,
            TokenSource::File(path) => Some(path),
        }
    }

    fn look(&self) -> Result<Inspected, Fault> {
        match &self.0 {
            TokenSource::Given(_) => Ok(Inspected { said: "a token is handed in".into(), ..Inspected::default() }),
            source @ TokenSource::File(path) => {
                read(source)?;
                let path = text::os(path);
                Ok(Inspected { said: format!("token file {path}"), path: Some(path), ..Inspected::default() })
            }
        }
    }

    fn log_in(&self, endpoint: &Endpoint) -> Result<Session, VaultError> {
        Ok(Session::handed_in(endpoint, endpoint.await_credential(|| read(&self.0))?))
    }
}

/// A file that gives no credential, and what to do about it.
pub(super) struct NoCredential {
    what: &'static str,
    path: String,
    why: Unusable,
    remedy: &'static str,
}

impl NoCredential {
    /// The file `what` at `path`; the remedy is for all that has none of its own, the other one for a credential that stands
    /// in the place of its path.
    pub(super) fn new(what: &'static str, path: &Path, why: Unusable, [remedy, misplaced]: [&'static str; 2]) -> Self {
        let shown = text::os(path);
        let remedy = match why {
            Unusable::Json(_, own) => own,
            // What stands in the place of the whole path was hidden.
            _ if shown == "***" => misplaced,
            _ => remedy,
        };
        Self { what, path: shown, why, remedy }
    }

    /// As a fault of its step.
    pub(super) fn fault(&self) -> Fault {
        // Somebody may be about to write it.
        let may_come = matches!(self.why, Unusable::Missing | Unusable::Empty);
        Fault {
            kind: ErrorKind::Credential,
            cause: format!("{} {}: {}", self.what, self.path, self.why),
            remedy: self.remedy.into(),
            retry: if may_come { Retry::InWait } else { Retry::Never },
            status: None,
            tls: None,
        }
    }
}

/// Why a file is no credential. Nothing of its content is quoted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// Nor is the target of a link, as in a volume of Kubernetes.
    #[error("not found")]
    Missing,
    #[error("empty")]
    Empty,
    #[error("no permission to read it")]
    Forbidden,
    /// What the document is, and what to do about it.
    #[error("{0}")]
    Json(&'static str, &'static str),
    #[error("not a JWT")]
    NoJwt,
    #[error("{0}")]
    Other(String),
}

impl From<Unreadable> for Unusable {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NotFound => Self::Missing,
            Unreadable::NoPermission => Self::Forbidden,
            other => Self::Other(other.to_string()),
        }
    }
}

/// The token of `source`, without the white space around it.
fn read(source: &TokenSource) -> Result<Secret, Fault> {
    match source {
        TokenSource::Given(token) => Ok(Secret::new(token.expose())),
        TokenSource::File(path) => {
            let remedies = [
                "write a token into it, or correct VAULT_TOKEN_FILE",
                "it looks like a token itself: VAULT_TOKEN takes that, VAULT_TOKEN_FILE the path of a file",
            ];
            let token = read_file(path).map_err(|why| NoCredential::new("token file", path, why, remedies).fault())?;
            Ok(Secret::new(token))
        }
    }
}

/// The text of a credential file, without the white space around it: visible ASCII, as a header can carry it.
pub(super) fn read_file(path: &Path) -> Result<String, Unusable> {
    let bytes = credential::read(path, MAX_FILE)?;
    match bytes.trim_ascii() {
        [] => Err(Unusable::Empty),
        // No token begins so.
        [b'{', ..] => {
            let (what, remedy) = json_is(bytes.trim_ascii());
            Err(Unusable::Json(what, remedy))
        }
        text if text.iter().all(u8::is_ascii_graphic) => Ok(text.iter().copied().map(char::from).collect()),
        _ => Err(Unusable::Other("holds more than one line, or bytes that no token has".into())),
    }
}

/// What a JSON document in the place of a token is, as far as it is known, and what to do about it.
pub fn json_is(text: &[u8]) -> (&'static str, &'static str) {
    let document = Object::parse(text).ok();
    let has = |key: &str| document.as_ref().is_some_and(|it| it.get(key).is_some());
    // An agent writes what stands in `wrap_info` alone, or encrypted:
    // https://openbao.org/docs/agent-and-proxy/autoauth/#sinks
    if has("wrap_info") || has("wrapped_accessor") || has("creation_path") {
        let remedy = "unwrap it first, or have the agent write it without wrap_ttl";
        ("holds a wrapped token in JSON, which is not unwrapped here", remedy)
    } else if has("encrypted_payload") {
        ("holds a token that an agent has encrypted", "have the agent write it without dh_type")
    } else if has("auth") {
        ("holds the answer to a login in JSON", "write only its auth.client_token")
    } else if has("apiVersion") {
        ("holds an object of Kubernetes in JSON", "write only its status.token")
    } else {
        ("holds JSON and no token", "write the token alone")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_trimmed_text_or_a_cause_that_quotes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        for (content, expected) in [
            (&b"hvs.abc"[..], Ok("hvs.abc")),
            (b" \n hvs.abc\r\n\n", Ok("hvs.abc")),
            (b"\n", Err("empty")),
            (b"two\nlines", Err("holds more than one line, or bytes that no token has")),
            (b"{\"wrap_info\":{\"token\":\"s.x\"}}", Err("holds a wrapped token in JSON, which is not unwrapped here")),
            (b"caf\xc3\xa9", Err("holds more than one line, or bytes that no token has")),
            (&vec![b'x'; (64 << 10) + 1], Err("larger than 64 KiB")),
        ] {
            std::fs::write(&path, content).unwrap();
            let read = read_file(&path).map_err(|why| why.to_string());
            assert_eq!(read, expected.map(str::to_owned).map_err(str::to_owned));
        }
        let other = |cause: &str| Err(Unusable::Other(cause.into()));
        assert_eq!(read_file(directory.path()), other("not a regular file"));
        assert_eq!(read_file(&directory.path().join("none")), Err(Unusable::Missing));
    }

    #[test]
    fn a_fifo_without_a_writer_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_file(&path), Err(Unusable::Other("not a regular file".into())));
    }
}
