//! Paths in URLs.

use crate::fault::Unsendable;
use crate::text::percent_encoded;

/// Percent-encodes a path for a URL; slashes stay.
pub fn encode(path: &str) -> String {
    percent_encoded(path, b"-._~/")
}

/// The same of a path that a program hands in.
///
/// # Errors
///
/// A segment is empty, `.` or `..`, or a control character is in it: the server would clean it, or refuse it.
pub fn checked(path: &str) -> Result<String, Unsendable> {
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(Unsendable::Segment);
    }
    if path.chars().any(char::is_control) {
        return Err(Unsendable::Control);
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
            ("", Err(Unsendable::Segment)),
            ("a//b", Err(Unsendable::Segment)),
            ("a/../b", Err(Unsendable::Segment)),
            ("a/.", Err(Unsendable::Segment)),
            ("a\nb", Err(Unsendable::Control)),
            ("a\u{85}b", Err(Unsendable::Control)),
        ] {
            assert_eq!(checked(path).as_deref().map_err(|cause| *cause), encoded, "{path}");
        }
    }
}
