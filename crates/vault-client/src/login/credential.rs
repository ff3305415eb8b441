//! Credentials that are handed in: where they are, and how they are read.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::Inspected;
use super::wrapping::{self, Wrapping};
use crate::credential;
use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{Document, Fault, NoCredential, Retry, Unusable, Wanted, What};
use crate::json::Object;
use crate::secret::Secret;
use crate::text;

/// Larger files are no credentials.
const MAX_FILE: u64 = 64 << 10;

/// A token, a JWT or a secret id that is handed in: by value or in a file, by itself or in a wrapping token.
///
/// # Examples
///
/// ```
/// use vault_client::{Credential, Secret};
///
/// let here = Credential::given(Secret::new("hvs.example"));
/// let file = Credential::file("/run/secrets/secret-id").wrapped();
/// assert_eq!(format!("{here:?}"), "Credential(given)");
/// assert_eq!(format!("{file:?}"), "Credential(/run/secrets/secret-id, wrapped)");
/// ```
pub struct Credential {
    source: Source,
    wrapping: Option<Wrapping>,
    /// The one that was refused last, and how.
    refused: Mutex<Option<(Arc<Secret>, VaultError)>>,
}

enum Source {
    Given(Arc<Secret>),
    File(PathBuf),
}

impl Credential {
    /// One that is here.
    pub fn given(secret: Secret) -> Self {
        Self::of(Source::Given(Arc::new(secret)))
    }

    /// One in this file, which is read anew at each login.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::of(Source::File(path.into()))
    }

    fn of(source: Source) -> Self {
        Self { source, wrapping: None, refused: Mutex::default() }
    }

    /// What was given is a wrapping token, and the credential is in it. It is taken out once.
    /// [Response wrapping](https://openbao.org/docs/concepts/response-wrapping/)
    #[must_use]
    pub fn wrapped(self) -> Self {
        Self { wrapping: Some(Wrapping::default()), ..self }
    }

    /// The file that it is in, where it is in one.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Given(_) => None,
            Source::File(path) => Some(path),
        }
    }

    /// Whether a wrapping token was handed in.
    pub(super) fn is_wrapped(&self) -> bool {
        self.wrapping.is_some()
    }

    /// Why a dry run does not log in with it; `None` where it does.
    pub(super) fn left_to_the_run(&self) -> Option<&'static str> {
        self.is_wrapped().then_some("a wrapping token can be unwrapped once, which is left to the run")
    }

    /// The text that was handed in: the credential itself, or its wrapping token.
    pub(super) fn read(&self, wanted: Wanted) -> Result<Arc<Secret>, Fault> {
        let path = match &self.source {
            Source::Given(secret) => return Ok(Arc::clone(secret)),
            Source::File(path) => path,
        };
        let refused = |why| no_credential(wanted, path, why);
        let text = match &self.wrapping {
            Some(_) => read_wrapping_token(path),
            None if wanted == Wanted::SecretId => read_line(path),
            None => read_word(path),
        };
        let text = text.map_err(refused)?;
        let is_jwt = matches!(wanted, Wanted::PodJwt | Wanted::Jwt) && !self.is_wrapped();
        if is_jwt && !is_in_three_parts(&text) {
            return Err(refused(Unusable::NoJwt));
        }
        Ok(Arc::new(Secret::from(text)))
    }

    /// The credential itself, once its file is there, which the wait waits for. It is unwrapped where it has to be.
    pub(super) fn obtain(&self, wanted: Wanted, endpoint: &Endpoint) -> Result<Arc<Secret>, VaultError> {
        let text = endpoint.await_credential(|| self.read(wanted))?;
        match &self.wrapping {
            Some(wrapping) => wrapping.unwrap(&text, wanted, endpoint),
            None => Ok(text),
        }
    }

    /// The same at a further try of a login: what is in a file is read anew, what was unwrapped is not unwrapped again.
    pub(super) fn obtain_again(&self, wanted: Wanted) -> Result<Arc<Secret>, Fault> {
        match self.wrapping.as_ref().and_then(Wrapping::unwrapped) {
            Some(secret) => Ok(secret),
            None => self.read(wanted),
        }
    }

    /// Why `secret` was refused, if it was the last that was.
    pub(super) fn refusal(&self, secret: &Secret) -> Option<VaultError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().filter(|(it, _)| it.expose() == secret.expose()).map(|(_, why)| why.clone())
    }

    /// Remembers that `secret` was refused.
    pub(super) fn note_refusal(&self, secret: &Arc<Secret>, why: &VaultError) {
        let refused = (Arc::clone(secret), why.clone());
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
    }

    /// What a dry run tells of it: what the server says of a wrapping token, else what `look` gives once the file is there.
    pub(super) fn inspect(
        &self,
        wanted: Wanted,
        endpoint: &Endpoint,
        look: impl Fn() -> Result<Inspected, Fault>,
    ) -> Result<Inspected, VaultError> {
        if self.is_wrapped() { wrapping::inspect(self, wanted, endpoint) } else { endpoint.await_credential(look) }
    }

    /// Looks at it without using it.
    pub(super) fn look(&self, wanted: Wanted) -> Result<(Inspected, Arc<Secret>), Fault> {
        let secret = self.read(wanted)?;
        let path = self.path().map(place);
        let what = if self.is_wrapped() { "wrapping token" } else { wanted.words() };
        let said = match &path {
            Some(path) => format!("{what} file {path}"),
            None => format!("a {what} is handed in"),
        };
        Ok((Inspected { said, path, ..Inspected::default() }, secret))
    }
}

/// It shows where the credential is and nothing of it.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wrapped = if self.is_wrapped() { ", wrapped" } else { "" };
        match &self.source {
            Source::Given(_) => write!(f, "Credential(given{wrapped})"),
            Source::File(path) => write!(f, "Credential({}{wrapped})", place(path)),
        }
    }
}

/// The file's path as it may be shown: the credential itself can stand in its place.
fn place(path: &Path) -> String {
    text::without_ids(&text::lossy(path.as_os_str().as_bytes()))
}

/// The fault of a file that gives no credential.
fn no_credential(wanted: Wanted, path: &Path, why: Unusable) -> Fault {
    // Somebody may be about to write it.
    let retry = if matches!(why, Unusable::Missing | Unusable::Empty) { Retry::InWait } else { Retry::Never };
    let path = place(path);
    // What stands in the place of the whole path was hidden.
    let misplaced = path == "***";
    Fault::new(What::NoCredential(Box::new(NoCredential { wanted, path, misplaced, why })), retry)
}

/// The text of a credential file, without the white space around it: visible ASCII, as a header can carry it.
fn read_word(path: &Path) -> Result<Zeroizing<String>, Unusable> {
    read_text(path, |text| text.iter().all(u8::is_ascii_graphic))
}

/// The same of a text that an administrator may have made up: one line.
fn read_line(path: &Path) -> Result<Zeroizing<String>, Unusable> {
    read_text(path, |text| std::str::from_utf8(text).is_ok_and(|text| !text.contains(char::is_control)))
}

fn read_text(path: &Path, is_good: impl Fn(&[u8]) -> bool) -> Result<Zeroizing<String>, Unusable> {
    let bytes = credential::read(path, MAX_FILE)?;
    match bytes.trim_ascii() {
        [] => Err(Unusable::Empty),
        // No token begins so.
        [b'{', ..] => Err(Unusable::Json(json_is(bytes.trim_ascii()))),
        text if is_good(text) => Ok(owned(text)),
        _ => Err(Unusable::Other("holds more than one line, or bytes that no token has".into())),
    }
}

/// The wrapping token in a file: alone, or in the JSON that a client prints or an agent writes.
fn read_wrapping_token(path: &Path) -> Result<Zeroizing<String>, Unusable> {
    let bytes = credential::read(path, MAX_FILE)?;
    let text = bytes.trim_ascii();
    let Ok(document) = Object::parse(text) else {
        let word = read_word(path)?;
        return if is_jwt(&word) { Err(Unusable::NotWrapped) } else { Ok(word) };
    };
    let token = document.object(&["wrap_info"]).and_then(|info| info.string("token"));
    let token = token.or_else(|_| document.string("token"));
    let token = token.ok().filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    token.ok_or_else(|| Unusable::Json(json_is(text)))
}

/// Whether `text` has the three parts of a JWT, with dots between them.
pub fn is_in_three_parts(text: &str) -> bool {
    text.split('.').count() == 3
}

/// Whether `text` is a JWT, and none of those that HashiCorp's servers give out as wrapping tokens.
pub fn is_jwt(text: &str) -> bool {
    let parts: Vec<_> = text.split('.').collect();
    let [header, payload, _] = parts[..] else { return false };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).ok().and_then(|claims| Object::parse(&claims).ok());
    let is_wrapping = claims.is_some_and(|claims| claims.string("type").is_ok_and(|kind| kind.as_str() == "wrapping"));
    header.starts_with("eyJ") && !is_wrapping
}

fn owned(text: &[u8]) -> Zeroizing<String> {
    let mut owned = Zeroizing::new(String::with_capacity(text.len()));
    owned.push_str(&text::lossy(text));
    owned
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

    fn read(path: &Path, wanted: Wanted, wrapped: bool) -> Result<String, String> {
        let credential = Credential::file(path);
        let credential = if wrapped { credential.wrapped() } else { credential };
        let why = |fault: Fault| fault.to_string().rsplit_once(&format!("{}: ", path.display())).unwrap().1.to_owned();
        credential.read(wanted).map(|secret| secret.expose().to_owned()).map_err(why)
    }

    #[test]
    fn a_file_gives_its_trimmed_text_or_a_cause_that_quotes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let no_token = "holds more than one line, or bytes that no token has";
        let wrapped = r#"{"wrap_info":{"token":"s.x"}}"#;
        for (content, wanted, wrapping, expected) in [
            (&b"hvs.abc"[..], Wanted::Token, false, Ok("hvs.abc")),
            (b" \n hvs.abc\r\n\n", Wanted::Token, false, Ok("hvs.abc")),
            (b"\n", Wanted::Token, false, Err("empty")),
            (b"two\nlines", Wanted::Token, false, Err(no_token)),
            (wrapped.as_bytes(), Wanted::Token, false, Err("holds a wrapped token in JSON")),
            (wrapped.as_bytes(), Wanted::SecretId, true, Ok("s.x")),
            (br#"{"token":"s.y","ttl":60}"#, Wanted::Token, true, Ok("s.y")),
            (br#"{"token":"s\ny"}"#, Wanted::Token, true, Err("holds JSON and no token")),
            (b"s.z\n", Wanted::Jwt, true, Ok("s.z")),
            (b"caf\xc3\xa9", Wanted::Token, false, Err(no_token)),
            (b"caf\xc3\xa9 au lait\n", Wanted::SecretId, false, Ok("café au lait")),
            (b"two\nlines", Wanted::SecretId, false, Err(no_token)),
            (b"a.b", Wanted::Jwt, false, Err("not a JWT")),
            (b"a.b.c", Wanted::PodJwt, false, Ok("a.b.c")),
            (&vec![b'x'; (64 << 10) + 1], Wanted::Token, false, Err("larger than 64 KiB")),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&path, wanted, wrapping), expected.map(str::to_owned).map_err(str::to_owned));
        }
        assert_eq!(read(directory.path(), Wanted::Token, false), Err("not a regular file".into()));
        assert_eq!(read(&directory.path().join("none"), Wanted::Token, false), Err("not found".into()));
    }

    #[test]
    fn a_fifo_without_a_writer_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for wrapped in [false, true] {
            assert_eq!(read(&path, Wanted::Token, wrapped), Err("not a regular file".into()));
        }
    }
}
