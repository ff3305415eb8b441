//! A token that was handed in, by value or in a file; and the reading of small credential files, the JWT's too.

use std::path::{Path, PathBuf};

use super::{Inspected, Login, Origin};
use crate::credential;
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{Document, Fault, NoCredential, Retry, Unusable, Wanted, What};
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

/// The fault of a file that gives no credential.
pub(super) fn no_credential(wanted: Wanted, path: &Path, why: Unusable) -> Fault {
    // Somebody may be about to write it.
    let retry = if matches!(why, Unusable::Missing | Unusable::Empty) { Retry::InWait } else { Retry::Never };
    let path = text::os(path);
    // What stands in the place of the whole path was hidden.
    let misplaced = path == "***";
    Fault::new(What::NoCredential(Box::new(NoCredential { wanted, path, misplaced, why })), retry)
}

/// The token of `source`, without the white space around it.
fn read(source: &TokenSource) -> Result<Secret, Fault> {
    match source {
        TokenSource::Given(token) => Ok(Secret::new(token.expose())),
        TokenSource::File(path) => {
            read_file(path).map(Secret::new).map_err(|why| no_credential(Wanted::Token, path, why))
        }
    }
}

/// The text of a credential file, without the white space around it: visible ASCII, as a header can carry it.
pub(super) fn read_file(path: &Path) -> Result<String, Unusable> {
    let bytes = credential::read(path, MAX_FILE)?;
    match bytes.trim_ascii() {
        [] => Err(Unusable::Empty),
        // No token begins so.
        [b'{', ..] => Err(Unusable::Json(json_is(bytes.trim_ascii()))),
        text if text.iter().all(u8::is_ascii_graphic) => Ok(text.iter().copied().map(char::from).collect()),
        _ => Err(Unusable::Other("holds more than one line, or bytes that no token has".into())),
    }
}

/// What a JSON document in the place of a token is.
pub fn json_is(text: &[u8]) -> Document {
    let document = Object::parse(text).ok();
    let has = |key: &str| document.as_ref().is_some_and(|it| it.get(key).is_some());
    // An agent writes what stands in `wrap_info` alone, or encrypted:
    // https://openbao.org/docs/agent-and-proxy/autoauth/#sinks
    if has("wrap_info") || has("wrapped_accessor") || has("creation_path") {
        Document::Wrapped
    } else if has("encrypted_payload") {
        Document::Encrypted
    } else if has("auth") {
        Document::Login
    } else if has("apiVersion") {
        Document::Kubernetes
    } else {
        Document::Unknown
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
