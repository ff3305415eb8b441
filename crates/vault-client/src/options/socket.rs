//! The path in a `unix:` address.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What `sun_path` of [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html) holds before the NUL at its end.
const MAX_LENGTH: usize = 107;

/// The path that stands in `text`, an address without its scheme and the colon behind that.
///
/// # Errors
///
/// What is wrong with it and what to write instead.
pub fn path(text: &str) -> Result<PathBuf, &'static str> {
    let Some(encoded) = text.strip_prefix("//").filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Err("a unix socket without an absolute path; write unix:/// and the path, three slashes in all");
    };
    if encoded.trim_end_matches('/').is_empty() {
        return Err("a unix socket without a path; write unix:///run/vault.sock, for instance");
    }
    if encoded.contains(['?', '#']) {
        return Err(
            "a unix socket with a query or fragment; leave it out, or write %3F for ? and %23 for # in the path",
        );
    }
    if encoded.chars().any(|it| it.is_control() || it.is_whitespace()) {
        return Err("a unix socket with a blank or a control character in its path; percent-encode it, a blank as %20");
    }
    let encoded = encoded.trim_end_matches('/');
    if encoded.ends_with("/v1") {
        return Err("a unix socket whose path ends with /v1; leave that out, it is added to every request");
    }
    let path = decoded(encoded).ok_or("a unix socket with a % that begins no byte; write %25 for the character")?;
    if path.contains(&0) {
        return Err("a unix socket with a NUL (%00) in its path, which no file's name has; leave it out");
    }
    if path.len() > MAX_LENGTH {
        return Err(
            "a unix socket whose path is longer than the 107 bytes that the system takes; shorten it, by a link \
                    for instance",
        );
    }
    Ok(OsString::from_vec(path).into())
}

/// Percent-decoding; `None` where two hexadecimal digits do not follow a `%`.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        out.push(if byte == b'%' { u8::try_from(digit()? * 16 + digit()?).ok()? } else { byte });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_is_absolute_and_percent_decoded() {
        let longest = format!("/{}", "a".repeat(MAX_LENGTH - 1));
        for (text, bytes) in [
            ("///run/vault.sock", &b"/run/vault.sock"[..]),
            ("///run/a%20b%2fc%3F%23%25", b"/run/a b/c?#%"),
            ("///run/%FF\u{fc}", b"/run/\xff\xc3\xbc"),
            ("///run/../v1/x", b"/run/../v1/x"),
            (&format!("//{longest}"), longest.as_bytes()),
        ] {
            assert_eq!(path(text).unwrap().as_os_str().as_bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn each_path_that_cannot_be_one_is_refused_with_a_reason_of_its_own() {
        let too_long = format!("///{}%61", "a".repeat(MAX_LENGTH - 1));
        for (text, reason) in [
            ("/x", "without an absolute path"),
            ("//relative", "without an absolute path"),
            ("@abstract", "without an absolute path"),
            ("", "without an absolute path"),
            ("//", "without a path"),
            ("///", "without a path"),
            ("///run/x?a=b", "with a query or fragment"),
            ("///run/x#a", "with a query or fragment"),
            ("///run/a b", "with a blank or a control character"),
            ("///run/a\nb", "with a blank or a control character"),
            ("///run/x/v1", "whose path ends with /v1"),
            ("///run/x/v1/", "whose path ends with /v1"),
            ("///run/%", "with a % that begins no byte"),
            ("///run/%2", "with a % that begins no byte"),
            ("///run/%+1", "with a % that begins no byte"),
            ("///run/%00", "with a NUL"),
            (&too_long, "whose path is longer"),
        ] {
            let refused = path(text).unwrap_err();
            assert!(refused.starts_with(&format!("a unix socket {reason}")), "{text}: {refused}");
        }
    }
}
