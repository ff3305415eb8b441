//! Paths in URLs.

use std::fmt::Write;

/// Percent-encodes a path for a URL; slashes stay.
pub fn encode(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// The same of a path that a program hands in.
///
/// # Errors
///
/// A segment is empty, `.` or `..`, or a control character is in it: the server would clean it, or refuse it.
pub fn checked(path: &str) -> Result<String, &'static str> {
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has a segment that is empty, . or ..");
    }
    if path.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    Ok(encode(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_segment_by_segment_and_nothing_of_it_is_cleaned_away() {
        for (path, encoded) in [
            ("shop/prod", Ok("shop/prod")),
            ("a b/ü+%?#", Ok("a%20b/%C3%BC%2B%25%3F%23")),
            ("%2e%2e/x", Ok("%252e%252e/x")),
            ("...", Ok("...")),
            ("", Err("has a segment that is empty, . or ..")),
            ("a//b", Err("has a segment that is empty, . or ..")),
            ("a/../b", Err("has a segment that is empty, . or ..")),
            ("a/.", Err("has a segment that is empty, . or ..")),
            ("a\nb", Err("holds a control character")),
            ("a\u{85}b", Err("holds a control character")),
        ] {
            assert_eq!(checked(path).as_deref().map_err(|cause| *cause), encoded, "{path}");
        }
    }
}
