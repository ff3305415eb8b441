//! Patterns of paths.

use std::fmt;

use crate::path::{BadPath, MAX_BYTES, SecretPath, check_segment};

/// A pattern of paths: `*` is one whole segment; `**` is last, and is any number of segments, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    pieces: Vec<Piece>,
    /// It ends in `**`.
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// This segment.
    Exactly(String),
    /// Any segment.
    Any,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// A `*` beside something else in a segment.
    #[error("a * stands for a whole segment: write it alone between two /")]
    Star,
    /// A `**` that is not the last segment.
    #[error("a ** stands for the rest of a path: write it last")]
    Rest,
    /// No path can be like this.
    #[error("no path matches the pattern: {0}")]
    Path(BadPath),
}

impl Pattern {
    /// The pattern that `text` is.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.len() > MAX_BYTES {
            return Err(BadPattern::Path(BadPath::Long));
        }
        let (before, is_open) = match text.strip_suffix("**") {
            Some("") => ("", true),
            Some(before) => (before.strip_suffix('/').ok_or(BadPattern::Star)?, true),
            None => (text, false),
        };
        let pieces = if text == "**" { Vec::new() } else { before.split('/').map(piece).collect::<Result<_, _>>()? };
        Ok(Self { text: text.to_owned(), pieces, is_open })
    }

    /// Whether it matches the path.
    pub fn matches(&self, path: &SecretPath) -> bool {
        let mut segments = path.segments();
        let begins = self.pieces.iter().all(|piece| segments.next().is_some_and(|segment| piece.matches(segment)));
        begins && (self.is_open || segments.next().is_none())
    }

    /// Whether it matches the root folder: only `**` does.
    pub fn matches_root(&self) -> bool {
        self.is_open && self.pieces.is_empty()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Piece {
    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Exactly(text) => text == segment,
            Self::Any => true,
        }
    }
}

fn piece(segment: &str) -> Result<Piece, BadPattern> {
    match segment {
        "*" => Ok(Piece::Any),
        "**" => Err(BadPattern::Rest),
        _ if segment.contains('*') => Err(BadPattern::Star),
        _ => check_segment(segment).map(|()| Piece::Exactly(segment.to_owned())).map_err(BadPattern::Path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_segment_and_two_are_the_rest() {
        for (pattern, matched, not_matched, root) in [
            ("db", &["db"][..], &["DB", "db/a", "dbs"][..], false),
            ("apps/*/config", &["apps/web/config"], &["apps/config", "apps/a/b/config", "apps/web/config/x"], false),
            ("*", &["a", "b"], &["a/b"], false),
            ("*/*", &["a/b"], &["a", "a/b/c"], false),
            ("shared/**", &["shared", "shared/a", "shared/a/b"], &["share", "shareda", "x/shared"], false),
            ("*/**", &["a", "a/b", "a/b/c"], &[], false),
            ("a/*/**", &["a/b", "a/b/c"], &["a", "b/a"], false),
            ("**", &["a", "a/b"], &[], true),
            ("café/x", &["café/x"], &["cafe/x"], false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            for (paths, expected) in [(matched, true), (not_matched, false)] {
                for path in paths {
                    assert_eq!(parsed.matches(&SecretPath::of_canonical(path).unwrap()), expected, "{pattern} {path}");
                }
            }
            assert_eq!((parsed.matches_root(), parsed.to_string()), (root, pattern.to_owned()));
        }
    }

    #[test]
    fn another_use_of_a_star_and_what_no_path_can_be_are_faults() {
        for (text, fault) in [
            ("app*", BadPattern::Star),
            ("*app/x", BadPattern::Star),
            ("a**", BadPattern::Star),
            ("***", BadPattern::Star),
            ("a/***", BadPattern::Star),
            ("a/b**/c", BadPattern::Star),
            ("**/a", BadPattern::Rest),
            ("a/**/b", BadPattern::Rest),
            ("**/**", BadPattern::Rest),
            ("", BadPattern::Path(BadPath::Empty)),
            ("/**", BadPattern::Path(BadPath::Empty)),
            ("/a", BadPattern::Path(BadPath::Empty)),
            ("a/", BadPattern::Path(BadPath::Empty)),
            ("a//**", BadPattern::Path(BadPath::Empty)),
            ("a/../b", BadPattern::Path(BadPath::Dots)),
            ("a%2Fb", BadPattern::Path(BadPath::Character)),
            ("a b", BadPattern::Path(BadPath::Character)),
            (&"a".repeat(513), BadPattern::Path(BadPath::Long)),
        ] {
            assert_eq!(Pattern::parse(text), Err(fault), "{text}");
            assert_eq!(fault.to_string().lines().count(), 1);
        }
    }
}
