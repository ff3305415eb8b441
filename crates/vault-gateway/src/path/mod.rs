//! The path of a secret, as rules, cache and Vault see it.
//!
//! There is one spelling of each path. What has another one is refused before any rule is asked.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

/// How many bytes a path may have.
pub const MAX_BYTES: usize = 512;

/// The path of a secret or of a folder: whole segments with `/` between them.
///
/// No segment is empty, `.` or `..`. Each character is visible ASCII without `% ? # \ *`, or alphanumeric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath(String);

/// Why a text is not a path. The sentences show nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// A `%` without two hexadecimal digits.
    #[error("the path has a bad percent-escape: write % and two hexadecimal digits")]
    Escape,
    /// The decoded bytes are no text.
    #[error("the path is not UTF-8: encode its characters as UTF-8 first")]
    Utf8,
    /// Nothing at all, or nothing between two `/`, before the first or after the last one.
    #[error("the path has an empty segment: leave the extra / out")]
    Empty,
    /// A segment `.` or `..`.
    #[error("the path has a segment . or ..: write the path that is meant")]
    Dots,
    /// A character that no path may have.
    #[error("the path has a character that is not allowed: use letters, digits and visible ASCII without % ? # \\ *")]
    Character,
    /// More than [`MAX_BYTES`].
    #[error("the path is too long: it may have {MAX_BYTES} bytes")]
    Long,
}

impl SecretPath {
    /// The path that `raw` spells: the rest of the URL's path after the route's prefix, still percent-encoded.
    ///
    /// It is decoded once and split afterwards: `%2F` separates like `/`.
    pub fn parse(raw: &str) -> Result<Self, BadPath> {
        Self::of_canonical(&decode(raw)?)
    }

    /// The folder that `raw` spells, which may end in one `/`. `None` is the root: nothing stands after `/vault/list/`.
    pub fn parse_folder(raw: &str) -> Result<Option<Self>, BadPath> {
        if raw.is_empty() {
            return Ok(None);
        }
        let text = decode(raw)?;
        Self::of_canonical(text.strip_suffix('/').unwrap_or(&text)).map(Some)
    }

    /// The path that `text` is, where nothing is percent-encoded, as in the configuration.
    pub fn of_canonical(text: &str) -> Result<Self, BadPath> {
        if text.len() > MAX_BYTES {
            return Err(BadPath::Long);
        }
        text.split('/').try_for_each(check_segment)?;
        Ok(Self(text.to_owned()))
    }

    /// The path, canonical.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands between the `/`, at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `segment` may stand between two `/`.
pub(crate) fn check_segment(segment: &str) -> Result<(), BadPath> {
    match segment {
        "" => Err(BadPath::Empty),
        "." | ".." => Err(BadPath::Dots),
        _ if segment.chars().all(is_allowed) => Ok(()),
        _ => Err(BadPath::Character),
    }
}

fn is_allowed(c: char) -> bool {
    match c {
        '%' | '?' | '#' | '\\' | '*' | '/' => false,
        '!'..='~' => true,
        _ => c.is_alphanumeric(),
    }
}

/// `raw`, percent-decoded once.
pub(crate) fn decode(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if !escapes_are_whole(raw.as_bytes()) {
        return Err(BadPath::Escape);
    }
    percent_decode_str(raw).decode_utf8().map_err(|_| BadPath::Utf8)
}

/// Whether two hexadecimal digits follow each `%`. The decoder lets other ones stand as they are.
fn escapes_are_whole(raw: &[u8]) -> bool {
    let is_digit = |at: usize| raw.get(at).is_some_and(u8::is_ascii_hexdigit);
    raw.iter().enumerate().all(|(at, &byte)| byte != b'%' || (is_digit(at + 1) && is_digit(at + 2)))
}
