//! A token that was handed in, by value or in a file; and the reading of small credential files, the JWT's too.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::TokenSource;
use crate::error::Error;
use crate::secret::Secret;
use crate::text::escaped;

/// Larger files are no credentials.
const MAX_FILE: u64 = 64 << 10;

/// The token of `source`, without the white space around it.
pub(super) fn read(source: &TokenSource) -> Result<Secret, Error> {
    match source {
        TokenSource::Given(token) => Ok(Secret::new(token.expose())),
        TokenSource::File(path) => {
            let remedy = "write a token into it, or correct VAULT_TOKEN_FILE";
            read_file(path).map(Secret::new).map_err(|cause| credential("token file", path, cause, remedy))
        }
    }
}

/// The error for a file that gives no credential.
pub(super) fn credential(what: &'static str, path: &Path, cause: String, remedy: &'static str) -> Error {
    Error::Credential { what, path: escaped(&path.to_string_lossy()), cause, remedy }
}

/// The text of a credential file, without the white space around it: visible ASCII, as a header can carry it. The
/// error is a cause and quotes nothing of the content.
pub(super) fn read_file(path: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "not found".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => escaped(&error.to_string()),
    };
    // Without O_NONBLOCK the open of a FIFO would hang where no signal and no time limit reaches it.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("not a regular file".into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("larger than 64 KiB".into());
    }
    match bytes.trim_ascii() {
        [] => Err("empty".into()),
        text if text.iter().all(u8::is_ascii_graphic) => Ok(text.iter().copied().map(char::from).collect()),
        _ => Err("holds more than one line, or bytes that no token has".into()),
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
            (b"caf\xc3\xa9", Err("holds more than one line, or bytes that no token has")),
            (&vec![b'x'; (64 << 10) + 1], Err("larger than 64 KiB")),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read_file(&path), expected.map(str::to_owned).map_err(str::to_owned));
        }
        assert_eq!(read_file(directory.path()), Err("not a regular file".into()));
        assert_eq!(read_file(&directory.path().join("none")), Err("not found".into()));
    }

    #[test]
    fn a_fifo_without_a_writer_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_file(&path), Err("not a regular file".into()));
    }
}
